//! Counts over time.
//!
//! Where one hour, day, week or month begins in the site's time zone is worked out here, and the store is given the list: so
//! one time zone database counts, and a period without visits is there with zeros.
//!
//! Counts come from `visits`, of which there is one row per visit and never one per page view. Unique visitors of a week
//! can't be had from sums by day, and a site's hours and months are cut in its own time zone, so sums by day would serve only
//! some of the questions.

use super::{
    Error,
    dates::Window,
    reading::{VISITS_IN_WINDOW, all, read, with_instants},
    selection::Counts,
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use jiff::{Timestamp, ToSpan, Zoned, civil::Weekday, tz::TimeZone};
use serde::Deserialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Periods in one answer: 208 days of hours.
const MAX_PERIODS: usize = 5_000;

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Interval {
    Hour,
    Day,
    /// From Monday (ISO 8601).
    Week,
    Month,
}

/// Counts of one hour, day, week or month.
#[derive(Debug)]
pub(crate) struct Period {
    /// When it begins: a day, or for hours an instant with the site's offset.
    pub(crate) start: String,
    pub(crate) counts: Counts,
}

#[derive(Row, Deserialize)]
struct PeriodRow {
    /// First millisecond of the period.
    start: i64,
    visits: u64,
    pageviews: u64,
    companies: u64,
    visitors: u64,
}

/// Visits of companies, cut into periods of the site's time zone, oldest first. Only what lies in the window is counted, also
/// where a week or month reaches beyond.
pub(crate) async fn counts(
    store: &Store,
    site: &SiteId,
    window: &Window,
    zone: &TimeZone,
    interval: Interval,
) -> Result<Vec<Period>, Error> {
    let begins = interval.begins(window, zone).ok_or(Error::TooManyPeriods(MAX_PERIODS))?;
    let starts: Vec<i64> = begins.iter().map(|begin| begin.timestamp().as_millisecond()).collect();
    let found = if starts.is_empty() { Vec::new() } else { rows(store, site, window, &starts).await? };
    let found: HashMap<i64, Counts> = found
        .into_iter()
        .map(|PeriodRow { start, visits, pageviews, companies, visitors }| {
            (start, Counts { visits, pageviews, companies, visitors })
        })
        .collect();
    let period = |(begin, start): (&Zoned, &i64)| Period {
        start: interval.text(begin),
        counts: found.get(start).copied().unwrap_or_default(),
    };
    Ok(begins.iter().zip(&starts).map(period).collect())
}

/// `starts` are the periods' first milliseconds, ascending, the first not after the window's begin. Periods without visits
/// are missing.
async fn rows(store: &Store, site: &SiteId, window: &Window, starts: &[i64]) -> Result<Vec<PeriodRow>, Error> {
    let sql = format!(
        "SELECT toInt64(roundDown(toUnixTimestamp64Milli(started_at), {{starts:Array(Int64)}})) AS start, \
            count() AS visits, sum(entry.pageviews) AS pageviews, uniqExact(company_id) AS companies, \
            uniqExact(visitor) AS visitors \
        FROM visits AS entry FINAL {VISITS_IN_WINDOW} GROUP BY start"
    );
    all(store, with_instants(read(store, &sql, site), window).param("starts", starts)).await
}

impl Interval {
    /// The beginning of the one that holds this moment.
    fn begin(self, at: &Zoned) -> Option<Zoned> {
        let day = at.date();
        match self {
            // By the clock on the wall, in zones whose offset is no whole hour too.
            Self::Hour => {
                let past =
                    i64::from(at.minute()) * 60_000 + i64::from(at.second()) * 1_000 + i64::from(at.millisecond());
                Some(from_millis(at.timestamp().as_millisecond() - past, at.time_zone()))
            }
            Self::Day => day.to_zoned(at.time_zone().clone()).ok(),
            Self::Week => {
                let since_monday = day.weekday().since(Weekday::Monday);
                day.checked_sub(i64::from(since_monday).days()).ok()?.to_zoned(at.time_zone().clone()).ok()
            }
            Self::Month => day.first_of_month().to_zoned(at.time_zone().clone()).ok(),
        }
    }

    /// The beginning of the next one.
    fn next(self, begin: &Zoned) -> Option<Zoned> {
        let day = begin.date();
        let next = match self {
            Self::Hour => {
                let hour_later = from_millis(begin.timestamp().as_millisecond() + 3_600_000, begin.time_zone());
                // Where clocks move by half an hour, the next full hour is nearer or farther.
                return self.begin(&hour_later).filter(|next| next > begin).or(Some(hour_later));
            }
            Self::Day => day.tomorrow().ok()?,
            Self::Week => day.checked_add(7.days()).ok()?,
            Self::Month => day.first_of_month().checked_add(1.month()).ok()?,
        };
        next.to_zoned(begin.time_zone().clone()).ok()
    }

    fn text(self, begin: &Zoned) -> String {
        match self {
            Self::Hour => begin.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Self::Day | Self::Week | Self::Month => begin.date().to_string(),
        }
    }

    /// Every beginning in a window; `None` when there are too many.
    fn begins(self, window: &Window, zone: &TimeZone) -> Option<Vec<Zoned>> {
        let mut begins = Vec::new();
        let mut next = self.begin(&from_millis(window.from.0, zone));
        while let Some(begin) = next.filter(|begin| begin.timestamp().as_millisecond() < window.until.0) {
            if begins.len() == MAX_PERIODS {
                return None;
            }
            next = self.next(&begin);
            begins.push(begin);
        }
        Some(begins)
    }
}

fn from_millis(millis: i64, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(millis).unwrap_or_default().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(interval: Interval, zone: &str, start: &str, end: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let window = Window::parse(start, end, &zone).unwrap();
        interval.begins(&window, &zone).unwrap().iter().map(|begin| interval.text(begin)).collect()
    }

    #[test]
    fn days_weeks_and_months_begin_where_the_sites_calendar_says() {
        let days = texts(Interval::Day, "Europe/Berlin", "2026-03-28", "2026-03-30");
        assert_eq!(days, ["2026-03-28", "2026-03-29", "2026-03-30"]);
        let weeks = texts(Interval::Week, "America/New_York", "2026-11-01", "2026-11-10");
        assert_eq!(weeks, ["2026-10-26", "2026-11-02", "2026-11-09"]);
        let months = texts(Interval::Month, "Asia/Kolkata", "2025-12-31", "2026-02-01");
        assert_eq!(months, ["2025-12-01", "2026-01-01", "2026-02-01"]);
    }

    #[test]
    fn a_day_has_23_or_25_hours_where_the_clocks_change() {
        let spring = texts(Interval::Hour, "Europe/Berlin", "2026-03-29", "2026-03-29");
        assert_eq!(spring.len(), 23);
        assert_eq!(spring[1..3], ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]);
        let autumn = texts(Interval::Hour, "Europe/Berlin", "2026-10-25", "2026-10-25");
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[2..4], ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]);
        let half = texts(Interval::Hour, "Asia/Kolkata", "2026-01-01", "2026-01-01");
        assert_eq!((half.len(), half[0].as_str()), (24, "2026-01-01T00:00:00+05:30"));
    }

    #[test]
    fn hours_go_on_where_clocks_change_by_half_an_hour() {
        for day in ["2026-04-05", "2026-10-04"] {
            let hours = texts(Interval::Hour, "Australia/Lord_Howe", day, day);
            let mut sorted = hours.clone();
            sorted.dedup();
            assert!((24..=25).contains(&sorted.len()) && sorted == hours, "{hours:?}");
        }
    }

    #[test]
    fn a_day_that_a_zone_left_out_has_no_row() {
        let days = texts(Interval::Day, "Pacific/Apia", "2011-12-29", "2012-01-01");
        assert_eq!(days, ["2011-12-29", "2011-12-31", "2012-01-01"]);
        assert!(texts(Interval::Day, "Pacific/Apia", "2011-12-30", "2011-12-30").is_empty());
        assert_eq!(texts(Interval::Hour, "Pacific/Apia", "2011-12-29", "2011-12-31").len(), 48);
    }

    #[test]
    fn too_many_periods_are_refused() {
        let zone = TimeZone::UTC;
        let window = |start, end| Window::parse(start, end, &zone).unwrap();
        assert!(Interval::Hour.begins(&window("2020-01-01", "2026-01-01"), &zone).is_none());
        assert!(Interval::Day.begins(&window("2020-01-01", "2026-01-01"), &zone).is_some());
        assert!(Interval::Day.begins(&window("0001-01-01", "9999-01-01"), &zone).is_none());
    }
}
