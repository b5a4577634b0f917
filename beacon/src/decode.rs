//! Reading a beacon with every limit checked, so that what comes out can be trusted by the next step.
//!
//! The text is parsed once, borrowing from the body, into a form in which every field may be absent;
//! then the limits are checked in the order of the fields. Only when the JSON itself doesn't fit is
//! it parsed a second time, slower, to name the field that broke it.

use crate::{ClientId, Consent, EventKind};
use alloc::{
    borrow::{Cow, ToOwned},
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, marker::PhantomData};
use serde::{Deserialize, de::value::MapAccessDeserializer};
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
    /// Beacons that this browser gave up since it last said so: its queue was full, or they were tried too often or
    /// became too old.
    pub lost: u32,
    /// One to [`crate::MAX_EVENTS`] events.
    pub events: Vec<Event<'a>>,
    /// Why others that came along were refused: one bad event doesn't take its batch.
    pub refused: Vec<Refusal>,
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, rule, detail } = self;
        if field.is_empty() { write!(f, "{rule}: {detail}") } else { write!(f, "{field}: {rule}: {detail}") }
    }
}

impl core::error::Error for Refusal {}

impl<'a> Beacon<'a> {
    /// Reads a body of at most [`crate::MAX_BODY_BYTES`] and checks every limit of this crate.
    ///
    /// Unknown fields are ignored, so that a newer tracker can talk to an older collector. A title
    /// over its limit is cut at a character boundary.
    ///
    /// An event that breaks a rule is left out and named in `refused`, as long as there is a good one.
    ///
    /// # Errors
    /// The first field that breaks a rule, of the beacon itself or of events that are all bad.
    pub fn decode(body: &'a [u8]) -> Result<Self, Refusal> {
        let whole = |rule, detail: String| Refusal { field: String::new(), rule, detail };
        if body.len() > crate::MAX_BODY_BYTES {
            return Err(whole("too-large", format!("a beacon has at most {} bytes", crate::MAX_BODY_BYTES)));
        }
        let text = core::str::from_utf8(body)
            .map_err(|error| whole("utf-8", format!("the body is not UTF-8 at byte {}", error.valid_up_to())))?;
        match serde_json::from_str::<Object<WireBeacon<'a, Object<WireEvent<'a>>>>>(text) {
            Ok(Object(wire)) => wire.check(|Object(event)| Ok(event)),
            // Perhaps only some events are wrong: they are read again, one by one.
            Err(error) => {
                let Ok(Object(wire)) = serde_json::from_str::<Object<WireBeacon<'a, &'a RawValue>>>(text) else {
                    return Err(locate(text, &error));
                };
                wire.check(|event: &'a RawValue| {
                    serde_json::from_str::<Object<WireEvent<'a>>>(event.get())
                        .map(|Object(event)| event)
                        .map_err(|error| locate_in::<WireEvent<'a>>(event.get(), &error))
                })
            }
        }
    }
}

/// Says where JSON that doesn't fit went wrong, by reading it again with the path tracked.
fn locate<'a>(text: &'a str, error: &serde_json::Error) -> Refusal {
    locate_in::<WireBeacon<'a, Object<WireEvent<'a>>>>(text, error)
}

fn locate_in<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> Refusal {
    let rule = if error.is_data() { "type" } else { "json" };
    let mut tracked = serde_json::Deserializer::from_str(text);
    let path = serde_path_to_error::deserialize::<_, Object<T>>(&mut tracked)
        .map_or_else(|error| error.path().to_string(), |_| String::new());
    let field = if path == "." || path == "?" { String::new() } else { path };
    Refusal { field: field.chars().take(120).collect(), rule, detail: error.to_string().chars().take(200).collect() }
}

/// JSON text that borrows from the body unless it holds escapes. (`Option<Cow<str>>` never borrows.)
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A JSON object; a derived struct by itself would be read from a list of its values too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// `E` is an event, read along or left as text.
#[derive(Deserialize)]
#[serde(bound(deserialize = "E: Deserialize<'de>, 'de: 'a"))]
struct WireBeacon<'a, E> {
    v: Option<u64>,
    #[serde(borrow)]
    site: Option<Text<'a>>,
    #[serde(borrow)]
    consent: Option<Text<'a>>,
    sent: Option<u64>,
    #[serde(borrow)]
    client: Option<Text<'a>>,
    lost: Option<u64>,
    events: Option<Vec<E>>,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    at: Option<u64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    referrer: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    page: Option<Text<'a>>,
    visible_ms: Option<u64>,
    scroll: Option<u64>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    props: Option<&'a RawValue>,
}

