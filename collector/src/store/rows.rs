//! Rows as the tables have them, field by field (`/migrations`). The client compares names and types with the table
//! at a table's first insert.
//!
//! Times are milliseconds since 1970 UTC (`DateTime64(3)`), days are days since 1970-01-01 (`Date`).

use crate::time::UnixMillis;
use clickhouse::Row;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A base row: one event.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct EventRow {
    /// Site id.
    pub site: CompactString,
    /// The client's own clock.
    pub at: UnixMillis,
    /// The event's id, made by the client.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    /// Kind of event, such as `pageview`.
    #[serde(rename = "type")]
    pub event_type: CompactString,
    /// When it happened, corrected by the clocks' difference.
    pub event_time: UnixMillis,
    /// When the beacon came.
    pub received_at: UnixMillis,
    /// Keyed hash of the client id, else of address and user agent under the day's key.
    pub visitor: u64,
    /// Whether the visitor has a client id.
    pub has_client: bool,
    /// What the person had said.
    pub consent: CompactString,
    /// Id of the pageview it belongs to; nil for none.
    #[serde(with = "clickhouse::serde::uuid")]
    pub page: Uuid,
    /// `http` or `https`.
    pub scheme: CompactString,
    /// The page's host.
    pub host: CompactString,
    /// The page's path.
    pub path: CompactString,
    /// The page's query, without the question mark.
    pub query: CompactString,
    /// The page's title.
    pub title: CompactString,
    /// Where the visitor came from.
    pub referrer: CompactString,
    /// Traffic source.
    pub source: CompactString,
    /// Traffic medium.
    pub medium: CompactString,
    /// Campaign.
    pub campaign: CompactString,
    /// Search term.
    pub term: CompactString,
    /// Visible time in milliseconds.
    pub visible_ms: u32,
    /// Deepest scroll, percent.
    pub scroll: u8,
    /// Name of a custom event.
    pub name: CompactString,
    /// Properties as JSON.
    pub props: CompactString,
    /// Network kind.
    pub network_kind: CompactString,
    /// Company; 0 for none.
    pub company_id: u64,
    /// The company's name.
    pub company_name: CompactString,
    /// The company's registrable domain.
    pub company_domain: CompactString,
    /// The company's industry.
    pub company_industry: CompactString,
    /// What named the company.
    pub company_source: CompactString,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: CompactString,
    /// Region.
    pub region: CompactString,
    /// City.
    pub city: CompactString,
    /// Autonomous system number.
    pub asn: u32,
    /// Device class.
    pub device: CompactString,
    /// Browser.
    pub browser: CompactString,
    /// Operating system.
    pub os: CompactString,
    /// The browser's language.
    pub language: CompactString,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
}

/// A visit, derived from its events.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct VisitRow {
    /// Site id.
    pub site: CompactString,
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
    pub network_kind: CompactString,
    /// Company; 0 for none.
    pub company_id: u64,
    /// The company's name.
    pub company_name: CompactString,
    /// The company's registrable domain.
    pub company_domain: CompactString,
    /// The company's industry.
    pub company_industry: CompactString,
    /// What named the company.
    pub company_source: CompactString,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: CompactString,
    /// Region.
    pub region: CompactString,
    /// City.
    pub city: CompactString,
    /// Autonomous system number.
    pub asn: u32,
    /// Traffic source.
    pub source: CompactString,
    /// Traffic medium.
    pub medium: CompactString,
    /// Campaign.
    pub campaign: CompactString,
    /// Search term.
    pub term: CompactString,
    /// Where the visitor came from.
    pub referrer: CompactString,
    /// Device class.
    pub device: CompactString,
    /// Browser.
    pub browser: CompactString,
    /// Operating system.
    pub os: CompactString,
    /// The browser's language.
    pub language: CompactString,
    /// Pageviews.
    pub pageviews: u32,
    /// Events.
    pub events: u32,
    /// Visible time in milliseconds.
    pub visible_ms: u64,
    /// Whole seconds from each page of the route to the next, summed.
    pub visit_length: u32,
    /// Names of its events that goals can be made of, each once.
    pub event_names: Vec<CompactString>,
    /// E-mail address of an identified visitor.
    pub email: CompactString,
    /// First name of an identified visitor.
    pub first_name: CompactString,
    /// Last name of an identified visitor.
    pub last_name: CompactString,
    /// Time of each pageview, oldest first; all route columns have the same length.
    pub route_at: Vec<UnixMillis>,
    /// Scheme of each page.
    pub route_scheme: Vec<CompactString>,
    /// Host of each page.
    pub route_host: Vec<CompactString>,
    /// Path of each page.
    pub route_path: Vec<CompactString>,
    /// Query of each page.
    pub route_query: Vec<CompactString>,
    /// Title of each page.
    pub route_title: Vec<CompactString>,
    /// Visible time of each page in milliseconds.
    pub route_visible_ms: Vec<u32>,
    /// Deepest scroll of each page, percent.
    pub route_scroll: Vec<u8>,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
    /// 1 when a rebuild no longer finds it.
    pub is_deleted: u8,
}

