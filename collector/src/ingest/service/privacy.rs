//! The opt-out page and the cookie declaration.

use super::{
    Inner, RETRY_AFTER_OVERLOAD,
    messages::{no_peer, query, sends_gpc, text},
};
use crate::{
    counters::RejectRule,
    ingest::{
        Answer, EventSink,
        cookie_declaration::{self, CookieDeclaration, ITEMS, Storage},
        cookies::{self, Scope, StoredChoice},
        language::Language,
        opt_out::{self, Action, Form},
        page_host::Host,
        problem::Problem,
    },
    site::{Site, SiteId},
    snapshot::Snapshot,
    spool::record::SpooledBeacon,
};
use beacon::Consent;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use serde_json::json;

/// Forms have three short fields.
const MAX_FORM_BYTES: usize = 4096;

impl<S: EventSink> Inner<S> {
    pub(super) fn opt_out_page(&self, parts: &Parts) -> Answer {
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
        let life = self.settings.client_id_life;
        opt_out::page(&opt_out::View {
            language: language.unwrap_or_else(|| accepted_language(parts)),
            endpoint_path: &self.settings.endpoint_path,
            site: site.map(|site| site.id.as_str()),
            is_in_reach: site.is_none_or(|site| shares_domain(site, collector)),
            cookies: stored,
            choice,
            global_privacy_control: sends_gpc(&parts.headers),
            client_id_life: site.map_or(life, |site| site.client_id_life.min(life)),
            done,
        })
    }

    /// `GET {endpoint}/cookies[.json|.html]?site=&lang=`; without `site` the only one that there is.
    pub(super) fn cookie_declaration(&self, parts: &Parts, ending: &str) -> Answer {
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
            cookie_declaration::page(&declaration, CACHE)
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

    pub(super) async fn opt_out<B>(&self, parts: &Parts, body: B) -> Answer
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
            if limited || self.forget_wait(sender.address, now).is_some() {
                let mut problem = Problem::of_rule(RejectRule::RateLimit, "", "too many requests from one address");
                problem.retry_after = Some(RETRY_AFTER_OVERLOAD);
                return problem.answer();
            }
            let sites = sites_of_form(&self.snapshot.load(), form.site.as_deref(), collector);
            for site in sites {
                self.counters.receive(1);
                let beacon = SpooledBeacon::forget(site, client, sender.address, Consent::Unknown, now);
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

fn accepted_language(parts: &Parts) -> Language {
    Language::preferred(text(&parts.headers, header::ACCEPT_LANGUAGE).unwrap_or_default())
}
