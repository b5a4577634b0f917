//! `firmsight import`: files are read and parsed here, batches go to the engine, which may be a
//! running server's.

use super::{CliError, access::Access, arguments::FormatChoice, arguments::Import, hosts_file};
use crate::{
    import::{
        Batch, Importer, Skipped, Summary,
        input::{Line, decompressed, next_line},
        parse::Format,
    },
    serve::command::{Answer, Command, Imported},
    site::Site,
    spool::record::ClientAddress,
    time::UnixMillis,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    net::IpAddr,
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;

/// Lines that `--format auto` looks at.
const DETECTION_LINES: usize = 200;
/// Batches that may wait while one is stored.
const WAITING_BATCHES: usize = 1;
/// Companies in the summary.
const SHOWN_COMPANIES: usize = 10;

/// What became of all files.
#[derive(Debug, Default)]
struct Report {
    files: usize,
    lines: u64,
    pageviews: u64,
    unparsable: u64,
    skipped: Skipped,
    dropped: BTreeMap<String, u64>,
    shown: Vec<String>,
    kept: u64,
    /// Ids as the batches named them; a later batch may have joined two visits into one.
    visits: BTreeSet<u64>,
    visit_count: u64,
    companies: HashMap<String, (String, String, u64)>,
}

pub(super) async fn run(access: &Access, arguments: Import) -> Result<String, CliError> {
    let names = arguments.hosts.as_deref().map(hosts_file::read).transpose()?;
    let Answer::Sites(sites) = access.execute(Command::ListSites).await? else {
        return Err(CliError::Answer);
    };
    let site = sites
        .into_iter()
        .find(|site| site.id == arguments.site)
        .ok_or_else(|| CliError::NoSite(arguments.site.clone()))?;
    if site.hosts.is_empty() {
        return Err(CliError::NoHost(site.id));
    }
    let files = arguments.files;
    let progress = progress_bar(&files)?;
    let (sender, mut batches) = mpsc::channel(WAITING_BATCHES);
    let reader = tokio::task::spawn_blocking({
        let progress = progress.clone();
        move || read_files(&files, arguments.format, &site, &progress, &sender)
    });
    let mut report = Report::default();
    while let Some(batch) = batches.recv().await {
        let names = names.as_ref().map(|names| names_of(&batch, names));
        match access.execute(Command::Import { batch, names }).await? {
            Answer::Imported(imported) => report.add_batch(imported),
            _ => return Err(CliError::Answer),
        }
    }
    let summaries = reader.await.map_err(|_| CliError::Input(io::ErrorKind::Other.into()))??;
    progress.finish_and_clear();
    let visits = report.visits.iter().copied().collect();
    match access.execute(Command::CountVisits { site: arguments.site, visits }).await? {
        Answer::Visits(count) => report.visit_count = count,
        _ => return Err(CliError::Answer),
    }
    for (file, summary) in summaries {
        report.add_file(&file, summary);
    }
    Ok(report.text())
}

/// The names that a batch needs, so that a long list travels once and in parts.
fn names_of(batch: &Batch, names: &HashMap<IpAddr, String>) -> HashMap<IpAddr, String> {
    batch
        .beacons
        .iter()
        .filter_map(|beacon| match &beacon.address {
            ClientAddress::Ip(ip) => names.get_key_value(&ip.to_canonical()),
            ClientAddress::HostName(_) => None,
        })
        .map(|(ip, name)| (*ip, name.clone()))
        .collect()
}

/// Shows bytes of the files as they are on disk; nothing where stderr is no terminal.
fn progress_bar(files: &[PathBuf]) -> Result<ProgressBar, CliError> {
    let mut total = 0;
    let mut is_known = true;
    for file in files {
        if is_stdin(file) {
            is_known = false;
        } else {
            let metadata = std::fs::metadata(file).map_err(|source| CliError::Read { path: file.clone(), source })?;
            total += metadata.len();
        }
    }
    let (bar, template) = if is_known {
        (ProgressBar::new(total), "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}")
    } else {
        (ProgressBar::new_spinner(), "{spinner} {bytes} read  {msg}")
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Ok(bar)
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn read_files(
    files: &[PathBuf],
    format: FormatChoice,
    site: &Site,
    progress: &ProgressBar,
    batches: &mpsc::Sender<Batch>,
) -> Result<Vec<(PathBuf, Summary)>, CliError> {
    let mut summaries = Vec::new();
    for path in files {
        progress.set_message(path.display().to_string());
        let source: Box<dyn Read> = if is_stdin(path) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path).map_err(|source| CliError::Read { path: path.clone(), source })?)
        };
        match read_file(path, progress.wrap_read(source), format, site, batches)? {
            Some(summary) => summaries.push((path.clone(), summary)),
            // The other side failed and says why.
            None => break,
        }
    }
    Ok(summaries)
}

