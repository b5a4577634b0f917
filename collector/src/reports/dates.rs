//! Windows of time in a site's time zone, and instants as its local date and hour.
//!
//! A date stands for the whole day in the site's zone, a datetime for one instant, in the site's zone where it has no offset
//! of its own. Both ends are inclusive.

use crate::time::UnixMillis;
use jiff::{
    Timestamp,
    civil::{Date, DateTime, date},
    tz::TimeZone,
};

/// The days that storage can hold with room to spare; a window reaching beyond is cut, since there can be nothing.
const FIRST_DAY: Date = date(1970, 1, 1);
const LAST_DAY: Date = date(2100, 1, 1);
const LAST_MILLIS: i64 = 4_102_444_800_000;

/// A pair of dates that makes no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub(crate) struct WindowError {
    /// Which end is wrong: `start_date` or `end_date`.
    pub(crate) field: &'static str,
    problem: &'static str,
}

const REVERSED: WindowError = WindowError { field: "end_date", problem: "is before start_date" };

/// A span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// First millisecond.
    pub(crate) from: UnixMillis,
    /// First millisecond after it.
    pub(crate) until: UnixMillis,
    /// First and last day where both ends were dates: then whole days can be summed.
    pub(crate) days: Option<(Date, Date)>,
}

impl Window {
    /// From one instant up to another, the latter excluded.
    pub(crate) fn of_instants(from: UnixMillis, until: UnixMillis) -> Self {
        let from = from.0.clamp(0, LAST_MILLIS);
        let until = until.0.clamp(from, LAST_MILLIS);
        Self { from: UnixMillis(from), until: UnixMillis(until), days: None }
    }

    /// Reads both ends, each a date or a datetime.
    pub(crate) fn parse(start: &str, end: &str, zone: &TimeZone) -> Result<Self, WindowError> {
        let start = Bound::read("start_date", start, zone)?;
        let end = Bound::read("end_date", end, zone)?;
        // Days are compared as days: one that its zone left out (Apia had no 30 December 2011) is empty, not reversed.
        let is_reversed = match (start.day, end.day) {
            (Some(first), Some(last)) => first > last,
            _ => start.first > end.last,
        };
        if is_reversed {
            return Err(REVERSED);
        }
        let from = start.first.clamp(0, LAST_MILLIS);
        Ok(Self {
            from: UnixMillis(from),
            until: UnixMillis(end.last.saturating_add(1).clamp(from, LAST_MILLIS)),
            days: start.day.zip(end.day).map(|(first, last)| (storable(first), storable(last))),
        })
    }
}

/// Reads both ends as whole days, whatever time stands behind a date.
///
/// Programs that think in days send `2026-08-31T00:00:00.000000Z` for the end of a month and begin the next request on the
/// following day; read as an instant, all of 31 August would be lost between the two.
pub(crate) fn parse_whole_days(start: &str, end: &str, zone: &TimeZone) -> Result<Window, WindowError> {
    let day = |field: &'static str, text: &str| {
        Bound::read(field, text, zone).map(|_| text.get(..10).unwrap_or(text).to_owned())
    };
    Window::parse(&day("start_date", start)?, &day("end_date", end)?, zone)
}

/// Reads both ends where only plain dates make sense.
pub(crate) fn parse_days(start: &str, end: &str) -> Result<(Date, Date), WindowError> {
    let day = |field: &'static str, text: &str| {
        parse_day(text).ok_or(WindowError { field, problem: "must be a date such as 2026-01-31" })
    };
    let (first, last) = (day("start_date", start)?, day("end_date", end)?);
    if first > last { Err(REVERSED) } else { Ok((storable(first), storable(last))) }
}

fn storable(day: Date) -> Date {
    day.clamp(FIRST_DAY, LAST_DAY)
}

/// One end of a window: its first and last millisecond since 1970.
struct Bound {
    first: i64,
    last: i64,
    day: Option<Date>,
}

