//! Who asks, and whether they may.

use super::{
    Shared,
    answer::{self, PageError},
    form::Form,
    routes::Access,
};
use crate::{
    admin::{Action, Audit, AuditPlace, AuditRow},
    ingest::Peer,
    person::Person,
    sign_in::session::{Session, Standing},
    site::{Site, SiteId},
    snapshot::{Role, Snapshot},
    time::UnixMillis,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cookie::Cookie;
use std::sync::Arc;

/// Longest form, in bytes: a note of 10,000 characters, each of four bytes and percent-encoded, and room.
const LONGEST_FORM: usize = 256 * 1024;

/// What a page asks for.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) shared: Arc<Shared>,
    pub(super) access: Access,
}

/// The person who asks and the snapshot they were found in, which serves the whole request.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) person: Arc<Person>,
    pub(super) session: Session,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) now: UnixMillis,
    endpoint: Arc<str>,
    audit: Audit,
}

/// A change that is about to be made: its place in the audit log is taken.
#[derive(Debug)]
pub(super) struct Change {
    place: AuditPlace,
    viewer: Viewer,
}

impl Change {
    /// Records a change that was made, or that may have been made although the store did not answer.
    pub(super) fn record(self, action: Action, site: Option<&SiteId>, object: &str) {
        self.place.record(self.viewer.row(action, site, object));
    }
}

impl Viewer {
    /// The site with this id, where this person may see it. What they may not see does not exist for them.
    pub(super) fn site(&self, id: &str) -> Result<Arc<Site>, PageError> {
        let id: Option<SiteId> = id.parse().ok().filter(|site| self.person.may_see(site));
        id.and_then(|id| self.snapshot.sites.get(&id).cloned()).ok_or(PageError::NotFound)
    }

    /// Every site this person may see, by name.
    pub(super) fn sites(&self) -> Vec<Arc<Site>> {
        let mut sites: Vec<_> =
            self.snapshot.sites.values().filter(|site| self.person.may_see(&site.id)).cloned().collect();
        sites.sort_by(|one, other| one.name.cmp(&other.name).then_with(|| one.id.cmp(&other.id)));
        sites
    }

    /// The same person in another snapshot, which holds what they just changed.
    pub(super) fn with_snapshot(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ..self.clone() }
    }

    /// Whether their role includes this one.
    pub(super) fn may(&self, role: Role) -> bool {
        self.person.role >= role
    }

    /// Whether they manage everything: other people, and all sites.
    pub(super) fn manages_everything(&self) -> bool {
        self.person.manages_everything()
    }

    /// Records that company data is read. Call it before the reading; what can't be recorded is not read.
    pub(super) fn reads(&self, site: &SiteId) -> Result<(), PageError> {
        self.audit.reserve()?.record(self.row(Action::Read, Some(site), ""));
        Ok(())
    }

    /// Takes the audit record's place of a change. Call it before the change; what can't be recorded is not done.
    pub(super) fn begin_change(&self) -> Result<Change, PageError> {
        Ok(Change { place: self.audit.reserve()?, viewer: self.clone() })
    }

    fn row(&self, action: Action, site: Option<&SiteId>, object: &str) -> AuditRow {
        let person = &self.person;
        AuditRow::new((person.id, person.email.as_str()), action, &self.endpoint, site, object, self.now)
    }
}

/// Lets a request through with its [`Viewer`] and its [`Form`], or sends it to sign in.
pub(super) async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let Admission { shared, access } = admission;
    if !is_allowed(&shared, &request) {
        return PageError::OtherNetwork.into_response();
    }
    if !shared.origin.admits_host(request.headers(), request.uri()) {
        return PageError::OtherHost.into_response();
    }
    let (request, form) = match form_of(&shared, request).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let mut response = match access {
        Access::Everybody => pass(request, form, next).await,
        Access::SignedIn(role) => signed_in(&shared, role, request, form, next).await,
    };
    answer::secure(response.headers_mut());
    response
}

