//! One name server: hickory's resolver for it, its pace, its circuit breaker.
//!
//! hickory writes names into the log, some at `warn`, and a reverse name spells a visitor's address. So everything it
//! does runs without a subscriber, whatever the program around us has set up.

use super::{
    Counters,
    answer::{self, Said},
    breaker::Breaker,
    lock,
    pace::Pace,
    transport::{Datagrams, Runtime},
};
use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::NetError,
    proto::rr::{Name, RecordType},
    system_conf::read_system_conf,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tracing::{Dispatch, instrument::WithSubscriber};

/// The port of DNS.
const PORT: u16 = 53;
/// The largest datagram that is asked for and read (dnsflagday.net 2020): no fragments, and little memory for each.
const MAX_DATAGRAM: u16 = 1232;

/// A name server.
pub(super) struct Server {
    address: SocketAddr,
    resolver: Resolver<Datagrams>,
    pace: Arc<Mutex<Pace>>,
    breaker: Mutex<Breaker>,
}

impl Server {
    /// One that is waited for so long, and asked so many times a second.
    pub(super) fn new(
        address: SocketAddr,
        timeout: Duration,
        queries_per_second: u32,
        counters: &Arc<Counters>,
    ) -> Result<Self, NetError> {
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let mut server = NameServerConfig::udp(address.ip());
        server.connections = vec![connection];
        let pace = Arc::new(Mutex::new(Pace::new(queries_per_second)));
        let transport = Datagrams { timeout, pace: Arc::clone(&pace), runtime: Runtime(Arc::clone(counters)) };
        let configuration = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = Resolver::builder_with_config(configuration, transport);
        let options = builder.options_mut();
        options.timeout = timeout;
        // Who asks again, whom, and when is decided here; so is what is remembered.
        options.attempts = 0;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.edns0 = true;
        options.edns_payload_len = MAX_DATAGRAM;
        // Aliases in an answer say which owner's records count.
        options.preserve_intermediates = true;
        Ok(Self { address, resolver: builder.build()?, pace, breaker: Mutex::default() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is left alone because it doesn't answer.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        lock(&self.breaker).is_open(now)
    }

    /// Whether it may be asked now; while it is down, one question in every pause may.
    pub(super) fn allows(&self, now: Instant) -> bool {
        lock(&self.breaker).allows(now)
    }

    /// Waits for its turn by the server's pace.
    pub(super) async fn turn(&self) {
        let wait = lock(&self.pace).reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    pub(super) fn answered(&self) {
        lock(&self.breaker).answered();
    }

    pub(super) fn was_silent(&self) {
        lock(&self.breaker).timed_out(Instant::now());
    }

    /// Asks and waits; `None` when there is no answer that can be read.
    pub(super) async fn ask(&self, name: &Name, record_type: RecordType) -> Option<Said> {
        let found = self.resolver.lookup(name.clone(), record_type).with_subscriber(Dispatch::none()).await;
        answer::read(name, record_type, &found)
    }
}

/// The name servers that the system is set up with; none is a state like another, and may change.
pub(super) fn of_the_system() -> Vec<SocketAddr> {
    let Ok((configuration, _)) = read_system_conf() else { return Vec::new() };
    let servers = configuration.name_servers().iter().map(|server| server.ip);
    // A link-local server needs its interface, which only the system's own resolver knows.
    let is_reachable = |ip: &IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    servers.filter(is_reachable).map(|ip| SocketAddr::from((ip, PORT))).collect()
}