/// A company's visits to a site on one local day, derived from visits; a row of `company_activity`.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct CompanyDayRow {
    /// Site id.
    pub site: CompactString,
    /// Company; never 0.
    pub company_id: u64,
    /// The site's local day, as days since 1970-01-01.
    pub day: u16,
    /// The company's name.
    pub company_name: CompactString,
    /// The company's registrable domain.
    pub company_domain: CompactString,
    /// The company's industry.
    pub company_industry: CompactString,
    /// Confidence in the company, 0 to 1.
    pub company_confidence: f32,
    /// Country of the latest visit, ISO 3166-1 alpha-2.
    pub country_code: CompactString,
    /// Region of the latest visit.
    pub region: CompactString,
    /// City of the latest visit.
    pub city: CompactString,
    /// Visits.
    pub visits: u32,
    /// Visits of one pageview.
    pub bounces: u32,
    /// Distinct visitors.
    pub visitors: u32,
    /// Pageviews.
    pub pageviews: u32,
    /// Visible time in milliseconds.
    pub visible_ms: u64,
    /// Whole seconds from page to page, over all visits.
    pub visit_length: u64,
    /// Start of the first visit.
    pub first_visit_at: UnixMillis,
    /// Start of the last visit.
    pub last_visit_at: UnixMillis,
    /// Traffic sources, each once; empty text for none.
    pub sources: Vec<CompactString>,
    /// Traffic mediums, each once.
    pub mediums: Vec<CompactString>,
    /// Campaigns, each once.
    pub campaigns: Vec<CompactString>,
    /// Search terms, each once.
    pub terms: Vec<CompactString>,
    /// Countries visited from, each once.
    pub countries: Vec<CompactString>,
    /// Regions visited from, each once.
    pub regions: Vec<CompactString>,
    /// Cities visited from, each once.
    pub cities: Vec<CompactString>,
    /// Paths of pages, each once.
    pub paths: Vec<CompactString>,
    /// Names of events, each once.
    pub event_names: Vec<CompactString>,
    /// Of rows with the same key the highest version counts.
    pub version: u64,
    /// 1 when a rebuild no longer finds it.
    pub is_deleted: u8,
}

/// A company of a site over all time, derived from its days; a row of `companies`. From `legal_name` on it is the
/// company's profile: `None` where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Row, Serialize, Deserialize)]
pub struct CompanyRow {
    /// Site id.
    pub site: String,
    /// Company; never 0.
    pub company_id: u64,
    /// Name.
    pub name: String,
    /// Registrable domain; empty when unknown.
    pub domain: String,
    /// Industry in the words of the data set; empty when unknown.
    pub industry: String,
    /// Confidence in the company, 0 to 1.
    pub confidence: f32,
    /// Country of the latest visit, ISO 3166-1 alpha-2.
    pub country_code: String,
    /// Region of the latest visit.
    pub region: String,
    /// City of the latest visit.
    pub city: String,
    /// Start of the first visit ever.
    pub first_visit_at: UnixMillis,
    /// Start of the last visit.
    pub last_visit_at: UnixMillis,
    /// Visits.
    pub visits: u64,
    /// Pageviews.
    pub pageviews: u64,
    /// Visible time in milliseconds.
    pub visible_ms: u64,
    /// Local days with a visit.
    pub active_days: u32,
    /// Registered name.
    pub legal_name: Option<String>,
    /// At least so many employees.
    pub employees_min: Option<u32>,
    /// At most so many employees; `None` where the range is open or nothing is known.
    pub employees_max: Option<u32>,
    /// Yearly revenue in whole units of the currency.
    pub revenue_amount: Option<u64>,
    /// Currency of the revenue, ISO 4217.
    pub revenue_currency: Option<String>,
    /// Year of the revenue.
    pub revenue_year: Option<i16>,
    /// Street and number of the seat.
    pub street: Option<String>,
    /// Postal code of the seat.
    pub postcode: Option<String>,
    /// City of the seat.
    pub address_city: Option<String>,
    /// Region of the seat.
    pub address_region: Option<String>,
    /// Country of the seat, ISO 3166-1 alpha-2.
    pub address_country_code: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// Website.
    pub website_url: Option<String>,
    /// LinkedIn page.
    pub linkedin_url: Option<String>,
    /// Account on X, formerly Twitter.
    pub twitter_url: Option<String>,
    /// Facebook page.
    pub facebook_url: Option<String>,
    /// Logo.
    pub logo_url: Option<String>,
    /// Legal entity identifier, ISO 17442.
    pub legal_entity_identifier: Option<String>,
    /// One sentence in English.
    pub description: Option<String>,
    /// The year it was founded.
    pub founded: Option<i16>,
    /// Name of the parent company.
    pub parent_name: Option<String>,
    /// Domain of the parent company.
    pub parent_domain: Option<String>,
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
