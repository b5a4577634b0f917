//! Connections: accepted up to a limit, each with its time limits, drained at shutdown.

use super::held_connections::{Activity, BodyInProgress, PeerShares, WriteLimit};
use crate::{config::Limits, ingest::Peer};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use ipnet::IpNet;
use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout, timeout_at},
};

/// What every HTTP/2 connection starts with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at an incomplete first line.
const PEEK_PAUSE: Duration = Duration::from_millis(10);
/// After an accept failed, for example because there is no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS: u32 = 64;

/// What one listener allows.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimits {
    /// Open connections.
    pub(super) connections: usize,
    /// Open connections of one peer; 0 means any number.
    pub(super) connections_per_peer: usize,
    /// Peers that speak for many, such as proxies: they may have any number.
    pub(super) peers_without_share: Vec<IpNet>,
    /// Time for a request's head, also between two requests of one connection.
    pub(super) head_timeout: Duration,
    /// Header fields in one request.
    pub(super) headers: usize,
    /// Time for open connections to finish at shutdown.
    pub(super) drain_timeout: Duration,
    /// Time without a request in progress after which a connection is closed.
    pub(super) idle_timeout: Duration,
    /// Time in which a client must take some of the answers that wait for it.
    pub(super) write_timeout: Duration,
    /// Time until a request has its answer, body and work included; a request that takes longer ends with its connection.
    pub(super) request_timeout: Option<Duration>,
}

impl ConnectionLimits {
    /// The public listener's. What a request does there has time limits of its own.
    pub(super) fn public(limits: &Limits, proxies: &[IpNet]) -> Self {
        Self {
            connections: limits.public_connections,
            connections_per_peer: limits.public_connections_per_peer,
            peers_without_share: [proxies, &loopback()].concat(),
            head_timeout: limits.request_head_timeout.get(),
            headers: limits.request_headers,
            drain_timeout: limits.shutdown_timeout.get(),
            idle_timeout: limits.idle_timeout.get(),
            write_timeout: limits.write_timeout.get(),
            request_timeout: None,
        }
    }

    /// The admin listener's.
    pub(super) fn admin(limits: &Limits, proxies: &[IpNet]) -> Self {
        Self {
            connections: limits.admin_connections,
            connections_per_peer: limits.admin_connections_per_peer,
            request_timeout: Some(limits.request_timeout.get()),
            ..Self::public(limits, proxies)
        }
    }
}

/// Peers on this machine: proxies, mostly.
fn loopback() -> [IpNet; 2] {
    [IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST)), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]
}

/// Serves until `shutdown` resolves, then lets open connections finish; returns when they are gone.
pub(super) async fn serve<S, B>(
    name: &'static str,
    listener: TcpListener,
    service: S,
    limits: ConnectionLimits,
    shutdown: impl Future<Output = ()>,
) where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let shares = PeerShares::new(limits.connections_per_peer, &limits.peers_without_share);
    let connections = Arc::new(Semaphore::new(limits.connections.max(1)));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        // The permit comes first: what is over the limit waits in the kernel's queue, not in our memory.
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let (Ok(permit), Ok((stream, peer))) = (
            permit,
            accepted.inspect_err(|error| {
                tracing::warn!(listener = name, %error, "can't accept a connection");
            }),
        ) else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = shares.take(peer.ip()) else {
            tracing::debug!(listener = name, "a peer has all the connections it may have; one more is closed");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(listener = name, %error, "can't set TCP_NODELAY");
        }
        let service = service.clone();
        let watcher = graceful.watcher();
        let limits = limits.clone();
        tokio::spawn(async move {
            let _held = (permit, place);
            let Some(builder) = builder(&stream, &limits).await else { return };
            let activity = Activity::new();
            let service =
                WithPeer { inner: service, peer, activity: activity.clone(), timeout: limits.request_timeout };
            let stream = TokioIo::new(WriteLimit::new(stream, limits.write_timeout));
            let connection = builder.serve_connection(stream, TowerToHyperService::new(service)).into_owned();
            tokio::select! {
                outcome = watcher.watch(connection) => if let Err(error) = outcome {
                    tracing::debug!(listener = name, error = &*error, "a connection ended with an error");
                },
                () = activity.idle_for(limits.idle_timeout) => {
                    tracing::debug!(listener = name, "a connection without requests is closed");
                }
            }
        });
    }
    drop(listener);
    if timeout(limits.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(listener = name, "some connections did not finish in time and were closed");
    }
}

