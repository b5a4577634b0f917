//! Names by address, in memory only, bounded, with the time passed in.
//!
//! Two generations make the bound cheap: new entries go to the young one; when that is full it becomes the old one and
//! the former old one is dropped whole. An entry that is read from the old generation moves to the young one, so what is
//! in use stays and what is not is gone after two turns, without a list to keep in order.

use crate::NameAnswer;
use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Shortest and longest time a name is kept, whatever its TTL: a TTL of 0 must not make every visit ask again, a TTL of
/// weeks must not outlive a move.
const NAME_TTL: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(24 * 60 * 60));
/// The same for "there is no name" (RFC 2308 recommends one to three hours at most).
const NO_NAME_TTL: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(60 * 60));
/// How long nobody asks again after DNS failed.
const FAILED_TTL: Duration = Duration::from_secs(30);

struct Entry {
    answer: NameAnswer,
    until: Instant,
}

/// A bounded cache.
pub(crate) struct NameCache {
    young: HashMap<IpAddr, Entry>,
    old: HashMap<IpAddr, Entry>,
    generation: usize,
}

impl NameCache {
    /// A cache of at most `entries` entries; at least two.
    pub(crate) fn new(entries: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: (entries / 2).max(1) }
    }

    /// The answer that is still fresh at `now`.
    pub(crate) fn get(&mut self, ip: IpAddr, now: Instant) -> Option<NameAnswer> {
        if let Some(entry) = self.young.get(&ip) {
            return (now < entry.until).then(|| entry.answer.clone());
        }
        let entry = self.old.remove(&ip).filter(|entry| now < entry.until)?;
        let answer = entry.answer.clone();
        self.insert(ip, entry);
        Some(answer)
    }

    /// Keeps an answer for its TTL, within bounds.
    pub(crate) fn put(&mut self, ip: IpAddr, answer: NameAnswer, ttl: Duration, now: Instant) {
        let keep = match &answer {
            NameAnswer::Confirmed(_) | NameAnswer::Unconfirmed(_) => ttl.clamp(NAME_TTL.0, NAME_TTL.1),
            NameAnswer::None => ttl.clamp(NO_NAME_TTL.0, NO_NAME_TTL.1),
            NameAnswer::Failed => FAILED_TTL,
            NameAnswer::NotAsked => return,
        };
        self.insert(ip, Entry { answer, until: now + keep });
    }

    fn insert(&mut self, ip: IpAddr, entry: Entry) {
        if self.young.len() >= self.generation && !self.young.contains_key(&ip) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&ip);
        self.young.insert(ip, entry);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn ip(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    fn confirmed() -> NameAnswer {
        NameAnswer::Confirmed("www.example.com".into())
    }

    #[test]
    fn answers_live_for_their_ttl_within_bounds() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (answer, ttl, lives, dies) in [
            (confirmed(), minutes(30), minutes(29), minutes(30)),
            (confirmed(), minutes(0), minutes(4), minutes(5)),
            (confirmed(), minutes(60 * 24 * 30), minutes(60 * 24 - 1), minutes(60 * 24)),
            (NameAnswer::None, minutes(60 * 24), minutes(59), minutes(60)),
            (NameAnswer::None, minutes(0), minutes(4), minutes(5)),
            (NameAnswer::Failed, minutes(60), Duration::from_secs(29), Duration::from_secs(30)),
        ] {
            let now = Instant::now();
            let mut cache = NameCache::new(10);
            cache.put(ip(1), answer.clone(), ttl, now);
            assert_eq!(cache.get(ip(1), now + lives), Some(answer.clone()));
            assert_eq!(cache.get(ip(1), now + dies), None);
        }
    }

    #[test]
    fn what_is_read_survives_and_what_is_not_goes() {
        let now = Instant::now();
        let mut cache = NameCache::new(100);
        cache.put(ip(0), confirmed(), Duration::from_secs(3600), now);
        for number in 1..1000 {
            cache.put(ip(number), NameAnswer::None, Duration::from_secs(3600), now);
            assert_eq!(cache.get(ip(0), now), Some(confirmed()), "after {number}");
        }
        assert_eq!(cache.get(ip(1), now), None);
    }

    proptest! {
        #[test]
        fn the_cache_never_outgrows_its_bound(entries in 2usize..50, numbers in prop::collection::vec(0u32..200, 0..500)) {
            let now = Instant::now();
            let mut cache = NameCache::new(entries);
            for number in numbers {
                if cache.get(ip(number), now).is_none() {
                    cache.put(ip(number), NameAnswer::None, Duration::from_secs(600), now);
                }
                prop_assert!(cache.len() <= entries);
            }
        }
    }
}
