//! A small typed client of Firmsight's reports API, written from docs/openapi.json. It blocks; in an asynchronous program
//! call it on a thread of its own.
//!
//! ```no_run
//! use reports_client::Reports;
//!
//! # fn main() -> Result<(), reports_client::Error> {
//! let reports = Reports::new("http://127.0.0.1:8081", "KEY");
//! let (first, last) = ("2026-11-01".parse().expect("a date"), "2026-11-30".parse().expect("a date"));
//! for lead in reports.leads("shop", first, last) {
//!     let lead = lead?;
//!     println!("{} {}", lead.attributes.name, lead.attributes.visits);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod summary;

use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::VecDeque, thread::sleep, time::Duration};
use ureq::{Agent, http};
use url::form_urlencoded;

/// An answer may take so long.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Larger answers are not read.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;
/// Times that a request is repeated after "too many requests"; the server says how long to wait.
const PATIENCE: u32 = 5;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API refused.
    #[error("{status} {rule} {field}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable name of the rule; empty outside of `/v1`.
        rule: String,
        /// The parameter or field that broke it; empty where it is the whole request.
        field: String,
        /// What was wrong and what to do about it.
        detail: String,
    },
    /// The API can't be reached.
    #[error("can't ask {url}: {source}")]
    Transport {
        /// What was asked.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// What was found can't be written.
    #[error("can't write: {0}")]
    Output(#[from] std::io::Error),
    /// The answer is none of this API's.
    #[error("the answer of {url} can't be read: {source}")]
    Answer {
        /// What was asked.
        url: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// A company that visited.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Lead {
    /// 16 hexadecimal digits, the same for ever.
    pub id: String,
    /// What is known of it.
    pub attributes: LeadAttributes,
}

/// What is known of a company; texts are empty where nothing is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LeadAttributes {
    /// Its name.
    pub name: String,
    /// Its industry, `N/A` where unknown.
    pub industry: String,
    /// Its website.
    pub website_url: String,
    /// Its first visit ever, a day of the site's time zone.
    pub first_visit_date: Date,
    /// Its latest visit.
    pub last_visit_date: Date,
    /// Tags that people gave it.
    pub tags: Vec<String>,
    /// Visits within the dates.
    pub visits: u64,
    /// 0 to 10.
    pub quality: u8,
}

/// Counts of one hour, day, week or month.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Period {
    /// When it begins: a day, or for hours an instant.
    pub start: String,
    /// Visits of companies that began in it.
    pub visits: u64,
    /// Their page views.
    pub pageviews: u64,
    /// Different companies.
    pub companies: u64,
    /// Different visitors.
    pub visitors: u64,
}

/// Counts of one source, page, country and so on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ValueCounts {
    /// The source, page, country …
    pub value: String,
    /// Visits of companies.
    pub visits: u64,
    /// Their page views.
    pub pageviews: u64,
    /// Different companies.
    pub companies: u64,
    /// Different visitors.
    pub visitors: u64,
}

/// The organisation behind an address or a domain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Company {
    /// The id of its lead.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its registrable domain.
    pub domain: Option<String>,
    /// Its industry.
    pub industry: Option<String>,
    /// 0 to 1.
    pub confidence: f32,
}

/// What a key may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read reports.
    Read,
    /// Change feeds, tags and the like.
    Write,
    /// Manage sites, keys and users.
    Admin,
}

impl Role {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MadeKey {
    /// Its id, by which it is revoked.
    pub id: String,
    /// What it may do.
    pub role: Role,
    /// Its token, shown this one time.
    pub token: String,
}

/// Hours, days, weeks or months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks, from Monday.
    Week,
    /// Months.
    Month,
}

impl Interval {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// The API at one address, with one key.
#[derive(Clone, Debug)]
pub struct Reports {
    address: String,
    key: String,
    agent: Agent,
}

#[derive(Deserialize)]
struct Document<T> {
    data: Vec<T>,
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    company: Option<Company>,
}

/// Problem details under `/v1`, a JSON:API error document elsewhere.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    rule: String,
    field: String,
    detail: String,
    errors: Vec<ErrorObject>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorObject {
    title: String,
    detail: Option<String>,
    source: Source,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    parameter: String,
}

impl Reports {
    /// The API at an address such as `http://127.0.0.1:8081`.
    #[must_use]
    pub fn new(address: &str, key: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        Self { address: address.trim_end_matches('/').to_owned(), key: key.to_owned(), agent: config.into() }
    }

    /// Companies that visited between two days, page after page.
    pub fn leads(&self, site: &str, first: Date, last: Date) -> impl Iterator<Item = Result<Lead, Error>> + '_ {
        let query =
            query(&[("start_date", &first.to_string()), ("end_date", &last.to_string()), ("page[size]", "100")]);
        Leads {
            reports: self,
            next: Some(format!("{}/accounts/{}/leads?{query}", self.address, segment(site))),
            waiting: VecDeque::new(),
        }
    }

