//! How many beacons one address may send, in memory of a fixed size.
//!
//! The generic cell rate algorithm (ITU-T I.371): per address one number, the time at which its
//! allowance is full again; each beacon moves it on by one interval, and a beacon that would move it
//! more than a minute ahead is refused. Addresses live in a table of sets with a few places each: a
//! place whose time has passed is free, and in a full set the place that is free soonest is taken
//! over. A flood from many addresses can so make the limit forget others, but never memory grow.

use crate::time::UnixMillis;
use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

const WINDOW_MS: u64 = 60_000;
const PLACES_PER_SET: usize = 4;
const SETS_PER_SHARD: usize = 512;
const SHARDS: usize = 32;
/// Microseconds, so that limits above 60,000 a minute still have an interval.
const MICROS_PER_MS: u64 = 1000;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u64,
    full_again_micros: u64,
}

type Shard = [[Place; PLACES_PER_SET]; SETS_PER_SHARD];

/// The limit and its table: 1 MiB whatever happens.
#[derive(Debug)]
pub struct RateLimit {
    interval_micros: u64,
    hasher: RandomState,
    shards: Vec<Mutex<Box<Shard>>>,
}

impl RateLimit {
    /// A limit per minute; `None` for 0, which means no limit.
    #[must_use]
    pub fn per_minute(limit: u32) -> Option<Self> {
        (limit > 0).then(|| Self {
            interval_micros: WINDOW_MS * MICROS_PER_MS / u64::from(limit),
            hasher: RandomState::new(),
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Box::new([[Place::default(); PLACES_PER_SET]; SETS_PER_SHARD])))
                .collect(),
        })
    }

    /// Counts one beacon. An IPv6 address stands for its /64, which is one subscriber.
    ///
    /// # Errors
    /// Milliseconds until the next one is allowed.
    pub fn take(&self, address: IpAddr, now: UnixMillis) -> Result<(), u64> {
        self.take_prefix(address, (32, 64), now)
    }

    /// The same for the whole network, a /24 or a /56: what a provider gives to one customer, or a bit more.
    ///
    /// # Errors
    /// Milliseconds until the next one is allowed.
    pub fn take_network(&self, address: IpAddr, now: UnixMillis) -> Result<(), u64> {
        self.take_prefix(address, (24, 56), now)
    }

    fn take_prefix(&self, address: IpAddr, (v4_bits, v6_bits): (u32, u32), now: UnixMillis) -> Result<(), u64> {
        let subscriber = match address {
            IpAddr::V4(v4) => (false, u128::from(v4.to_bits() >> (32 - v4_bits))),
            IpAddr::V6(v6) => (true, v6.to_bits() >> (128 - v6_bits)),
        };
        let key = self.hasher.hash_one(subscriber);
        let now = u64::try_from(now.0).unwrap_or(0) * MICROS_PER_MS;
        let shard = &self.shards[key as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut shard[key as usize / SHARDS % SETS_PER_SHARD];
        let mut chosen = 0;
        for (index, place) in set.iter().enumerate() {
            if place.key == key {
                chosen = index;
                break;
            }
            if place.full_again_micros < set[chosen].full_again_micros {
                chosen = index;
            }
        }
        let place = &mut set[chosen];
        let latest = now + WINDOW_MS * MICROS_PER_MS;
        // Nobody's limit is full again later than in a minute, unless the clock was ahead and went back.
        if place.key != key || place.full_again_micros > latest {
            *place = Place { key, full_again_micros: 0 };
        }
        let next = place.full_again_micros.max(now) + self.interval_micros;
        if next > latest {
            return Err((next - latest).div_ceil(MICROS_PER_MS));
        }
        place.full_again_micros = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_clock_that_was_ahead_refuses_nobody_once_it_is_right() {
        let limit = RateLimit::per_minute(2).unwrap();
        let now = UnixMillis(1_700_000_000_000);
        assert_eq!(limit.take(address(1), UnixMillis(now.0 + 1_200_000)), Ok(()));
        assert_eq!(limit.take(address(1), now), Ok(()));
        assert_eq!(limit.take(address(1), now), Ok(()));
        assert!(limit.take(address(1), now).is_err());
    }

    #[test]
    fn a_minute_holds_as_many_as_the_limit_says_and_then_they_drip() {
        let limit = RateLimit::per_minute(60).unwrap();
        let start = UnixMillis(1_800_000_000_000);
        let taken = (0..100).filter(|_| limit.take(address(1), start).is_ok()).count();
        assert_eq!(taken, 60);
        assert_eq!(limit.take(address(1), start), Err(1000));
        assert!(limit.take(address(2), start).is_ok());
        assert!(limit.take(address(1), UnixMillis(start.0 + 1000)).is_ok());
        assert!(limit.take(address(1), UnixMillis(start.0 + 1000)).is_err());
        // A clock that jumps back a day costs nobody more than a full window of that day.
        assert!(limit.take(address(3), UnixMillis(start.0 - 86_400_000)).is_ok());
    }

    #[test]
    fn zero_means_no_limit() {
        assert!(RateLimit::per_minute(0).is_none());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_subscriber() {
        let limit = RateLimit::per_minute(1).unwrap();
        let now = UnixMillis(1_800_000_000_000);
        assert!(limit.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(limit.take("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(limit.take("2001:db8:0:1::2".parse().unwrap(), now).is_ok());
    }

    #[test]
    fn a_network_of_24_or_56_bits_counts_as_one_where_the_network_is_asked_for() {
        let limit = RateLimit::per_minute(1).unwrap();
        let now = UnixMillis(1_800_000_000_000);
        for (address, is_allowed) in [
            ("192.0.2.1", true),
            ("192.0.2.200", false),
            ("192.0.3.1", true),
            ("2001:db8::1", true),
            ("2001:db8:0:ff::1", false),
            ("2001:db8:0:100::1", true),
        ] {
            assert_eq!(limit.take_network(address.parse().unwrap(), now).is_ok(), is_allowed, "{address}");
        }
    }

    #[test]
    fn a_flood_of_addresses_is_survived() {
        let limit = RateLimit::per_minute(1).unwrap();
        let now = UnixMillis(1_800_000_000_000);
        assert!((0..200_000).all(|number| limit.take(address(number), now).is_ok()));
    }
}
