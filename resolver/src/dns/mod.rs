//! Reverse DNS: the name of an address, confirmed by looking the name up again (FCrDNS, RFC 8499 and RFC 1912 2.1).
//!
//! The shell around hickory. Anyone who holds an address block can write any name into its reverse zone, so a name is
//! worth something only when its own zone leads back to the address; both look-ups together must finish within one
//! time-out. What the rest of the world does cannot hurt:
//!
//! - at most `dns_concurrency` addresses are asked for at once, others wait for a permit;
//! - two callers with the same address share one look-up;
//! - answers, refusals and failures are cached in memory ([`cache`]), never on disk;
//! - when nobody answers, a [`breaker`] lets the verdicts go on without names instead of queueing time-outs;
//! - a server may send as many or as odd names as it likes: a few are looked at, and only those that are host names.

mod breaker;
mod cache;

use crate::{NameAnswer, ResolverError, Settings, names};
use breaker::Breaker;
use cache::NameCache;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OnceCell, Semaphore};

/// Several names for one address are legal; this many are tried.
const MAX_NAMES: usize = 4;
/// What a response without a TTL is worth, before the cache's clamps.
const NO_TTL: Duration = Duration::ZERO;

/// What reverse DNS did since the resolver was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsStatistics {
    /// Addresses that DNS was asked for.
    pub asked: u64,
    /// Addresses answered from the cache.
    pub cached: u64,
    /// Addresses that waited for somebody else's look-up.
    pub shared: u64,
    /// Look-ups that ended without an answer.
    pub failed: u64,
    /// Addresses that were not asked for because DNS is down.
    pub skipped: u64,
    /// Entries in the cache now.
    pub cache_entries: usize,
}

#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    cached: AtomicU64,
    shared: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

/// Asks for names.
pub(crate) struct ReverseDns {
    client: TokioResolver,
    timeout: Duration,
    permits: Semaphore,
    cache: Mutex<NameCache>,
    breaker: Mutex<Breaker>,
    in_flight: Mutex<HashMap<IpAddr, Arc<OnceCell<NameAnswer>>>>,
    counters: Counters,
}

/// Why a look-up gave no name.
enum Miss {
    /// There is none; for how long that holds.
    NoName(Duration),
    /// A server answered that it can't say.
    Refused,
    /// Nobody answered.
    Silence,
}