    /// Counts over time, without gaps.
    ///
    /// # Errors
    /// [`Error`].
    pub fn time_series(&self, site: &str, first: Date, last: Date, by: Interval) -> Result<Vec<Period>, Error> {
        let (first, last) = (first.to_string(), last.to_string());
        let query = [("start_date", first.as_str()), ("end_date", &last), ("interval", by.as_str())];
        self.rows(&format!("/v1/sites/{}/time-series", segment(site)), &query)
    }

    /// Counts by `source`, `medium`, `campaign`, `page`, `country`, `region`, `city`, `industry`, `device` or `referrer`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn breakdown(&self, site: &str, dimension: &str, first: Date, last: Date) -> Result<Vec<ValueCounts>, Error> {
        let (first, last) = (first.to_string(), last.to_string());
        let path = format!("/v1/sites/{}/breakdowns/{}", segment(site), segment(dimension));
        self.rows(&path, &[("start_date", first.as_str()), ("end_date", &last)])
    }

    /// The company behind an address.
    ///
    /// # Errors
    /// [`Error`].
    pub fn company_of_address(&self, ip: &str) -> Result<Option<Company>, Error> {
        let url = format!("{}/v1/resolve?{}", self.address, query(&[("ip", ip)]));
        self.ask::<Found>("GET", &url, None).map(|found| found.company)
    }

    /// The company that a domain belongs to.
    ///
    /// # Errors
    /// [`Error`].
    pub fn company_of_domain(&self, domain: &str) -> Result<Option<Company>, Error> {
        let url = format!("{}/v1/enrich?{}", self.address, query(&[("domain", domain)]));
        self.ask::<Found>("GET", &url, None).map(|found| found.company)
    }

    /// Makes a key of some sites. For admin keys.
    ///
    /// # Errors
    /// [`Error`].
    pub fn create_key(&self, name: &str, sites: &[&str], role: Role) -> Result<MadeKey, Error> {
        let body = serde_json::json!({"name": name, "sites": sites, "role": role}).to_string();
        self.ask("POST", &format!("{}/v1/keys", self.address), Some(&body))
    }

    /// Revokes a key. For admin keys.
    ///
    /// # Errors
    /// [`Error`].
    pub fn revoke_key(&self, id: &str) -> Result<(), Error> {
        self.text("DELETE", &format!("{}/v1/keys/{}", self.address, segment(id)), None).map(drop)
    }

    /// Every row of a list under `/v1`.
    fn rows<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut parameters = parameters.to_vec();
            parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.ask("GET", &format!("{}{path}?{}", self.address, query(&parameters)), None)?;
            rows.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, url: &str, body: Option<&str>) -> Result<T, Error> {
        let text = self.text(method, url, body)?;
        serde_json::from_str(&text).map_err(|source| Error::Answer { url: url.to_owned(), source })
    }

    #[allow(clippy::disallowed_methods, reason = "this client blocks, as its documentation says")]
    fn text(&self, method: &str, url: &str, body: Option<&str>) -> Result<String, Error> {
        let transport = |source: ureq::Error| Error::Transport { url: url.to_owned(), source: Box::new(source) };
        let mut attempts = 0;
        loop {
            let request = http::Request::builder()
                .method(method)
                .uri(url)
                .header("X-Api-Key", &self.key)
                .header("Accept", "application/json")
                .header("Content-Type", "application/json")
                .header("User-Agent", "firmsight-reports-rust")
                .body(body.unwrap_or_default().to_owned())
                .map_err(|error| transport(error.into()))?;
            let mut answer = self.agent.run(request).map_err(transport)?;
            let status = answer.status().as_u16();
            let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(transport)?;
            match status {
                200..=299 => return Ok(text),
                429 if attempts < PATIENCE => sleep(Duration::from_secs(seconds.unwrap_or(60))),
                _ => return Err(refused(status, &text)),
            }
            attempts += 1;
        }
    }
}

/// The leads of a list, a page at a time.
struct Leads<'a> {
    reports: &'a Reports,
    next: Option<String>,
    waiting: VecDeque<Lead>,
}

impl Iterator for Leads<'_> {
    type Item = Result<Lead, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty() {
            match self.reports.ask::<Document<Lead>>("GET", &self.next.take()?, None) {
                Ok(page) => (self.waiting, self.next) = (page.data.into(), page.links.next),
                Err(error) => return Some(Err(error)),
            }
        }
        self.waiting.pop_front().map(Ok)
    }
}

fn refused(status: u16, text: &str) -> Error {
    let mut refusal: Refusal = serde_json::from_str(text).unwrap_or_default();
    if let Some(error) = refusal.errors.pop() {
        refusal.field = error.source.parameter;
        refusal.detail = error.detail.unwrap_or(error.title);
    }
    let Refusal { rule, field, detail, .. } = refusal;
    Error::Refused { status, rule, field, detail }
}

fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
