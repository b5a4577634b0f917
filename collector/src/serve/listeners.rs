//! Connections: accepted up to a limit, each with its time limits, drained at shutdown.

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
use std::{convert::Infallible, error::Error, future::Future, net::SocketAddr, sync::Arc, time::Duration};
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
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// Open connections.
    pub(super) connections: usize,
    /// Time for a request's head, also between two requests of one connection.
    pub(super) head_timeout: Duration,
    /// Header fields in one request.
    pub(super) headers: usize,
    /// Time for open connections to finish at shutdown.
    pub(super) drain_timeout: Duration,
}

impl ConnectionLimits {
    pub(super) fn of(limits: &Limits, connections: usize) -> Self {
        Self {
            connections,
            head_timeout: limits.request_head_timeout.get(),
            headers: limits.request_headers,
            drain_timeout: limits.shutdown_timeout.get(),
        }
    }
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
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
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
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(listener = name, %error, "can't set TCP_NODELAY");
        }
        let service = service.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _permit = permit;
            let Some(builder) = builder(&stream, limits).await else { return };
            let service = TowerToHyperService::new(WithPeer { inner: service, peer });
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(listener = name, error = &*error, "a connection ended with an error");
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
async fn builder(stream: &TcpStream, limits: ConnectionLimits) -> Option<Builder<TokioExecutor>> {
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

/// Tells the service who is at the other end of the connection.
#[derive(Clone)]
struct WithPeer<S> {
    inner: S,
    peer: SocketAddr,
}

impl<S> tower::Service<Request<Incoming>> for WithPeer<S>
where
    S: tower::Service<Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(Peer(self.peer));
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        self.inner.call(request)
    }
}
