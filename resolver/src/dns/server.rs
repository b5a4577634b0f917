//! One name server: its socket, its pace, its circuit breaker.

use super::{
    answer::{MAX_DATAGRAM, Question, Said},
    breaker::Breaker,
    lock,
    pace::Pace,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::net::UdpSocket;

/// The port of DNS.
const PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A name server.
pub(super) struct Server {
    address: SocketAddr,
    pace: Mutex<Pace>,
    breaker: Mutex<Breaker>,
}

impl Server {
    pub(super) fn new(address: SocketAddr, queries_per_second: u32) -> Self {
        Self { address, pace: Mutex::new(Pace::new(queries_per_second)), breaker: Mutex::default() }
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

    /// Sends a question from a port of its own and waits for the datagram that answers it, for ever. Others are counted
    /// as ignored: who guesses neither port nor number can only waste time.
    pub(super) async fn ask(&self, question: &Question, ignored: &AtomicU64) -> io::Result<Said> {
        let any: IpAddr =
            if self.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        // From now on the kernel takes datagrams of this server only, and tells when nobody listens there.
        socket.connect(self.address).await?;
        let datagram = question.datagram().ok_or(io::ErrorKind::InvalidInput)?;
        socket.send(&datagram).await?;
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            let length = socket.recv(&mut buffer).await?;
            match question.read(&buffer[..length]) {
                Some(said) => return Ok(said),
                None => ignored.fetch_add(1, Ordering::Relaxed),
            };
        }
    }
}

/// The name servers that the system is set up with.
pub(super) fn of_the_system() -> Result<Vec<SocketAddr>, String> {
    let text = std::fs::read(RESOLV_CONF).map_err(|error| format!("can't read {RESOLV_CONF}: {error}"))?;
    let configuration =
        resolv_conf::Config::parse(&text).map_err(|error| format!("{RESOLV_CONF} is malformed: {error}"))?;
    let servers: Vec<_> = configuration
        .nameservers
        .into_iter()
        .filter_map(|server| match server {
            resolv_conf::ScopedIp::V4(ip) => Some(SocketAddr::from((ip, PORT))),
            // A link-local server needs its interface, which only the system's own resolver knows.
            resolv_conf::ScopedIp::V6(ip, None) => Some(SocketAddr::from((ip, PORT))),
            resolv_conf::ScopedIp::V6(_, Some(_)) => None,
        })
        .collect();
    if servers.is_empty() { Err(format!("{RESOLV_CONF} names no name server")) } else { Ok(servers) }
}
