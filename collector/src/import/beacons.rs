//! Pageviews to beacons, with ids that the same file gives again.

use super::Hit;
use crate::{
    site::{Site, SiteId},
    spool::record::{SpooledBeacon, SpooledEvent},
};
use beacon::{Consent, EventKind};
use compact_str::CompactString;
use std::collections::HashMap;
use uuid::Uuid;

/// Longest kept user agent, in bytes.
const MAX_USER_AGENT_BYTES: usize = 512;
/// Lines whose repeats are remembered; twice as many are kept. Identical lines carry the same second,
/// so that they stand near each other in any log.
const REMEMBERED_LINES: usize = 250_000;

/// Event ids of imported lines are UUIDv5 in this name space, itself UUIDv5 of the word below in the
/// URL name space.
#[must_use]
pub fn name_space() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:firmsight:access-log-line")
}

/// What a line is told by: its site and its text. The id of its event where it stands once.
#[must_use]
pub fn content_id(site: &SiteId, line: &[u8]) -> Uuid {
    let name = [site.as_str().as_bytes(), b"\0", line].concat();
    Uuid::new_v5(&name_space(), &name)
}

/// Numbers the repeats of identical lines in one file.
#[derive(Debug, Default)]
pub struct Occurrences {
    current: HashMap<Uuid, u32>,
    previous: HashMap<Uuid, u32>,
}

impl Occurrences {
    /// The event id of a line: of its content and how often it stood in the file before.
    pub fn numbered(&mut self, content: Uuid) -> Uuid {
        if self.current.len() >= REMEMBERED_LINES {
            self.previous = std::mem::take(&mut self.current);
        }
        let before = self.current.get(&content).or_else(|| self.previous.get(&content)).copied().unwrap_or(0);
        self.current.insert(content, before + 1);
        if before == 0 { content } else { Uuid::new_v5(&content, &before.to_be_bytes()) }
    }
}

/// The beacon of one pageview; `None` without a client. It was received when the server logged it, so that its time stays what
/// it was; retention counts from when it is stored.
#[must_use]
pub fn beacon(site: &Site, hit: Hit<'_>, url: String, event_id: Uuid) -> Option<SpooledBeacon> {
    let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    let is_kept = is_url(&hit.referrer) && hit.referrer.len() <= beacon::MAX_URL_BYTES;
    let event = SpooledEvent {
        url: url.into(),
        referrer: if is_kept { hit.referrer.into() } else { CompactString::default() },
        ..SpooledEvent::new(event_id, hit.at, EventKind::Pageview)
    };
    let agent = hit.user_agent.unwrap_or_default();
    Some(SpooledBeacon {
        user_agent: agent[..agent.floor_char_boundary(MAX_USER_AGENT_BYTES)].into(),
        language: hit.language.into(),
        ..SpooledBeacon::new(site.id.clone(), hit.client?, hit.at, Consent::NotRequired, vec![event])
    })
}

/// A batch's id: of its events and of the lines that were dropped, so that the same batch gets the same id again and two of
/// robots alone get two.
#[must_use]
pub fn batch_id(site: &SiteId, first_line: u64, beacons: &[SpooledBeacon], dropped: u64) -> Uuid {
    let mut name = site.as_str().as_bytes().to_vec();
    name.push(0);
    name.extend(first_line.to_be_bytes());
    name.extend(dropped.to_be_bytes());
    for beacon in beacons {
        for event in &beacon.events {
            name.extend(event.id.as_bytes());
        }
    }
    Uuid::new_v5(&name_space(), &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_gives_the_same_ids_and_repeats_get_their_own() {
        let site: SiteId = "shop".parse().unwrap();
        let ids = |lines: &[&str]| {
            let mut occurrences = Occurrences::default();
            lines.iter().map(|line| occurrences.numbered(content_id(&site, line.as_bytes()))).collect::<Vec<_>>()
        };
        let first = ids(&["a", "b", "a", "a"]);
        assert_eq!(first, ids(&["a", "b", "a", "a"]));
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 4);
        let other: SiteId = "blog".parse().unwrap();
        assert_ne!(content_id(&other, b"a"), first[0]);
    }
}
