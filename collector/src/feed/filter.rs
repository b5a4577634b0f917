//! Filters over the companies that visited a site within some dates.
//!
//! # Meaning
//! A filter is a condition on a *company*. Conditions on what visits have (`page`, `source`, `medium`, `campaign`, `event`,
//! `country`, `region`, `city`) hold when at least one of the company's visits within the dates has it; so `not` of one
//! means that no visit has it. `is` compares texts as they are; `contains` and `starts_with` take A–Z and a–z as the same.
//!
//! As JSON: `{"all": [{"country": {"is": ["DE", "AT"]}}, {"visits": {"min": 3}}, {"not": {"page": {"starts_with": ["/jobs"]}}}]}`.
//!
//! # Bounds
//! Filters come from outside and become queries, so their depth, number of conditions and texts are bounded ([`Filter::check`]).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// Deepest nesting of `all`, `any` and `not`; a single condition has depth 1.
pub(super) const MAX_DEPTH: usize = 6;
/// Most conditions and groups.
pub(super) const MAX_NODES: usize = 50;
/// Most texts in one condition.
pub(crate) const MAX_TEXTS: usize = 100;
/// Longest text, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 1_000;
/// All texts together, in bytes: ClickHouse's client sends no parameter over 100 KB.
pub(super) const MAX_ALL_TEXT_BYTES: usize = 20_000;

/// A condition on a company, by its visits within the dates that are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(no_recursion)]
pub enum Filter {
    /// Every one holds; none given holds always.
    All(Vec<Self>),
    /// At least one holds; none given never holds.
    Any(Vec<Self>),
    /// It doesn't hold.
    Not(Box<Self>),
    /// The company's name.
    Company(TextMatch),
    /// The company's registrable domain.
    Domain(TextMatch),
    /// The company's industry, in the words of the data set.
    Industry(TextMatch),
    /// Country of a visit, ISO 3166-1 alpha-2.
    Country(TextMatch),
    /// Region of a visit.
    Region(TextMatch),
    /// City of a visit.
    City(TextMatch),
    /// Path of a page that was seen.
    Page(TextMatch),
    /// Traffic source of a visit; `(direct)` where there was none.
    Source(TextMatch),
    /// Traffic medium of a visit; `(none)` where there was none.
    Medium(TextMatch),
    /// Campaign of a visit; an empty text where there was none.
    Campaign(TextMatch),
    /// Name of an event: that of a custom event, or `form`, `download`, `outbound`, `video`.
    Event(TextMatch),
    /// A tag on the company.
    Tag(TextMatch),
    /// Who takes care of the company; an empty text for nobody.
    Assignee(TextMatch),
    /// The company is on one of these lists.
    List(Vec<Uuid>),
    /// Whether the company is followed.
    Followed(bool),
    /// Visits within the dates.
    Visits(NumberRange),
    /// Pageviews within the dates.
    Pageviews(NumberRange),
    /// Seconds from page to page, over all visits within the dates.
    Duration(NumberRange),
    /// Quality, 0 to 10.
    Quality(NumberRange),
    /// Employees; a company of whom nothing is known fits no range.
    Employees(NumberRange),
    /// Day of the first visit ever, in the site's time zone.
    FirstSeen(DateRange),
    /// Whether the first visit ever lies within the dates.
    Visitor(VisitorKind),
}

/// How texts are compared; one of several is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TextMatch {
    /// Equal to one of these.
    Is(Vec<String>),
    /// Contains one of these, A–Z and a–z being the same.
    Contains(Vec<String>),
    /// Starts with one of these, A–Z and a–z being the same.
    StartsWith(Vec<String>),
}

impl TextMatch {
    /// The texts that are compared with.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Is(texts) | Self::Contains(texts) | Self::StartsWith(texts) => texts,
        }
    }
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, Option<u64>>")]
pub struct NumberRange {
    /// At least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// By name alone: a derived structure would read an array as well.
impl TryFrom<BTreeMap<String, Option<u64>>> for NumberRange {
    type Error = String;

