//! The public side: beacons, pixel, tracker files, opt-out page, health.
//!
//! [`PublicService`] is a tower service over any HTTP body; the binary drives it with hyper, another
//! program mounts it (`axum::Router::fallback_service`). What stands between a request and the spool
//! is a table of named [`steps`], each a pure function of the beacon, the site and what surrounds the
//! request. Nothing here asks DNS, waits for ClickHouse or writes a file but through [`EventSink`].
//!
//! Every decoded event ends exactly once: kept in the sink, dropped with a reason, or refused with a
//! rule; [`crate::counters`] holds the sum. A 2xx is answered only after that end.

pub mod client_address;
pub mod cookie_declaration;
mod cookies;
pub mod crawler;
mod html_page;
pub mod language;
mod opt_out;
pub mod page_host;
mod problem;
pub mod rate_limit;
mod service;
pub mod steps;
mod tracker_files;

pub use service::PublicService;
pub use tracker_files::File as TrackerFile;

use crate::{
    site::ClientIdLife,
    spool::{
        AppendError, Spool,
        record::{DropCount, Record},
    },
    time::UnixMillis,
};
use bytes::Bytes;
use firmsight_resolver::{LeftOut, NetworkKind};
use http_body_util::Full;
use ipnet::IpNet;
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// The other end of the connection; whoever drives [`PublicService`] puts it into the request's
/// extensions (`axum::extract::ConnectInfo<SocketAddr>` is understood too).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What the owner sets; every field has a working default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the tracker script. Default `/lfa.js`.
    pub script_path: String,
    /// Path of the beacon endpoint; the pixel is `{endpoint_path}.gif`. Default `/lfa`.
    pub endpoint_path: String,
    /// Networks whose forwarding headers are believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// The one header that names the client when the peer is trusted. Default `X-Forwarded-For`.
    pub client_ip_header: http::HeaderName,
    /// How long a body may take to arrive. Default 10 s.
    pub body_timeout: Duration,
    /// Beacons that one address (an IPv6 /64) may send a minute; 0 = no limit. Default 600: offices share addresses.
    pub beacons_per_address_per_minute: u32,
    /// Withdrawals (`forget`) that one network (a /24, an IPv6 /56) may send a minute; 0 = no limit. Default 30.
    pub forgets_per_network_per_minute: u32,
    /// Bodies that arrive in pieces and are waited for at the same time. Default 1,024, at most 64 MiB together.
    pub max_bodies_in_flight: usize,
    /// Life of the renewed `_lfa` cookie, where the site has no shorter one. Default 400 days, the most that browsers grant.
    pub client_id_life: ClientIdLife,
    /// What happens at the door to networks of access providers. Default [`AccessNetworks::AskDns`].
    pub access_networks: AccessNetworks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            script_path: "/lfa.js".to_owned(),
            endpoint_path: "/lfa".to_owned(),
            trusted_proxies: Vec::new(),
            client_ip_header: http::HeaderName::from_static("x-forwarded-for"),
            body_timeout: Duration::from_secs(10),
            beacons_per_address_per_minute: 600,
            forgets_per_network_per_minute: 30,
            max_bodies_in_flight: 1024,
            client_id_life: ClientIdLife::LONGEST,
            access_networks: AccessNetworks::AskDns,
        }
    }
}

/// What happens at the door to visitors whose network looks residential or mobile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessNetworks {
    /// They go on: reverse DNS may show a company behind its provider.
    #[default]
    AskDns,
    /// They are dropped before the spool.
    Drop,
}

/// What can be said of an address without asking DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalJudgement {
    /// The kind of network.
    pub kind: NetworkKind,
    /// No later signal can overturn it.
    pub is_final: bool,
    /// A rule of the owner's leaves the network out.
    pub left_out: Option<LeftOut>,
}

/// Judges addresses from data in memory.
pub trait LocalJudge: Send + Sync + 'static {
    /// Must not block.
    fn judge(&self, address: IpAddr) -> LocalJudgement;
}

/// Where kept events go: the spool, or memory in tests.
pub trait EventSink: Send + Sync + 'static {
    /// Returns once the record survives a power cut.
    ///
    /// # Errors
    /// The record was not taken.
    fn append(&self, record: &Record) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Counts that ride with the next frame; never blocks, never fails.
    fn note_drops(&self, drops: DropCount);

    /// Whether an append would find room now.
    ///
    /// # Errors
    /// Why it would not.
    fn check(&self) -> Result<(), AppendError>;

    /// Whether so much waits already that only what is surely wanted should be taken.
    fn is_under_pressure(&self) -> bool {
        false
    }
}

impl<S: EventSink> EventSink for Arc<S> {
    fn append(&self, record: &Record) -> impl Future<Output = Result<(), AppendError>> + Send {
        S::append(self, record)
    }

    fn note_drops(&self, drops: DropCount) {
        S::note_drops(self, drops);
    }

    fn check(&self) -> Result<(), AppendError> {
        S::check(self)
    }

    fn is_under_pressure(&self) -> bool {
        S::is_under_pressure(self)
    }
}

impl EventSink for Spool {
    fn append(&self, record: &Record) -> impl Future<Output = Result<(), AppendError>> + Send {
        Self::append(self, record)
    }

    fn note_drops(&self, drops: DropCount) {
        Self::note_drops(self, drops);
    }

    fn check(&self) -> Result<(), AppendError> {
        Self::check(self)
    }

    fn is_under_pressure(&self) -> bool {
        Self::is_under_pressure(self)
    }
}

impl LocalJudge for firmsight_resolver::Resolver {
    fn judge(&self, address: IpAddr) -> LocalJudgement {
        let verdict = self.door(address);
        LocalJudgement { kind: verdict.kind, is_final: verdict.is_final, left_out: verdict.left_out }
    }
}

/// Reads the time; the binary passes [`UnixMillis::now`].
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// A response of the public side.
pub type Answer = http::Response<Full<Bytes>>;
