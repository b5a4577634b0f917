//! Visits made by hand, and what the pipeline would make of them, counted here rather than by the collector.

use collector::{
    store::{CompanyDayRow, CompanyRow, Store, VisitRow},
    time::UnixMillis,
};
use compact_str::{CompactString, format_compact};
use firmsight_resolver::CompanyId;
use jiff::{Timestamp, civil::date, tz::TimeZone};
use std::collections::BTreeMap;

pub(crate) fn millis(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

/// A visit of a company that is known by its domain alone, to one page.
pub(crate) fn plain_visit(site: &str, number: u64, domain: &str, started: UnixMillis) -> VisitRow {
    VisitRow {
        site: site.into(),
        started_at: started,
        visit_id: number,
        ended_at: started,
        visitor: number,
        network_kind: "business".into(),
        company_id: CompanyId::of_domain(domain).0,
        company_name: domain.into(),
        company_domain: domain.into(),
        pageviews: 1,
        events: 1,
        device: "desktop".into(),
        version: 1,
        ..VisitRow::default()
    }
    .with_pages(&[(0, "/", "Home")])
}

pub(crate) trait WithPages {
    fn with_pages(self, pages: &[(i64, &str, &str)]) -> Self;
}

impl WithPages for VisitRow {
    /// Pages as milliseconds after the start, path with query, title.
    fn with_pages(mut self, pages: &[(i64, &str, &str)]) -> Self {
        let address = |page: &str| {
            page.split_once('?').map_or((page.into(), "".into()), |(path, query)| (path.into(), query.into()))
        };
        self.pageviews = pages.len() as u32;
        self.route_at = pages.iter().map(|(after, ..)| UnixMillis(self.started_at.0 + after)).collect();
        self.route_scheme = pages.iter().map(|_| "https".into()).collect();
        self.route_host = pages.iter().map(|_| format_compact!("{}.example", self.site)).collect();
        self.route_path = pages.iter().map(|(_, page, _)| address(page).0).collect();
        self.route_query = pages.iter().map(|(_, page, _)| address(page).1).collect();
        self.route_title = pages.iter().map(|(.., title)| (*title).into()).collect();
        self.route_visible_ms = vec![0; pages.len()];
        self.route_scroll = vec![0; pages.len()];
        self
    }
}

/// The company days of visits, counted here rather than by the collector.
pub(crate) fn company_days(visits: &[VisitRow], timezone: &str) -> Vec<CompanyDayRow> {
    let zone = TimeZone::get(timezone).unwrap();
    let mut days: BTreeMap<(CompactString, u16, u64), CompanyDayRow> = BTreeMap::new();
    for visit in visits.iter().filter(|visit| visit.is_deleted == 0) {
        let local = zone.to_datetime(Timestamp::from_millisecond(visit.started_at.0).unwrap()).date();
        let day = local.since(date(1970, 1, 1)).unwrap().get_days() as u16;
        let row = days.entry((visit.site.clone(), day, visit.company_id)).or_insert_with(|| CompanyDayRow {
            site: visit.site.clone(),
            day,
            company_id: visit.company_id,
            first_visit_at: visit.started_at,
            version: 1,
            ..CompanyDayRow::default()
        });
        row.company_name = visit.company_name.clone();
        row.company_domain = visit.company_domain.clone();
        row.company_industry = visit.company_industry.clone();
        row.country_code = visit.country_code.clone();
        row.region = visit.region.clone();
        row.city = visit.city.clone();
        row.visits += 1;
        row.pageviews += visit.pageviews;
        row.bounces += u32::from(visit.pageviews <= 1);
        row.visit_length += u64::from(visit.visit_length);
        for (set, values) in [
            (&mut row.sources, std::slice::from_ref(&visit.source)),
            (&mut row.mediums, std::slice::from_ref(&visit.medium)),
            (&mut row.campaigns, std::slice::from_ref(&visit.campaign)),
            (&mut row.terms, std::slice::from_ref(&visit.term)),
            (&mut row.countries, std::slice::from_ref(&visit.country_code)),
            (&mut row.regions, std::slice::from_ref(&visit.region)),
            (&mut row.cities, std::slice::from_ref(&visit.city)),
            (&mut row.paths, visit.route_path.as_slice()),
            (&mut row.event_names, visit.event_names.as_slice()),
        ] {
            set.extend(values.iter().cloned());
            set.sort();
            set.dedup();
        }
        row.first_visit_at = row.first_visit_at.min(visit.started_at);
        row.last_visit_at = row.last_visit_at.max(visit.started_at);
    }
    days.into_values().collect()
}

/// The companies of company days, counted here as well.
pub(crate) fn companies(days: &[CompanyDayRow]) -> Vec<CompanyRow> {
    let mut companies: BTreeMap<(CompactString, u64), CompanyRow> = BTreeMap::new();
    for day in days {
        let row = companies.entry((day.site.clone(), day.company_id)).or_insert_with(|| CompanyRow {
            site: day.site.to_string(),
            company_id: day.company_id,
            first_visit_at: day.first_visit_at,
            version: day.version,
            is_deleted: day.is_deleted,
            ..CompanyRow::default()
        });
        row.name = day.company_name.to_string();
        row.domain = day.company_domain.to_string();
        row.industry = day.company_industry.to_string();
        row.country_code = day.country_code.to_string();
        row.region = day.region.to_string();
        row.city = day.city.to_string();
        row.visits += u64::from(day.visits);
        row.pageviews += u64::from(day.pageviews);
        row.active_days += 1;
        row.first_visit_at = row.first_visit_at.min(day.first_visit_at);
        row.last_visit_at = row.last_visit_at.max(day.last_visit_at);
    }
    companies.into_values().collect()
}

pub(crate) async fn insert(store: &Store, visits: &[VisitRow], timezone: &str) {
    store.insert_visits(visits).await.unwrap();
    insert_days(store, &company_days(visits, timezone)).await;
}

pub(crate) async fn insert_days(store: &Store, days: &[CompanyDayRow]) {
    store.insert_company_days(days).await.unwrap();
    store.insert_companies(&companies(days)).await.unwrap();
}