    fn try_from(mut ends: BTreeMap<String, Option<u64>>) -> Result<Self, String> {
        let range = Self { min: ends.remove("min").flatten(), max: ends.remove("max").flatten() };
        nothing_else(&ends).map(|()| range)
    }
}

/// A range of days, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, Option<Date>>")]
pub struct DateRange {
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<Date>,
    /// Not after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub to: Option<Date>,
}

impl TryFrom<BTreeMap<String, Option<Date>>> for DateRange {
    type Error = String;

    fn try_from(mut ends: BTreeMap<String, Option<Date>>) -> Result<Self, String> {
        let range = Self { from: ends.remove("from").flatten(), to: ends.remove("to").flatten() };
        nothing_else(&ends).map(|()| range)
    }
}

fn nothing_else<T>(ends: &BTreeMap<String, T>) -> Result<(), String> {
    match ends.keys().next() {
        Some(name) => Err(format!("unknown field `{}`", name.chars().take(80).collect::<String>())),
        None => Ok(()),
    }
}

/// Whether a company came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisitorKind {
    /// Its first visit ever lies within the dates.
    New,
    /// It had visited before.
    Returning,
}

/// A rule that a filter breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterRule {
    /// Nested too deeply.
    #[error("a filter is nested at most {MAX_DEPTH} deep")]
    Depth,
    /// Too many conditions.
    #[error("a filter has at most {MAX_NODES} conditions and groups")]
    Nodes,
    /// Too many texts.
    #[error("a condition compares with 1 to {MAX_TEXTS} texts or lists")]
    Texts,
    /// A text is too long.
    #[error("a text has at most {MAX_TEXT_BYTES} bytes, all texts of a filter {MAX_ALL_TEXT_BYTES}")]
    TextLength,
    /// A text that everything contains.
    #[error("an empty text is contained in everything: use `is` to find where there is none")]
    EmptyText,
    /// Nothing fits.
    #[error("a range has a min or a max, a from or a to, the first not above the second")]
    Range,
}

impl Filter {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first [`FilterRule`] that it breaks.
    pub fn check(&self) -> Result<(), FilterRule> {
        let mut size = Size::default();
        size.add(self, 1)
    }
}

#[derive(Default)]
struct Size {
    nodes: usize,
    text_bytes: usize,
}

impl Size {
    fn add(&mut self, filter: &Filter, depth: usize) -> Result<(), FilterRule> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(FilterRule::Nodes);
        }
        if depth > MAX_DEPTH {
            return Err(FilterRule::Depth);
        }
        match filter {
            Filter::All(filters) | Filter::Any(filters) => {
                filters.iter().try_for_each(|filter| self.add(filter, depth + 1))
            }
            Filter::Not(filter) => self.add(filter, depth + 1),
            Filter::Company(texts)
            | Filter::Domain(texts)
            | Filter::Industry(texts)
            | Filter::Country(texts)
            | Filter::Region(texts)
            | Filter::City(texts)
            | Filter::Page(texts)
            | Filter::Source(texts)
            | Filter::Medium(texts)
            | Filter::Campaign(texts)
            | Filter::Event(texts)
            | Filter::Tag(texts)
            | Filter::Assignee(texts) => self.add_texts(texts),
            Filter::List(lists) if (1..=MAX_TEXTS).contains(&lists.len()) => Ok(()),
            Filter::List(_) => Err(FilterRule::Texts),
            Filter::Visits(range)
            | Filter::Pageviews(range)
            | Filter::Duration(range)
            | Filter::Quality(range)
            | Filter::Employees(range) => {
                // The bound of `int64`, which is what the description promises.
                let is_bounded = [range.min, range.max].iter().flatten().all(|end| i64::try_from(*end).is_ok());
                if is_bounded { in_order(range.min, range.max) } else { Err(FilterRule::Range) }
            }
            Filter::FirstSeen(range) => in_order(range.from, range.to),
            Filter::Followed(_) | Filter::Visitor(_) => Ok(()),
        }
    }

    fn add_texts(&mut self, texts: &TextMatch) -> Result<(), FilterRule> {
        if !(1..=MAX_TEXTS).contains(&texts.texts().len()) {
            return Err(FilterRule::Texts);
        }
        if !matches!(texts, TextMatch::Is(_)) && texts.texts().iter().any(String::is_empty) {
            return Err(FilterRule::EmptyText);
        }
        self.text_bytes += texts.texts().iter().map(String::len).sum::<usize>();
        let is_long = texts.texts().iter().any(|text| text.len() > MAX_TEXT_BYTES);
        if is_long || self.text_bytes > MAX_ALL_TEXT_BYTES { Err(FilterRule::TextLength) } else { Ok(()) }
    }
}

