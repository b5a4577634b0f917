//! Reading a beacon with every limit checked, so that what comes out can be trusted by the next step.

use crate::{ClientId, Consent, EventKind};
use alloc::{borrow::Cow, string::String, vec::Vec};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One HTTP request of the tracker: a small batch of events.
#[derive(Clone, Debug)]
pub struct Beacon<'a> {
    /// The site's id.
    pub site: Cow<'a, str>,
    /// What the person said.
    pub consent: Consent,
    /// The browser's clock when it sent this, Unix milliseconds; absent means now.
    pub sent: Option<u64>,
    /// The visitor, when consent allows an id.
    pub client: Option<ClientId>,
    /// One to [`crate::MAX_EVENTS`] events.
    pub events: Vec<Event<'a>>,
}

/// One event of a beacon.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Unique in its site; a repeat is counted once.
    pub id: Uuid,
    /// The browser's clock when it happened, Unix milliseconds.
    pub at: u64,
    /// What happened.
    pub kind: EventKind,
    /// The page, an http(s) URL; for outbound and download the target is in `props.url`.
    pub url: Option<Cow<'a, str>>,
    /// Where the visitor came from; empty and absent are the same.
    pub referrer: Option<Cow<'a, str>>,
    /// The page's title.
    pub title: Option<Cow<'a, str>>,
    /// The id of the pageview this belongs to; absent on a pageview itself.
    pub page: Option<Uuid>,
    /// Milliseconds the page was visible so far.
    pub visible_ms: Option<u32>,
    /// Deepest scroll so far, percent 0 to 100.
    pub scroll: Option<u8>,
    /// The name of a custom event, or a form's id.
    pub name: Option<Cow<'a, str>>,
    /// A JSON object of the owner's own properties.
    pub props: Option<&'a RawValue>,
}

/// Why a beacon was refused: which field broke which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Path of the field, such as `events[3].url`; empty for the whole body.
    pub field: String,
    /// Stable name of the rule, such as `url-scheme`.
    pub rule: &'static str,
    /// One sentence for a developer.
    pub detail: String,
}
