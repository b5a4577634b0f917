//! Counts over time.
//!
//! Where one hour, day, week or month begins in the site's time zone is worked out here, and the store is given the list: so
//! there is one time zone data base that counts, and a bucket without visits is there with zeros.

use super::{
    format::{List, Listing, Row},
    parameters::{Dates, Formats, Refusals},
    queries,
};
use crate::reports::{
    Shared,
    authentication::Caller,
    dates::{Window, zone},
    error::ReportError,
    parameters::{FromPath, Parameters},
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use jiff::{Timestamp, ToSpan, Zoned, civil::Weekday, tz::TimeZone};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::{IntoParams, ToSchema};

/// Rows in one answer: 208 days of hours.
const MAX_ROWS: usize = 5_000;

/// Counts of one hour, day, week or month.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Period {
    /// When it begins: a day, or for hours an instant with the site's offset.
    #[schema(example = "2026-11-22")]
    start: String,
    /// Visits of companies that began in it.
    visits: u64,
    /// Their page views.
    pageviews: u64,
    /// Different companies.
    companies: u64,
    /// Different visitors.
    visitors: u64,
}

impl Row for Period {
    const COLUMNS: &'static [&'static str] = &["start", "visits", "pageviews", "companies", "visitors"];
}

/// Into what the time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Interval {
    Hour,
    Day,
    /// From Monday (ISO 8601).
    Week,
    Month,
}

/// Into what the time is cut.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) struct IntervalParameter {
    /// `day` when absent.
    #[param(inline, required = false, nullable = false)]
    interval: Option<Interval>,
}

impl Interval {
    fn read(parameters: &Parameters) -> Result<Self, ReportError> {
        match parameters.optional("interval")? {
            Some("hour") => Ok(Self::Hour),
            None | Some("day") => Ok(Self::Day),
            Some("week") => Ok(Self::Week),
            Some("month") => Ok(Self::Month),
            Some(_) => Err(ReportError::Parameter {
                name: "interval",
                detail: "interval must be hour, day, week or month".to_owned(),
            }),
        }
    }

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
            if begins.len() == MAX_ROWS {
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

/// Counts over time
///
/// Visits of companies, cut into hours, days, weeks or months of the site's time zone, oldest first; what has no visits is
/// there with zeros. Only what lies between the two dates is counted, also where a week or month reaches beyond.
#[utoipa::path(
    get, path = "/v1/sites/{site}/time-series", tag = "reports", operation_id = "time_series",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        Dates, IntervalParameter, Formats,
    ),
    responses((status = 200, description = "Counts, at most 5,000", body = List<Period>), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, ReportError> {
    let site = caller.account(&site)?;
    let zone = zone(&site.timezone);
    let parameters = Parameters::read(query.as_deref());
    let window = Window::read(&parameters, &zone)?;
    let interval = Interval::read(&parameters)?;
    let begins = interval.begins(&window, &zone).ok_or_else(|| ReportError::Parameter {
        name: "interval",
        detail: format!("that would be more than {MAX_ROWS} rows: take a longer interval or fewer days"),
    })?;
    let starts: Vec<i64> = begins.iter().map(|begin| begin.timestamp().as_millisecond()).collect();
    let found = if starts.is_empty() {
        Vec::new()
    } else {
        queries::time_series(&shared.state.store, &site.id, &window, &starts).await?
    };
    let found: HashMap<i64, queries::BucketSums> = found.into_iter().map(|sums| (sums.bucket, sums)).collect();
    let rows = begins.iter().zip(&starts).map(|(begin, start)| {
        let sums = found.get(start);
        Period {
            start: interval.text(begin),
            visits: sums.map_or(0, |sums| sums.visits),
            pageviews: sums.map_or(0, |sums| sums.pageviews),
            companies: sums.map_or(0, |sums| sums.companies),
            visitors: sums.map_or(0, |sums| sums.visitors),
        }
    });
    Ok(listing.answer(rows.collect(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(interval: Interval, zone: &str, start: &str, end: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let query = format!("start_date={start}&end_date={end}");
        let window = Window::read(&Parameters::read(Some(&query)), &zone).unwrap();
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
    fn too_many_rows_are_refused() {
        let zone = TimeZone::UTC;
        let window = |query| Window::read(&Parameters::read(Some(query)), &zone).unwrap();
        assert!(Interval::Hour.begins(&window("start_date=2020-01-01&end_date=2026-01-01"), &zone).is_none());
        assert!(Interval::Day.begins(&window("start_date=2020-01-01&end_date=2026-01-01"), &zone).is_some());
        assert!(Interval::Day.begins(&window("start_date=0001-01-01&end_date=9999-01-01"), &zone).is_none());
    }
}
