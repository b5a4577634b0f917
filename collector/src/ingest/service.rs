//! The tower service: routes, bodies, answers. What it decides stands in the other modules.

use super::{
    Answer, Clock, EventSink, LocalJudge, Peer, Settings,
    client_address::{ProxyTrust, is_unnamed_proxy},
    cookie_declaration::{self, CookieDeclaration, ITEMS, Storage},
    cookies::{self, Scope, StoredChoice},
    crawler::MAX_USER_AGENT_BYTES,
    language::Language,
    opt_out::{self, Action, Form},
    page_host::Host,
    problem::Problem,
    rate_limit::RateLimit,
    steps::{self, Arrival, Outcome},
    tracker_files::{self, TrackerFiles},
};
use crate::{
    counters::{Counters, DropReason, RejectRule},
    site::{ConsentMode, Site, SiteId},
    snapshot::{SharedSnapshot, Snapshot},
    spool::{
        AppendError,
        record::{ClientAddress, DropCount, Record, SpooledBeacon, SpooledEvent},
    },
    time::UnixMillis,
};
use beacon::{Beacon, Consent, EventKind, MAX_BODY_BYTES};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::json;
use std::{
    borrow::Cow,
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Seconds after which a refused browser may try again when the spool can't take more.
const RETRY_AFTER_SPOOL: u64 = 10;
/// Seconds after which a refused browser may try again when too many bodies were awaited.
const RETRY_AFTER_OVERLOAD: u64 = 1;
/// Forms have three short fields.
const MAX_FORM_BYTES: usize = 4096;
/// What may follow the declaration's path; without an ending, Accept decides.
const COOKIES_ENDINGS: [&str; 3] = ["", ".json", ".html"];
/// A 1×1 transparent GIF, the smallest there is.
const PIXEL: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

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

/// What became of a beacon before the spool.
enum Decision {
    Answered(Answer),
    Keep { beacon: SpooledBeacon, answer: Answer },
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
            let script = self.tracker.script(&self.snapshot.load_full(), site.as_deref(), &parts.headers);
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

    async fn beacon<B>(&self, parts: &Parts, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let undecodable = |rule: RejectRule, problem: Problem| {
            self.counters.undecodable(rule);
            problem.answer()
        };
        let Some(sender) = self.sender(parts) else { return no_peer() };
        if let Err(problem) = check_media_type(&parts.headers) {
            return undecodable(RejectRule::MediaType, problem);
        }
        let body = match self.read(&parts.headers, body, MAX_BODY_BYTES).await {
            Ok(body) => body,
            Err((rule, problem)) => return undecodable(rule, problem),
        };
        let decision = match Beacon::decode(&body) {
            Ok(beacon) => self.decide(parts, &sender, beacon),
            Err(refusal) => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, refusal.field, refusal.rule, refusal.detail);
                return undecodable(RejectRule::Malformed, problem);
            }
        };
        match decision {
            Decision::Answered(answer) => answer,
            Decision::Keep { beacon, answer } => self.keep(beacon, answer).await,
        }
    }

    /// `GET {endpoint}.gif?site=&url=&referrer=`; without `url` the page is what Referer says.
    async fn pixel(&self, parts: &Parts) -> Answer {
        let Some(sender) = self.sender(parts) else { return no_peer() };
        let site = query(parts, "site").unwrap_or_default();
        let page = query(parts, "url").or_else(|| text(&parts.headers, header::REFERER).map(str::to_owned));
        // On a site that asks for consent the table refuses `unknown`: no script means no consent.
        let mode = self.snapshot.load().sites.get(site.as_str()).map(|site| site.consent);
        let consent = if mode == Some(ConsentMode::NotRequired) { Consent::NotRequired } else { Consent::Unknown };
        let beacon = json!({
            "v": beacon::VERSION, "site": site, "consent": consent.as_str(),
            "events": [{
                "id": Uuid::new_v4(), "at": (self.clock)().0, "type": EventKind::Pageview.as_str(),
                "url": page, "referrer": query(parts, "referrer"),
            }],
        });
        let body = beacon.to_string();
        let decision = match Beacon::decode(body.as_bytes()) {
            Ok(beacon) => self.decide(parts, &sender, beacon),
            Err(refusal) => {
                self.counters.undecodable(RejectRule::Malformed);
                let field = refusal.field.strip_prefix("events[0].").unwrap_or(&refusal.field);
                return Problem::new(StatusCode::BAD_REQUEST, field, refusal.rule, refusal.detail).answer();
            }
        };
        let mut answer = match decision {
            Decision::Answered(answer) => answer,
            Decision::Keep { beacon, answer } => self.keep(beacon, answer).await,
        };
        if answer.status() == StatusCode::NO_CONTENT {
            *answer.status_mut() = StatusCode::OK;
            *answer.body_mut() = Full::new(Bytes::from_static(PIXEL));
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        answer
    }

    /// From a decoded beacon to what is spooled; every event ends here or is handed on, exactly once.
    fn decide(&self, parts: &Parts, sender: &Sender<'_>, mut beacon: Beacon<'_>) -> Decision {
        let count = |events: usize| events as u64;
        let now = (self.clock)();
        self.counters.receive(count(beacon.events.len()));
        let reject = |rule: RejectRule, problem: Problem| {
            self.counters.reject(rule, count(beacon.events.len()));
            Decision::Answered(problem.answer())
        };
        let snapshot = self.snapshot.load();
        let Some(site) = snapshot.sites.get(&*beacon.site) else {
            return if snapshot.loaded {
                let rule = RejectRule::UnknownSite;
                reject(rule, Problem::of_rule(rule, "site", "there is no such site: add it with `firmsight site add`"))
            } else {
                let rule = RejectRule::SpoolUnavailable;
                let mut problem = Problem::of_rule(rule, "", "the settings of the sites are not loaded yet");
                problem.retry_after = Some(RETRY_AFTER_SPOOL);
                reject(rule, problem)
            };
        };
        let user_agent = parts.headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let user_agent = user_agent.unwrap_or(Cow::Borrowed(""));
        let outcome = steps::judge(&Arrival {
            beacon: &beacon,
            site,
            address: sender.address,
            origin: text(&parts.headers, header::ORIGIN),
            global_privacy_control: sends_gpc(&parts.headers),
            objects: cookies::choice(&parts.headers) == StoredChoice::Denied,
            user_agent: &user_agent,
            now,
            rate_limit: self.rate_limit.as_ref(),
            judge: &*self.judge,
            access_networks: self.settings.access_networks,
        });
        let withdraws = beacon.events.iter().any(|event| event.kind == EventKind::Forget);
        match outcome {
            Outcome::Keep => {}
            Outcome::Drop(reason) => {
                let before = beacon.events.len();
                beacon.events.retain(|event| event.kind == EventKind::Forget);
                self.drop_events(site, now, reason, count(before - beacon.events.len()));
            }
            Outcome::Reject(rejection) => {
                let mut problem = Problem::of_rule(rejection.rule, rejection.field, rejection.detail);
                problem.retry_after = rejection.retry_after;
                return reject(rejection.rule, problem);
            }
        }
        let consent = beacon.consent;
        beacon.events.retain(|event| match steps::judge_event(site, consent, event) {
            Outcome::Drop(reason) => {
                self.drop_events(site, now, reason, 1);
                false
            }
            Outcome::Keep | Outcome::Reject(_) => true,
        });
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        if let Some(origin) = parts.headers.get(header::ORIGIN) {
            may_read(&mut answer, origin);
        }
        if beacon.events.is_empty() {
            return Decision::Answered(answer);
        }
        if !withdraws && let Some(cookie) = self.renewed_cookie(sender, &beacon) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        let beacon = spooled(site, sender.address, &user_agent, &parts.headers, now, beacon);
        Decision::Keep { beacon, answer }
    }

    fn drop_events(&self, site: &Site, now: UnixMillis, reason: DropReason, events: u64) {
        if events > 0 {
            self.counters.drop_events(reason, events);
            self.sink.note_drops(DropCount { site: site.id.clone(), day: now.day(), reason, events });
        }
    }

    /// `_lfa` with the value it has, where page and collector share a domain.
    fn renewed_cookie(&self, sender: &Sender<'_>, beacon: &Beacon<'_>) -> Option<HeaderValue> {
        let client = beacon.client.filter(|_| beacon.consent != Consent::Unknown)?;
        let page = beacon.events.iter().find_map(|event| event.url.as_deref()).and_then(Host::of_url)?;
        let collector = sender.collector.and_then(Host::of_authority)?;
        let scope = Scope::shared(page, collector)?;
        cookies::renew_client_id(client, &scope, sender.https, self.settings.client_id_life)
    }

    /// Hands a record to the sink in a task of its own: a browser that goes away meanwhile can't leave
    /// its events without an end.
    async fn keep(&self, beacon: SpooledBeacon, answer: Answer) -> Answer {
        let events = beacon.events.len() as u64;
        let (sink, counters) = (Arc::clone(&self.sink), Arc::clone(&self.counters));
        let appended = tokio::spawn(async move {
            let appended = sink.append(&Record::Beacon(beacon)).await;
            if appended.is_err() {
                counters.reject(RejectRule::SpoolUnavailable, events);
            }
            appended
        });
        let appended = appended.await.unwrap_or_else(|error| {
            self.counters.reject(RejectRule::SpoolUnavailable, events);
            tracing::error!(%error, "an append to the spool did not end");
            Err(AppendError::Closed)
        });
        match appended {
            Ok(()) => answer,
            Err(error) => {
                self.notice_refusal(&error);
                let detail = "the collector can't keep events at the moment; nothing of this beacon was kept";
                let mut problem = Problem::of_rule(RejectRule::SpoolUnavailable, "", detail);
                problem.retry_after = Some(RETRY_AFTER_SPOOL);
                problem.answer()
            }
        }
    }

    fn opt_out_page(&self, parts: &Parts) -> Answer {
        let site = query(parts, "site").and_then(|site| site.parse::<SiteId>().ok());
        let language = query(parts, "lang").and_then(|tag| Language::of_tag(&tag));
        self.opt_out_view(parts, site.as_ref().map(SiteId::as_str), language, None)
    }

    /// The page, as it is before or after something was done.
    fn opt_out_view(
        &self,
        parts: &Parts,
        site: Option<&str>,
        language: Option<Language>,
        done: Option<Action>,
    ) -> Answer {
        let snapshot = self.snapshot.load();
        let site = site.and_then(|id| snapshot.sites.get(id));
        let sender = self.sender(parts);
        let collector = sender.as_ref().and_then(|sender| sender.collector).and_then(Host::of_authority);
        let names = ITEMS.iter().filter(|item| item.storage == Storage::Cookie).map(|item| item.name);
        let mut stored = cookies::shown(&parts.headers, names);
        let mut choice = cookies::choice(&parts.headers);
        match done {
            Some(Action::Object | Action::Erase) => {
                stored = vec![(cookies::CONSENT, "false".to_owned())];
                choice = StoredChoice::Denied;
            }
            Some(Action::Allow) => {
                stored.retain(|(name, _)| *name != cookies::CONSENT);
                choice = StoredChoice::None;
            }
            None => {}
        }
        opt_out::page(&opt_out::View {
            language: language.unwrap_or_else(|| accepted_language(parts)),
            endpoint_path: &self.settings.endpoint_path,
            site: site.map(|site| site.id.as_str()),
            is_in_reach: site.is_none_or(|site| shares_domain(site, collector)),
            cookies: stored,
            choice,
            global_privacy_control: sends_gpc(&parts.headers),
            client_id_life: self.settings.client_id_life,
            done,
        })
    }

    /// `GET {endpoint}/cookies[.json|.html]?site=&lang=`; without `site` the only one that there is.
    fn cookie_declaration(&self, parts: &Parts, ending: &str) -> Answer {
        let snapshot = self.snapshot.load();
        let site = match query(parts, "site") {
            Some(id) => snapshot.sites.get(id.as_str()),
            None if snapshot.sites.len() == 1 => snapshot.sites.values().next(),
            None => {
                let detail = "there are several sites: name one as ?site=ID";
                return Problem::new(StatusCode::BAD_REQUEST, "site", "site", detail).answer();
            }
        };
        let Some(site) = site else {
            return Problem::new(StatusCode::NOT_FOUND, "site", "unknown-site", "there is no such site").answer();
        };
        let language = query(parts, "lang").and_then(|tag| Language::of_tag(&tag));
        let language = language.unwrap_or_else(|| accepted_language(parts));
        let life = self.settings.client_id_life;
        let declaration = CookieDeclaration::of(site, &self.settings.endpoint_path, life, language);
        const CACHE: &str = "public, max-age=300";
        let accepts_html = || text(&parts.headers, header::ACCEPT).is_some_and(|line| line.contains("text/html"));
        let mut answer = if ending == ".html" || ending.is_empty() && accepts_html() {
            opt_out::html(cookie_declaration::page(&declaration), CACHE)
        } else {
            let mut answer = Response::new(Full::new(Bytes::from(json!(declaration).to_string())));
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
            answer
        };
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Language"));
        // A cookie banner on another host of the owner may fetch it; it holds nothing of a person.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer
    }

    async fn opt_out<B>(&self, parts: &Parts, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(sender) = self.sender(parts) else { return no_peer() };
        if !opt_out::is_same_origin(&parts.headers, sender.collector) {
            let detail = "this form counts only when sent from the page itself";
            return Problem::new(StatusCode::FORBIDDEN, "Origin", "same-origin", detail).answer();
        }
        let body = match self.read(&parts.headers, body, MAX_FORM_BYTES).await {
            Ok(body) => body,
            Err((_, problem)) => return problem.answer(),
        };
        let Some(form) = Form::decode(&body) else {
            return Problem::new(StatusCode::BAD_REQUEST, "action", "action", "action is object, erase or allow")
                .answer();
        };
        let collector = sender.collector.and_then(Host::of_authority);
        if form.action == Action::Erase
            && let Some(client) = cookies::client_id(&parts.headers)
        {
            let now = (self.clock)();
            let limited = self.rate_limit.as_ref().is_some_and(|limit| limit.take(sender.address, now).is_err());
            if limited {
                let mut problem = Problem::of_rule(RejectRule::RateLimit, "", "too many requests from one address");
                problem.retry_after = Some(RETRY_AFTER_OVERLOAD);
                return problem.answer();
            }
            let sites = sites_of_form(&self.snapshot.load(), form.site.as_deref(), collector);
            for site in sites {
                self.counters.receive(1);
                let beacon = withdrawal(site, client, sender.address, now);
                let kept = self.keep(beacon, Response::new(Full::default())).await;
                if kept.status() != StatusCode::OK {
                    return kept;
                }
            }
        }
        let mut answer = self.opt_out_view(parts, form.site.as_deref(), form.language, Some(form.action));
        let scope = collector.map_or(Scope::HostOnly, Scope::of);
        let cookies = match form.action {
            Action::Object | Action::Erase => cookies::objection(&scope, sender.https),
            Action::Allow => cookies::removal(cookies::CONSENT, &scope, sender.https),
        };
        for cookie in cookies {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
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

    /// Reads a body within its limits. One that has arrived already takes neither a timer nor a slot.
    async fn read<B>(&self, headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, (RejectRule, Problem)>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let failed = |rule: RejectRule, detail: &str| (rule, Problem::of_rule(rule, "", detail));
        let too_large = || failed(RejectRule::TooLarge, &format!("a body has at most {limit} bytes"));
        let announced = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut collected = pin!(Limited::new(body, limit).collect());
        let first = std::future::poll_fn(|context| Poll::Ready(collected.as_mut().poll(context))).await;
        let collected = match first {
            Poll::Ready(collected) => collected,
            Poll::Pending => {
                let Ok(_slot) = self.body_slots.try_acquire() else {
                    let (rule, mut problem) = failed(RejectRule::Overloaded, "too many slow bodies at once");
                    problem.retry_after = Some(RETRY_AFTER_OVERLOAD);
                    return Err((rule, problem));
                };
                match tokio::time::timeout(self.settings.body_timeout, collected).await {
                    Ok(collected) => collected,
                    Err(_) => return Err(failed(RejectRule::Timeout, "the body took too long to arrive")),
                }
            }
        };
        match collected {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(failed(RejectRule::Timeout, "the body ended early")),
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

    /// Says once a minute that beacons are refused; /metrics has the numbers.
    fn notice_refusal(&self, error: &AppendError) {
        const PAUSE_MS: i64 = 60_000;
        let now = (self.clock)().0;
        let last = self.last_refusal.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= PAUSE_MS;
        if due && self.last_refusal.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(%error, "beacons are refused");
        }
    }
}

fn may_read(answer: &mut Answer, origin: &HeaderValue) {
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}

/// `text/plain` (no preflight) or `application/json`, in UTF-8, not compressed.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |field: &str, detail: &str| Err(Problem::of_rule(RejectRule::MediaType, field, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refuse("Content-Encoding", "a beacon is not compressed");
    }
    let mut parameters = text(headers, header::CONTENT_TYPE).unwrap_or_default().split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default();
    if !["text/plain", "application/json"].iter().any(|allowed| media_type.eq_ignore_ascii_case(allowed)) {
        return refuse("Content-Type", "a beacon is text/plain or application/json");
    }
    for parameter in parameters {
        if let Some((name, value)) = parameter.split_once('=')
            && name.eq_ignore_ascii_case("charset")
            && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return refuse("Content-Type", "a beacon is written in UTF-8");
        }
    }
    Ok(())
}

