//! Where in time a page of visits lies, told by company days instead of by counting visits.
//!
//! # Why
//! A list of visits says how many pages it has, and its page 300 begins after 29,900 visits. Counting those in `visits` reads
//! every visit of the window, for each page. Company days hold the same counts: one row per company and day, with the first
//! and the last start of that day's visits. Their sums say between which starts the page lies, and only these visits are read.
//!
//! The starts are instants, so that days may be of any time zone. Where they don't cut the visits cleanly (a window that
//! begins within a day, days counted in two zones after the site's changed), [`place`] says so, and the visits are counted.
//! Days follow visits within one round of the pipeline: a visit that came in this moment shows up in both a moment later.

use super::{
    Error,
    dates::Window,
    reading::{all, of_company, read, with_company},
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

/// The time zones of the world reach over this many milliseconds to either side of UTC, 14 hours at most.
const ZONES: i64 = 14 * 3_600_000;

/// The visits of a day, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Deserialize)]
pub(super) struct VisitDay {
    pub(super) first_start: i64,
    pub(super) last_start: i64,
    pub(super) visits: u64,
}

/// Where a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Visits of the whole window.
    pub(super) total: u64,
    /// The page's visits start at this millisecond at the earliest …
    pub(super) from: i64,
    /// … and before this one.
    pub(super) until: i64,
    /// That many visits in this time come before the page.
    pub(super) skip: u64,
}

/// The days of a window on which there were visits, by their first; days just outside of it may be among them.
pub(super) async fn days(
    store: &Store,
    site: &SiteId,
    company: Option<CompanyId>,
    window: &Window,
) -> Result<Vec<VisitDay>, Error> {
    let sql = format!(
        "SELECT toUnixTimestamp64Milli(min(first_visit_at)) AS first_start, \
            toUnixTimestamp64Milli(max(last_visit_at)) AS last_start, toUInt64(sum(entry.visits)) AS visits \
        FROM company_activity AS entry FINAL \
        WHERE site = {{site:String}} AND {} \
            AND day >= toDate(fromUnixTimestamp64Milli({{from:Int64}}, 'UTC')) \
            AND day <= toDate(fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')) \
        GROUP BY day ORDER BY first_start",
        of_company(company)
    );
    // A Date made of an instant before 1970 would wrap to 2149: the epoch is what programs send for "everything".
    let (from, until) = (window.from.0.saturating_sub(ZONES).max(0), window.until.0.saturating_add(ZONES));
    let query = read(store, &sql, site).param("from", from).param("until", until);
    all(store, with_company(query, company)).await
}

/// Where the page after `offset` visits lies, or none when the days don't tell.
pub(super) fn place(days: &[VisitDay], window: &Window, offset: u64, limit: u64) -> Option<Place> {
    let mut place: Option<Place> = None;
    let mut total: u64 = 0;
    let mut last_start = i64::MIN;
    for day in days {
        if day.first_start <= last_start {
            return None;
        }
        last_start = day.last_start;
        let is_inside = window.from.0 <= day.first_start && day.last_start < window.until.0;
        let is_outside = day.last_start < window.from.0 || window.until.0 <= day.first_start;
        if is_outside {
            continue;
        }
        if !is_inside {
            return None;
        }
        let before = total;
        total = total.saturating_add(day.visits);
        if offset < total && before < offset.saturating_add(limit) {
            let begun = place.get_or_insert(Place {
                from: day.first_start,
                skip: offset.saturating_sub(before),
                ..Place::default()
            });
            begun.until = day.last_start.saturating_add(1);
        }
    }
    Some(Place { total, ..place.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    const fn day(first_start: i64, last_start: i64, visits: u64) -> VisitDay {
        VisitDay { first_start, last_start, visits }
    }

    fn window(from: i64, until: i64) -> Window {
        Window { from: UnixMillis(from), until: UnixMillis(until), days: None }
    }

    #[test]
    fn a_page_lies_on_the_days_whose_visits_it_shows() {
        let days = [day(10, 19, 3), day(20, 20, 1), day(35, 39, 5)];
        for (offset, limit, expected) in [
            (0, 2, Place { total: 9, from: 10, until: 20, skip: 0 }),
            (2, 1, Place { total: 9, from: 10, until: 20, skip: 2 }),
            (2, 2, Place { total: 9, from: 10, until: 21, skip: 2 }),
            (3, 1, Place { total: 9, from: 20, until: 21, skip: 0 }),
            (4, 100, Place { total: 9, from: 35, until: 40, skip: 0 }),
            (8, 100, Place { total: 9, from: 35, until: 40, skip: 4 }),
            (9, 100, Place { total: 9, ..Place::default() }),
            (u64::MAX, 100, Place { total: 9, ..Place::default() }),
            (0, 0, Place { total: 9, ..Place::default() }),
        ] {
            assert_eq!(place(&days, &window(0, 100), offset, limit), Some(expected), "{offset} {limit}");
        }
        assert_eq!(place(&[], &window(0, 100), 0, 10), Some(Place::default()));
    }

    #[test]
    fn days_beside_the_window_do_not_count_and_days_across_its_ends_tell_nothing() {
        let days = [day(10, 19, 3), day(20, 29, 1), day(35, 39, 5)];
        let inside = Some(Place { total: 1, from: 20, until: 30, skip: 0 });
        assert_eq!(place(&days, &window(20, 30), 0, 10), inside);
        assert_eq!(place(&days, &window(20, 35), 0, 10), inside);
        assert_eq!(place(&days, &window(20, 36), 0, 10), None);
        assert_eq!(place(&days, &window(19, 30), 0, 10), None);
    }

    #[test]
    fn days_that_overlap_tell_nothing() {
        assert_eq!(place(&[day(10, 19, 3), day(19, 29, 1)], &window(0, 100), 0, 10), None);
    }
}
