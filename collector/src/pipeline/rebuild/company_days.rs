//! Company days: sums over the visits of a company on one local day, and what occurred in them.
//!
//! The sets hold at most 1,000 values of a day: a robot that visits more pages than that does not make rows grow without end.

use super::{
    super::local_day::{LocalDay, zone},
    Affected, MAX_IN_STATEMENT, MAX_SITES_IN_STATEMENT, Rebuilder, Scope, portions,
};
use crate::{
    snapshot::Snapshot,
    store::{CompanyDayRow, StoreError},
    time::UnixMillis,
};
use clickhouse::Row;
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};

#[derive(Debug, Row, Deserialize)]
struct DayTotals {
    site: String,
    company_id: u64,
    newest_name: String,
    newest_domain: String,
    newest_industry: String,
    newest_confidence: f32,
    newest_country: String,
    newest_region: String,
    newest_city: String,
    visit_count: u32,
    bounce_count: u32,
    visitor_count: u32,
    pageview_count: u32,
    visible_sum: u64,
    length_sum: u64,
    first_at: UnixMillis,
    last_at: UnixMillis,
    all_sources: Vec<String>,
    all_mediums: Vec<String>,
    all_campaigns: Vec<String>,
    all_terms: Vec<String>,
    all_countries: Vec<String>,
    all_regions: Vec<String>,
    all_cities: Vec<String>,
    all_paths: Vec<String>,
    all_event_names: Vec<String>,
}

/// Companies by site.
pub(super) type Companies = BTreeSet<(String, u64)>;

impl Rebuilder {
    /// Counts the affected days again and returns the companies whose days these are.
    pub(super) async fn rebuild_company_days(
        &self,
        snapshot: &Snapshot,
        affected: &Affected,
        scope: Scope,
    ) -> Result<Companies, StoreError> {
        let mut counted = Companies::new();
        for ((zone_name, day), sites) in affected.by_zone(snapshot) {
            let (from, until) = day.bounds(&zone(zone_name));
            for sites in portions(sites, MAX_SITES_IN_STATEMENT) {
                match scope {
                    Scope::WholeDays => counted.extend(self.count_whole_day(&sites, day, from, until).await?),
                    Scope::Companies => {
                        let touched: BTreeSet<(&str, u64)> =
                            sites.iter().flat_map(|site| affected.companies(site, day)).collect();
                        counted.extend(touched.iter().map(|(site, company)| ((*site).to_owned(), *company)));
                        self.count_companies(&sites, day, from, until, touched).await?;
                    }
                }
            }
        }
        Ok(counted)
    }

    async fn count_companies(
        &self,
        sites: &[&str],
        day: LocalDay,
        from: UnixMillis,
        until: UnixMillis,
        touched: BTreeSet<(&str, u64)>,
    ) -> Result<(), StoreError> {
        let companies: BTreeSet<u64> = touched.iter().map(|(_, company)| *company).collect();
        for companies in portions(companies, MAX_IN_STATEMENT) {
            let version = self.versions.next();
            let mut totals = self.day_totals(sites, from, until, Some(&companies)).await?;
            totals.retain(|total| touched.contains(&(total.site.as_str(), total.company_id)));
            let counted: HashSet<_> = totals.iter().map(|total| (total.site.clone(), total.company_id)).collect();
            let vanished = touched
                .iter()
                .filter(|(_, company)| companies.contains(company))
                .filter(|(site, company)| !counted.contains(&((*site).to_owned(), *company)));
            let mut rows: Vec<CompanyDayRow> =
                vanished.map(|(site, company)| vanished_company_day(site, *company, day, version)).collect();
            rows.extend(totals.into_iter().map(|total| company_day_row(total, day, version)));
            self.store.insert_company_days(&rows).await?;
        }
        Ok(())
    }

