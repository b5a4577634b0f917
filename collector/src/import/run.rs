//! From lines to batches and a summary: the state of one file's import.

use super::{
    beacons::{Occurrences, batch_id, beacon},
    page::{Judgement, NotPage, judge},
    parse::{Format, LineError},
};
use crate::{
    counters::DropReason,
    site::Site,
    spool::record::{DropCount, SpooledBeacon},
    time::{UnixMillis, UtcDay},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most pageviews in one batch.
pub const MAX_BATCH_PAGEVIEWS: usize = 5_000;
/// How many unparsable lines the summary shows.
const SHOWN_UNPARSABLE: usize = 5;
/// How much of an unparsable line the summary shows, in characters.
const SHOWN_CHARACTERS: usize = 120;
/// How far a server's clock may be ahead of ours, in milliseconds.
const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// Pageviews on their way to the pipeline, with the counts of what was dropped between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Derived from the content, so that a repeat is known as one.
    pub id: Uuid,
    /// One event each.
    pub beacons: Vec<SpooledBeacon>,
    /// Robots.
    pub drops: Vec<DropCount>,
}

/// A line that no format rule reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unparsable {
    /// Its number in the file, from 1.
    pub number: u64,
    /// What is missing.
    pub problem: LineError,
    /// Its first characters, control characters made visible.
    pub text: String,
}

/// Hits that are no pageviews, by reason.
pub type Skipped = BTreeMap<NotPage, u64>;

/// What one file held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines read, empty ones left out.
    pub lines: u64,
    /// Pageviews found.
    pub pageviews: u64,
    /// Hits that are no pageviews.
    pub skipped: Skipped,
    /// Pages that robots fetched.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Lines that could not be read.
    pub unparsable: u64,
    /// The first of them.
    pub shown: Vec<Unparsable>,
}

/// The import of one file.
#[derive(Debug)]
pub struct Importer<'a> {
    site: &'a Site,
    format: Format,
    now: UnixMillis,
    line_number: u64,
    occurrences: Occurrences,
    beacons: Vec<SpooledBeacon>,
    drops: BTreeMap<(UtcDay, DropReason), u64>,
    batch_start: u64,
    summary: Summary,
}

impl<'a> Importer<'a> {
    /// Starts a file. Lines more than a day after `now` are refused, so that a wrong clock can't make
    /// visits of the future.
    #[must_use]
    pub fn new(site: &'a Site, format: Format, now: UnixMillis) -> Self {
        Self {
            site,
            format,
            now,
            line_number: 0,
            occurrences: Occurrences::default(),
            beacons: Vec::new(),
            drops: BTreeMap::new(),
            batch_start: 0,
            summary: Summary::default(),
        }
    }

    /// Takes one line; gives a batch when one is full.
    pub fn line(&mut self, line: &[u8]) -> Option<Batch> {
        self.line_number += 1;
        if line.trim_ascii().is_empty() {
            return None;
        }
        self.summary.lines += 1;
        let hit = match self.format.parse(line) {
            Ok(hit) if hit.at.0 < 0 || hit.at.0 > self.now.0 + MAX_AHEAD_MS => {
                self.unparsable(line, LineError::Time);
                return None;
            }
            Ok(hit) => hit,
            Err(problem) => {
                self.unparsable(line, problem);
                return None;
            }
        };
        match judge(&hit, self.site) {
            Judgement::Pageview(url) => {
                let event_id = self.occurrences.event_id(&self.site.id, line);
                self.summary.pageviews += 1;
                self.beacons.push(beacon(self.site, hit, url, event_id));
            }
            Judgement::Dropped(reason) => {
                *self.summary.dropped.entry(reason.as_str()).or_default() += 1;
                *self.drops.entry((hit.at.day(), reason)).or_default() += 1;
            }
            Judgement::Not(reason) => *self.summary.skipped.entry(reason).or_default() += 1,
        }
        (self.beacons.len() >= MAX_BATCH_PAGEVIEWS).then(|| self.batch())
    }

