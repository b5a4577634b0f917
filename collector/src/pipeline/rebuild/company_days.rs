//! Company days: sums over the visits of a company on one local day, and what occurred in them.
//!
//! One statement counts all companies of a day that were touched, inside ClickHouse: the day is read once, however many they
//! are, and nothing passes through this process (a company's paths alone can be 1,000 texts). Who is touched stands in a
//! temporary table; whoever has no visits there any more gets a row that says so.
//!
//! The sets hold at most 1,000 values of a day: a robot that visits more pages than that does not make rows grow without end.
//! A statement that takes too much all the same is repeated for each half of its companies; one that does so alone is set aside.

use super::{
    super::{
        local_day::{LocalDay, zone},
        set_aside::Subject,
        visits::Span,
    },
    Affected, MAX_SITES_IN_STATEMENT, Rebuilder, Scope, exact_final, portions, within_limits,
};
use crate::{snapshot::Snapshot, store::StoreError, time::UnixMillis};
use clickhouse::Row;
use serde::Serialize;
use std::collections::BTreeSet;

/// Most companies that are counted together: what occurred in their visits is in ClickHouse's memory at once.
const MAX_STAGED_COMPANIES: usize = 50_000;

/// A row of the temporary table `touched_companies`.
#[derive(Row, Serialize)]
struct TouchedCompany<'a> {
    site: &'a str,
    company_id: u64,
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
            let companies = match scope {
                Scope::Companies => sites
                    .iter()
                    .flat_map(|site| affected.companies(site, day))
                    .map(|(site, company)| (site.to_owned(), company))
                    .collect(),
                Scope::WholeDays => self.companies_of_day(sites, day, from, until).await?,
            };
            let companies = self.without_settled(companies, affected, day, until).await?;
            let span = Span { first: from.0, last: until.0 - 1 };
            let subject = |(site, company): &(String, u64)| Subject::CompanyDay {
                site: site.as_str().into(),
                day,
                company: *company,
            };
            let counting = companies.iter().filter(|company| !self.is_set_aside(&subject(company), span)).collect();
            let mut waiting = portions(counting, MAX_STAGED_COMPANIES);
            while let Some(portion) = waiting.pop() {
                match self.count_company_days(&portion, day, from, until).await {
                    Err(error) if error.is_over_limit() => match portion.as_slice() {
                        [] => {}
                        [one] => self.set_aside(subject(one), span, error).await?,
                        many => waiting.extend(many.chunks(many.len().div_ceil(2)).map(<[_]>::to_vec)),
                    },
                    counted => counted?,
                }
            }
            counted.extend(companies);
        }
        Ok(counted)
    }

    /// The companies that have visits on this day or had some, deleted ones included: what broke off after visits were
    /// deleted may have left their companies as they were.
    async fn companies_of_day(
        &self,
        sites: BTreeSet<&str>,
        day: LocalDay,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<Companies, StoreError> {
        let mut found = Companies::new();
        for sites in portions(sites, MAX_SITES_IN_STATEMENT) {
            let query = self.query(
                "SELECT toString(site), company_id FROM company_activity
                 WHERE site IN {sites:Array(String)} AND day = toDate({day:UInt16})
                 UNION DISTINCT
                 SELECT toString(site), company_id FROM visits
                 WHERE site IN {sites:Array(String)} AND company_id != 0
                     AND started_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
                     AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')",
            );
            let query = query.param("sites", sites).param("day", day.0).param("from", from.0).param("until", until.0);
            found.extend(self.all::<(String, u64)>(query).await?);
        }
        Ok(found)
    }

    /// What is newest is taken as one tuple: seven maxima over the same pair took a third of the statement's time.
    async fn count_company_days(
        &self,
        companies: &[&(String, u64)],
        day: LocalDay,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        let rows: Vec<TouchedCompany<'_>> =
            companies.iter().map(|(site, company_id)| TouchedCompany { site, company_id: *company_id }).collect();
        let columns = "site String, company_id UInt64";
        let version = self.versions.next();
        let staged = self.store.stage::<TouchedCompany<'_>>("touched_companies", columns, &rows).await?;
        let insert = staged.insert(
            "INSERT INTO company_activity (site, company_id, day, company_name, company_domain, company_industry,
                 company_confidence, country_code, region, city, visits, bounces, visitors, pageviews, visible_ms, visit_length,
                 first_visit_at, last_visit_at, sources, mediums, campaigns, terms, countries, regions, cities, paths,
                 event_names, version, is_deleted)
             SELECT site, company_id, toDate({day:UInt16}), newest.1, newest.2, newest.3, newest.4, newest.5, newest.6, newest.7,
                 visit_count, bounce_count, visitor_count, pageview_count, visible_sum, length_sum, first_at, last_at,
                 all_sources, all_mediums, all_campaigns, all_terms, all_countries, all_regions, all_cities, all_paths,
                 all_event_names, {version:UInt64}, visit_count = 0
             FROM touched_companies
             LEFT JOIN (
                 SELECT toString(site) AS site, company_id,
                     argMax((company_name, company_domain, company_industry, company_confidence, country_code, region, city),
                         (started_at, visit_id)) AS newest,
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
                 WHERE site IN (SELECT site FROM touched_companies)
                     AND (site, company_id) IN (SELECT site, company_id FROM touched_companies)
                     AND started_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
                     AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
                 GROUP BY site, company_id) AS counted
             USING (site, company_id)",
        );
        // Blocks of visits are small, because a route may be long: FINAL holds some at once.
        let insert = within_limits(exact_final(insert)).with_setting("max_block_size", "2048");
        let insert = insert.param("day", day.0).param("version", version);
        let insert = insert.param("from", from.0).param("until", until.0);
        self.store.in_time(insert.execute()).await?;
        staged.end().await;
        Ok(())
    }
}
