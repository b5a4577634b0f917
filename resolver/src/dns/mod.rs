//! Reverse DNS: the name of an address, confirmed by looking the name up again (FCrDNS, RFC 8499 and RFC 1912 2.1).
//!
//! Anyone who holds an address block can write any name into its reverse zone, so a name is worth something only when
//! its own zone leads back to the address; all questions for one address together must be answered within one time-out.
//! What the rest of the world does cannot hurt:
//!
//! - [`cache`]: answers, refusals and failures are remembered in memory, bounded, never on disk. What is stale answers at
//!   once and is asked for again in the background (RFC 8767);
//! - at most `concurrency` addresses are asked for at once, others wait for their turn; two callers with the same address
//!   share one look-up;
//! - [`pace`]: no name server gets more than so many questions a second;
//! - [`breaker`]: a server that doesn't answer is left alone. When all are, verdicts go on without names, marked as
//!   [`NameAnswer::Skipped`], instead of queueing time-outs;
//! - [`transport`], [`answer`]: a question is one datagram, others than its answer are ignored, records of other owners
//!   don't count, aliases are followed a few steps;
//! - [`server`]: nothing that is asked or answered is logged, since a name spells its address;
//! - of an address's names the first [`MAX_NAMES`] host names are tried, so one with thousands costs no more than that.
//!
//! hickory's resolver asks, one for each name server. What it would do besides is switched off: remembering, asking again,
//! trying another server, TCP. Those are decided here, where they can be counted and bounded. Name servers are recursive
//! ones; DNSSEC is their task, and the way to them (loopback or the owner's network) is trusted as the system's own
//! resolver trusts it.
//!
//! `cache`, `pace`, `breaker` and `answer` are pure, with the time passed in; `transport` has the sockets, `server` is one
//! name server; this file puts them together.

mod answer;
mod breaker;
mod cache;
mod pace;
mod server;
mod transport;

#[doc(hidden)]
pub(crate) mod fuzzing;

use crate::{NameAnswer, ResolverError, Settings, names};
use answer::{Said, Target};
use arc_swap::ArcSwap;
use cache::{Cached, NameCache};
use hickory_resolver::proto::rr::{Name, RecordType};
use server::Server;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OnceCell, Semaphore};

/// Several names for one address are legal; this many are tried.
const MAX_NAMES: usize = 4;
/// A question is sent so often before silence counts: datagrams get lost.
const ATTEMPTS: u32 = 2;
/// One in so many turns may be taken by renewals of stale answers, for which nobody waits.
const TURNS_PER_RENEWAL: usize = 4;
/// What an answer without a TTL is worth, before the cache's clamps.
const NO_TTL: Duration = Duration::ZERO;

/// What reverse DNS did since the resolver was made. Addresses are counted once each, by how their answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsStatistics {
    /// Addresses that DNS was asked for; `failed` is a part of them.
    pub asked: u64,
    /// Addresses answered from the cache.
    pub cached: u64,
    /// Addresses answered from the cache beyond the answer's time, while newer ones were asked for.
    pub stale: u64,
    /// Addresses that waited for somebody else's look-up.
    pub shared: u64,
    /// Look-ups that ended without an answer.
    pub failed: u64,
    /// Addresses that were not asked for because DNS is down.
    pub skipped: u64,
    /// Datagrams sent to name servers.
    pub queries: u64,
    /// Datagrams from name servers that answered no question of ours.
    pub ignored: u64,
    /// Entries in the cache now.
    pub cache_entries: usize,
    /// Name servers that there are.
    pub servers: usize,
    /// Those of them that are left alone now because they don't answer.
    pub servers_down: usize,
}

#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    cached: AtomicU64,
    stale: AtomicU64,
    shared: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    queries: AtomicU64,
    ignored: AtomicU64,
}

/// Asks for names.
pub(crate) struct ReverseDns {
    /// Replaced as a whole when the system names others; none at all leaves every verdict without a name.
    servers: ArcSwap<Vec<Arc<Server>>>,
    queries_per_second: u32,
    /// The server that the next question goes to, before it is taken modulo their number.
    next_server: AtomicUsize,
    timeout: Duration,
    turns: Semaphore,
    renewals: Arc<Semaphore>,
    cache: Mutex<NameCache>,
    in_flight: Mutex<HashMap<IpAddr, Arc<OnceCell<NameAnswer>>>>,
    counters: Arc<Counters>,
}

