//! What waits in the spool: a beacon that passed every rule at the door, and counts of what did not.
//!
//! Records are stored with postcard, field after field in the order of the source and without names, and enums by the
//! numbers of `codes`. A field that is added, moved or changes its type needs a new
//! `VERSION` and a reader for the old order.

use super::codes::{self, ADDRESS_HOST_NAME, ADDRESS_IP, RECORD_BEACON, RECORD_DROPS};
use crate::{
    counters::DropReason,
    site::SiteId,
    time::{UnixMillis, UtcDay},
};
use beacon::{ClientId, Consent, EventKind};
use compact_str::CompactString;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, SeqAccess, Visitor},
};
use std::{fmt, net::IpAddr};
use uuid::Uuid;

/// One entry of a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Events to resolve and store.
    Beacon(SpooledBeacon),
    /// Events that were dropped at the door, for "why do I see nothing?".
    Drops(DropCount),
}

impl Record {
    /// The record's bytes.
    pub(super) fn encode(&self) -> postcard::Result<Vec<u8>> {
        match self {
            Self::Beacon(beacon) => postcard::to_stdvec(&(RECORD_BEACON, beacon)),
            Self::Drops(drops) => postcard::to_stdvec(&(RECORD_DROPS, drops)),
        }
    }

    /// The first record of these bytes, and what follows it.
    pub(super) fn decode(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        match bytes.split_first() {
            Some((&RECORD_BEACON, rest)) => {
                postcard::take_from_bytes(rest).map(|(beacon, rest)| (Self::Beacon(beacon), rest))
            }
            Some((&RECORD_DROPS, rest)) => {
                postcard::take_from_bytes(rest).map(|(drops, rest)| (Self::Drops(drops), rest))
            }
            Some(_) => Err(postcard::Error::DeserializeBadEnum),
            None => Err(postcard::Error::DeserializeUnexpectedEnd),
        }
    }
}

/// Where a visitor's requests come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// The usual case.
    Ip(IpAddr),
    /// A host name from an access log that was written with look-ups on.
    HostName(String),
}

impl Serialize for ClientAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ip(address) => (ADDRESS_IP, address).serialize(serializer),
            Self::HostName(name) => (ADDRESS_HOST_NAME, name).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClientAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CodeAndAddress;

        impl<'de> Visitor<'de> for CodeAndAddress {
            type Value = ClientAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the code of a kind of address, and the address")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<ClientAddress, A::Error> {
                let address = match parts.next_element::<u8>()? {
                    Some(ADDRESS_IP) => parts.next_element()?.map(ClientAddress::Ip),
                    Some(ADDRESS_HOST_NAME) => parts.next_element()?.map(ClientAddress::HostName),
                    Some(code) => {
                        return Err(A::Error::custom(format_args!("{code} is no kind of address")));
                    }
                    None => None,
                };
                address.ok_or_else(|| A::Error::custom("an address is missing"))
            }
        }

        deserializer.deserialize_tuple(2, CodeAndAddress)
    }
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
    #[serde(with = "codes")]
    pub consent: Consent,
    /// The visitor, where consent allows an id.
    pub client: Option<ClientId>,
    /// The browser's clock when it sent this; absent means `received`.
    pub sent: Option<UnixMillis>,
    /// At least one event.
    pub events: Vec<SpooledEvent>,
}

impl SpooledBeacon {
    /// A beacon of a client that said nothing of itself.
    #[must_use]
    pub fn new(
        site: SiteId,
        address: ClientAddress,
        received: UnixMillis,
        consent: Consent,
        events: Vec<SpooledEvent>,
    ) -> Self {
        Self {
            received,
            site,
            address,
            user_agent: CompactString::default(),
            language: CompactString::default(),
            consent,
            client: None,
            sent: None,
            events,
        }
    }

    /// Asks the pipeline to delete all that is stored of a visitor.
    #[must_use]
    pub fn forget(site: SiteId, visitor: ClientId, address: IpAddr, consent: Consent, now: UnixMillis) -> Self {
        let event = SpooledEvent::new(Uuid::new_v4(), now, EventKind::Forget);
        Self { client: Some(visitor), ..Self::new(site, ClientAddress::Ip(address), now, consent, vec![event]) }
    }
}

/// One event, every field within its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpooledEvent {
    /// Unique in its site.
    pub id: Uuid,
    /// The browser's own clock when it happened.
    pub at: UnixMillis,
    /// What happened.
    #[serde(with = "codes")]
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

impl SpooledEvent {
    /// An event that says nothing but that it happened.
    #[must_use]
    pub fn new(id: Uuid, at: UnixMillis, kind: EventKind) -> Self {
        Self {
            id,
            at,
            kind,
            url: CompactString::default(),
            referrer: CompactString::default(),
            title: CompactString::default(),
            page: None,
            visible_ms: 0,
            scroll: 0,
            name: CompactString::default(),
            props: CompactString::default(),
        }
    }
}

/// Events that were dropped, by site, day and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The site.
    pub site: SiteId,
    /// The UTC day on which they were received.
    pub day: UtcDay,
    /// Why.
    #[serde(with = "codes")]
    pub reason: DropReason,
    /// How many events.
    pub events: u64,
}
