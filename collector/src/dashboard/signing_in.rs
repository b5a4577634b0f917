//! Signing in, out, and for the first time.

use super::{
    Shared,
    admission::{Viewer, remove_session, session_of, set_session},
    answer::{self, PageError, own_path},
    form::Form,
    frame::Frame,
    parameters::Query,
    texts::ENGLISH,
};
use crate::{
    admin::{Action, AuditRow},
    control::{ControlError, PersonChange, by_email, invited, token_sha256},
    ingest::Peer,
    person::{Email, PasswordHash, Person},
    sealing::random_key,
    sign_in::{
        password::{self, SALT_BYTES},
        session::Session,
    },
};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    next: &'a str,
    email: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    frame: Frame,
    is_first: bool,
    email: &'a str,
    name: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutPage {
    frame: Frame,
}

/// The form; somebody who is signed in goes on.
pub(super) async fn form(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let query = Query::read(query.as_deref());
    let next = own_path(query.text("next"));
    let snapshot = shared.state.snapshot.load();
    let is_live = |session: Session| {
        let person = snapshot.people.get(&session.person)?;
        (session.standing(person, (shared.state.clock)()) != crate::sign_in::session::Standing::Over).then_some(())
    };
    if session_of(&shared, &headers).and_then(is_live).is_some() {
        return Ok(answer::see_other(next));
    }
    answer::page(&SignInPage { frame: Frame::bare(ENGLISH.sign_in), next, email: "", problem: None })
}

/// Checks address and password.
pub(super) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let now = (shared.state.clock)();
    let (typed, next) = (form.text("email"), own_path(form.text("next")));
    let again = |status, problem| {
        let frame = Frame::bare(ENGLISH.sign_in);
        answer::page_with(status, &SignInPage { frame, next, email: typed, problem: Some(problem) })
    };
    let network = shared.state.proxies.client_address(peer.0.ip().to_canonical(), &headers);
    let email: Option<Email> = typed.parse().ok();
    // What is no address is counted like an unknown one: the network pays.
    let account = email.as_ref().map_or("", Email::as_str);
    let wait = shared.delays.wait(account, network, now);
    if wait > 0 {
        return again(StatusCode::TOO_MANY_REQUESTS, (ENGLISH.wait)(wait.div_euclid(1000) + 1));
    }
    let place = shared.state.audit.reserve()?;
    let person = email.as_ref().and_then(|email| by_email(&shared.state.snapshot.load(), email));
    let stored = person.as_ref().and_then(|person| person.password.clone());
    let is_right = verify(&shared, stored, form.text("password").to_owned()).await;
    let Some(person) = person.filter(|_| is_right) else {
        shared.delays.failed(account, network, now);
        tracing::warn!(target: "firmsight", "a sign-in failed");
        let who = by_email_id(&shared, email.as_ref());
        place.record(AuditRow::new((who, "sign-in"), Action::Read, "/sign-in refused", None, "", now));
        return again(StatusCode::UNAUTHORIZED, ENGLISH.wrong_password.to_owned());
    };
    shared.delays.succeeded(account);
    place.record(AuditRow::new((person.id, person.email.as_str()), Action::Create, "/sign-in", None, "session", now));
    begin_session(&shared, &person, next)
}

/// Whose account it was; nil where it is nobody's. An address that nobody has is not written down: people type passwords
/// into the wrong field.
fn by_email_id(shared: &Shared, email: Option<&Email>) -> Uuid {
    let person = email.and_then(|email| by_email(&shared.state.snapshot.load(), email));
    person.map_or_else(Uuid::nil, |person| person.id)
}

/// Asks before signing out, because a link alone must not.
pub(super) async fn sign_out_form(
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    answer::page(&SignOutPage { frame: Frame::of(&viewer, &headers, None, "", ENGLISH.sign_out) })
}

/// Ends this session, or all of the person's.
pub(super) async fn sign_out(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    if form.text("where") == "everywhere" {
        let change = viewer.begin_change()?;
        let ending = PersonChange { ends_sessions: true, ..PersonChange::default() };
        shared.state.control.set_person(&viewer.person.email, ending, viewer.now).await?;
        change.record(Action::Remove, None, "sessions");
    }
    let mut response = answer::see_other("/sign-in");
    remove_session(&shared, response.headers_mut());
    Ok(response)
}

/// Where somebody who was invited chooses a password.
pub(super) async fn join_form(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
) -> Result<Response, PageError> {
    let person = invited(&shared.state.snapshot.load(), &token, (shared.state.clock)());
    let person = person.ok_or(PageError::from(ControlError::LinkIsOver))?;
    join_page(false, person.email.as_str(), &person.name, StatusCode::OK, None)
}