/// Why a look-up gave no name.
enum Miss {
    /// There is none; for how long that holds.
    NoName(Duration),
    /// A server answered that it can't say.
    Refused,
    /// Nobody answered.
    Silence,
    /// Nobody was asked: all servers are down.
    Down,
}

impl ReverseDns {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ResolverError> {
        let turns = settings.dns_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let dns = Self {
            servers: ArcSwap::default(),
            queries_per_second: settings.dns_queries_per_second,
            next_server: AtomicUsize::new(0),
            timeout: settings.ptr_timeout,
            turns: Semaphore::new(turns),
            renewals: Arc::new(Semaphore::new(turns.div_ceil(TURNS_PER_RENEWAL))),
            cache: Mutex::new(NameCache::new(settings.cache_entries)),
            in_flight: Mutex::default(),
            counters: Arc::default(),
        };
        dns.use_servers(&settings.nameservers)?;
        Ok(dns)
    }

    /// Asks these from now on, or the system's where none is named; gives their addresses. Those that were asked before keep
    /// their pace and what is known of them.
    pub(crate) fn use_servers(&self, named: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolverError> {
        let addresses = if named.is_empty() { server::of_the_system() } else { named.to_vec() };
        let before = self.servers.load();
        let patience = self.timeout / ATTEMPTS;
        let server = |address: &SocketAddr| match before.iter().find(|server| server.address() == *address) {
            Some(server) => Ok(Arc::clone(server)),
            None => Server::new(*address, patience, self.queries_per_second, &self.counters).map(Arc::new),
        };
        let servers: Result<Vec<_>, _> = addresses.iter().map(server).collect();
        self.servers.store(Arc::new(servers.map_err(|error| ResolverError::Dns { reason: error.to_string() })?));
        Ok(addresses)
    }

    pub(crate) fn statistics(&self) -> DnsStatistics {
        let now = Instant::now();
        let servers = self.servers.load();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DnsStatistics {
            asked: read(&self.counters.asked),
            cached: read(&self.counters.cached),
            stale: read(&self.counters.stale),
            shared: read(&self.counters.shared),
            failed: read(&self.counters.failed),
            skipped: read(&self.counters.skipped),
            queries: read(&self.counters.queries),
            ignored: read(&self.counters.ignored),
            cache_entries: lock(&self.cache).len(),
            servers: servers.len(),
            servers_down: servers.iter().filter(|server| server.is_down(now)).count(),
        }
    }

    /// The name of an address.
    pub(crate) async fn name(self: &Arc<Self>, ip: IpAddr) -> NameAnswer {
        let cached = lock(&self.cache).get(ip, Instant::now());
        match cached {
            Cached::Fresh(answer) => {
                count(&self.counters.cached);
                answer
            }
            Cached::Stale { answer, ask_again } => {
                count(&self.counters.stale);
                if ask_again {
                    self.renew(ip);
                }
                answer
            }
            Cached::Missing => self.fly(ip).await,
        }
    }

    /// Asks again in the background, unless too many are being asked for already: then a later visitor's turn does.
    fn renew(self: &Arc<Self>, ip: IpAddr) {
        let Ok(permit) = Arc::clone(&self.renewals).try_acquire_owned() else { return };
        let dns = Arc::clone(self);
        tokio::spawn(async move {
            dns.fly(ip).await;
            drop(permit);
        });
    }

    async fn fly(&self, ip: IpAddr) -> NameAnswer {
        let flight = Flight::join(self, ip);
        flight.cell.get_or_init(|| self.ask(ip)).await.clone()
    }

    async fn ask(&self, ip: IpAddr) -> NameAnswer {
        // The semaphore is never closed.
        let Ok(_turn) = self.turns.acquire().await else { return NameAnswer::Failed };
        // Whoever flew before may have landed between the first look into the cache and this flight.
        if let Cached::Fresh(answer) = lock(&self.cache).get(ip, Instant::now()) {
            count(&self.counters.cached);
            return answer;
        }
        let look_up = LookUp { dns: self, ip, patience: self.timeout };
        let (answer, ttl) = match look_up.name().await {
            Ok(found) => found,
            Err(Miss::NoName(ttl)) => (NameAnswer::None, ttl),
            Err(Miss::Refused | Miss::Silence) => (NameAnswer::Failed, NO_TTL),
            Err(Miss::Down) => {
                count(&self.counters.skipped);
                return NameAnswer::Skipped;
            }
        };
        count(&self.counters.asked);
        if answer == NameAnswer::Failed {
            count(&self.counters.failed);
        }
        lock(&self.cache).put(ip, answer.clone(), ttl, Instant::now());
        answer
    }

    /// The next server in turn that isn't down; the one that was tried before only when there is no other.
    fn server(&self, tried: Option<SocketAddr>) -> Option<Arc<Server>> {
        let now = Instant::now();
        let servers = self.servers.load();
        let first = self.next_server.fetch_add(1, Ordering::Relaxed);
        let places = (0..servers.len()).map(|step| first.wrapping_add(step) % servers.len());
        let up = places.filter_map(|place| servers.get(place)).filter(|server| !server.is_down(now));
        up.min_by_key(|server| Some(server.address()) == tried).cloned()
    }
}

/// All questions for one address.
struct LookUp<'a> {
    dns: &'a ReverseDns,
    ip: IpAddr,
    /// How long answers may still be waited for. Waiting for a turn at a server does not count.
    patience: Duration,
}

