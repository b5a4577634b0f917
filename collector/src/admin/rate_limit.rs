//! Requests per key and clock minute.

use crate::time::UnixMillis;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

const MINUTE: i64 = 60_000;

/// Counts the requests of the current clock minute. Only known keys are counted, so there are never more entries than keys.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    window: Mutex<CurrentMinute>,
}

#[derive(Debug, Default)]
struct CurrentMinute {
    minute: i64,
    counts: HashMap<Uuid, u32>,
}

/// What is left of a key's allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Requests a minute.
    pub(super) limit: u32,
    /// Requests left in this minute.
    pub(super) remaining: u32,
    /// Seconds until the next minute begins, 1 to 60.
    pub(super) reset: u32,
    /// Whether this request is over the limit.
    pub(super) is_exceeded: bool,
}

impl RateLimit {
    /// Counts one request of a key, or of a user whose keys share one allowance; `None` where nothing is limited
    /// (`per_minute` is 0).
    pub(super) fn count(&self, of: Uuid, per_minute: u32, now: UnixMillis) -> Option<Allowance> {
        if per_minute == 0 {
            return None;
        }
        let minute = now.0.div_euclid(MINUTE);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.minute != minute {
            *window = CurrentMinute { minute, counts: HashMap::new() };
        }
        let count = window.counts.entry(of).or_default();
        *count = count.saturating_add(1);
        let left_of_minute = MINUTE - now.0.rem_euclid(MINUTE);
        Some(Allowance {
            limit: per_minute,
            remaining: per_minute.saturating_sub(*count),
            reset: u32::try_from((left_of_minute + 999) / 1000).unwrap_or(60),
            is_exceeded: *count > per_minute,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_allowance_which_the_next_clock_minute_renews() {
        let limit = RateLimit::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let count = |key, seconds: f64| {
            let allowance = limit.count(key, 2, UnixMillis(1_800_000_000_000 + (seconds * 1000.0) as i64)).unwrap();
            (allowance.remaining, allowance.reset, allowance.is_exceeded)
        };
        assert_eq!(count(one, 0.0), (1, 60, false));
        assert_eq!(count(one, 30.5), (0, 30, false));
        assert_eq!(count(one, 59.9), (0, 1, true));
        assert_eq!(count(other, 59.9), (1, 1, false));
        assert_eq!(count(one, 60.0), (1, 60, false));
    }

    #[test]
    fn zero_means_no_limit() {
        assert_eq!(RateLimit::default().count(Uuid::nil(), 0, UnixMillis(0)), None);
    }
}
