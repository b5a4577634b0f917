//! The cache, for `benches/`: no part of the library's interface.

use super::cache::NameCache;
use crate::NameAnswer;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// A cache full of names.
pub struct Names(NameCache);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("entries", &self.0.len()).finish_non_exhaustive()
    }
}

impl Names {
    /// Confirmed names of the addresses from 0.0.0.0 on.
    #[must_use]
    pub fn of(addresses: u32) -> Self {
        let (now, entries) = (Instant::now(), usize::try_from(addresses).unwrap_or(usize::MAX));
        let mut cache = NameCache::new(entries.saturating_mul(2));
        for address in 0..addresses {
            let name = NameAnswer::Confirmed(format!("host-{address}.customers.example.net").into());
            cache.put(Ipv4Addr::from(address).into(), name, Duration::from_secs(3600), now);
        }
        Self(cache)
    }

    /// The name that a visitor's address has in the cache.
    pub fn get(&mut self, ip: IpAddr, now: Instant) -> Option<NameAnswer> {
        self.0.fresh(ip, now)
    }
}