/// Whether the peer is among those that the owner named: the connection's, never what a header says.
fn is_allowed(shared: &Shared, request: &Request) -> bool {
    let allowed = &shared.state.allowed_networks;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    allowed.is_empty() || peer.is_some_and(|peer| allowed.iter().any(|network| network.contains(&peer)))
}

async fn signed_in(shared: &Shared, role: Role, mut request: Request, form: Option<Form>, next: Next) -> Response {
    let now = (shared.state.clock)();
    let snapshot = shared.state.snapshot.load_full();
    let session = session_of(shared, request.headers());
    let found = session.and_then(|session| {
        let person = Arc::clone(snapshot.people.get(&session.person)?);
        let standing = session.standing(&person, now);
        (standing != Standing::Over).then_some((person, session, standing))
    });
    let Some((person, session, standing)) = found else {
        return if request.method() == Method::GET {
            to_sign_in(request.uri())
        } else {
            PageError::SignedOut.into_response()
        };
    };
    if let Some(form) = &form
        && !session.has_form_token(form.text("form_token"))
    {
        return PageError::ForeignForm.into_response();
    }
    if person.role < role {
        return PageError::Role(role).into_response();
    }
    let endpoint = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).into();
    let viewer =
        Viewer { person, session: session.clone(), snapshot, now, endpoint, audit: shared.state.audit.clone() };
    request.extensions_mut().insert(viewer);
    let mut response = pass(request, form, next).await;
    if standing == Standing::Due && !response.headers().contains_key(header::SET_COOKIE) {
        set_session(shared, &session.renewed(now), response.headers_mut());
    }
    response
}

async fn pass(mut request: Request, form: Option<Form>, next: Next) -> Response {
    if let Some(form) = form {
        request.extensions_mut().insert(form);
    }
    next.run(request).await
}

/// Reads the form of a request that changes something, which must come from one of our own pages.
async fn form_of(shared: &Shared, request: Request) -> Result<(Request, Option<Form>), PageError> {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return Ok((request, None));
    }
    if !shared.origin.is_from_own_page(request.headers(), request.uri()) {
        return Err(PageError::ForeignForm);
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_FORM).await.map_err(|_| PageError::LongForm)?;
    Ok((Request::from_parts(head, Body::empty()), Some(Form::read(&body))))
}

/// Where to sign in, and to go on from there.
fn to_sign_in(uri: &Uri) -> Response {
    let asked = uri.path_and_query().map_or("/", |path| path.as_str());
    let next: String = form_urlencoded::byte_serialize(asked.as_bytes()).collect();
    answer::see_other(&if asked == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={next}") })
}

/// The cookie's name: with https it can't be set by another host of the same domain.
fn cookie_name(shared: &Shared) -> &'static str {
    if shared.origin.is_https() { "__Host-firmsight" } else { "firmsight" }
}

/// The session that a request's cookie holds, whoever it is of.
pub(super) fn session_of(shared: &Shared, headers: &HeaderMap) -> Option<Session> {
    shared.sessions.open(&cookie_value(headers, cookie_name(shared))?)
}

/// The value of a request's cookie.
pub(super) fn cookie_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// Sets the session's cookie.
pub(super) fn set_session(shared: &Shared, session: &Session, headers: &mut HeaderMap) {
    match shared.sessions.seal(session) {
        Ok(value) => {
            answer::set_cookie(cookie(shared, value).max_age(cookie::time::Duration::days(30)).build(), headers)
        }
        Err(error) => tracing::error!(%error, "a session can't be sealed"),
    }
}

/// Removes the session's cookie.
pub(super) fn remove_session(shared: &Shared, headers: &mut HeaderMap) {
    answer::set_cookie(cookie(shared, String::new()).max_age(cookie::time::Duration::ZERO).build(), headers);
}

fn cookie(shared: &Shared, value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((cookie_name(shared), value))
        .path("/")
        .http_only(true)
        .secure(shared.origin.is_https())
        .same_site(cookie::SameSite::Lax)
}