impl Bound {
    fn read(field: &'static str, text: &str, zone: &TimeZone) -> Result<Self, WindowError> {
        let problem = "must be a date such as 2026-01-31 or a datetime such as 2026-01-31T09:30:00Z";
        Self::parse(text, zone).ok_or(WindowError { field, problem })
    }

    fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        if let Some(day) = parse_day(text) {
            let first = midnight(day, zone)?;
            let last = midnight(day.tomorrow().ok()?, zone)? - 1;
            return Some(Self { first, last, day: Some(day) });
        }
        // jiff also reads forms without hyphens and without a time, which the API does not have.
        parse_day(text.get(..10)?)?;
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(_) => zone.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
        };
        let millis = instant.as_millisecond();
        Some(Self { first: millis, last: millis, day: None })
    }
}

fn parse_day(text: &str) -> Option<Date> {
    let is_plain = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The day's first millisecond. Where the clocks skip midnight, or the whole day, that is the first instant after the gap.
pub(crate) fn midnight(day: Date, zone: &TimeZone) -> Option<i64> {
    Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// An instant, and where it lies in the local calendar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// UTC with milliseconds and `Z`.
    pub(crate) instant: String,
    /// `YYYY-MM-DD` in the site's zone.
    pub(crate) date: String,
    /// 0 to 23 in the site's zone.
    pub(crate) hour: i8,
}

impl LocalTime {
    pub(crate) fn of(at: UnixMillis, zone: &TimeZone) -> Self {
        let instant = Timestamp::from_millisecond(at.0).unwrap_or_default();
        let local = zone.to_datetime(instant);
        Self { instant: format!("{instant:.3}"), date: local.date().to_string(), hour: local.hour() }
    }
}

/// The site's time zone. Sites are checked when they are made; should the zone data have lost one since, days are UTC.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|error| {
        tracing::warn!(timezone = name, %error, "A site's time zone is not known; its days are counted in UTC");
        TimeZone::UTC
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str, zone_name: &str) -> Result<Window, String> {
        Window::parse(start, end, &zone(zone_name)).map_err(|error| error.to_string())
    }

    fn span(start: &str, end: &str, zone_name: &str) -> (String, String) {
        let window = window(start, end, zone_name).unwrap();
        let text = |millis: UnixMillis| Timestamp::from_millisecond(millis.0).unwrap().to_string();
        (text(window.from), text(window.until))
    }

    #[test]
    fn a_date_is_the_whole_day_in_the_sites_zone_also_when_the_clocks_change() {
        let cases = [
            ("2026-01-05", "2026-01-05", "UTC", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
            ("2026-01-05", "2026-01-06", "Europe/Berlin", "2026-01-04T23:00:00Z", "2026-01-06T23:00:00Z"),
            // 23 hours: summer time begins
            ("2026-03-29", "2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            // 25 hours: summer time ends
            ("2026-10-25", "2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // midnight does not exist on this day in Beirut
            ("2026-03-29", "2026-03-29", "Asia/Beirut", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),
            ("2026-07-01", "2026-07-01", "Asia/Kathmandu", "2026-06-30T18:15:00Z", "2026-07-01T18:15:00Z"),
            ("2021-05-24", "2021-05-24", "America/Los_Angeles", "2021-05-24T07:00:00Z", "2021-05-25T07:00:00Z"),
            // Apia moved across the date line and left 30 December 2011 out: an empty day between two whole ones
            ("2011-12-29", "2011-12-29", "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
            ("2011-12-30", "2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
            ("2011-12-31", "2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
            ("2011-12-29", "2011-12-31", "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z"),
        ];
        for (start, end, zone_name, from, until) in cases {
            assert_eq!(span(start, end, zone_name), (from.to_owned(), until.to_owned()), "{start} {end} {zone_name}");
        }
    }

    #[test]
    fn a_datetime_is_an_instant_and_its_end_is_inclusive() {
        let cases = [
            ("2026-06-01T10:00:00Z", "2026-06-01T11:00:00Z", "2026-06-01T10:00:00Z", "2026-06-01T11:00:00.001Z"),
            ("2026-06-01T10:00:00+02:00", "2026-06-01T10:00:00", "2026-06-01T08:00:00Z", "2026-06-01T08:00:00.001Z"),
            ("2026-06-01 10:00:00.250", "2026-06-02", "2026-06-01T08:00:00.25Z", "2026-06-02T22:00:00Z"),
        ];
        for (start, end, from, until) in cases {
            assert_eq!(span(start, end, "Europe/Berlin"), (from.to_owned(), until.to_owned()), "{start} {end}");
            assert_eq!(window(start, end, "Europe/Berlin").unwrap().days, None);
        }
    }

    #[test]
    fn whole_days_are_those_of_the_dates_whatever_time_stands_behind_them() {
        for (start, end) in [
            ("2026-08-01", "2026-08-31"),
            ("2026-08-01T00:00:00.000000Z", "2026-08-31T00:00:00.000000Z"),
            ("2026-08-01T23:59:59+02:00", "2026-08-31 00:00:00"),
        ] {
            let days = parse_whole_days(start, end, &zone("Europe/Berlin"));
            assert_eq!(days, Window::parse("2026-08-01", "2026-08-31", &zone("Europe/Berlin")), "{start} {end}");
        }
        for bad in ["2026-08-31T", "2026-08-31Tx", "2026-02-30T00:00:00Z", "2026-08-31junk", "é2026-08-31"] {
            assert!(parse_whole_days("2026-08-01", bad, &TimeZone::UTC).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_dates_are_whole_days_and_far_ones_are_cut() {
        let days = |start, end| window(start, end, "UTC").unwrap().days.unwrap();
        assert_eq!(days("2026-01-05", "2026-02-01"), (date(2026, 1, 5), date(2026, 2, 1)));
        assert_eq!(days("1900-01-01", "9998-12-31"), (FIRST_DAY, LAST_DAY));
        assert_eq!(LAST_MILLIS, midnight(LAST_DAY, &TimeZone::UTC).unwrap());
    }

    #[test]
    fn garbage_and_reversed_dates_are_refused_by_name() {
        for bad in [
            "2026-02-30",
            "2026-2-3",
            "20260203",
            "yesterday",
            "2026-01-01'--",
            "2026-01-01T",
            "2026-01-01T99:00",
            "٢٠٢٦-٠١-٠١",
            "9999-12-31",
        ] {
            assert!(window(bad, "2026-12-31", "UTC").is_err(), "{bad}");
            assert!(window("2020-01-01", bad, "UTC").unwrap_err().starts_with("end_date "), "{bad}");
        }
        assert_eq!(window("2026-01-02", "2026-01-01", "UTC").unwrap_err(), "end_date is before start_date");
    }

    #[test]
    fn instants_have_milliseconds_and_the_sites_own_date_and_hour() {
        let at = |text: &str, zone_name: &str| {
            let local =
                LocalTime::of(UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond()), &zone(zone_name));
            (local.instant, local.date, local.hour)
        };
        let expect = |instant: &str, date: &str, hour| (instant.to_owned(), date.to_owned(), hour);
        assert_eq!(
            at("2021-05-24T13:40:03.071Z", "America/Los_Angeles"),
            expect("2021-05-24T13:40:03.071Z", "2021-05-24", 6)
        );
        assert_eq!(at("2026-03-29T00:59:59Z", "Europe/Berlin"), expect("2026-03-29T00:59:59.000Z", "2026-03-29", 1));
        assert_eq!(at("2026-03-29T01:00:00Z", "Europe/Berlin"), expect("2026-03-29T01:00:00.000Z", "2026-03-29", 3));
        assert_eq!(at("2026-10-25T00:30:00Z", "Europe/Berlin"), expect("2026-10-25T00:30:00.000Z", "2026-10-25", 2));
        assert_eq!(at("2026-10-25T01:30:00Z", "Europe/Berlin"), expect("2026-10-25T01:30:00.000Z", "2026-10-25", 2));
        assert_eq!(at("2026-12-31T23:30:00Z", "Europe/Berlin"), expect("2026-12-31T23:30:00.000Z", "2027-01-01", 0));
    }
}