/// The beacon as it waits in the spool; text is copied once, here.
fn spooled(
    site: &Site,
    address: IpAddr,
    user_agent: &str,
    headers: &HeaderMap,
    received: UnixMillis,
    beacon: Beacon<'_>,
) -> SpooledBeacon {
    let owned = |text: Option<Cow<'_, str>>| text.map_or_else(String::new, Cow::into_owned);
    let millis = |ms: u64| UnixMillis(i64::try_from(ms).unwrap_or(i64::MAX));
    let events = beacon.events.into_iter().map(|event| SpooledEvent {
        id: event.id,
        at: millis(event.at),
        kind: event.kind,
        url: owned(event.url),
        referrer: owned(event.referrer),
        title: owned(event.title),
        page: event.page,
        visible_ms: event.visible_ms.unwrap_or(0),
        scroll: event.scroll.unwrap_or(0),
        name: owned(event.name),
        props: event.props.map_or_else(String::new, |props| props.get().to_owned()),
    });
    SpooledBeacon {
        received,
        site: site.id.clone(),
        address: ClientAddress::Ip(address),
        user_agent: user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)].to_owned(),
        language: first_language(headers).to_owned(),
        consent: beacon.consent,
        client: beacon.client,
        sent: beacon.sent.map(millis),
        events: events.collect(),
    }
}

