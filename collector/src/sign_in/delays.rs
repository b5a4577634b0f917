//! Growing delays after failed sign-ins, by account and by network.
//!
//! Both are kept as keyed hashes, in memory only and in a table of bounded size: neither an address nor an e-mail address can be read
//! from it. An account waits at most a minute, so that somebody who fails on purpose can't keep its owner out; a network
//! waits up to a quarter of an hour.

use crate::time::UnixMillis;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Failures without a delay: mistyped.
const FREE: u32 = 4;
/// An account's longest delay, in milliseconds.
const LONGEST_OF_ACCOUNT: i64 = 60_000;
/// A network's longest delay, in milliseconds.
const LONGEST_OF_NETWORK: i64 = 15 * 60_000;
/// Failures are forgotten this long after the last one, in milliseconds.
const FORGOTTEN_AFTER: i64 = 24 * 3_600_000;
/// Entries at most; the one that failed longest ago gives way.
const MAX_ENTRIES: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: UnixMillis,
    until: UnixMillis,
}

/// What is remembered of failed sign-ins.
#[derive(Debug, Default)]
pub struct Delays {
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Failures>>,
}

impl Delays {
    /// Milliseconds until this account may be tried from this network again; 0 for at once.
    #[must_use]
    pub fn wait(&self, account: &str, network: IpAddr, now: UnixMillis) -> i64 {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |key| entries.get(&key).map_or(0, |failures| failures.until.0.saturating_sub(now.0).max(0));
        of(self.account(account)).max(of(self.network(network)))
    }

    /// Remembers a failure.
    pub fn failed(&self, account: &str, network: IpAddr, now: UnixMillis) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, longest) in [(self.account(account), LONGEST_OF_ACCOUNT), (self.network(network), LONGEST_OF_NETWORK)]
        {
            make_room(&mut entries, key, now);
            let failures = entries.entry(key).or_insert(Failures { count: 0, last: now, until: now });
            if now.0.saturating_sub(failures.last.0) >= FORGOTTEN_AFTER {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            failures.until = UnixMillis(now.0.saturating_add(delay(failures.count, longest)));
        }
    }

    /// Forgets an account's failures: its owner signed in. Those of the network stay, or one account of one's own would open
    /// the door to all others.
    pub fn succeeded(&self, account: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account(account));
    }

    fn account(&self, account: &str) -> u64 {
        self.hasher.hash_one(("account", account))
    }

    /// An IPv4 /24 or an IPv6 /48 stands for who has it.
    fn network(&self, address: IpAddr) -> u64 {
        let prefix = match address.to_canonical() {
            IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
            IpAddr::V6(v6) => 1 << 63 | (v6.to_bits() >> 80) as u64,
        };
        self.hasher.hash_one(("network", prefix))
    }
}

/// One second after the first failure that counts, twice as long after each further one.
fn delay(count: u32, longest: i64) -> i64 {
    match count.checked_sub(FREE + 1) {
        None => 0,
        Some(doublings) => {
            1000i64.checked_shl(doublings).filter(|delay| (1..longest).contains(delay)).unwrap_or(longest)
        }
    }
}

fn make_room(entries: &mut HashMap<u64, Failures>, key: u64, now: UnixMillis) {
    if entries.len() < MAX_ENTRIES || entries.contains_key(&key) {
        return;
    }
    entries.retain(|_, failures| now.0.saturating_sub(failures.last.0) < FORGOTTEN_AFTER);
    if entries.len() >= MAX_ENTRIES
        && let Some(oldest) = entries.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key)
    {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
    const HERE: &str = "192.0.2.7";
    const NEXT_DOOR: &str = "192.0.2.200";
    const ELSEWHERE: &str = "198.51.100.7";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn delays_double_up_to_their_bound() {
        for (failures, account, network) in [
            (1, 0, 0),
            (4, 0, 0),
            (5, 1_000, 1_000),
            (6, 2_000, 2_000),
            (10, 32_000, 32_000),
            (11, 60_000, 64_000),
            (40, 60_000, 900_000),
            (200, 60_000, 900_000),
        ] {
            let delays = Delays::default();
            (0..failures).for_each(|_| delays.failed("a@example.com", ip(HERE), NOW));
            assert_eq!(delays.wait("a@example.com", ip(ELSEWHERE), NOW), account, "{failures}");
            assert_eq!(delays.wait("b@example.com", ip(NEXT_DOOR), NOW), network, "{failures}");
            assert_eq!(delays.wait("b@example.com", ip(ELSEWHERE), NOW), 0, "{failures}");
        }
    }

    #[test]
    fn signing_in_forgives_the_account_but_not_the_network() {
        let delays = Delays::default();
        (0..6).for_each(|_| delays.failed("a@example.com", ip(HERE), NOW));
        delays.succeeded("a@example.com");
        assert_eq!(delays.wait("a@example.com", ip(ELSEWHERE), NOW), 0);
        assert_eq!(delays.wait("a@example.com", ip(HERE), NOW), 2_000);
    }

    #[test]
    fn failures_of_yesterday_are_forgotten() {
        let delays = Delays::default();
        (0..8).for_each(|_| delays.failed("a@example.com", ip(HERE), NOW));
        let tomorrow = UnixMillis(NOW.0 + FORGOTTEN_AFTER);
        delays.failed("a@example.com", ip(HERE), tomorrow);
        assert_eq!(delays.wait("a@example.com", ip(HERE), tomorrow), 0);
    }

    #[test]
    fn a_flood_of_accounts_and_networks_fills_no_memory() {
        let delays = Delays::default();
        for number in 0..15_000u32 {
            delays.failed(&number.to_string(), IpAddr::V4(number.wrapping_shl(8).into()), NOW);
        }
        assert_eq!(delays.entries.lock().unwrap().len(), MAX_ENTRIES);
    }
}