    async fn count_whole_day(
        &self,
        sites: &[&str],
        day: LocalDay,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<Companies, StoreError> {
        let version = self.versions.next();
        // Deleted rows as well: what broke off after them may have left the company as it was.
        let query = self.query(
            "SELECT DISTINCT site, company_id FROM company_activity
             WHERE site IN {sites:Array(String)} AND day = toDate({day:UInt16})",
        );
        let stored: Vec<(String, u64)> = self.all(query.param("sites", sites).param("day", day.0)).await?;
        let mut vanished: Companies = stored.into_iter().collect();
        let mut companies = vanished.clone();
        let mut rows = Vec::new();
        for total in self.day_totals(sites, from, until, None).await? {
            let company = (total.site.clone(), total.company_id);
            vanished.remove(&company);
            companies.insert(company);
            rows.push(company_day_row(total, day, version));
        }
        rows.extend(vanished.iter().map(|(site, company)| vanished_company_day(site, *company, day, version)));
        self.store.insert_company_days(&rows).await?;
        Ok(companies)
    }

    /// What is newest is taken as one tuple: seven maxima over the same pair took a third of the statement's time.
    async fn day_totals(
        &self,
        sites: &[&str],
        from: UnixMillis,
        until: UnixMillis,
        companies: Option<&[u64]>,
    ) -> Result<Vec<DayTotals>, StoreError> {
        let query = self.query(
            "SELECT site, company_id,
                 tupleElement(argMax((company_name, company_domain, company_industry, company_confidence, country_code, region,
                     city), (started_at, visit_id)) AS newest, 1) AS newest_name,
                 newest.2 AS newest_domain,
                 newest.3 AS newest_industry,
                 newest.4 AS newest_confidence,
                 newest.5 AS newest_country,
                 newest.6 AS newest_region,
                 newest.7 AS newest_city,
                 toUInt32(count()) AS visit_count,
                 toUInt32(countIf(pageviews <= 1)) AS bounce_count,
                 toUInt32(uniqExact(visitor)) AS visitor_count,
                 toUInt32(sum(pageviews)) AS pageview_count,
                 sum(visible_ms) AS visible_sum,
                 sum(visit_length) AS length_sum,
                 min(started_at) AS first_at,
                 max(started_at) AS last_at,
                 arraySort(groupUniqArray(1000)(source)) AS all_sources,
                 arraySort(groupUniqArray(1000)(medium)) AS all_mediums,
                 arraySort(groupUniqArray(1000)(campaign)) AS all_campaigns,
                 arraySort(groupUniqArray(1000)(term)) AS all_terms,
                 arraySort(groupUniqArray(1000)(country_code)) AS all_countries,
                 arraySort(groupUniqArray(1000)(region)) AS all_regions,
                 arraySort(groupUniqArray(1000)(city)) AS all_cities,
                 arraySort(groupUniqArrayArray(1000)(route_path)) AS all_paths,
                 arraySort(groupUniqArrayArray(1000)(event_names)) AS all_event_names
             FROM visits FINAL
             WHERE site IN {sites:Array(String)} AND company_id != 0
                 AND started_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
                 AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
                 AND ({all:Bool} OR company_id IN {companies:Array(UInt64)})
             GROUP BY site, company_id",
        );
        let query = query.param("sites", sites).param("from", from.0).param("until", until.0);
        self.all(query.param("all", companies.is_none()).param("companies", companies.unwrap_or_default())).await
    }
}

fn company_day_row(total: DayTotals, day: LocalDay, version: u64) -> CompanyDayRow {
    CompanyDayRow {
        site: total.site,
        day: day.0,
        company_id: total.company_id,
        company_name: total.newest_name,
        company_domain: total.newest_domain,
        company_industry: total.newest_industry,
        company_confidence: total.newest_confidence,
        country_code: total.newest_country,
        region: total.newest_region,
        city: total.newest_city,
        visits: total.visit_count,
        bounces: total.bounce_count,
        visitors: total.visitor_count,
        pageviews: total.pageview_count,
        visible_ms: total.visible_sum,
        visit_length: total.length_sum,
        first_visit_at: total.first_at,
        last_visit_at: total.last_at,
        sources: total.all_sources,
        mediums: total.all_mediums,
        campaigns: total.all_campaigns,
        terms: total.all_terms,
        countries: total.all_countries,
        regions: total.all_regions,
        cities: total.all_cities,
        paths: total.all_paths,
        event_names: total.all_event_names,
        version,
        is_deleted: 0,
    }
}

fn vanished_company_day(site: &str, company_id: u64, day: LocalDay, version: u64) -> CompanyDayRow {
    CompanyDayRow { site: site.to_owned(), day: day.0, company_id, version, is_deleted: 1, ..CompanyDayRow::default() }
}
