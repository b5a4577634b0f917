//! Settings: the sites one sees with their tracker's line, people, keys, one's own password and colours.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    form::Form,
    frame::Frame,
    parameters::Query,
    signing_in::{go_on_signed_in, hash, verify},
    texts::{ENGLISH, Texts},
    today::{Nothing, snippet},
    words,
};
use crate::{
    admin::Action,
    control::{ControlError, NewPerson, PersonChange},
    person::{Email, role_of_person},
    site::{ConsentMode, Site, SiteId},
    snapshot::Role,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use cookie::Cookie;
use jiff::tz::TimeZone;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    sites: Vec<SiteView>,
    people: Vec<PersonView>,
    keys: Vec<KeyView>,
    /// The link of somebody who was just invited.
    link: Option<(String, String)>,
    said: Option<String>,
    problem: Option<String>,
    may_manage_sites: bool,
    may_manage_people: bool,
    roles: [&'static str; 3],
}

struct SiteView {
    id: String,
    name: String,
    timezone: String,
    consent: &'static str,
    hosts: String,
    networks: String,
    snippet: String,
}

struct PersonView {
    email: String,
    name: String,
    role: &'static str,
    sites: String,
    state: &'static str,
    is_viewer: bool,
}

struct KeyView {
    name: String,
    role: &'static str,
    sites: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "no_site.html")]
struct NoSitePage {
    frame: Frame,
    nothing: Nothing,
}

/// What there is before there is a site.
pub(super) fn no_site(viewer: &Viewer, headers: &HeaderMap) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    let nothing = Nothing {
        heading: texts.no_site.to_owned(),
        text: texts.no_site_text.to_owned(),
        code: Some("firmsight site add --id shop --name \"My shop\" --host www.example.com".to_owned()),
        hint: None,
        leads_to_filtered: false,
    };
    answer::page(&NoSitePage { frame: Frame::of(viewer, headers, None, "", texts.no_site), nothing })
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let said = (Query::read(query.as_deref()).text("done") == "password").then(|| ENGLISH.password_changed.to_owned());
    answer::page(&page(&shared, &viewer, &headers, said))
}

fn page(shared: &Shared, viewer: &Viewer, headers: &HeaderMap, said: Option<String>) -> SettingsPage {
    let texts = &ENGLISH;
    SettingsPage {
        frame: Frame::of(viewer, headers, viewer.sites().first().map(AsRef::as_ref), "settings", texts.settings),
        sites: viewer.sites().iter().map(|site| site_view(site, &shared.state.script_path)).collect(),
        people: if viewer.manages_everything() { people(viewer, texts) } else { Vec::new() },
        keys: if viewer.manages_everything() { keys(viewer, texts) } else { Vec::new() },
        link: None,
        said,
        problem: None,
        may_manage_sites: viewer.may(Role::Admin),
        may_manage_people: viewer.manages_everything(),
        roles: [Role::Read, Role::Write, Role::Admin].map(role_of_person),
    }
}

