//! Calendar days in a site's own time zone.

use crate::time::UnixMillis;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A calendar day, as days since 1970-01-01 of the calendar of some time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(pub u16);

/// The time zone of this name, or UTC where there is none.
#[must_use]
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|error| {
        tracing::warn!(zone = name, %error, "a site's time zone is unknown; its days are counted in UTC");
        TimeZone::UTC
    })
}

impl LocalDay {
    /// The day that a moment falls into. Moments before 1970 or after 2149 give the first or last day there is.
    #[must_use]
    pub fn of(time: UnixMillis, zone: &TimeZone) -> Self {
        let date = Timestamp::from_millisecond(time.0).map_or(EPOCH, |time| time.to_zoned(zone.clone()).date());
        let days = (date - EPOCH).get_days();
        Self(u16::try_from(days.max(0)).unwrap_or(u16::MAX))
    }

    /// The moments from which and before which it is this day.
    #[must_use]
    pub fn bounds(self, zone: &TimeZone) -> (UnixMillis, UnixMillis) {
        (self.start(zone), Self(self.0.saturating_add(1)).start(zone))
    }

    fn start(self, zone: &TimeZone) -> UnixMillis {
        let date = EPOCH.saturating_add(i64::from(self.0).days());
        UnixMillis(date.to_zoned(zone.clone()).map_or(0, |midnight| midnight.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_is_as_long_as_the_clock_change_makes_it() {
        const HOUR: i64 = 3_600_000;
        let hours = |name: &str, day: &str| {
            let date: Date = day.parse().unwrap();
            let zone = zone(name);
            let midday = date.at(12, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp().as_millisecond();
            let (from, until) = LocalDay::of(UnixMillis(midday), &zone).bounds(&zone);
            assert!(from.0 <= midday && midday < until.0);
            (until.0 - from.0) / HOUR
        };
        assert_eq!(hours("Europe/Berlin", "2026-03-29"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25"), 25);
        assert_eq!(hours("America/Sao_Paulo", "2018-11-04"), 23);
        assert_eq!(hours("UTC", "2026-03-29"), 24);
        assert_eq!(zone("No/Where"), TimeZone::UTC);
    }

    proptest! {
        #[test]
        fn every_moment_lies_within_the_bounds_of_its_day(
            time in 0i64..4_102_444_800_000,
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "America/Havana", "Pacific/Apia"]),
        ) {
            let zone = zone(name);
            let (from, until) = LocalDay::of(UnixMillis(time), &zone).bounds(&zone);
            // A zone that skips a day at the date line makes an empty one, which no moment falls into.
            prop_assert!(from.0 <= time.max(0) || time < 86_400_000);
            prop_assert!(time < until.0);
        }
    }
}
