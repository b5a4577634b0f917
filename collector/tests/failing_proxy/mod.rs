//! A proxy before a real ClickHouse that fails as it is told.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

use bytes::Bytes;
use clickhouse_embedded::Server;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

/// What the proxy does to each call from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: calls and answers pass.
    None,
    /// Hangs up without an answer and passes nothing on.
    Away,
    /// Answers 500 by itself.
    Answers500,
    /// Passes calls on and hangs up instead of answering: what was asked is done, and nobody hears of it.
    LosesAnswers,
    /// Passes calls on and hangs up in the middle of the answer.
    CutsAnswersShort,
    /// Hangs up on ClickHouse in the middle of an insert's rows.
    CutsRequestsShort,
    /// Has ClickHouse refuse inserts as a read-only one does.
    ReadOnly,
    /// Has ClickHouse refuse inserts as one does whose disk is full.
    DiskFull,
    /// Passes everything on after a while.
    Slow,
}

const DELAY: Duration = Duration::from_millis(200);

type Body = BoxBody<Bytes, io::Error>;

#[derive(Debug)]
struct Shared {
    fault: Mutex<Fault>,
    engine: String,
    secret: (String, String),
    client: Client<HttpConnector, Body>,
}

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) fn start(runtime: &Runtime, engine: &Server) -> Self {
        let (name, value) = engine.secret_header();
        let shared = Arc::new(Shared {
            fault: Mutex::new(Fault::None),
            engine: engine.url().to_owned(),
            secret: (name.to_owned(), value.to_owned()),
            client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(HttpConnector::new()),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&shared);
        let task = runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&accepting);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // A connection that is cut ends with an error, as it should.
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let fault = *shared.fault.lock().unwrap();
    let cut = || io::Error::other("cut");
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let is_insert = parts.uri.query().is_some_and(|query| query.contains("INSERT"));
    let mut uri = format!("{}{}", shared.engine, parts.uri.path_and_query().unwrap());
    let mut cut_body_at = None;
    match fault {
        Fault::Away => return Err(cut()),
        Fault::Answers500 => {
            let mut answer = Response::new(whole(Bytes::from_static(b"Internal Server Error")));
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(answer);
        }
        Fault::Slow => tokio::time::sleep(DELAY).await,
        Fault::ReadOnly if is_insert => uri += "&readonly=1",
        Fault::DiskFull if is_insert => uri += "&min_free_disk_bytes_to_perform_insert=1000000000000000000",
        Fault::CutsRequestsShort if is_insert => cut_body_at = Some(body.len() / 2),
        _ => {}
    }
    parts.uri = uri.parse::<Uri>().unwrap();
    for name in [header::HOST, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONNECTION] {
        parts.headers.remove(name);
    }
    let (name, value) = &shared.secret;
    parts.headers.insert(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    let body = match cut_body_at {
        None => whole(body),
        Some(at) => half(body.slice(..at)),
    };
    let response = shared.client.request(Request::from_parts(parts, body)).await.map_err(io::Error::other)?;
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if fault == Fault::LosesAnswers || (fault == Fault::CutsAnswersShort && body.len() < 2) {
        return Err(cut());
    }
    if fault == Fault::CutsAnswersShort {
        let at = body.len() / 2;
        return Ok(Response::from_parts(parts, half(body.slice(..at))));
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.remove(header::CONNECTION);
    Ok(Response::from_parts(parts, whole(body)))
}

fn whole(bytes: Bytes) -> Body {
    StreamBody::new(stream::iter([Ok(Frame::data(bytes))])).boxed()
}

/// What comes before the cut, and the cut.
fn half(bytes: Bytes) -> Body {
    StreamBody::new(stream::iter([Ok(Frame::data(bytes)), Err(io::Error::other("cut"))])).boxed()
}