/// A `forget` that the opt-out page sends in the person's name.
fn withdrawal(site: SiteId, client: beacon::ClientId, address: IpAddr, now: UnixMillis) -> SpooledBeacon {
    let event = SpooledEvent {
        id: Uuid::new_v4(),
        at: now,
        kind: EventKind::Forget,
        url: String::new(),
        referrer: String::new(),
        title: String::new(),
        page: None,
        visible_ms: 0,
        scroll: 0,
        name: String::new(),
        props: String::new(),
    };
    SpooledBeacon {
        received: now,
        site,
        address: ClientAddress::Ip(address),
        user_agent: String::new(),
        language: String::new(),
        consent: Consent::Unknown,
        client: Some(client),
        sent: None,
        events: vec![event],
    }
}

/// The named site, or all that share the collector's domain: the cookie is one for them all.
fn sites_of_form(snapshot: &Snapshot, named: Option<&str>, collector: Option<Host<'_>>) -> Vec<SiteId> {
    let sites = snapshot.sites.values();
    let sites = sites.filter(|site| named.map_or_else(|| shares_domain(site, collector), |id| site.id.as_str() == id));
    sites.map(|site| site.id.clone()).collect()
}

/// Whether a cookie that the collector sets reaches the site's pages.
fn shares_domain(site: &Site, collector: Option<Host<'_>>) -> bool {
    let mut hosts = site.hosts.iter().filter_map(|host| Host::of_authority(host));
    hosts.any(|host| collector.is_some_and(|collector| Scope::shared(host, collector).is_some()))
}

