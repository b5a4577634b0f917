//! What became of all files: the summary that a person reads.

use crate::{
    import::{Skipped, Summary},
    serve::command::Imported,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
};

/// Companies in the summary.
const SHOWN_COMPANIES: usize = 10;
/// Unparsable lines in the summary, of all files.
const SHOWN_LINES: usize = 20;
/// From this share of dropped pages on, reserved addresses mean a proxy that nobody named.
const MANY_RESERVED: f64 = 0.5;

/// Adds up what files held and what became of their batches.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: usize,
    lines: u64,
    pageviews: u64,
    unparsable: u64,
    already_counted: u64,
    skipped: Skipped,
    dropped: BTreeMap<String, u64>,
    shown: Vec<String>,
    kept: u64,
    /// Ids as the batches named them; a later batch may have joined two visits into one.
    pub(super) visits: BTreeSet<u64>,
    pub(super) visit_count: u64,
    companies: HashMap<String, (String, String, u64)>,
    /// Files that were left out, in whole or from some point on, and why.
    left_out: Vec<String>,
}

impl Report {
    pub(super) fn add_batch(&mut self, imported: Imported) {
        self.kept += imported.kept;
        self.already_counted += imported.already_counted;
        self.visits.extend(imported.visits);
        for (reason, events) in imported.dropped {
            *self.dropped.entry(reason).or_default() += events;
        }
        for company in imported.companies {
            let entry = self.companies.entry(company.id).or_insert((company.name, company.domain, 0));
            entry.2 += company.pageviews;
        }
    }

    pub(super) fn add_file(&mut self, name: &str, summary: Summary) {
        self.files += 1;
        self.lines += summary.lines;
        self.pageviews += summary.pageviews;
        self.unparsable += summary.unparsable;
        for (reason, events) in summary.skipped {
            *self.skipped.entry(reason).or_default() += events;
        }
        for (reason, events) in summary.dropped {
            *self.dropped.entry(reason.to_owned()).or_default() += events;
        }
        for line in summary.shown {
            if self.shown.len() < SHOWN_LINES {
                self.shown.push(format!("{name}:{}: {}: {}", line.number, line.problem, line.text));
            }
        }
    }

    pub(super) fn leave_out(&mut self, problem: String) {
        self.left_out.push(problem);
    }

    /// How many files were left out.
    pub(super) const fn left_out(&self) -> usize {
        self.left_out.len()
    }

    /// The summary; empty when nothing was read. Whatever came from a log is as it was there.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.files == 0 && self.kept == 0 && self.left_out.is_empty() {
            return text;
        }
        let mut line = |line: String| {
            // Writing to a String can't fail.
            let written = writeln!(text, "{line}");
            debug_assert!(written.is_ok());
        };
        let files = if self.files == 1 { "" } else { "s" };
        line(format!("lines       {:>10}  in {} file{files}", self.lines, self.files));
        line(format!("pageviews   {:>10}", self.pageviews));
        line(format!("kept        {:>10}", self.kept));
        line(format!("visits      {:>10}", self.visit_count));
        line(format!("companies   {:>10}", self.companies.len()));
        let mut companies: Vec<_> = self.companies.values().collect();
        companies.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        for (name, domain, pageviews) in companies.into_iter().take(SHOWN_COMPANIES) {
            let domain = if domain.is_empty() { String::new() } else { format!(" ({domain})") };
            line(format!("  {pageviews:>8}  {name}{domain}"));
        }
        if self.already_counted > 0 {
            line(format!(
                "counted     {:>10}  by the tracker already: same page, company and minute",
                self.already_counted
            ));
        }
        let mut by_count = |title: &str, mut counts: Vec<(&str, u64)>| {
            counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
            line(format!("{title:<12}{:>10}", counts.iter().map(|(_, count)| count).sum::<u64>()));
            for (reason, count) in counts {
                line(format!("  {count:>8}  {reason}"));
            }
        };
        by_count("dropped", self.dropped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect());
        by_count("no pageview", self.skipped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect());
        line(format!("unparsable  {:>10}", self.unparsable));
        for shown in &self.shown {
            line(format!("  {shown}"));
        }
        if self.is_behind_a_proxy() {
            line("most clients have private addresses, as behind a proxy: name it in [public].trusted_proxies, and have the \
                  server log X-Forwarded-For"
                .to_owned());
        }
        if !self.left_out.is_empty() {
            line(format!("left out    {:>10}", self.left_out.len()));
            for problem in &self.left_out {
                line(format!("  {problem}"));
            }
        }
        text
    }

    fn is_behind_a_proxy(&self) -> bool {
        let reserved = self.dropped.get("reserved").copied().unwrap_or_default();
        self.pageviews > 0 && reserved as f64 > MANY_RESERVED * self.pageviews as f64
    }
}