/// Invites somebody and shows their link, this one time.
pub(super) async fn invite(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    manages_people(&viewer)?;
    let refused = |problem: String| {
        let page = SettingsPage { problem: Some(problem), ..page(&shared, &viewer, &headers, None) };
        answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let email: Email = match form.text("email").parse() {
        Ok(email) => email,
        Err(error) => return refused(crate::person::EmailError::to_string(&error)),
    };
    let sites: Vec<SiteId> = form.given("site").and_then(|id| id.parse().ok()).into_iter().collect();
    let person = NewPerson {
        name: form.given("name").filter(|name| !name.trim().is_empty()).unwrap_or(email.as_str()).to_owned(),
        role: role(form.text("role")),
        sites: (!sites.is_empty()).then_some(sites),
        email: email.clone(),
    };
    let change = viewer.begin_change()?;
    match shared.state.control.invite_person(person, viewer.now).await {
        Ok((_, token)) => {
            change.record(Action::Create, None, email.as_str());
            let link = format!("{}/join/{token}", shared.state.base_url.trim_end_matches('/'));
            let link = Some(((texts.invited_link)(email.as_str()), link));
            // The new person is in the next snapshot, not in this request's: it is read again.
            let viewer = viewer.with_snapshot(shared.state.snapshot.load_full());
            answer::page(&SettingsPage { link, ..page(&shared, &viewer, &headers, None) })
        }
        Err(error @ ControlError::Store(_)) => {
            change.record(Action::Create, None, email.as_str());
            Err(error.into())
        }
        Err(error) => refused(error.to_string()),
    }
}

/// Removes somebody.
pub(super) async fn remove_person(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    manages_people(&viewer)?;
    let email: Email = form.text("email").parse().map_err(|_| PageError::NotFound)?;
    let change = viewer.begin_change()?;
    let outcome = shared.state.control.remove_person(&email, viewer.now).await;
    if matches!(outcome, Ok(()) | Err(ControlError::Store(_))) {
        change.record(Action::Remove, None, email.as_str());
    }
    outcome?;
    Ok(answer::see_other("/settings#people"))
}

/// Changes one's own password; all other sessions end.
pub(super) async fn password(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let refused = |status, problem: String| {
        let page = SettingsPage { problem: Some(problem), ..page(&shared, &viewer, &headers, None) };
        answer::page_with(status, &page)
    };
    let email = viewer.person.email.as_str();
    if !verify(&shared, viewer.person.password.clone(), form.text("current").to_owned()).await {
        return refused(StatusCode::FORBIDDEN, ENGLISH.wrong_password.to_owned());
    }
    let chosen = match hash(&shared, form.text("password"), email).await {
        Ok(chosen) => chosen,
        Err(problem) => return refused(StatusCode::UNPROCESSABLE_ENTITY, problem),
    };
    let change = viewer.begin_change()?;
    let new = PersonChange { password: Some(chosen), ..PersonChange::default() };
    let person = shared.state.control.set_person(&viewer.person.email, new, viewer.now).await?;
    change.record(Action::Change, None, "password");
    go_on_signed_in(&shared, &person, "/settings?done=password")
}

/// Changes what a site asks before anything is stored or sent.
pub(super) async fn consent(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path(site): Path<String>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let site = viewer.site(&site)?;
    let modes = [ConsentMode::Required, ConsentMode::Cookieless, ConsentMode::NotRequired];
    let consent = modes.into_iter().find(|mode| mode.as_str() == form.text("consent")).ok_or(PageError::NotFound)?;
    let change = viewer.begin_change()?;
    shared.state.control.set_site(Site { consent, ..Site::clone(&site) }, viewer.now).await?;
    change.record(Action::Change, Some(&site.id), site.id.as_str());
    Ok(answer::see_other("/settings"))
}

/// Keeps the colours in the browser.
pub(super) async fn theme(headers: HeaderMap, Extension(form): Extension<Form>) -> Response {
    let theme = ["light", "dark"].into_iter().find(|theme| form.text("theme") == *theme).unwrap_or("auto");
    let mut response = answer::see_other(&back(&headers));
    let cookie = Cookie::build(("theme", theme))
        .path("/")
        .same_site(cookie::SameSite::Lax)
        .max_age(cookie::time::Duration::days(365))
        .build();
    answer::set_cookie(cookie, response.headers_mut());
    response
}

/// The page that a form was on, as a path of our own.
fn back(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let uri: Option<http::Uri> = referer.and_then(|referer| referer.parse().ok());
    let path = uri.as_ref().and_then(http::Uri::path_and_query).map_or("/", |path| path.as_str());
    answer::own_path(path).to_owned()
}

/// Whoever gives others access to all sites must have it themselves.
fn manages_people(viewer: &Viewer) -> Result<(), PageError> {
    if viewer.manages_everything() { Ok(()) } else { Err(PageError::Role(Role::Admin)) }
}

fn role(word: &str) -> Role {
    [Role::Write, Role::Admin].into_iter().find(|role| role_of_person(*role) == word).unwrap_or(Role::Read)
}

fn site_view(site: &Site, script_path: &str) -> SiteView {
    SiteView {
        id: site.id.to_string(),
        name: site.name.clone(),
        timezone: site.timezone.clone(),
        consent: site.consent.as_str(),
        hosts: site.hosts.join(", "),
        networks: site.own_networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        snippet: snippet(site, script_path),
    }
}

fn sites_in_words(sites: Option<&Vec<SiteId>>, texts: &Texts) -> String {
    sites.map_or_else(
        || texts.all_sites.to_owned(),
        |sites| sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(", "),
    )
}

fn people(viewer: &Viewer, texts: &Texts) -> Vec<PersonView> {
    let mut people: Vec<_> = viewer.snapshot.people.values().collect();
    people.sort_by(|one, other| one.email.cmp(&other.email));
    people
        .into_iter()
        .map(|person| PersonView {
            email: person.email.to_string(),
            name: person.name.clone(),
            role: role_of_person(person.role),
            sites: sites_in_words(person.sites.as_ref(), texts),
            state: if person.can_sign_in() { texts.signs_in } else { texts.invited },
            is_viewer: person.id == viewer.person.id,
        })
        .collect()
}

fn keys(viewer: &Viewer, texts: &Texts) -> Vec<KeyView> {
    let mut keys: Vec<_> = viewer.snapshot.keys.values().collect();
    keys.sort_by_key(|key| (key.created_at, key.id));
    let end = |at: crate::time::UnixMillis| words::zoned(at.0, &TimeZone::UTC).date().to_string();
    keys.into_iter()
        .map(|key| KeyView {
            name: key.name.clone(),
            role: key.role.as_str(),
            sites: sites_in_words(key.sites.as_ref(), texts),
            ends: key.expires_at.map_or_else(|| texts.never.to_owned(), end),
        })
        .collect()
}
