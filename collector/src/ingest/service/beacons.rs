//! Beacons and the pixel: from a request's body to a record in the spool.

use super::{
    Inner, RETRY_AFTER_SPOOL, Sender,
    messages::{is_same_site, may_read, no_peer, query, sends_gpc, text},
};
use crate::{
    counters::{DropReason, RejectRule},
    ingest::{
        AccessNetworks, Answer, EventSink,
        cookies::{self, Scope, StoredChoice},
        crawler::MAX_USER_AGENT_BYTES,
        page_host::Host,
        problem::Problem,
        steps::{self, Arrival, Outcome},
    },
    site::{ConsentMode, Site},
    spool::{
        AppendError,
        record::{ClientAddress, DropCount, Record, SpooledBeacon, SpooledEvent},
    },
    time::UnixMillis,
};
use beacon::{Beacon, Consent, EventKind, MAX_BODY_BYTES, Refusal};
use bytes::Bytes;
use compact_str::CompactString;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use serde_json::json;
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};
use uuid::Uuid;

/// A 1×1 transparent GIF, the smallest there is.
const PIXEL: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// What became of a beacon before the spool.
enum Decision {
    Answered(Answer),
    Keep { beacon: SpooledBeacon, answer: Answer },
}

impl<S: EventSink> Inner<S> {
    pub(super) async fn beacon<B>(&self, parts: &Parts, body: B) -> Answer
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
    pub(super) async fn pixel(&self, parts: &Parts) -> Answer {
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
        let mut refused = std::mem::take(&mut beacon.refused);
        self.counters.receive(count(beacon.events.len() + refused.len()));
        self.counters.reject(RejectRule::Malformed, count(refused.len()));
        let reject = |beacon: &Beacon<'_>, rule: RejectRule, problem: Problem| {
            self.counters.reject(rule, count(beacon.events.len()));
            Decision::Answered(problem.answer())
        };
        let snapshot = self.snapshot.load();
        let Some(site) = snapshot.sites.get(&*beacon.site) else {
            return if snapshot.loaded {
                let rule = RejectRule::UnknownSite;
                reject(
                    &beacon,
                    rule,
                    Problem::of_rule(rule, "site", "there is no such site: add it with `firmsight site add`"),
                )
            } else {
                let rule = RejectRule::SpoolUnavailable;
                let mut problem = Problem::of_rule(rule, "", "the settings of the sites are not loaded yet");
                problem.retry_after = Some(RETRY_AFTER_SPOOL);
                reject(&beacon, rule, problem)
            };
        };
        let withdraws = beacon.events.iter().any(|event| event.kind == EventKind::Forget);
        // Before the steps, which keep a withdrawal whatever else they say.
        if withdraws && let Some(wait_ms) = self.forget_wait(sender.address, now) {
            let rule = RejectRule::RateLimit;
            let detail = "too many withdrawals from one network ([limits] forgets_per_network_per_minute)";
            let mut problem = Problem::of_rule(rule, "", detail);
            problem.retry_after = Some(wait_ms.div_ceil(1000).max(1));
            return reject(&beacon, rule, problem);
        }
        // A page of another host doesn't take along those of the site's own.
        let strays: Vec<_> = beacon.events.iter().map(|event| steps::page_host_of(site, event)).collect();
        if strays.iter().any(Option::is_none) {
            for (index, stray) in strays.iter().enumerate() {
                if let Some(detail) = *stray {
                    let field = format!("event {} url", beacon.events[index].id);
                    refused.push(Refusal { field, rule: RejectRule::Host.as_str(), detail: detail.to_owned() });
                    self.counters.reject(RejectRule::Host, 1);
                }
            }
            let mut strays = strays.into_iter();
            beacon.events.retain(|_| strays.next().flatten().is_none());
        }
        let user_agent = parts.headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let user_agent = user_agent.unwrap_or(Cow::Borrowed(""));
        let outcome = steps::judge(&Arrival {
            beacon: &beacon,
            site,
            address: sender.address,
            origin: text(&parts.headers, header::ORIGIN),
            is_same_site: is_same_site(&parts.headers),
            global_privacy_control: sends_gpc(&parts.headers),
            objects: cookies::choice(&parts.headers) == StoredChoice::Denied
                || snapshot.objections.cover(Some(sender.address), beacon.client),
            user_agent: &user_agent,
            now,
            rate_limit: self.rate_limit.as_ref(),
            judge: &*self.judge,
            access_networks: if self.sink.is_under_pressure() {
                AccessNetworks::Drop
            } else {
                self.settings.access_networks
            },
        });
        match outcome {
            Outcome::Keep => self.counters.lose(beacon.lost),
            Outcome::Drop(reason) => {
                let before = beacon.events.len();
                beacon.events.retain(|event| event.kind == EventKind::Forget);
                self.drop_events(site, now, reason, count(before - beacon.events.len()));
            }
            Outcome::Reject(rejection) => {
                let mut problem = Problem::of_rule(rejection.rule, rejection.field, rejection.detail);
                problem.retry_after = rejection.retry_after;
                return reject(&beacon, rejection.rule, problem);
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
        let mut answer = if refused.is_empty() { no_content() } else { partly(&refused) };
        if let Some(origin) = parts.headers.get(header::ORIGIN).filter(|origin| *origin != "null") {
            may_read(&mut answer, origin);
        }
        if beacon.events.is_empty() {
            return Decision::Answered(answer);
        }
        if withdraws {
            // An answer to an earlier beacon may have brought the id back meanwhile.
            for cookie in removed_cookies(sender, &beacon) {
                answer.headers_mut().append(header::SET_COOKIE, cookie);
            }
        } else if let Some(cookie) = self.renewed_cookie(site, sender, &beacon) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        let beacon = spooled(site, sender.address, &user_agent, &parts.headers, now, beacon);
        Decision::Keep { beacon, answer }
    }

    /// Milliseconds until this network may withdraw again; `None` when it may now, which counts.
    pub(super) fn forget_wait(&self, address: IpAddr, now: UnixMillis) -> Option<u64> {
        self.forget_limit.as_ref()?.take_network(address, now).err()
    }

    fn drop_events(&self, site: &Site, now: UnixMillis, reason: DropReason, events: u64) {
        if events > 0 {
            self.counters.drop_events(reason, events);
            self.sink.note_drops(DropCount { site: site.id.clone(), day: now.day(), reason, events });
        }
    }

    /// `_lfa` with the value it has, where page and collector share a domain.
    fn renewed_cookie(&self, site: &Site, sender: &Sender<'_>, beacon: &Beacon<'_>) -> Option<HeaderValue> {
        let client = beacon.client.filter(|_| beacon.consent != Consent::Unknown)?;
        let scope = shared_scope(sender, beacon)?;
        let life = site.client_id_life.min(self.settings.client_id_life);
        cookies::renew_client_id(client, &scope, sender.https, life.get())
    }

    /// Hands a record to the sink in a task of its own: a browser that goes away meanwhile can't leave
    /// its events without an end.
    pub(super) async fn keep(&self, beacon: SpooledBeacon, answer: Answer) -> Answer {
        let events = beacon.events.len() as u64;
        let (sink, counters) = (Arc::clone(&self.sink), Arc::clone(&self.counters));
        let appended = tokio::spawn(async move {
            let appended = sink.append(&Record::Beacon(beacon)).await;
            if let Err(error) = &appended {
                counters.reject(rule_of(error), events);
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
                let mut problem = Problem::of_rule(rule_of(&error), "", detail);
                problem.retry_after = Some(RETRY_AFTER_SPOOL);
                problem.answer()
            }
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

fn no_content() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// 200 in place of 204: which events of a beacon were refused, and why, while the others were kept.
fn partly(refused: &[Refusal]) -> Answer {
    let refused: Vec<_> = refused
        .iter()
        .map(|Refusal { field, rule, detail }| json!({ "field": field, "rule": rule, "detail": detail }))
        .collect();
    let mut answer = Response::new(Full::new(Bytes::from(json!({ "refused": refused }).to_string())));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Where a cookie of the collector reaches the page that sent the beacon.
fn shared_scope(sender: &Sender<'_>, beacon: &Beacon<'_>) -> Option<Scope> {
    let page = beacon.events.iter().find_map(|event| event.url.as_deref()).and_then(Host::of_url)?;
    let collector = sender.collector.and_then(Host::of_authority)?;
    Scope::shared(page, collector)
}

/// What removes `_lfa` wherever the collector may have set it.
fn removed_cookies(sender: &Sender<'_>, beacon: &Beacon<'_>) -> Vec<HeaderValue> {
    let scope = shared_scope(sender, beacon);
    scope.map(|scope| cookies::removal(cookies::CLIENT_ID, &scope, sender.https)).unwrap_or_default()
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
    let owned = |text: Option<Cow<'_, str>>| text.map(CompactString::from).unwrap_or_default();
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
        props: event.props.map(|props| props.get().into()).unwrap_or_default(),
    });
    SpooledBeacon {
        received,
        site: site.id.clone(),
        address: ClientAddress::Ip(address),
        user_agent: user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)].into(),
        language: first_language(headers).into(),
        consent: beacon.consent,
        client: beacon.client,
        sent: beacon.sent.map(millis),
        events: events.collect(),
    }
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

const fn rule_of(error: &AppendError) -> RejectRule {
    match error {
        AppendError::SiteShare => RejectRule::SiteShare,
        AppendError::Full | AppendError::Closed | AppendError::Io(_) | AppendError::TooLarge(_) => {
            RejectRule::SpoolUnavailable
        }
    }
}