/// A broken rule whose field is named relative to what holds it.
struct Broken {
    field: &'static str,
    rule: &'static str,
    detail: String,
}

type Checked<T> = Result<T, Broken>;

fn broken<T>(field: &'static str, rule: &'static str, detail: impl Into<String>) -> Checked<T> {
    Err(Broken { field, rule, detail: detail.into() })
}

fn required<T>(field: &'static str, value: Option<T>) -> Checked<T> {
    value.map_or_else(|| broken(field, "required", format!("{field} is missing")), Ok)
}

impl<'a, E> WireBeacon<'a, E> {
    /// Checks the beacon, then its events one by one, as `read` gives them.
    fn check(self, read: impl Fn(E) -> Result<WireEvent<'a>, Refusal>) -> Result<Beacon<'a>, Refusal> {
        let named = |Broken { field, rule, detail }| Refusal { field: field.to_owned(), rule, detail };
        let (mut beacon, events) = self.check_head().map_err(named)?;
        for (index, event) in events.into_iter().enumerate() {
            let checked = read(event).and_then(|event| {
                let event = event.check().map_err(named)?;
                let repeated = beacon.events.iter().any(|earlier| earlier.id == event.id);
                let twice = || broken("id", "duplicate-id", "an event id stands once in a beacon");
                if repeated { twice().map_err(named) } else { Ok(event) }
            });
            match checked {
                Ok(event) => beacon.events.push(event),
                Err(Refusal { field, rule, detail }) => {
                    let dot = if field.is_empty() { "" } else { "." };
                    beacon.refused.push(Refusal { field: format!("events[{index}]{dot}{field}"), rule, detail });
                }
            }
        }
        if beacon.events.is_empty()
            && let Some(first) = beacon.refused.drain(..).next()
        {
            return Err(first);
        }
        if beacon.client.is_none() && beacon.events.iter().any(|event| event.kind == EventKind::Forget) {
            let detail = "a forget needs the client id that is to be forgotten".to_owned();
            return Err(Refusal { field: "client".to_owned(), rule: "required", detail });
        }
        Ok(beacon)
    }

    fn check_head(self) -> Checked<(Beacon<'a>, Vec<E>)> {
        if required("v", self.v)? != u64::from(crate::VERSION) {
            return broken("v", "version", format!("this collector reads version {}", crate::VERSION));
        }
        let Text(site) = required("site", self.site)?;
        let is_site_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if site.is_empty() || site.len() > crate::MAX_SITE_BYTES || !site.bytes().all(is_site_byte) {
            let limit = crate::MAX_SITE_BYTES;
            return broken("site", "site-id", format!("a site id has 1 to {limit} characters of A-Z a-z 0-9 _ -"));
        }
        let Text(consent) = required("consent", self.consent)?;
        let Some(consent) = Consent::ALL.into_iter().find(|word| word.as_str() == consent) else {
            return broken("consent", "consent-word", "consent is granted, unknown or not-required");
        };
        let sent = self.sent.map(clock);
        let client = self.client.map(|Text(text)| {
            ClientId::parse(text.as_bytes()).map_err(|error| Broken {
                field: "client",
                rule: "client-id",
                detail: error.to_string(),
            })
        });
        let client = client.transpose()?;
        let events = required("events", self.events)?;
        if events.is_empty() || events.len() > crate::MAX_EVENTS {
            return broken("events", "event-count", format!("a beacon has 1 to {} events", crate::MAX_EVENTS));
        }
        let held = Vec::with_capacity(events.len());
        // Whoever sends nonsense shall not spoil the count: a browser's queue holds no more than some thousands.
        let lost = u32::try_from(self.lost.unwrap_or(0)).map_or(crate::MAX_LOST, |lost| lost.min(crate::MAX_LOST));
        Ok((Beacon { site, consent, sent, client, lost, events: held, refused: Vec::new() }, events))
    }
}

impl<'a> WireEvent<'a> {
    fn check(self) -> Checked<Event<'a>> {
        let id = required("id", self.id).and_then(|text| uuid("id", &text))?;
        let at = required("at", self.at).map(clock)?;
        let Text(kind) = required("type", self.kind)?;
        let Some(kind) = EventKind::ALL.into_iter().find(|word| word.as_str() == kind) else {
            return broken("type", "event-type", "there is no such type of event");
        };
        let url = filled(self.url).map(|text| web_url("url", text)).transpose()?;
        if kind == EventKind::Pageview && url.is_none() {
            return broken("url", "required", "a pageview needs its page's URL");
        }
        let referrer = filled(self.referrer).map(referrer).transpose()?;
        let title = filled(self.title).map(|text| cut(text, crate::MAX_TITLE_BYTES));
        if title.as_ref().is_some_and(|title| title.contains('\0')) {
            return broken("title", "control-character", "a title holds no NUL");
        }
        let page = filled(self.page).map(|text| uuid("page", &Text(text))).transpose()?;
        if kind == EventKind::Engagement && page.is_none() {
            return broken("page", "required", "an engagement needs the id of its pageview");
        }
        let visible_ms = within("visible_ms", self.visible_ms, u32::MAX.into())?.and_then(|ms| u32::try_from(ms).ok());
        let scroll = within("scroll", self.scroll, 100)?.and_then(|percent| u8::try_from(percent).ok());
        let name = filled(self.name).map(|text| plain("name", text, crate::MAX_NAME_BYTES)).transpose()?;
        if kind == EventKind::Custom && name.is_none() {
            return broken("name", "required", "a custom event needs a name");
        }
        let props = self.props.map(properties).transpose()?;
        Ok(Event { id, at, kind, url, referrer, title, page, visible_ms, scroll, name, props })
    }
}