fn sends_gpc(headers: &HeaderMap) -> bool {
    headers.get("sec-gpc").is_some_and(|value| value == "1")
}

fn accepted_language(parts: &Parts) -> Language {
    Language::preferred(text(&parts.headers, header::ACCEPT_LANGUAGE).unwrap_or_default())
}

/// The first language of Accept-Language, such as `de-DE`.
fn first_language(headers: &HeaderMap) -> &str {
    /// RFC 5646, 4.4.1: no common tag is longer.
    const LONGEST: usize = 35;
    let first = text(headers, header::ACCEPT_LANGUAGE).and_then(|line| line.split([',', ';']).next()).unwrap_or("");
    let first = first.trim();
    let is_tag = first.len() <= LONGEST && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_tag { first } else { "" }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn query(parts: &Parts, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

fn preflight() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    answer
}

fn plain_text(text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn no_such_path() -> Answer {
    Problem::new(StatusCode::NOT_FOUND, "", "no-such-path", "nothing is served under this path").answer()
}

fn wrong_method(allowed: &'static str) -> Answer {
    let detail = format!("this path answers {allowed}");
    let mut answer = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "", "method", detail).answer();
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn no_peer() -> Answer {
    tracing::error!("the public service was mounted without the peer's address (ingest::Peer or ConnectInfo)");
    let detail = "the program that mounts this service does not say who is connected";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "", "no-peer", detail).answer()
}
