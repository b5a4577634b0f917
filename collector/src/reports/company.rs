//! What is known of one company of a site over all time.

use super::{
    Error,
    formulas::FACTS,
    reading::{all, read},
};
use crate::{site::Site, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

/// A company's profile.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) industry: String,
    /// How sure the newest verdict was, 0 to 1.
    pub(crate) confidence: f32,
    pub(crate) country_code: String,
    pub(crate) city: String,
    pub(crate) visits: u64,
    pub(crate) employees_min: Option<u32>,
    pub(crate) employees_max: Option<u32>,
    pub(crate) founded: Option<i16>,
    pub(crate) phone: Option<String>,
    /// Whether each of [`fact_names`] is known.
    pub(crate) facts: Vec<u8>,
    /// How the newest verdict found it: the resolver's word.
    pub(crate) found_by: String,
    /// Sources of its visits and how many came from each, most first.
    pub(crate) sources: Vec<(String, u64)>,
}

/// What makes a profile complete.
pub(crate) fn fact_names() -> impl Iterator<Item = &'static str> {
    FACTS.iter().map(|(name, _)| *name)
}

/// The company's profile; `None` where it never visited.
pub(crate) async fn profile(store: &Store, site: &Site, company: CompanyId) -> Result<Option<Profile>, Error> {
    let sql = format!(
        "SELECT name, domain, industry, confidence, country_code, city, visits, \
            employees_min, employees_max, founded, phone, [{facts}] AS facts, \
            ifNull((SELECT argMax(company_source, started_at) FROM visits FINAL \
                WHERE site = {{site:String}} AND company_id = {{company:UInt64}}), '') AS found_by, \
            (SELECT groupArray((source, visit_count)) FROM (SELECT source, toUInt64(count()) AS visit_count FROM visits FINAL \
                WHERE site = {{site:String}} AND company_id = {{company:UInt64}} \
                GROUP BY source ORDER BY visit_count DESC, source LIMIT 6)) AS sources \
        FROM companies AS company FINAL PREWHERE site = {{site:String}} AND company_id = {{company:UInt64}}",
        facts = FACTS.map(|(_, known)| format!("toUInt8({known})")).join(", "),
    );
    let query = read(store, &sql, &site.id).param("company", company.0);
    Ok(all(store, query).await?.pop())
}
