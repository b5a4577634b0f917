//! The tower service: routes, who asks, and what every answer needs. What it decides stands in the other modules.

mod beacons;
mod bodies;
mod messages;
mod privacy;

use super::{
    Answer, Clock, EventSink, LocalJudge, Peer, Settings,
    client_address::{ProxyTrust, is_unnamed_proxy},
    page_host::Host,
    problem::Problem,
    rate_limit::RateLimit,
    tracker_files::{self, TrackerFiles},
};
use crate::{
    counters::{Counters, RejectRule},
    snapshot::SharedSnapshot,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use messages::{may_read, no_such_path, plain_text, preflight, query, text, wrong_method};
use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::Semaphore;

/// Seconds after which a refused browser may try again when the spool can't take more.
const RETRY_AFTER_SPOOL: u64 = 10;
/// Seconds after which a refused browser may try again when too many bodies were awaited.
const RETRY_AFTER_OVERLOAD: u64 = 1;
/// What may follow the declaration's path; without an ending, Accept decides.
const COOKIES_ENDINGS: [&str; 3] = ["", ".json", ".html"];

/// The collector's public side as a tower service; clones share everything.
///
/// The peer's address must be in the request's extensions, as [`Peer`] or as axum's
/// `ConnectInfo<SocketAddr>`; without one, beacons are answered with 500.
#[derive(Debug)]
pub struct PublicService<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for PublicService<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<S> {
    settings: Settings,
    pixel_path: String,
    privacy_path: String,
    cookies_path: String,
    trust: ProxyTrust,
    snapshot: SharedSnapshot,
    counters: Arc<Counters>,
    sink: Arc<S>,
    judge: Arc<dyn LocalJudge>,
    clock: Clock,
    rate_limit: Option<RateLimit>,
    forget_limit: Option<RateLimit>,
    body_slots: Semaphore,
    tracker: TrackerFiles,
    untrusted_proxy_requests: AtomicU64,
    /// When a refusal by the spool was last logged, Unix milliseconds.
    last_refusal: AtomicI64,
}

impl<S> std::fmt::Debug for Inner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: EventSink> PublicService<S> {
    /// Puts the service together, with the tracker files that this binary was built with.
    #[must_use]
    pub fn new(
        settings: Settings,
        snapshot: SharedSnapshot,
        counters: Arc<Counters>,
        sink: S,
        judge: Arc<dyn LocalJudge>,
        clock: Clock,
    ) -> Self {
        Self::with_tracker(settings, tracker_files::EMBEDDED, snapshot, counters, sink, judge, clock)
    }

    /// The same with other tracker files.
    #[must_use]
    pub fn with_tracker(
        settings: Settings,
        files: &[tracker_files::File],
        snapshot: SharedSnapshot,
        counters: Arc<Counters>,
        sink: S,
        judge: Arc<dyn LocalJudge>,
        clock: Clock,
    ) -> Self {
        let inner = Inner {
            pixel_path: format!("{}.gif", settings.endpoint_path),
            privacy_path: format!("{}/privacy", settings.endpoint_path),
            cookies_path: format!("{}/cookies", settings.endpoint_path),
            trust: ProxyTrust { networks: settings.trusted_proxies.clone(), header: settings.client_ip_header.clone() },
            rate_limit: RateLimit::per_minute(settings.beacons_per_address_per_minute),
            forget_limit: RateLimit::per_minute(settings.forgets_per_network_per_minute),
            body_slots: Semaphore::new(settings.max_bodies_in_flight.min(Semaphore::MAX_PERMITS)),
            tracker: TrackerFiles::new(files, &settings.script_path, &settings.endpoint_path, settings.client_id_life),
            untrusted_proxy_requests: AtomicU64::new(0),
            last_refusal: AtomicI64::new(0),
            settings,
            snapshot,
            counters,
            sink: Arc::new(sink),
            judge,
            clock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Requests in which a loopback or private peer that nobody trusts sent a forwarding header: when
    /// this grows, a proxy is missing in `[public].trusted_proxies` and every visitor looks local.
    #[must_use]
    pub fn untrusted_proxy_requests(&self) -> u64 {
        self.inner.untrusted_proxy_requests.load(Ordering::Relaxed)
    }
}

impl<S, B> tower::Service<Request<B>> for PublicService<S>
where
    S: EventSink,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

/// What is known of a request before its body is read.
struct Sender<'a> {
    address: IpAddr,
    /// `host[:port]` under which the browser knows the collector.
    collector: Option<&'a str>,
    https: bool,
}

impl<S: EventSink> Inner<S> {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let method = &parts.method;
        let reads = method == Method::GET || method == Method::HEAD;
        if path == self.settings.endpoint_path {
            let mut answer = match *method {
                Method::POST => self.beacon(&parts, body).await,
                Method::OPTIONS => preflight(),
                _ => wrong_method("POST, OPTIONS"),
            };
            self.allow_origin(&parts, &mut answer);
            answer
        } else if path == self.pixel_path {
            if *method == Method::GET { self.pixel(&parts).await } else { wrong_method("GET") }
        } else if path == self.privacy_path {
            match *method {
                Method::GET | Method::HEAD => self.opt_out_page(&parts),
                Method::POST => self.opt_out(&parts, body).await,
                _ => wrong_method("GET, HEAD, POST"),
            }
        } else if let Some(ending) = path.strip_prefix(&*self.cookies_path).filter(|end| COOKIES_ENDINGS.contains(end))
        {
            if reads { self.cookie_declaration(&parts, ending) } else { wrong_method("GET, HEAD") }
        } else if path == self.settings.script_path {
            if !reads {
                return wrong_method("GET, HEAD");
            }
            let site = query(&parts, "site");
            let host = self.sender(&parts).and_then(|sender| sender.collector).unwrap_or_default();
            let script = self.tracker.script(&self.snapshot.load_full(), site.as_deref(), host, &parts.headers);
            script.unwrap_or_else(|problem| problem.answer())
        } else if self.tracker.has(path) {
            if !reads {
                return wrong_method("GET, HEAD");
            }
            self.tracker.beside(path, &parts.headers).unwrap_or_else(no_such_path)
        } else if path == "/healthz" || path == "/readyz" {
            if !reads {
                return wrong_method("GET, HEAD");
            }
            if path == "/healthz" { plain_text("ok\n") } else { self.readiness() }
        } else {
            no_such_path()
        }
    }

    fn readiness(&self) -> Answer {
        if !self.snapshot.load().loaded {
            let detail = "the settings of the sites are not loaded yet";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "", "sites-not-loaded", detail).answer();
        }
        match self.sink.check() {
            Ok(()) => plain_text("ready\n"),
            Err(error) => {
                let rule = RejectRule::SpoolUnavailable;
                Problem::of_rule(rule, "", error.to_string()).answer()
            }
        }
    }

    /// Who is asking, and how the browser reached us; `None` when the service was mounted without peers.
    fn sender<'a>(&self, parts: &'a Parts) -> Option<Sender<'a>> {
        let peer = parts.extensions.get::<Peer>().map(|Peer(address)| *address).or_else(|| {
            parts.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|connection| connection.0)
        })?;
        let peer = peer.ip().to_canonical();
        let trusted = self.trust.trusts(peer);
        if !trusted && is_unnamed_proxy(peer, &parts.headers) {
            self.notice_unnamed_proxy();
        }
        // A list's last entry is the word of the hop next to us.
        let last = |name: &str| {
            let line = parts.headers.get_all(name).iter().next_back().and_then(|line| line.to_str().ok());
            line.filter(|_| trusted).and_then(|line| line.rsplit(',').next()).map(str::trim)
        };
        let host = last("x-forwarded-host").or_else(|| text(&parts.headers, header::HOST));
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let scheme = last("x-forwarded-proto").or_else(|| parts.uri.scheme_str());
        Some(Sender {
            address: self.trust.client_address(peer, &parts.headers),
            collector: host,
            https: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        })
    }

    fn notice_unnamed_proxy(&self) {
        if self.untrusted_proxy_requests.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "a loopback or private peer sends forwarding headers but is not in [public].trusted_proxies, so that \
                 every visitor behind it looks local and is dropped; if it is your reverse proxy, add its network or \
                 a preset such as \"loopback\" (said once; counted in untrusted_proxy_requests)"
            );
        }
    }

    /// CORS: any site's pages may read the answer; which of them may send is a step's business.
    fn allow_origin(&self, parts: &Parts, answer: &mut Answer) {
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
        let known = answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let Some(origin) = parts.headers.get(header::ORIGIN).filter(|_| !known) else { return };
        let Some(host) = origin.to_str().ok().and_then(Host::of_url) else { return };
        if self.snapshot.load().sites.values().any(|site| host.belongs_to(&site.hosts)) {
            may_read(answer, origin);
        }
    }
}
