//! From chunks to batches and a summary: the state of one file's import.

use super::{
    beacons::{Occurrences, batch_id},
    chunk::{Chunk, Page, SHOWN_UNPARSABLE},
    format::LineError,
    page::NotPage,
};
use crate::{
    counters::DropReason,
    site::SiteId,
    spool::record::{DropCount, SpooledBeacon},
    time::UtcDay,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most pageviews in one batch.
pub const MAX_BATCH_PAGEVIEWS: usize = 20_000;
/// Most bytes of texts in one batch: an order to a running server has a limit.
const MAX_BATCH_BYTES: usize = 32 << 20;
/// Pageviews without a user agent that wait for the first line that has one. When none has come by then, the column says
/// nothing, and they count.
const MAX_UNDECIDED: usize = 5_000;

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
    /// Its first characters, as they are.
    pub text: String,
}

/// Hits that are no pageviews, by reason.
pub type Skipped = BTreeMap<NotPage, u64>;

/// What one file held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines read; empty ones and `#` directives left out.
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

/// Whether the log's user agents say anything.
#[derive(Debug)]
enum Agents {
    /// None was seen; these wait for the first.
    Unseen(Vec<Page>),
    /// So many pages had none that the column is empty.
    Absent,
    /// There are some: a page without one is a robot's.
    Present,
}

/// The import of one file.
#[derive(Debug)]
pub struct Importer {
    site: SiteId,
    line_number: u64,
    occurrences: Occurrences,
    agents: Agents,
    beacons: Vec<SpooledBeacon>,
    bytes: usize,
    drops: BTreeMap<(UtcDay, DropReason), u64>,
    dropped_content: u64,
    batch_start: u64,
    summary: Summary,
}

impl Importer {
    /// Starts a file.
    #[must_use]
    pub fn new(site: SiteId) -> Self {
        Self {
            site,
            line_number: 0,
            occurrences: Occurrences::default(),
            agents: Agents::Unseen(Vec::new()),
            beacons: Vec::new(),
            bytes: 0,
            drops: BTreeMap::new(),
            dropped_content: 0,
            batch_start: 0,
            summary: Summary::default(),
        }
    }

    /// Takes the file's next chunk; gives the batches that are full.
    pub fn add(&mut self, chunk: Chunk) -> Vec<Batch> {
        let mut full = Vec::new();
        self.summary.lines += chunk.lines;
        self.summary.unparsable += chunk.unparsable;
        let room = SHOWN_UNPARSABLE - self.summary.shown.len();
        let before = self.line_number;
        let numbered = chunk.shown.into_iter().map(|shown| Unparsable { number: before + shown.number, ..shown });
        self.summary.shown.extend(numbered.take(room));
        self.line_number += chunk.line_breaks;
        for (reason, events) in chunk.skipped {
            *self.summary.skipped.entry(reason).or_default() += events;
        }
        for ((day, reason), events) in chunk.dropped {
            self.drop_events(day, reason, events);
        }
        self.dropped_content = self.dropped_content.wrapping_add(chunk.dropped_content);
        if chunk.has_agents {
            self.agents_seen();
        }
        for page in chunk.pages {
            self.page(page, &mut full);
        }
        full
    }

    /// Gives what waits, full or not: somebody follows the file and wants to see it.
    pub fn flush(&mut self) -> Option<Batch> {
        (!self.beacons.is_empty() || !self.drops.is_empty()).then(|| self.batch())
    }

