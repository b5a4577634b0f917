//! How hickory's resolver reaches one name server: a datagram from a port of its own for each question, and nothing else.
//!
//! hickory's own connections send a question up to three times by their own clock, and hand it to a task that runs by
//! itself. Both are its to decide elsewhere; here a question is one datagram, so that a rate a second can be promised, and
//! it is asked by whoever waits for it, so that nothing of it outlives the wait, and nothing is logged of it
//! ([`super::server`]). Truncated answers are not asked for again over TCP, where an answer may have 64 KiB.

use super::{Counters, lock, pace::Pace};
use hickory_resolver::{
    ConnectionProvider, PoolContext,
    config::ConnectionConfig,
    net::{
        DnsHandle, NetError,
        runtime::{DnsUdpSocket, RuntimeProvider, Spawn, TokioHandle, TokioRuntimeProvider, TokioTime},
        udp::UdpClientStream,
        xfer::{DnsRequestSender, DnsResponseStream},
    },
    proto::op::DnsRequest,
};
use std::{
    future::{self, Future, Ready},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;
use tracing::{Dispatch, instrument::WithSubscriber};

/// Makes connections; what they send and hear is counted.
#[derive(Clone)]
pub(super) struct Datagrams {
    /// How long an answer to one question is waited for.
    pub(super) timeout: Duration,
    pub(super) pace: Arc<Mutex<Pace>>,
    pub(super) runtime: Runtime,
}

impl ConnectionProvider for Datagrams {
    type Conn = Connection;
    type FutureConn = Ready<Result<Connection, NetError>>;
    type RuntimeProvider = Runtime;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        _: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let server = SocketAddr::new(ip, config.port);
        Ok(future::ready(Ok(Connection { server, provider: self.clone() })))
    }

    fn runtime_provider(&self) -> &Runtime {
        &self.runtime
    }
}

/// The way to one name server.
#[derive(Clone)]
pub(super) struct Connection {
    server: SocketAddr,
    provider: Datagrams,
}

impl DnsHandle for Connection {
    type Response = DnsResponseStream;
    type Runtime = Runtime;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        lock(&self.provider.pace).sent(Instant::now());
        UdpClientStream::builder(self.server, self.provider.runtime.clone())
            .with_timeout(Some(self.provider.timeout))
            .with_max_retries(0)
            .build()
            .send_message(request)
    }
}

/// tokio, with counted datagrams, without TCP, and silent.
#[derive(Clone)]
pub(super) struct Runtime(pub(super) Arc<Counters>);

impl RuntimeProvider for Runtime {
    type Handle = SilentHandle;
    type Timer = TokioTime;
    type Udp = CountedSocket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> SilentHandle {
        SilentHandle(TokioHandle::default())
    }

    fn connect_tcp(
        &self,
        _: SocketAddr,
        _: Option<SocketAddr>,
        _: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        Box::pin(future::ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<CountedSocket>>>> {
        let counters = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(CountedSocket { socket: UdpSocket::bind(local).await?, has_delivered: AtomicBool::new(false), counters })
        })
    }
}

/// Spawns tasks that log nothing. The connections above need none.
#[derive(Clone)]
pub(super) struct SilentHandle(TokioHandle);

impl Spawn for SilentHandle {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn_bg(future.with_subscriber(Dispatch::none()));
    }
}

/// The socket of one question.
pub(super) struct CountedSocket {
    socket: UdpSocket,
    /// A datagram was handed on. Who then wants another one has ignored it.
    has_delivered: AtomicBool,
    counters: Arc<Counters>,
}

impl DnsUdpSocket for CountedSocket {
    type Time = TokioTime;

    fn poll_recv_from(&self, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        if self.has_delivered.swap(false, Ordering::Relaxed) {
            self.counters.ignored.fetch_add(1, Ordering::Relaxed);
        }
        let received = DnsUdpSocket::poll_recv_from(&self.socket, context, into);
        self.has_delivered.store(received.is_ready(), Ordering::Relaxed);
        received
    }

    fn poll_send_to(&self, context: &mut Context<'_>, datagram: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        let sent = DnsUdpSocket::poll_send_to(&self.socket, context, datagram, to);
        if let Poll::Ready(Ok(_)) = sent {
            self.counters.queries.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}
