//! Rows as the tables have them, field by field (`/migrations`). The client compares names and types with the table
//! at a table's first insert.
//!
//! Times are milliseconds since 1970 UTC (`DateTime64(3)`), days are days since 1970-01-01 (`Date`).

use crate::time::UnixMillis;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A base row: one event.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct EventRow {
    /// Site id.
    pub site: String,
    /// The client's own clock.
    pub at: UnixMillis,
    /// The event's id, made by the client.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    /// Kind of event, such as `pageview`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened, corrected by the clocks' difference.
    pub event_time: UnixMillis,
    /// When the beacon came.
    pub received_at: UnixMillis,
    /// Keyed hash of the client id, else of address and user agent under the day's key.
    pub visitor: u64,
    /// Whether the visitor has a client id.
    pub has_client: bool,
    /// What the person had said.
    pub consent: String,
    /// Id of the pageview it belongs to; nil for none.
    #[serde(with = "clickhouse::serde::uuid")]
    pub page: Uuid,
    /// `http` or `https`.
    pub scheme: String,
    /// The page's host.
    pub host: String,
    /// The page's path.
    pub path: String,
    /// The page's query, without the question mark.
    pub query: String,
    /// The page's title.
    pub title: String,
    /// Where the visitor came from.
    pub referrer: String,
    /// Traffic source.
    pub source: String,
    /// Traffic medium.
    pub medium: String,
    /// Campaign.
    pub campaign: String,
    /// Search term.
    pub term: String,
    /// Visible time in milliseconds.
    pub visible_ms: u32,
    /// Deepest scroll, percent.
    pub scroll: u8,
    /// Name of a custom event.
    pub name: String,
    /// Properties as JSON.
    pub props: String,
    /// Network kind.
    pub network_kind: String,
    /// Company; 0 for none.
    pub company_id: u64,
    /// The company's name.
    pub company_name: String,
    /// The company's registrable domain.
    pub company_domain: String,
    /// The company's industry.
    pub company_industry: String,
    /// What named the company.
    pub company_source: String,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// Region.
    pub region: String,
    /// City.
    pub city: String,
    /// Autonomous system number.
    pub asn: u32,
    /// Device class.
    pub device: String,
    /// Browser.
    pub browser: String,
    /// Operating system.
    pub os: String,
    /// The browser's language.
    pub language: String,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
}

/// A visit, derived from its events.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct VisitRow {
    /// Site id.
    pub site: String,
    /// Time of its first event.
    pub started_at: UnixMillis,
    /// Derived from its first pageview's event id.
    pub visit_id: u64,
    /// Time of its last event.
    pub ended_at: UnixMillis,
    /// Keyed hash of the client id, else of address and user agent under the day's key.
    pub visitor: u64,
    /// Whether the visitor has a client id.
    pub has_client: bool,
    /// Network kind.
    pub network_kind: String,
    /// Company; 0 for none.
    pub company_id: u64,
    /// The company's name.
    pub company_name: String,
    /// The company's registrable domain.
    pub company_domain: String,
    /// The company's industry.
    pub company_industry: String,
    /// What named the company.
    pub company_source: String,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// Region.
    pub region: String,
    /// City.
    pub city: String,
    /// Autonomous system number.
    pub asn: u32,
    /// Traffic source.
    pub source: String,
    /// Traffic medium.
    pub medium: String,
    /// Campaign.
    pub campaign: String,
    /// Search term.
    pub term: String,
    /// Where the visitor came from.
    pub referrer: String,
    /// Device class.
    pub device: String,
    /// Browser.
    pub browser: String,
    /// Operating system.
    pub os: String,
    /// The browser's language.
    pub language: String,
    /// Pageviews.
    pub pageviews: u32,
    /// Events.
    pub events: u32,
    /// Visible time in milliseconds.
    pub visible_ms: u64,
    /// E-mail address of an identified visitor.
    pub email: String,
    /// First name of an identified visitor.
    pub first_name: String,
    /// Last name of an identified visitor.
    pub last_name: String,
    /// Time of each pageview, oldest first; all route columns have the same length.
    pub route_at: Vec<UnixMillis>,
    /// Scheme of each page.
    pub route_scheme: Vec<String>,
    /// Host of each page.
    pub route_host: Vec<String>,
    /// Path of each page.
    pub route_path: Vec<String>,
    /// Query of each page.
    pub route_query: Vec<String>,
    /// Title of each page.
    pub route_title: Vec<String>,
    /// Visible time of each page in milliseconds.
    pub route_visible_ms: Vec<u32>,
    /// Deepest scroll of each page, percent.
    pub route_scroll: Vec<u8>,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
    /// 1 when a rebuild no longer finds it.
    pub is_deleted: u8,
}

/// A company's visits to a site on one local day, derived from visits.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct CompanyDayRow {
    /// Site id.
    pub site: String,
    /// The site's local day, as days since 1970-01-01.
    pub day: u16,
    /// Company; 0 for none.
    pub company_id: u64,
    /// The company's name.
    pub company_name: String,
    /// The company's registrable domain.
    pub company_domain: String,
    /// The company's industry.
    pub company_industry: String,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// Region.
    pub region: String,
    /// City.
    pub city: String,
    /// Visits.
    pub visits: u32,
    /// Distinct visitors.
    pub visitors: u32,
    /// Pageviews.
    pub pageviews: u32,
    /// Visible time in milliseconds.
    pub visible_ms: u64,
    /// Start of the first visit.
    pub first_visit_at: UnixMillis,
    /// Start of the last visit.
    pub last_visit_at: UnixMillis,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
    /// 1 when a rebuild no longer finds it.
    pub is_deleted: u8,
}

/// How many events of a batch were dropped for one reason, by site and UTC day.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct DropRow {
    /// Site id.
    pub site: String,
    /// The UTC day, as days since 1970-01-01.
    pub day: u16,
    /// Why they were dropped.
    pub reason: String,
    /// The spool segment or import batch.
    #[serde(with = "clickhouse::serde::uuid")]
    pub batch: Uuid,
    /// How many.
    pub events: u64,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
}
