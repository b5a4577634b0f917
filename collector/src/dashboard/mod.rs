//! The screens: what a person who signs in sees. Server-rendered, whole without script.
//!
//! A request passes through these parts:
//!
//! 1. `routes` is the one table of pages: method, path, the role it asks for, its handler. Nothing is reachable that is not in it.
//! 2. `admission` opens the session, finds the person in the snapshot, and refuses what their role does not include; what
//!    changes something must come from one of our own pages and carry the session's token.
//! 3. The page's own file asks `reports` and `control` through a `Viewer`, which knows the sites the person may see and
//!    writes the audit record, and fills a plain struct.
//! 4. A template in `templates/` shows the struct; `texts` holds every word a person reads.
//!
//! No SQL here, and no rule of what is worth a call: those are `reports`'.

mod admission;
mod answer;
mod assets;
mod chart;
mod companies;
mod company;
mod filtered;
mod form;
mod frame;
mod parameters;
mod routes;
mod settings;
mod signing_in;
mod texts;
mod today;
mod visits;
mod words;

pub use routes::{Access, routes};

use crate::{
    admin::Audit,
    control::Control,
    ingest::client_address::ProxyTrust,
    sign_in::{delays::Delays, origin::OwnOrigin, session::Sessions},
    snapshot::SharedSnapshot,
    store::Store,
    time::UnixMillis,
};
use axum::Router;
use ipnet::IpNet;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Passwords that are checked at once: each takes 19 MiB and a processor.
const PASSWORDS_AT_ONCE: usize = 2;

/// What the screens are made of.
pub struct State {
    /// Visits and companies.
    pub store: Store,
    /// Sites, people and feeds.
    pub snapshot: SharedSnapshot,
    /// What changes them.
    pub control: Control,
    /// Where reads of company data and changes are recorded.
    pub audit: Audit,
    /// Where people reach the dashboard.
    pub base_url: String,
    /// Path of the tracker's script on the site's own hosts.
    pub script_path: String,
    /// The key under which sessions are sealed.
    pub session_key: [u8; 32],
    /// SHA-256 of the secret part of this process's first-run link.
    pub first_run: [u8; 32],
    /// Who may speak for others: for delays by network.
    pub proxies: ProxyTrust,
    /// Peers that are answered; empty means all.
    pub allowed_networks: Vec<IpNet>,
    /// [`UnixMillis::now`] but for tests.
    pub clock: fn() -> UnixMillis,
}

struct Shared {
    state: State,
    sessions: Sessions,
    origin: OwnOrigin,
    delays: Delays,
    passwords: Semaphore,
}

/// The screens as a router without a fallback: what it doesn't know is for whoever mounts it.
pub fn router(state: State) -> Router {
    let shared = Arc::new(Shared {
        sessions: Sessions::new(state.session_key),
        origin: OwnOrigin::of(&state.base_url),
        delays: Delays::default(),
        passwords: Semaphore::new(PASSWORDS_AT_ONCE),
        state,
    });
    routes::router(shared)
}
