//! The wire format of a beacon: what the tracker sends and the collector reads.
//!
//! One definition for both ends. The names, limits and the client id's form stand here; the tracker
//! writes the JSON by itself (it counts bytes) and the collector reads it through the `decode`
//! feature. Nothing here knows HTTP, browsers or storage.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod client_id;
#[cfg(feature = "decode")]
mod decode;

pub use client_id::{ClientId, ClientIdError};
#[cfg(feature = "decode")]
pub use decode::{Beacon, Event, Refusal};

/// Version of the wire format that this crate describes, field `v`.
pub const VERSION: u8 = 1;
/// Largest accepted body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Most events in one beacon.
pub const MAX_EVENTS: usize = 50;
/// Longest accepted URL or referrer, in bytes.
pub const MAX_URL_BYTES: usize = 4096;
/// Longest accepted title, in bytes; a longer one is cut at a character boundary, not refused.
pub const MAX_TITLE_BYTES: usize = 512;
/// Longest accepted event name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Longest accepted `props` object as JSON text, in bytes.
pub const MAX_PROPS_BYTES: usize = 8 * 1024;
/// Most beacons that a browser is believed to have given up since its last one.
pub const MAX_LOST: u32 = 10_000;
/// Deepest nesting of objects and lists in `props`, itself counted.
pub const MAX_PROPS_DEPTH: usize = 8;
/// Longest accepted site id, in bytes.
pub const MAX_SITE_BYTES: usize = 64;
/// How far back an event may have happened before it was sent, in milliseconds: 7 days.
pub const MAX_EVENT_AGE_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Earliest client clock reading that is kept, Unix milliseconds: 2000-01-01; an earlier one is read as this.
pub const MIN_AT_MS: u64 = 946_684_800_000;
/// What every client clock reading is below, Unix milliseconds: 2100-01-01; a later one is read as the last before. The two
/// bounds keep hostile clocks from making a storage partition of each year there is.
pub const MAX_AT_MS: u64 = 4_102_444_800_000;

/// What the person said, as the tracker reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consent {
    /// The person agreed on this site.
    Granted,
    /// Nothing was said; allowed on sites whose mode is `cookieless`.
    Unknown,
    /// The site's mode asks for no consent.
    NotRequired,
}

impl Consent {
    /// Every word, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Granted, Self::Unknown, Self::NotRequired];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Unknown => "unknown",
            Self::NotRequired => "not-required",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A page was seen.
    Pageview,
    /// Visible time and scroll depth of a page so far; cumulative, merged by maximum.
    Engagement,
    /// A link to another host was followed.
    Outbound,
    /// A file was downloaded.
    Download,
    /// A form was submitted.
    Form,
    /// A video was started.
    Video,
    /// An event that the site owner named.
    Custom,
    /// The visitor gave an e-mail address or name.
    Identify,
    /// The visitor withdrew: erase what this client id has on this site.
    Forget,
}

impl EventKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Pageview,
        Self::Engagement,
        Self::Outbound,
        Self::Download,
        Self::Form,
        Self::Video,
        Self::Custom,
        Self::Identify,
        Self::Forget,
    ];

    /// The word on the wire, field `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pageview => "pageview",
            Self::Engagement => "engagement",
            Self::Outbound => "outbound",
            Self::Download => "download",
            Self::Form => "form",
            Self::Video => "video",
            Self::Custom => "custom",
            Self::Identify => "identify",
            Self::Forget => "forget",
        }
    }
}