    /// Counts a line that was too long to keep.
    pub fn too_long(&mut self, start: &[u8]) {
        self.line_number += 1;
        self.summary.lines += 1;
        self.unparsable(start, LineError::TooLong);
    }

    /// Ends the file: the last batch, where anything is left, and the summary.
    #[must_use]
    pub fn finish(mut self) -> (Option<Batch>, Summary) {
        let last = (!self.beacons.is_empty() || !self.drops.is_empty()).then(|| self.batch());
        (last, self.summary)
    }

    fn unparsable(&mut self, line: &[u8], problem: LineError) {
        self.summary.unparsable += 1;
        if self.summary.shown.len() < SHOWN_UNPARSABLE {
            let start = &line[..line.len().min(4 * SHOWN_CHARACTERS)];
            let text = String::from_utf8_lossy(start)
                .chars()
                .map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
                .take(SHOWN_CHARACTERS)
                .collect();
            self.summary.shown.push(Unparsable { number: self.line_number, problem, text });
        }
    }

    fn batch(&mut self) -> Batch {
        let beacons = std::mem::take(&mut self.beacons);
        let drops: Vec<_> = std::mem::take(&mut self.drops)
            .into_iter()
            .map(|((day, reason), events)| DropCount { site: self.site.id.clone(), day, reason, events })
            .collect();
        let dropped = drops.iter().map(|drop| drop.events).sum();
        let id = batch_id(&self.site.id, self.batch_start, &beacons, dropped);
        self.batch_start = self.line_number;
        Batch { id, beacons, drops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::new("shop".parse().unwrap(), "Shop", ["example.com"])
    }

    fn line(path: &str, agent: &str) -> String {
        format!(r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET {path} HTTP/1.1" 200 5 "-" "{agent}""#)
    }

    fn import(lines: &[String]) -> (Vec<Batch>, Summary) {
        let site = site();
        let mut importer = Importer::new(&site, Format::Combined, UnixMillis(1_700_000_000_000));
        let mut batches: Vec<_> = lines.iter().filter_map(|line| importer.line(line.as_bytes())).collect();
        let (last, summary) = importer.finish();
        batches.extend(last);
        (batches, summary)
    }

    #[test]
    fn every_line_ends_in_exactly_one_place() {
        let lines = [
            line("/", "Mozilla/5.0 Gecko"),
            line("/", "Mozilla/5.0 Gecko"),
            line("/a.css", "Mozilla/5.0 Gecko"),
            line("/", "Googlebot/2.1"),
            "\u{0}garbage".to_owned(),
            String::new(),
            line("/", "Mozilla/5.0 Gecko").replace("2000", "2099"),
        ];
        let (batches, summary) = import(&lines);
        assert_eq!((summary.lines, summary.pageviews, summary.unparsable), (6, 2, 2));
        assert_eq!(summary.skipped, Skipped::from([(NotPage::Asset, 1)]));
        assert_eq!(summary.dropped, BTreeMap::from([("crawler", 1)]));
        assert_eq!(summary.shown[0].number, 5);
        assert_eq!(summary.shown[0].text, "\u{FFFD}garbage");
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].beacons.len(), batches[0].drops.len()), (2, 1));
    }

    #[test]
    fn the_same_file_makes_the_same_batches() {
        let lines: Vec<_> = (0..MAX_BATCH_PAGEVIEWS + 10)
            .map(|number| line(&format!("/{}", number % 7), "Mozilla/5.0 Gecko"))
            .collect();
        let (batches, summary) = import(&lines);
        assert_eq!(batches, import(&lines).0);
        assert_eq!(batches.iter().map(|batch| batch.beacons.len()).collect::<Vec<_>>(), [MAX_BATCH_PAGEVIEWS, 10]);
        assert_eq!(summary.pageviews, lines.len() as u64);
        let ids: std::collections::HashSet<_> =
            batches.iter().flat_map(|batch| &batch.beacons).map(|beacon| beacon.events[0].id).collect();
        assert_eq!(ids.len(), lines.len(), "identical lines count once each");
    }
}
