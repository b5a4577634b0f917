//! Reading of name servers' datagrams for `fuzz/`, and the cache for `benches/`: no part of the library's interface.

use super::{
    answer::{MAX_ALIASES, Question, Said},
    cache::NameCache,
};
use crate::NameAnswer;
use hickory_proto::rr::{Name, RecordType};
use std::{
    fmt,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// Reads a datagram as the answer to three questions, with the right number for each put in front.
pub fn read_dns_answer(datagram: &[u8]) {
    let reverse = Name::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let forward = Name::from_ascii("host.example.com.").unwrap_or_default();
    for (name, record_type) in
        [(reverse, RecordType::PTR), (forward.clone(), RecordType::A), (forward, RecordType::AAAA)]
    {
        let question = Question::new(name, record_type);
        let Some(sent) = question.datagram() else { continue };
        let mut answer = sent[..2].to_vec();
        answer.extend(datagram);
        if let Some(Said::Found { targets, .. }) = black_box(question.read(&answer)) {
            assert!(!targets.is_empty() && targets.len() <= answer.len() / MAX_ALIASES);
        }
    }
}

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