impl LookUp<'_> {
    /// The name and how long it holds.
    async fn name(mut self) -> Result<(NameAnswer, Duration), Miss> {
        let (found, ttl) = self.targets(Name::from(self.ip), RecordType::PTR).await?;
        let mut names: Vec<Arc<str>> = Vec::new();
        for target in found {
            if let Target::Name(name) = target
                && let Some(name) = names::clean(&name)
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
            match self.leads_back(name).await {
                Ok(Some(forward_ttl)) => {
                    return Ok((NameAnswer::Confirmed(Arc::clone(name)), ttl.min(forward_ttl)));
                }
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
    async fn leads_back(&mut self, name: &str) -> Result<Option<Duration>, Miss> {
        let record_type = if self.ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        let Ok(name) = Name::from_ascii(format!("{name}.")) else { return Ok(None) };
        let (found, ttl) = self.targets(name, record_type).await?;
        Ok(found.contains(&Target::Address(self.ip)).then_some(ttl))
    }

    /// What a name leads to.
    async fn targets(&mut self, name: Name, record_type: RecordType) -> Result<(Vec<Target>, Duration), Miss> {
        match self.question(&name, record_type).await? {
            Said::Found { targets, ttl } => Ok((targets, ttl)),
            Said::Nothing { ttl } => Err(Miss::NoName(ttl)),
            Said::Refused => Err(Miss::Refused),
        }
    }

    /// One question, sent again when it is not answered, to another server where there is one.
    async fn question(&mut self, name: &Name, record_type: RecordType) -> Result<Said, Miss> {
        let mut outcome = Err(Miss::Down);
        let mut tried = None;
        for _ in 0..ATTEMPTS {
            let Some(server) = self.dns.server(tried) else { break };
            tried = Some(server.address());
            server.turn().await;
            if !server.allows(Instant::now()) {
                continue;
            }
            let asked_at = Instant::now();
            let patience = self.patience.min(self.dns.timeout / ATTEMPTS);
            let said = tokio::time::timeout(patience, server.ask(name, record_type)).await;
            self.patience = self.patience.saturating_sub(asked_at.elapsed());
            match said {
                Ok(Some(said)) => {
                    server.answered();
                    let is_refusal = said == Said::Refused;
                    outcome = Ok(said);
                    // Another server may know.
                    if !is_refusal || self.dns.servers.load().len() == 1 {
                        break;
                    }
                }
                Ok(None) | Err(_) => {
                    server.was_silent();
                    outcome = Err(Miss::Silence);
                    if self.patience.is_zero() {
                        break;
                    }
                }
            }
        }
        outcome
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