impl ReverseDns {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ResolverError> {
        let failed = |error: NetError| ResolverError::Dns { reason: error.to_string() };
        let mut builder = if settings.nameservers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = settings.nameservers.iter().map(|address| name_server(*address)).collect();
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(servers),
                TokioRuntimeProvider::default(),
            )
        };
        let options = builder.options_mut();
        // The cache is ours: it knows addresses, clamps and failures.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ndots = 0;
        // One retry fits into the time-out of the whole.
        options.timeout = settings.ptr_timeout / 2;
        options.attempts = 1;
        options.max_active_requests = settings.dns_concurrency.saturating_mul(2).max(32);
        Ok(Self {
            client: builder.build().map_err(failed)?,
            timeout: settings.ptr_timeout,
            permits: Semaphore::new(settings.dns_concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            cache: Mutex::new(NameCache::new(settings.cache_entries)),
            breaker: Mutex::default(),
            in_flight: Mutex::default(),
            counters: Counters::default(),
        })
    }

    pub(crate) fn statistics(&self) -> DnsStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DnsStatistics {
            asked: read(&self.counters.asked),
            cached: read(&self.counters.cached),
            shared: read(&self.counters.shared),
            failed: read(&self.counters.failed),
            skipped: read(&self.counters.skipped),
            cache_entries: lock(&self.cache).len(),
        }
    }

    /// The name of an address.
    pub(crate) async fn name(&self, ip: IpAddr) -> NameAnswer {
        if let Some(answer) = lock(&self.cache).get(ip, Instant::now()) {
            count(&self.counters.cached);
            return answer;
        }
        let flight = Flight::join(self, ip);
        flight.cell.get_or_init(|| self.ask(ip)).await.clone()
    }

    async fn ask(&self, ip: IpAddr) -> NameAnswer {
        // The semaphore is never closed.
        let Ok(_permit) = self.permits.acquire().await else { return NameAnswer::Failed };
        // Whoever flew before may have landed between the first look into the cache and this flight.
        if let Some(answer) = lock(&self.cache).get(ip, Instant::now()) {
            count(&self.counters.cached);
            return answer;
        }
        if !lock(&self.breaker).allows(Instant::now()) {
            count(&self.counters.skipped);
            return NameAnswer::Failed;
        }
        count(&self.counters.asked);
        let found = tokio::time::timeout(self.timeout, self.look_up(ip)).await.unwrap_or(Err(Miss::Silence));
        let now = Instant::now();
        let (answer, ttl) = match found {
            Ok((answer, ttl)) => (answer, ttl),
            Err(Miss::NoName(ttl)) => (NameAnswer::None, ttl),
            Err(Miss::Refused) => (NameAnswer::Failed, NO_TTL),
            Err(Miss::Silence) => {
                lock(&self.breaker).timed_out(now);
                count(&self.counters.failed);
                lock(&self.cache).put(ip, NameAnswer::Failed, NO_TTL, now);
                return NameAnswer::Failed;
            }
        };
        lock(&self.breaker).answered();
        if answer == NameAnswer::Failed {
            count(&self.counters.failed);
        }
        lock(&self.cache).put(ip, answer.clone(), ttl, now);
        answer
    }

    /// The name and how long it holds.
    async fn look_up(&self, ip: IpAddr) -> Result<(NameAnswer, Duration), Miss> {
        let found = self.client.lookup(Name::from(ip), RecordType::PTR).await.map_err(miss)?;
        let mut names = Vec::new();
        let mut ttl = Duration::MAX;
        for record in found.answers() {
            ttl = ttl.min(Duration::from_secs(u64::from(record.ttl)));
            if let RData::PTR(target) = &record.data
                && let Some(name) = names::clean(&target.to_ascii())
                && names.len() < MAX_NAMES
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(Miss::NoName(ttl));
        }
        // The first confirmed name counts. With none, the first name is there, unconfirmed, unless nobody could say.
        let mut failure = None;
        for name in &names {
            match self.leads_back(name, ip).await {
                Ok(Some(forward_ttl)) => return Ok((NameAnswer::Confirmed(name.clone()), ttl.min(forward_ttl))),
                Ok(None) | Err(Miss::NoName(_)) => {}
                Err(miss) => failure = Some(miss),
            }
        }
        match failure {
            Some(miss) => Err(miss),
            None => Ok((NameAnswer::Unconfirmed(names.swap_remove(0)), ttl)),
        }
    }

    /// Whether a name's own zone holds the address, and for how long that holds.
    async fn leads_back(&self, name: &str, ip: IpAddr) -> Result<Option<Duration>, Miss> {
        let record_type = if ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        // With its final dot a name is never completed by the system's search list.
        let Ok(name) = Name::from_ascii(format!("{name}.")) else { return Ok(None) };
        let found = self.client.lookup(name, record_type).await.map_err(miss)?;
        let mut ttl = Duration::MAX;
        let mut leads_back = false;
        for record in found.answers() {
            ttl = ttl.min(Duration::from_secs(u64::from(record.ttl)));
            leads_back |= match &record.data {
                RData::A(address) => IpAddr::V4(address.0) == ip,
                RData::AAAA(address) => IpAddr::V6(address.0) == ip,
                _ => false,
            };
        }
        Ok(leads_back.then_some(ttl))
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(
        address.ip(),
        true,
        vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())],
    )
}

fn miss(error: NetError) -> Miss {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { negative_ttl, .. })) => {
            Miss::NoName(negative_ttl.map_or(NO_TTL, |ttl| Duration::from_secs(u64::from(ttl))))
        }
        NetError::Dns(_) => Miss::Refused,
        _ => Miss::Silence,
    }
}

/// One caller's share in a look-up that is under way; the last one to leave clears it away, finished or not.
struct Flight<'a> {
    dns: &'a ReverseDns,
    ip: IpAddr,
    cell: Arc<OnceCell<NameAnswer>>,
}

impl<'a> Flight<'a> {
    fn join(dns: &'a ReverseDns, ip: IpAddr) -> Self {
        let mut in_flight = lock(&dns.in_flight);
        let cell = in_flight.entry(ip).or_default();
        if Arc::strong_count(cell) > 1 {
            count(&dns.counters.shared);
        }
        Self { dns, ip, cell: Arc::clone(cell) }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut in_flight = lock(&self.dns.in_flight);
        // Counted under the lock: two are the map's and this one.
        if Arc::strong_count(&self.cell) <= 2 {
            in_flight.remove(&self.ip);
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A lock whose holder panicked still guards whole values here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