/// An empty string says the same as none.
fn filled(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text).filter(|text| !text.is_empty())
}

/// A reading of the browser's clock. One that is decades off says nothing of when, but how long ago something happened is the
/// difference of two; so it is moved to the nearest that is stored, the same for each repeat.
fn clock(ms: u64) -> u64 {
    ms.clamp(crate::MIN_AT_MS, crate::MAX_AT_MS - 1)
}

fn within(field: &'static str, value: Option<u64>, most: u64) -> Checked<Option<u64>> {
    if value.is_some_and(|value| value > most) {
        return broken(field, "range", format!("{field} is at most {most}"));
    }
    Ok(value)
}

fn uuid(field: &'static str, Text(text): &Text<'_>) -> Checked<Uuid> {
    const HYPHENATED: usize = 36;
    match Uuid::try_parse(text) {
        Ok(id) if text.len() == HYPHENATED && !id.is_nil() => Ok(id),
        _ => broken(field, "uuid", "an id is a UUID written with hyphens, and not the nil one"),
    }
}

fn plain<'a>(field: &'static str, text: Cow<'a, str>, most: usize) -> Checked<Cow<'a, str>> {
    if text.len() > most {
        return broken(field, "too-long", format!("{field} has at most {most} bytes"));
    }
    if text.chars().any(char::is_control) {
        return broken(field, "control-character", format!("{field} holds no control characters"));
    }
    Ok(text)
}

fn web_url<'a>(field: &'static str, text: Cow<'a, str>) -> Checked<Cow<'a, str>> {
    let text = plain(field, text, crate::MAX_URL_BYTES)?;
    if (has_scheme(&text, "http") || has_scheme(&text, "https"))
        && text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//"))
    {
        Ok(text)
    } else {
        broken(field, "url-scheme", "a URL starts with http:// or https://")
    }
}

/// Where a visitor came from: a page, or an app of Android, which its system names `android-app://com.example/`.
fn referrer(text: Cow<'_, str>) -> Checked<Cow<'_, str>> {
    if has_scheme(&text, "android-app") {
        return plain("referrer", text, crate::MAX_URL_BYTES);
    }
    web_url("referrer", text)
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    url.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(scheme))
}

fn cut(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    let end = text.floor_char_boundary(most);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// The text is valid JSON already; what is left is its size, its depth and what a store can't hold.
fn properties(raw: &RawValue) -> Checked<&RawValue> {
    let text = raw.get();
    if !text.starts_with('{') {
        return broken("props", "type", "props is an object");
    }
    if text.len() > crate::MAX_PROPS_BYTES {
        return broken("props", "too-long", format!("props has at most {} bytes", crate::MAX_PROPS_BYTES));
    }
    let mut depth = 0usize;
    let mut in_text = false;
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' if rest.starts_with(b"u0000") => {
                return broken("props", "control-character", "props holds no NUL");
            }
            b'\\' => rest = rest.split_first().map_or(rest, |(_, after)| after),
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > crate::MAX_PROPS_DEPTH {
            let limit = crate::MAX_PROPS_DEPTH;
            return broken("props", "too-deep", format!("props nests at most {limit} objects and lists"));
        }
    }
    Ok(raw)
}
