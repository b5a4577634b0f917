//! How much one visitor may have stored, in memory of a fixed size.
//!
//! Visits are rebuilt from all events of their visitor in some days, so that one who sends without end makes each rebuild
//! dearer than the last. No person makes ten thousand events a day; a script with one client id makes that many in a minute.
//! What goes beyond is dropped under its own reason and counted.
//!
//! The rule is the door's (`ingest::rate_limit`), with two allowances, events and bytes, that each fill up within a day. A visitor's
//! place in the table may be taken over by another's who used more of theirs: a crowd can make the table forget a
//! script for a moment, but never makes memory grow, and never costs anybody their own allowance.

use super::rows::VisitorKey;
use crate::{site::SiteId, spool::record::SpooledEvent, time::UnixMillis};
use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

const PLACES_PER_SET: usize = 4;
const SETS: usize = 16 * 1024;
/// In this time an allowance that is used up is whole again.
const DAY_MICROS: u64 = 86_400_000_000;
const MICROS_PER_MILLI: u64 = 1_000;

/// What a visitor may have stored in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyAllowance {
    /// Events; 0 means any number.
    pub events: u32,
    /// Bytes of their texts; 0 means any number.
    pub bytes: u64,
}

impl Default for DailyAllowance {
    fn default() -> Self {
        Self { events: 10_000, bytes: 16 << 20 }
    }
}

/// When each allowance of a visitor is whole again, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u64,
    events_whole: u64,
    bytes_whole: u64,
}

impl Place {
    fn whole(&self) -> u64 {
        self.events_whole.max(self.bytes_whole)
    }
}

/// Who used how much of it.
#[derive(Debug)]
pub(super) struct VisitorAllowance {
    daily: DailyAllowance,
    hasher: RandomState,
    sets: Mutex<Vec<[Place; PLACES_PER_SET]>>,
}

impl VisitorAllowance {
    pub(super) fn new(daily: DailyAllowance) -> Self {
        let sets = Mutex::new(vec![[Place::default(); PLACES_PER_SET]; SETS]);
        Self { daily, hasher: RandomState::new(), sets }
    }

    /// Whether the visitor may have this event stored now, which then is taken off. By the time of storing, not of receipt: a spool
    /// may bring older beacons after newer ones.
    pub(super) fn take(&self, site: &SiteId, visitor: VisitorKey, event: &SpooledEvent, now: UnixMillis) -> bool {
        let key = self.hasher.hash_one((site, visitor));
        let now = u64::try_from(now.0).unwrap_or_default().saturating_mul(MICROS_PER_MILLI);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(set) = sets.get_mut(key as usize % SETS) else { return true };
        let known = set.iter().position(|place| place.key == key);
        let Some(place) = (match known {
            Some(known) => set.get_mut(known),
            None => set.iter_mut().min_by_key(|place| place.whole()),
        }) else {
            return true;
        };
        // No allowance is whole later than in a day, unless the clock was ahead and went back.
        if place.key != key || place.whole() > now + DAY_MICROS {
            *place = Place { key, ..Place::default() };
        }
        let costs = |amount: u64, daily: u64| (amount * DAY_MICROS).checked_div(daily).unwrap_or_default();
        let events_whole = place.events_whole.max(now) + costs(1, self.daily.events.into());
        let bytes_whole = place.bytes_whole.max(now) + costs(text_bytes(event), self.daily.bytes);
        let fits = events_whole.max(bytes_whole) <= now + DAY_MICROS;
        if fits {
            (place.events_whole, place.bytes_whole) = (events_whole, bytes_whole);
        }
        fits
    }
}

/// The length of what an event brings as text.
fn text_bytes(event: &SpooledEvent) -> u64 {
    let texts = [&event.url, &event.referrer, &event.title, &event.name, &event.props];
    texts.iter().map(|text| text.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixtures;

    const NOON: UnixMillis = UnixMillis(1_700_000_000_000);

    fn taken(allowance: &VisitorAllowance, visitor: u64, event: &SpooledEvent, now: UnixMillis, tries: usize) -> usize {
        let site = "shop".parse().unwrap();
        (0..tries).filter(|_| allowance.take(&site, VisitorKey(visitor), event, now)).count()
    }

    #[test]
    fn a_visitor_has_so_many_events_a_day_and_so_many_bytes() {
        let mut event = fixtures::beacon("shop", NOON.0).events.remove(0);
        event.props = "x".repeat(1_000).into();
        let bytes = text_bytes(&event);
        let by_events = VisitorAllowance::new(DailyAllowance { events: 100, bytes: 0 });
        assert_eq!(taken(&by_events, 1, &event, NOON, 1_000), 100);
        assert_eq!(taken(&by_events, 2, &event, NOON, 10), 10);
        let half_a_day_later = UnixMillis(NOON.0 + 43_200_000);
        assert_eq!(taken(&by_events, 1, &event, half_a_day_later, 1_000), 50);
        let by_bytes = VisitorAllowance::new(DailyAllowance { events: 0, bytes: bytes * 20 });
        assert_eq!(taken(&by_bytes, 1, &event, NOON, 1_000), 20);
        let unlimited = VisitorAllowance::new(DailyAllowance { events: 0, bytes: 0 });
        assert_eq!(taken(&unlimited, 1, &event, NOON, 1_000), 1_000);
    }

    #[test]
    fn a_clock_that_was_ahead_costs_nobody_their_allowance() {
        let event = fixtures::beacon("shop", NOON.0).events.remove(0);
        let allowance = VisitorAllowance::new(DailyAllowance { events: 3, bytes: 0 });
        let three_days_ahead = UnixMillis(NOON.0 + 3 * 86_400_000);
        assert_eq!(taken(&allowance, 1, &event, three_days_ahead, 1), 1);
        assert_eq!(taken(&allowance, 1, &event, NOON, 10), 3);
    }

    #[test]
    fn a_crowd_never_costs_anybody_their_own_allowance() {
        let event = fixtures::beacon("shop", NOON.0).events.remove(0);
        let allowance = VisitorAllowance::new(DailyAllowance { events: 3, bytes: 0 });
        for visitor in 0..300_000 {
            assert_eq!(taken(&allowance, visitor, &event, NOON, 1), 1, "{visitor}");
        }
    }
}