/// Looks at the first bytes to tell HTTP/1 from HTTP/2, in bounded time: the builder's own look waits
/// for ever for a client that sends half a preface. `None` when nothing usable came in time.
async fn builder(stream: &TcpStream, limits: &ConnectionLimits) -> Option<Builder<TokioExecutor>> {
    let deadline = Instant::now() + limits.head_timeout;
    let mut start = [0; HTTP2_PREFACE.len()];
    let is_http2 = loop {
        let count = timeout_at(deadline, stream.peek(&mut start)).await.ok()?.ok()?;
        if count == 0 {
            return None;
        }
        if start[..count] != HTTP2_PREFACE[..count] {
            break false;
        }
        if count == HTTP2_PREFACE.len() {
            break true;
        }
        timeout_at(deadline, sleep(PEEK_PAUSE)).await.ok()?;
    };
    let mut builder = Builder::new(TokioExecutor::new());
    if is_http2 {
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .keep_alive_interval(limits.head_timeout)
            .keep_alive_timeout(limits.head_timeout);
        Some(builder.http2_only())
    } else {
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_headers(limits.headers);
        Some(builder.http1_only())
    }
}

/// Tells the service who is at the other end of the connection, and the connection what is in progress.
#[derive(Clone)]
struct WithPeer<S> {
    inner: S,
    peer: SocketAddr,
    activity: Activity,
    timeout: Option<Duration>,
}

/// A request took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("a request took longer than [limits] request_timeout")]
struct RequestTimedOut;

impl<S, B> tower::Service<Request<Incoming>> for WithPeer<S>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<BodyInProgress<B>>;
    type Error = RequestTimedOut;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, RequestTimedOut>> + Send>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), RequestTimedOut>> {
        self.inner.poll_ready(context).map_err(|never| match never {})
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        let in_progress = self.activity.begin();
        let (answer, limit) = (self.inner.call(request), self.timeout);
        Box::pin(async move {
            let answer = match limit {
                Some(limit) => timeout(limit, answer).await.map_err(|_| RequestTimedOut)?,
                None => answer.await,
            };
            let Ok(answer) = answer;
            Ok(answer.map(|body| BodyInProgress::new(body, in_progress)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// An answer that no socket's buffers hold in full.
    const LARGE: usize = 1 << 20;

    /// A listener with room for one connection, whose service reads the request and sends a large answer.
    async fn serving(change: impl FnOnce(&mut ConnectionLimits)) -> SocketAddr {
        let mut limits = ConnectionLimits::admin(&Limits::default(), &[]);
        limits.connections = 1;
        change(&mut limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = tower::service_fn(|request: Request<Incoming>| async move {
            request.into_body().collect().await.ok();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; LARGE]))))
        });
        tokio::spawn(serve("test", listener, service, limits, std::future::pending()));
        address
    }

    /// Somebody else is answered though there is room for one alone, so that whoever held it is gone.
    async fn somebody_else_is_answered(address: SocketAddr) {
        let honest = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200") && answer.len() > LARGE);
        };
        timeout(Duration::from_secs(30), honest).await.expect("the place is held");
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_end_their_connection() {
        let address = serving(|limits| limits.write_timeout = Duration::from_millis(300)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50)).await.unwrap();
        somebody_else_is_answered(address).await;
        drop(stream);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_ends_its_connection() {
        let address = serving(|limits| limits.request_timeout = Some(Duration::from_millis(300))).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx").await.unwrap();
        somebody_else_is_answered(address).await;
        drop(stream);
    }

    #[tokio::test]
    async fn an_http2_connection_that_only_answers_and_sends_pings_is_closed() {
        let address = serving(|limits| limits.idle_timeout = Duration::from_millis(300)).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut reads, mut writes) = stream.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut reads, &mut tokio::io::sink()).await });
        // RFC 9113: an empty SETTINGS frame, then PING frames.
        writes.write_all(HTTP2_PREFACE).await.unwrap();
        writes.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let pings = tokio::spawn(async move {
            while writes.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        somebody_else_is_answered(address).await;
        timeout(Duration::from_secs(30), pings).await.expect("the connection is closed").unwrap();
    }

    #[tokio::test]
    async fn a_peer_beyond_its_share_is_turned_away_and_one_that_reads_slowly_but_steadily_is_not() {
        let address = serving(|limits| {
            limits.connections = 10;
            limits.connections_per_peer = 1;
            limits.peers_without_share = Vec::new();
        })
        .await;
        let mut first = TcpStream::connect(address).await.unwrap();
        // It stays open behind its answer.
        first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        first.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.ok();
        let mut answer = Vec::new();
        second.read_to_end(&mut answer).await.ok();
        assert_eq!(answer, b"");
        let mut rest = vec![0; LARGE];
        first.read_exact(&mut rest).await.unwrap();
    }
}
