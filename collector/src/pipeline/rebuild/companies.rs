//! Companies over all time: sums over their days, and what is known about them from elsewhere.

use super::{MAX_IN_STATEMENT, MAX_SITES_IN_STATEMENT, Rebuilder, company_days::Companies, portions};
use crate::{
    store::{CompanyRow, StoreError},
    time::UnixMillis,
};
use clickhouse::Row;
use firmsight_resolver::{Profile, ProfileLookup};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// Knows nothing about any company.
#[derive(Clone, Copy, Debug)]
pub struct NoProfiles;

impl ProfileLookup for NoProfiles {
    fn profile(&self, _: &str) -> Option<Profile> {
        None
    }
}

#[derive(Debug, Row, Deserialize)]
struct Totals {
    site: String,
    company_id: u64,
    newest_name: String,
    newest_domain: String,
    newest_industry: String,
    newest_confidence: f32,
    newest_country: String,
    newest_region: String,
    newest_city: String,
    first_at: UnixMillis,
    last_at: UnixMillis,
    visit_count: u64,
    pageview_count: u64,
    visible_sum: u64,
    day_count: u32,
}

impl Rebuilder {
    /// Writes these companies as their days have them; those without days are marked as deleted.
    pub(super) async fn rebuild_companies(&self, companies: &Companies) -> Result<(), StoreError> {
        let mut by_company: HashMap<u64, BTreeSet<&str>> = HashMap::new();
        for (site, company) in companies {
            by_company.entry(*company).or_default().insert(site);
        }
        for ids in portions(by_company.keys().copied().collect(), MAX_IN_STATEMENT) {
            let sites: BTreeSet<&str> = ids.iter().filter_map(|id| by_company.get(id)).flatten().copied().collect();
            for sites in portions(sites, MAX_SITES_IN_STATEMENT) {
                let version = self.versions.next();
                let mut waiting: Companies = sites
                    .iter()
                    .flat_map(|site| ids.iter().map(|id| ((*site).to_owned(), *id)))
                    .filter(|company| companies.contains(company))
                    .collect();
                let mut rows = Vec::with_capacity(waiting.len());
                for totals in self.company_totals(&sites, &ids).await? {
                    if waiting.remove(&(totals.site.clone(), totals.company_id)) {
                        rows.push(self.company_row(totals, version));
                    }
                }
                rows.extend(waiting.iter().map(|(site, company_id)| CompanyRow {
                    site: site.clone(),
                    company_id: *company_id,
                    version,
                    is_deleted: 1,
                    ..CompanyRow::default()
                }));
                self.store.insert_companies(&rows).await?;
            }
        }
        Ok(())
    }

    async fn company_totals(&self, sites: &[&str], companies: &[u64]) -> Result<Vec<Totals>, StoreError> {
        // A filter by the sort key comes before FINAL without changing what it finds.
        let query = self.query(
            "SELECT site, company_id,
                 argMax(company_name, day) AS newest_name,
                 argMax(company_domain, day) AS newest_domain,
                 argMax(company_industry, day) AS newest_industry,
                 argMax(company_confidence, day) AS newest_confidence,
                 argMax(country_code, day) AS newest_country,
                 argMax(region, day) AS newest_region,
                 argMax(city, day) AS newest_city,
                 min(first_visit_at) AS first_at,
                 max(last_visit_at) AS last_at,
                 toUInt64(sum(visits)) AS visit_count,
                 toUInt64(sum(pageviews)) AS pageview_count,
                 sum(visible_ms) AS visible_sum,
                 toUInt32(count()) AS day_count
             FROM company_activity FINAL
             PREWHERE site IN {sites:Array(String)} AND company_id IN {companies:Array(UInt64)}
             GROUP BY site, company_id",
        );
        self.all(query.param("sites", sites).param("companies", companies)).await
    }

    fn company_row(&self, totals: Totals, version: u64) -> CompanyRow {
        let mut row = CompanyRow {
            site: totals.site,
            company_id: totals.company_id,
            name: totals.newest_name,
            domain: totals.newest_domain,
            industry: totals.newest_industry,
            confidence: totals.newest_confidence,
            country_code: totals.newest_country,
            region: totals.newest_region,
            city: totals.newest_city,
            first_visit_at: totals.first_at,
            last_visit_at: totals.last_at,
            visits: totals.visit_count,
            pageviews: totals.pageview_count,
            visible_ms: totals.visible_sum,
            active_days: totals.day_count,
            version,
            ..CompanyRow::default()
        };
        if let Some(profile) = self.profiles.profile(&row.domain) {
            describe(&mut row, profile);
        }
        row
    }
}

/// Fills in a company's profile. An industry that a visit's verdict had none of comes from it too.
fn describe(row: &mut CompanyRow, profile: Profile) {
    let known = |text: String| (!text.is_empty()).then_some(text);
    if row.industry.is_empty() {
        row.industry = profile.industries.into_iter().next().unwrap_or_default();
    }
    row.legal_name = known(profile.legal_name);
    row.employees_min = profile.employees.map(|employees| employees.min);
    row.employees_max = profile.employees.and_then(|employees| employees.max);
    if let Some(revenue) = profile.revenue {
        row.revenue_amount = Some(revenue.amount);
        row.revenue_currency = known(revenue.currency);
        row.revenue_year = revenue.year;
    }
    row.street = known(profile.address.street);
    row.postcode = known(profile.address.postcode);
    row.address_city = known(profile.address.city);
    row.address_region = known(profile.address.region);
    row.address_country_code = known(profile.address.country_code);
    row.phone = known(profile.phone);
    row.website_url = known(profile.links.website);
    row.linkedin_url = known(profile.links.linkedin);
    row.twitter_url = known(profile.links.twitter);
    row.facebook_url = known(profile.links.facebook);
    row.logo_url = known(profile.logo);
    row.legal_entity_identifier = known(profile.legal_entity_identifier);
    row.description = known(profile.description);
    row.founded = profile.founded;
    if let Some(parent) = profile.parent {
        row.parent_name = known(parent.name);
        row.parent_domain = known(parent.domain);
    }
}