/// Uses the invitation.
pub(super) async fn join(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let now = (shared.state.clock)();
    let person = invited(&shared.state.snapshot.load(), &token, now);
    let person = person.ok_or(PageError::from(ControlError::LinkIsOver))?;
    let chosen = match hash(&shared, form.text("password"), person.email.as_str()).await {
        Ok(chosen) => chosen,
        Err(problem) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return join_page(false, person.email.as_str(), &person.name, status, Some(problem));
        }
    };
    let place = shared.state.audit.reserve()?;
    let person = shared.state.control.accept_invitation(&token, chosen, now).await?;
    place.record(AuditRow::new((person.id, person.email.as_str()), Action::Create, "/join", None, "session", now));
    begin_session(&shared, &person, "/")
}

/// Where the first person becomes admin.
pub(super) async fn first_run_form(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
) -> Result<Response, PageError> {
    first_run_is_open(&shared, &token)?;
    join_page(true, "", "", StatusCode::OK, None)
}

/// Makes the first admin.
pub(super) async fn first_run(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    first_run_is_open(&shared, &token)?;
    let now = (shared.state.clock)();
    let (typed, name) = (form.text("email"), form.text("name"));
    let again = |problem| join_page(true, typed, name, StatusCode::UNPROCESSABLE_ENTITY, Some(problem));
    let email: Email = match typed.parse() {
        Ok(email) => email,
        Err(error) => return again(crate::person::EmailError::to_string(&error)),
    };
    let chosen = match hash(&shared, form.text("password"), email.as_str()).await {
        Ok(chosen) => chosen,
        Err(problem) => return again(problem),
    };
    let place = shared.state.audit.reserve()?;
    let person = match shared.state.control.add_first_admin(email, name, chosen, now).await {
        Err(error @ ControlError::PersonName) => return again(error.to_string()),
        other => other?,
    };
    let row = AuditRow::new((person.id, person.email.as_str()), Action::Create, "/first-run", None, "person", now);
    place.record(row);
    begin_session(&shared, &person, "/")
}

fn first_run_is_open(shared: &Shared, token: &str) -> Result<(), PageError> {
    let is_it = bool::from(token_sha256(token).ct_eq(&shared.state.first_run));
    let is_open = !shared.state.snapshot.load().people.values().any(|person| person.can_sign_in());
    if is_it && is_open { Ok(()) } else { Err(ControlError::LinkIsOver.into()) }
}

fn join_page(
    is_first: bool,
    email: &str,
    name: &str,
    status: StatusCode,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let heading = if is_first { ENGLISH.first_heading } else { ENGLISH.join_heading };
    answer::page_with(status, &JoinPage { frame: Frame::bare(heading), is_first, email, name, problem })
}

/// A new session, whatever cookie the browser had: none that somebody else chose lives on.
fn begin_session(shared: &Shared, person: &Person, next: &str) -> Result<Response, PageError> {
    let token = random::<16>()?;
    let session = Session::begin(person, token, (shared.state.clock)());
    let mut response = answer::see_other(next);
    set_session(shared, &session, response.headers_mut());
    Ok(response)
}

/// Renews the person's own session after a change that ended all of theirs.
pub(super) fn go_on_signed_in(shared: &Shared, person: &Person, next: &str) -> Result<Response, PageError> {
    begin_session(shared, person, next)
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], PageError> {
    let key = random_key().map_err(ControlError::from)?;
    Ok(std::array::from_fn(|at| key[at % key.len()]))
}

/// Checks a password on a thread of its own kind; so many at once as there is memory and time for.
pub(super) async fn verify(shared: &Shared, stored: Option<PasswordHash>, typed: String) -> bool {
    let Ok(_permit) = shared.passwords.acquire().await else { return false };
    tokio::task::spawn_blocking(move || password::verify(stored.as_ref(), &typed)).await.unwrap_or(false)
}

/// Hashes a chosen password, or says which rule it breaks.
pub(super) async fn hash(shared: &Shared, chosen: &str, email: &str) -> Result<PasswordHash, String> {
    let salt = random::<SALT_BYTES>().map_err(|error| error.to_string())?;
    let _permit = shared.passwords.acquire().await.map_err(|error| error.to_string())?;
    let (chosen, email) = (chosen.to_owned(), email.to_owned());
    let hashed = tokio::task::spawn_blocking(move || password::hash(&chosen, &email, salt)).await;
    hashed.map_err(|error| error.to_string())?.map_err(|rule| rule.to_string())
}
