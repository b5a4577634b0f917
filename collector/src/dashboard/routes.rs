//! The one table of pages.

use super::{Shared, admission, assets, companies, company, filtered, settings, signing_in, today, visits};
use crate::snapshot::Role;
use axum::{
    Router,
    http::Method,
    middleware,
    routing::{MethodRouter, get, post},
};
use std::sync::Arc;

/// Who may use a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the listener.
    Everybody,
    /// People who signed in, whose role includes this one.
    SignedIn(Role),
}

struct Page {
    method: Method,
    path: &'static str,
    access: Access,
    handler: MethodRouter<Arc<Shared>>,
}

const READER: Access = Access::SignedIn(Role::Read);
const EDITOR: Access = Access::SignedIn(Role::Write);
const ADMIN: Access = Access::SignedIn(Role::Admin);

fn page(method: Method, path: &'static str, access: Access, handler: MethodRouter<Arc<Shared>>) -> Page {
    Page { method, path, access, handler }
}

fn pages() -> Vec<Page> {
    use Access::Everybody;
    let (read, change) = (Method::GET, Method::POST);
    vec![
        page(read.clone(), "/assets/{file}", Everybody, get(assets::show)),
        page(read.clone(), "/sign-in", Everybody, get(signing_in::form)),
        page(change.clone(), "/sign-in", Everybody, post(signing_in::sign_in)),
        page(read.clone(), "/join/{token}", Everybody, get(signing_in::join_form)),
        page(change.clone(), "/join/{token}", Everybody, post(signing_in::join)),
        page(read.clone(), "/first-run/{token}", Everybody, get(signing_in::first_run_form)),
        page(change.clone(), "/first-run/{token}", Everybody, post(signing_in::first_run)),
        page(read.clone(), "/", READER, get(today::first_site)),
        page(read.clone(), "/sign-out", READER, get(signing_in::sign_out_form)),
        page(change.clone(), "/sign-out", READER, post(signing_in::sign_out)),
        page(change.clone(), "/theme", READER, post(settings::theme)),
        page(read.clone(), "/sites/{site}/today", READER, get(today::show)),
        page(read.clone(), "/sites/{site}/companies", READER, get(companies::show)),
        page(read.clone(), "/sites/{site}/companies.csv", READER, get(companies::csv)),
        page(read.clone(), "/sites/{site}/companies/{company}", READER, get(company::show)),
        page(change.clone(), "/sites/{site}/companies/{company}/marks", EDITOR, post(company::mark)),
        page(change.clone(), "/sites/{site}/companies/{company}/notes", EDITOR, post(company::note)),
        page(read.clone(), "/sites/{site}/visits", READER, get(visits::show)),
        page(read.clone(), "/sites/{site}/filtered", READER, get(filtered::show)),
        page(read, "/settings", READER, get(settings::show)),
        page(change.clone(), "/settings/password", READER, post(settings::password)),
        page(change.clone(), "/settings/people", ADMIN, post(settings::invite)),
        page(change.clone(), "/settings/people/remove", ADMIN, post(settings::remove_person)),
        page(change, "/settings/sites/{site}/consent", ADMIN, post(settings::consent)),
    ]
}

/// Method, path and access of every page: a test holds each against each role.
#[must_use]
pub fn routes() -> Vec<(Method, &'static str, Access)> {
    pages().into_iter().map(|page| (page.method, page.path, page.access)).collect()
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    pages()
        .into_iter()
        .fold(Router::new(), |router, page| {
            let admission = admission::Admission { shared: Arc::clone(&shared), access: page.access };
            router.route(page.path, page.handler.layer(middleware::from_fn_with_state(admission, admission::admit)))
        })
        .with_state(shared)
}
