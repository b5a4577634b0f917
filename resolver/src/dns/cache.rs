//! Names by address, in memory only, bounded, with the time passed in.
//!
//! An answer is fresh for its TTL, within clamps. After that it is stale for a day: it still answers at once, and whoever
//! meets it first is told to ask again (RFC 8767). When asking again fails, the stale answer stays and nobody asks for
//! half a minute (the failure recheck timer of section 5 there). So a name server that is down takes no name away from
//! visitors that were seen before, and nobody ever waits for a renewal.
//!
//! Two generations make the bound cheap: new entries go to the young one; when that is full it becomes the old one and
//! the former old one is dropped whole. An entry that is read from the old generation moves to the young one, so what is
//! in use stays and what is not is gone after two turns, without a list to keep in order. A name has 253 bytes at most, so
//! an entry takes 400 at most; usual ones take 130.

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
/// How long an answer is used beyond its time while nothing newer can be had (RFC 8767 suggests one to three days).
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

struct Entry {
    answer: NameAnswer,
    fresh_until: Instant,
    /// While stale: when the next caller is told to ask again.
    ask_again: Instant,
}

impl Entry {
    fn is_usable(&self, now: Instant) -> bool {
        let stale = if self.answer == NameAnswer::Failed { Duration::ZERO } else { STALE };
        now < self.fresh_until + stale
    }
}

/// What the cache knows of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cached {
    /// Nothing.
    Missing,
    /// An answer within its time.
    Fresh(NameAnswer),
    /// An answer beyond its time; `ask_again` for one caller in half a minute.
    Stale { answer: NameAnswer, ask_again: bool },
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

    /// What is known at `now`.
    pub(super) fn get(&mut self, ip: IpAddr, now: Instant) -> Cached {
        if !self.young.contains_key(&ip) {
            let Some(entry) = self.old.remove(&ip) else { return Cached::Missing };
            self.insert(ip, entry);
        }
        let Some(entry) = self.young.get_mut(&ip).filter(|entry| entry.is_usable(now)) else { return Cached::Missing };
        let answer = entry.answer.clone();
        if now < entry.fresh_until {
            return Cached::Fresh(answer);
        }
        let ask_again = now >= entry.ask_again;
        if ask_again {
            entry.ask_again = now + FAILED_TTL;
        }
        Cached::Stale { answer, ask_again }
    }

    /// The answer within its time, if there is one; for benchmarks.
    pub(crate) fn fresh(&mut self, ip: IpAddr, now: Instant) -> Option<NameAnswer> {
        if let Cached::Fresh(answer) = self.get(ip, now) { Some(answer) } else { None }
    }

    /// Keeps an answer for its TTL, within bounds. A failure takes no usable answer away.
    pub(crate) fn put(&mut self, ip: IpAddr, answer: NameAnswer, ttl: Duration, now: Instant) {
        let keep = match &answer {
            NameAnswer::Confirmed(_) | NameAnswer::Unconfirmed(_) => ttl.clamp(NAME_TTL.0, NAME_TTL.1),
            NameAnswer::None => ttl.clamp(NO_NAME_TTL.0, NO_NAME_TTL.1),
            NameAnswer::Failed => FAILED_TTL,
            NameAnswer::NotAsked | NameAnswer::Skipped => return,
        };
        if answer == NameAnswer::Failed
            && let Some(entry) = self.young.get_mut(&ip).or_else(|| self.old.get_mut(&ip))
            && entry.is_usable(now)
        {
            entry.ask_again = now + FAILED_TTL;
            return;
        }
        self.insert(ip, Entry { answer, fresh_until: now + keep, ask_again: now });
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
    fn answers_are_fresh_for_their_ttl_within_bounds() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (answer, ttl, fresh, not_fresh) in [
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
            assert_eq!(cache.get(ip(1), now + fresh), Cached::Fresh(answer.clone()));
            assert_ne!(cache.get(ip(1), now + not_fresh), Cached::Fresh(answer));
        }
    }

    #[test]
    fn a_stale_answer_serves_for_a_day_and_one_caller_in_half_a_minute_asks_again() {
        let now = Instant::now();
        let mut cache = NameCache::new(10);
        cache.put(ip(1), confirmed(), Duration::from_secs(3600), now);
        let expired = now + Duration::from_secs(3600);
        let stale = |ask_again| Cached::Stale { answer: confirmed(), ask_again };
        assert_eq!(cache.get(ip(1), expired), stale(true));
        assert_eq!(cache.get(ip(1), expired), stale(false));
        assert_eq!(cache.get(ip(1), expired + FAILED_TTL), stale(true));
        cache.put(ip(1), NameAnswer::Failed, Duration::ZERO, expired + 2 * FAILED_TTL);
        assert_eq!(cache.get(ip(1), expired + 2 * FAILED_TTL), stale(false));
        assert_eq!(cache.get(ip(1), expired + 3 * FAILED_TTL), stale(true));
        assert_eq!(cache.get(ip(1), expired + STALE), Cached::Missing);
    }

    #[test]
    fn what_is_asked_again_replaces_the_stale_answer_and_a_failure_is_never_stale() {
        let now = Instant::now();
        let mut cache = NameCache::new(10);
        cache.put(ip(1), confirmed(), Duration::ZERO, now);
        let later = now + Duration::from_secs(3600);
        cache.put(ip(1), NameAnswer::None, Duration::ZERO, later);
        assert_eq!(cache.get(ip(1), later), Cached::Fresh(NameAnswer::None));
        cache.put(ip(2), NameAnswer::Failed, Duration::ZERO, now);
        assert_eq!(cache.get(ip(2), now + FAILED_TTL), Cached::Missing);
    }

    #[test]
    fn what_is_read_survives_and_what_is_not_goes() {
        let now = Instant::now();
        let mut cache = NameCache::new(100);
        cache.put(ip(0), confirmed(), Duration::from_secs(3600), now);
        for number in 1..1000 {
            cache.put(ip(number), NameAnswer::None, Duration::from_secs(3600), now);
            assert_eq!(cache.get(ip(0), now), Cached::Fresh(confirmed()), "after {number}");
        }
        assert_eq!(cache.get(ip(1), now), Cached::Missing);
    }

    proptest! {
        #[test]
        fn the_cache_never_outgrows_its_bound(
            entries in 2usize..50,
            steps in prop::collection::vec((0u32..200, 0u64..90_000, any::<bool>()), 0..500),
        ) {
            let mut now = Instant::now();
            let mut cache = NameCache::new(entries);
            for (number, seconds, fails) in steps {
                now += Duration::from_secs(seconds / 100);
                if !matches!(cache.get(ip(number), now), Cached::Fresh(_)) {
                    let answer = if fails { NameAnswer::Failed } else { NameAnswer::None };
                    cache.put(ip(number), answer, Duration::from_secs(600), now);
                }
                prop_assert!(cache.len() <= entries);
            }
        }
    }
}