/// `None` when nobody takes batches any more.
fn read_file(
    path: &Path,
    source: impl Read,
    format: FormatChoice,
    site: &Site,
    batches: &mpsc::Sender<Batch>,
) -> Result<Option<Summary>, CliError> {
    let damaged = |source| CliError::LogFile { path: path.to_owned(), source };
    let mut input = decompressed(source).map_err(damaged)?;
    let mut buffer = Vec::new();
    let mut first_lines: Vec<Vec<u8>> = Vec::new();
    let format = match format {
        FormatChoice::Fixed(format) => format,
        FormatChoice::Auto => {
            while first_lines.len() < DETECTION_LINES {
                match next_line(&mut *input, &mut buffer).map_err(damaged)? {
                    Some(Line::Text(line) | Line::TooLong(line)) => first_lines.push(line.to_vec()),
                    None => break,
                }
            }
            let detected = Format::detect(first_lines.iter().map(Vec::as_slice));
            if detected.is_none() && first_lines.iter().all(|line| line.trim_ascii().is_empty()) {
                return Ok(Some(Summary::default()));
            }
            detected.ok_or_else(|| CliError::UnknownFormat(path.to_owned()))?
        }
    };
    let mut importer = Importer::new(site, format, UnixMillis::now());
    let send = |batch: Option<Batch>| batch.is_none_or(|batch| batches.blocking_send(batch).is_ok());
    for line in &first_lines {
        if !send(importer.line(line)) {
            return Ok(None);
        }
    }
    drop(first_lines);
    let outcome = loop {
        match next_line(&mut *input, &mut buffer) {
            Ok(Some(Line::Text(line))) => {
                if !send(importer.line(line)) {
                    return Ok(None);
                }
            }
            Ok(Some(Line::TooLong(start))) => importer.too_long(start),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let (last, summary) = importer.finish();
    if !send(last) {
        return Ok(None);
    }
    // What stood before the damage is stored; running the repaired file again adds only the rest.
    outcome.map_err(damaged)?;
    Ok(Some(summary))
}

impl Report {
    fn add_batch(&mut self, imported: Imported) {
        self.kept += imported.kept;
        self.visits.extend(imported.visits);
        for (reason, events) in imported.dropped {
            *self.dropped.entry(reason).or_default() += events;
        }
        for company in imported.companies {
            let entry = self.companies.entry(company.id).or_insert((company.name, company.domain, 0));
            entry.2 += company.pageviews;
        }
    }

    fn add_file(&mut self, path: &Path, summary: Summary) {
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
            self.shown.push(format!("{}:{}: {}: {}", path.display(), line.number, line.problem, line.text));
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            // Writing to a String can't fail.
            let written = writeln!(text, "{line}");
            debug_assert!(written.is_ok());
        };
        line(format!(
            "lines       {:>10}  in {} file{}",
            self.lines,
            self.files,
            if self.files == 1 { "" } else { "s" }
        ));
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
        text
    }
}