fn in_order<T: PartialOrd>(first: Option<T>, last: Option<T>) -> Result<(), FilterRule> {
    match (first, last) {
        (None, None) => Err(FilterRule::Range),
        (Some(first), Some(last)) if first > last => Err(FilterRule::Range),
        _ => Ok(()),
    }
}

impl TextMatch {
    /// Checks the bounds of texts that stand alone.
    ///
    /// # Errors
    /// The first [`FilterRule`] that they break.
    pub fn check(&self) -> Result<(), FilterRule> {
        Size::default().add_texts(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Filter, String> {
        let filter: Filter = serde_json::from_str(json).map_err(|error| error.to_string())?;
        filter.check().map(|()| filter).map_err(|error| error.to_string())
    }

    #[test]
    fn filters_read_back_as_they_were_written() {
        for json in [
            r#"{"all":[]}"#,
            r#"{"all":[{"country":{"is":["DE","AT"]}},{"visits":{"min":3}},{"not":{"page":{"starts_with":["/jobs"]}}}]}"#,
            r#"{"any":[{"visitor":"new"},{"first_seen":{"from":"2026-01-01"}},{"followed":true}]}"#,
            r#"{"list":["00000000-0000-0000-0000-000000000007"]}"#,
        ] {
            assert_eq!(serde_json::to_string(&parsed(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn what_goes_beyond_a_bound_is_refused_with_its_rule() {
        let nested = |depth: usize| format!("{}{{\"all\":[]}}{}", "{\"not\":".repeat(depth), "}".repeat(depth));
        let many = format!("{{\"all\":[{}]}}", vec![r#"{"followed":true}"#; MAX_NODES].join(","));
        let texts = |count: usize, length: usize| {
            format!("{{\"page\":{{\"is\":{}}}}}", serde_json::to_string(&vec!["x".repeat(length); count]).unwrap())
        };
        assert!(parsed(&nested(MAX_DEPTH - 1)).is_ok());
        for (json, words) in [
            (nested(MAX_DEPTH).as_str(), "nested"),
            (&many, "conditions and groups"),
            (&texts(0, 1), "1 to 100 texts"),
            (&texts(MAX_TEXTS + 1, 1), "1 to 100 texts"),
            (&texts(1, MAX_TEXT_BYTES + 1), "bytes"),
            (&texts(30, MAX_TEXT_BYTES), "bytes"),
            (r#"{"page":{"contains":[""]}}"#, "empty text"),
            (r#"{"visits":{}}"#, "range"),
            (r#"{"visits":{"min":3,"max":2}}"#, "range"),
            (r#"{"visits":[1,2]}"#, "map"),
            (r#"{"visits":{"max":9223372036854775808}}"#, "range"),
            (r#"{"visits":{"min":-1}}"#, "u64"),
            (r#"{"visits":{"least":1}}"#, "unknown field"),
            (r#"{"first_seen":{"from":"2026-13-01"}}"#, "month"),
            (r#"{"colour":{"is":["red"]}}"#, "unknown variant"),
            (r#"{"list":[]}"#, "lists"),
        ] {
            let error = parsed(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
        assert!(serde_json::from_str::<Filter>(&nested(100_000)).is_err(), "no stack is deep enough for everything");
    }
}
