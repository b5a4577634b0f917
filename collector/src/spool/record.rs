//! What waits in the spool: a beacon that passed every rule at the door, and counts of what did not.

use crate::{
    counters::DropReason,
    site::SiteId,
    time::{UnixMillis, UtcDay},
};
use beacon::{ClientId, Consent, EventKind};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// One entry of a segment, encoded with postcard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Events to resolve and store.
    Beacon(SpooledBeacon),
    /// Events that were dropped at the door, for "why do I see nothing?".
    Drops(DropCount),
}

/// Where a visitor's requests come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClientAddress {
    /// The usual case.
    Ip(IpAddr),
    /// A host name from an access log that was written with look-ups on.
    HostName(String),
}

/// A beacon that passed every rule at the door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpooledBeacon {
    /// When the collector received it.
    pub received: UnixMillis,
    /// The site.
    pub site: SiteId,
    /// The visitor's address; lives only here and in memory.
    pub address: ClientAddress,
    /// The User-Agent header, cut to 512 bytes.
    pub user_agent: CompactString,
    /// The first language of Accept-Language, such as `de-DE`; empty when unknown.
    pub language: CompactString,
    /// What the person said.
    pub consent: Consent,
    /// The visitor, where consent allows an id.
    pub client: Option<ClientId>,
    /// The browser's clock when it sent this; absent means `received`.
    pub sent: Option<UnixMillis>,
    /// At least one event.
    pub events: Vec<SpooledEvent>,
}

/// One event, every field within its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpooledEvent {
    /// Unique in its site.
    pub id: Uuid,
    /// The browser's own clock when it happened.
    pub at: UnixMillis,
    /// What happened.
    pub kind: EventKind,
    /// The page, an http(s) URL; empty when absent.
    pub url: CompactString,
    /// Where the visitor came from; empty when absent.
    pub referrer: CompactString,
    /// The page's title; empty when absent.
    pub title: CompactString,
    /// The pageview it belongs to.
    pub page: Option<Uuid>,
    /// Milliseconds visible so far.
    pub visible_ms: u32,
    /// Deepest scroll so far, percent.
    pub scroll: u8,
    /// A custom event's name or a form's id; empty when absent.
    pub name: CompactString,
    /// A JSON object as text; empty when absent.
    pub props: CompactString,
}

/// Events that were dropped, by site, day and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The site.
    pub site: SiteId,
    /// The UTC day on which they were received.
    pub day: UtcDay,
    /// Why.
    pub reason: DropReason,
    /// How many events.
    pub events: u64,
}
