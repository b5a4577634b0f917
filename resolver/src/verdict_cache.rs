//! Verdicts that were given before, in memory only, bounded in entries and in bytes, with the time passed in.
//!
//! A visitor's address comes back with every page, so most verdicts were given a moment ago. A hit is one look-up and one
//! reference more to the verdict that is there: nothing is allocated. The cache belongs to one set of data and rules;
//! whoever replaces these replaces it too, so no verdict outlives what it was made from.

use crate::Verdict;
use quick_cache::{Weighter, sync::Cache};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// What an entry costs beside its verdict: key, time, and its places in table and queue, in bytes.
const OVERHEAD: usize = 160;

/// Whether reverse DNS had its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NameState {
    /// The verdict was made without it.
    NotAsked,
    /// Its answer, whatever it was, is in the verdict.
    #[cfg_attr(not(feature = "dns"), allow(dead_code, reason = "nobody answers without DNS"))]
    Answered,
}

#[derive(Clone)]
struct Entry {
    verdict: Arc<Verdict>,
    /// `None`: as long as the data.
    until: Option<Instant>,
}

/// A bounded cache.
pub(crate) struct VerdictCache {
    entries: Cache<(IpAddr, NameState), Entry, Weight>,
}

/// An entry weighs its bytes, and at least as much as the bound on entries asks for.
#[derive(Clone)]
struct Weight {
    least: u64,
}

impl Weighter<(IpAddr, NameState), Entry> for Weight {
    fn weight(&self, _: &(IpAddr, NameState), entry: &Entry) -> u64 {
        let bytes = u64::try_from(entry.verdict.bytes() + OVERHEAD).unwrap_or(u64::MAX);
        bytes.max(self.least)
    }
}

impl VerdictCache {
    /// A cache of at most so many entries and bytes; with 0 of either it keeps nothing.
    pub(crate) fn new(entries: usize, bytes: u64) -> Self {
        let most = u64::try_from(entries).unwrap_or(u64::MAX);
        let bytes = if most == 0 { 0 } else { bytes };
        let least = bytes.checked_div(most).unwrap_or(0).max(1);
        Self { entries: Cache::with_weighter(entries, bytes, Weight { least }) }
    }

    /// The verdict on a canonical address that still holds at `now`; without a time, one that holds forever.
    pub(crate) fn get(&self, ip: IpAddr, names: NameState, now: Option<Instant>) -> Option<Arc<Verdict>> {
        let entry = self.entries.get(&(ip, names))?;
        entry.until.is_none_or(|until| now.is_some_and(|now| now < until)).then_some(entry.verdict)
    }

    /// Keeps a verdict, forever or for a while.
    pub(crate) fn put(&self, ip: IpAddr, names: NameState, verdict: &Arc<Verdict>, until: Option<Instant>) {
        self.entries.insert((ip, names), Entry { verdict: Arc::clone(verdict), until });
    }

    /// How many verdicts are kept, and how much memory belongs to them, about, in bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.entries.len(), self.entries.weight())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EvidenceList, NameAnswer, NetworkKind};
    use std::time::Duration;

    fn verdict(name: &str) -> Arc<Verdict> {
        Arc::new(Verdict {
            ip: None,
            kind: NetworkKind::Business,
            company: None,
            location: Arc::default(),
            asn: None,
            ptr: NameAnswer::Confirmed(name.into()),
            is_final: false,
            evidence: EvidenceList::default(),
            left_out: None,
        })
    }

    fn ip(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_verdict_is_found_by_address_and_name_state_until_its_time_is_over() {
        let cache = VerdictCache::new(100, 1 << 20);
        let start = Instant::now();
        let until = start + Duration::from_secs(300);
        cache.put(ip(1), NameState::Answered, &verdict("a.example"), Some(until));
        cache.put(ip(1), NameState::NotAsked, &verdict("b.example"), None);
        let name = |names, now| cache.get(ip(1), names, Some(now)).map(|verdict| verdict.ptr.clone());
        assert_eq!(name(NameState::Answered, start), Some(NameAnswer::Confirmed("a.example".into())));
        assert_eq!(name(NameState::NotAsked, start), Some(NameAnswer::Confirmed("b.example".into())));
        assert_eq!(name(NameState::Answered, until), None);
        assert!(name(NameState::NotAsked, until).is_some());
        assert_eq!(cache.get(ip(2), NameState::NotAsked, None), None);
    }

    #[test]
    fn neither_many_nor_large_verdicts_exceed_the_bounds() {
        for (entries, bytes) in [(1_000, 1 << 30), (1_000_000, 64 << 10), (0, 1 << 20), (100, 0)] {
            let cache = VerdictCache::new(entries, bytes);
            for number in 0..20_000 {
                cache.put(ip(number), NameState::Answered, &verdict(&"a".repeat(200)), None);
            }
            let (kept, size) = cache.size();
            assert!(kept <= entries && size <= bytes, "{kept} of {entries}, {size} of {bytes}");
        }
    }
}
