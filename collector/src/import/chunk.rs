//! A chunk of whole lines: what it holds. Chunks are read in any order and at once; [`super::Importer`] puts them together in
//! theirs.

use super::{
    beacons,
    format::{Directives, LineError, Recognised, Recogniser},
    input::MAX_LINE_BYTES,
    page::{Judgement, NotPage, PageRules},
    run::Unparsable,
};
use crate::{
    counters::DropReason,
    spool::record::SpooledBeacon,
    time::{UnixMillis, UtcDay},
};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};
use uuid::Uuid;

/// How many unparsable lines the summary of a file shows.
pub(super) const SHOWN_UNPARSABLE: usize = 5;
/// How much of an unparsable line is shown, in characters.
const SHOWN_CHARACTERS: usize = 120;
/// How far a server's clock may be ahead of ours, in milliseconds.
const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;
/// User agents whose answer is remembered while a chunk is read.
const REMEMBERED_AGENTS: usize = 4096;

/// Whole lines of a file, and what was said before them.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Their bytes; all but the file's last end in a line break.
    pub bytes: Vec<u8>,
    /// Of the lines before.
    pub directives: Directives,
}

/// What reads chunks.
#[derive(Clone, Debug)]
pub struct ChunkReader {
    /// Reads lines.
    pub recogniser: Recogniser,
    /// Judges hits.
    pub rules: PageRules,
    /// Lines more than a day later are refused, so that a wrong clock can't make visits of the future.
    pub now: UnixMillis,
}

/// A pageview that still lacks its number among equal lines.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) beacon: SpooledBeacon,
    /// Of its line; the event's id where the line stands once.
    pub(super) content: Uuid,
    /// The log has user agents and this one is empty: a robot, unless they all are.
    pub(super) lacks_agent: bool,
}

/// What a chunk holds.
#[derive(Debug, Default)]
pub struct Chunk {
    pub(super) lines: u64,
    /// All lines, also those that are empty or directives.
    pub(super) line_breaks: u64,
    pub(super) pages: Vec<Page>,
    pub(super) skipped: BTreeMap<NotPage, u64>,
    pub(super) dropped: BTreeMap<(UtcDay, DropReason), u64>,
    /// Of the lines that were dropped, in whatever order.
    pub(super) dropped_content: u64,
    pub(super) unparsable: u64,
    pub(super) shown: Vec<Unparsable>,
    /// Any line has a user agent.
    pub(super) has_agents: bool,
}

impl ChunkReader {
    /// Reads all lines.
    #[must_use]
    pub fn read(&self, lines: &Lines) -> Chunk {
        let mut chunk = Chunk::default();
        let mut directives = lines.directives.clone();
        let mut robots = Robots::default();
        let mut rest = lines.bytes.as_slice();
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
            chunk.line_breaks += 1;
            let line = line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            if line.starts_with(b"#") {
                directives.take(&String::from_utf8_lossy(line));
                continue;
            }
            chunk.lines += 1;
            if line.len() > MAX_LINE_BYTES {
                chunk.unparsable(line, LineError::TooLong);
                continue;
            }
            let text = String::from_utf8_lossy(line);
            match self.recogniser.read(&text, &directives, end.is_some()) {
                Ok(read) if read.hit.at.0 < 0 || read.hit.at.0 > self.now.0 + MAX_AHEAD_MS => {
                    chunk.unparsable(line, LineError::Time);
                }
                Ok(read) => self.take(&mut chunk, read, &mut robots),
                Err(problem) => chunk.unparsable(line, problem),
            }
        }
        chunk
    }

    fn take(&self, chunk: &mut Chunk, read: Recognised<'_>, robots: &mut Robots) {
        let Recognised { hit, identity } = read;
        chunk.has_agents |= hit.user_agent.as_ref().is_some_and(|agent| !agent.is_empty());
        match self.rules.judge(&hit, |agent| robots.is_one(agent)) {
            Judgement::Pageview(url) => {
                let lacks_agent = hit.user_agent.as_ref().is_some_and(|agent| agent.is_empty());
                let content = beacons::content_id(&self.rules.site.id, identity.as_bytes());
                if let Some(beacon) = beacons::beacon(&self.rules.site, hit, url, content) {
                    chunk.pages.push(Page { beacon, content, lacks_agent });
                }
            }
            Judgement::Dropped(reason) => {
                *chunk.dropped.entry((hit.at.day(), reason)).or_default() += 1;
                let mut hasher = DefaultHasher::new();
                identity.hash(&mut hasher);
                chunk.dropped_content = chunk.dropped_content.wrapping_add(hasher.finish());
            }
            Judgement::Not(reason) => *chunk.skipped.entry(reason).or_default() += 1,
        }
    }
}

impl Chunk {
    fn unparsable(&mut self, line: &[u8], problem: LineError) {
        self.unparsable += 1;
        if self.shown.len() < SHOWN_UNPARSABLE {
            let start = &line[..line.len().min(4 * SHOWN_CHARACTERS)];
            let text = String::from_utf8_lossy(start).chars().take(SHOWN_CHARACTERS).collect();
            self.shown.push(Unparsable { number: self.line_breaks, problem, text });
        }
    }
}

/// Which user agents are robots': a log has a few thousand of them in millions of lines.
#[derive(Default)]
struct Robots {
    known: HashMap<String, bool>,
}

impl Robots {
    fn is_one(&mut self, agent: &str) -> bool {
        if let Some(known) = self.known.get(agent) {
            return *known;
        }
        let is_robot = crate::ingest::crawler::is_crawler(agent);
        if self.known.len() >= REMEMBERED_AGENTS {
            self.known.clear();
        }
        self.known.insert(agent.to_owned(), is_robot);
        is_robot
    }
}