    /// Ends the file: the last batches, where anything is left, and the summary.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Batch>, Summary) {
        let mut last = Vec::new();
        self.agents_absent(&mut last);
        last.extend(self.flush());
        (last, self.summary)
    }

    /// What was found so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    fn page(&mut self, page: Page, full: &mut Vec<Batch>) {
        match &mut self.agents {
            _ if !page.lacks_agent => self.pageview(page, full),
            Agents::Present => self.robot(&page),
            Agents::Absent => self.pageview(page, full),
            Agents::Unseen(waiting) => {
                waiting.push(page);
                if waiting.len() >= MAX_UNDECIDED {
                    self.agents_absent(full);
                }
            }
        }
    }

    /// A line has a user agent: those before it that had none are robots'.
    fn agents_seen(&mut self) {
        if let Agents::Unseen(waiting) = std::mem::replace(&mut self.agents, Agents::Present) {
            for page in waiting {
                self.robot(&page);
            }
        }
    }

    fn agents_absent(&mut self, full: &mut Vec<Batch>) {
        if let Agents::Unseen(waiting) = &mut self.agents {
            let waiting = std::mem::take(waiting);
            self.agents = Agents::Absent;
            for page in waiting {
                self.pageview(page, full);
            }
        }
    }

    fn robot(&mut self, page: &Page) {
        self.drop_events(page.beacon.received.day(), DropReason::Crawler, 1);
        self.dropped_content = self.dropped_content.wrapping_add(page.content.as_u64_pair().0);
    }

    fn drop_events(&mut self, day: UtcDay, reason: DropReason, events: u64) {
        *self.summary.dropped.entry(reason.as_str()).or_default() += events;
        *self.drops.entry((day, reason)).or_default() += events;
    }

    fn pageview(&mut self, page: Page, full: &mut Vec<Batch>) {
        let Page { mut beacon, content, .. } = page;
        let id = self.occurrences.numbered(content);
        for event in &mut beacon.events {
            event.id = id;
            self.bytes += event.url.len() + event.referrer.len();
        }
        self.bytes += beacon.user_agent.len();
        self.summary.pageviews += 1;
        self.beacons.push(beacon);
        if self.beacons.len() >= MAX_BATCH_PAGEVIEWS || self.bytes >= MAX_BATCH_BYTES {
            full.push(self.batch());
        }
    }

    fn batch(&mut self) -> Batch {
        let beacons = std::mem::take(&mut self.beacons);
        let drops: Vec<_> = std::mem::take(&mut self.drops)
            .into_iter()
            .map(|((day, reason), events)| DropCount { site: self.site.clone(), day, reason, events })
            .collect();
        let id = batch_id(&self.site, self.batch_start, &beacons, std::mem::take(&mut self.dropped_content));
        self.bytes = 0;
        self.batch_start = self.line_number;
        Batch { id, beacons, drops }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            chunk::{ChunkReader, Lines},
            format::{Directives, Recogniser},
            page::PageRules,
        },
        *,
    };
    use crate::{site::Site, time::UnixMillis};

    const AGENT: &str = "Mozilla/5.0 Gecko";

    fn line(path: &str, agent: &str) -> String {
        format!("192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET {path} HTTP/1.1\" 200 5 \"-\" \"{agent}\"\n")
    }

    fn import(chunks: &[String]) -> (Vec<Batch>, Summary) {
        let site = Site::new("shop".parse().unwrap(), "Shop", ["example.com"]);
        let reader = ChunkReader {
            recogniser: Recogniser::default(),
            rules: PageRules { site, collector_paths: Vec::new() },
            now: UnixMillis(1_700_000_000_000),
        };
        let mut importer = Importer::new(reader.rules.site.id.clone());
        let mut batches = Vec::new();
        for chunk in chunks {
            let lines = Lines { bytes: chunk.clone().into_bytes(), directives: Directives::default() };
            batches.extend(importer.add(reader.read(&lines)));
        }
        let (last, summary) = importer.finish();
        batches.extend(last);
        (batches, summary)
    }

    fn ids(batches: &[Batch]) -> Vec<Uuid> {
        batches.iter().flat_map(|batch| &batch.beacons).map(|beacon| beacon.events[0].id).collect()
    }

    #[test]
    fn every_line_ends_in_exactly_one_place() {
        let first = [
            line("/", AGENT),
            line("/", AGENT),
            line("/a.css", AGENT),
            line("/", "Googlebot/2.1"),
            "\u{0}garbage\n\n#comment\n".to_owned(),
        ];
        let second = line("/", AGENT).replace("2000", "2099");
        let (batches, summary) = import(&[first.concat(), second]);
        assert_eq!((summary.lines, summary.pageviews, summary.unparsable), (6, 2, 2));
        assert_eq!(summary.skipped, Skipped::from([(NotPage::Asset, 1)]));
        assert_eq!(summary.dropped, BTreeMap::from([("crawler", 1)]));
        assert_eq!(summary.shown.iter().map(|shown| shown.number).collect::<Vec<_>>(), [5, 8]);
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].beacons.len(), batches[0].drops.len()), (2, 1));
    }

    #[test]
    fn the_same_file_makes_the_same_batches_however_it_is_cut_into_chunks() {
        let lines: Vec<_> =
            (0..MAX_BATCH_PAGEVIEWS + 10).map(|number| line(&format!("/{}", number % 7), AGENT)).collect();
        let (batches, summary) = import(&[lines.concat()]);
        assert_eq!(batches.iter().map(|batch| batch.beacons.len()).collect::<Vec<_>>(), [MAX_BATCH_PAGEVIEWS, 10]);
        assert_eq!(summary.pageviews, lines.len() as u64);
        let distinct: std::collections::HashSet<_> = ids(&batches).into_iter().collect();
        assert_eq!(distinct.len(), lines.len(), "identical lines count once each");
        let chunks: Vec<_> = lines.chunks(777).map(<[String]>::concat).collect();
        assert_eq!(ids(&import(&chunks).0), ids(&batches));
    }

    #[test]
    fn two_files_of_robots_alone_are_two_batches_and_the_same_one_twice_is_one() {
        let batch = |path: &str| import(&[line(path, "Googlebot/2.1")]).0.remove(0).id;
        assert_ne!(batch("/a"), batch("/b"));
        assert_eq!(batch("/a"), batch("/a"));
    }

    #[test]
    fn a_user_agent_column_that_is_empty_in_all_lines_is_none() {
        let (empty, robot) = (line("/", "-"), line("/", "Googlebot/2.1"));
        for (chunks, pageviews, crawlers) in [
            (vec![empty.repeat(3)], 3, 0),
            (vec![empty.clone(), empty.clone()], 2, 0),
            (vec![empty.clone(), line("/a.css", AGENT)], 0, 1),
            (vec![empty.clone(), robot.clone(), empty.clone()], 0, 3),
            (vec![empty.repeat(MAX_UNDECIDED + 1), robot, empty], MAX_UNDECIDED as u64 + 1, 2),
        ] {
            let summary = import(&chunks).1;
            let dropped = summary.dropped.get("crawler").copied().unwrap_or_default();
            assert_eq!((summary.pageviews, dropped), (pageviews, crawlers), "{} chunks", chunks.len());
        }
    }

    #[test]
    fn a_last_line_that_was_cut_and_is_completed_later_counts_once() {
        let whole = line("/", AGENT).replace('\n', " 0.123 \"x\"\n");
        let counted = ids(&import(std::slice::from_ref(&whole)).0);
        for end in 1..whole.len() {
            let found = ids(&import(&[whole[..end].to_owned()]).0);
            assert!(found.is_empty() || found == counted, "cut after {:?}", &whole[..end]);
        }
    }
}
