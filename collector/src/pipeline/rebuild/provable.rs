//! What base rows can still prove.
//!
//! A rebuild takes the base rows for the whole truth: what it doesn't find there it deletes. Once base rows expire before what
//! derives from them, that is no longer so. An imported log, or whatever else brings events of long ago, would have the
//! rebuild look at a time whose events are gone, and delete the visits that they once made.
//!
//! So a derived row is *settled for good* when it was written so long ago that a base row of it may have expired: its version
//! says when. Such a row is neither replaced nor deleted by a rebuild, and a new visit that overlaps a settled one of the same
//! visitor is left out, because what it holds was counted. Only a visitor's erasure reaches them.
//!
//! It costs nothing in ordinary rounds: a row about a time since then can't be that old, and nothing is looked up for it.

use super::{Affected, Rebuilder, Touched, company_days::Companies, visitors::StoredVisit};
use crate::{
    pipeline::{local_day::LocalDay, visits::Span},
    store::{StoreError, VisitRow},
    time::UnixMillis,
};
use compact_str::CompactString;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Events of one visit are stored at different times: within the days that a browser keeps them, and a spool that waits.
const MARGIN: Duration = Duration::from_secs(21 * 24 * 60 * 60);
/// A settled visit may have begun so long before a time that it still covers, see [`crate::pipeline::visits`].
const LONGEST_VISIT_MS: i64 = 48 * 60 * 60 * 1000;

/// How long base rows are kept; `None` means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptFor {
    /// What visits are rebuilt from.
    pub events: Option<Duration>,
    /// What company days are rebuilt from.
    pub visits: Option<Duration>,
}

/// Rows with a lower version are settled for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizon(u64);

impl Horizon {
    /// `now` in microseconds since 1970.
    fn of(kept: Option<Duration>, now: u64) -> Option<Self> {
        let provable = u64::try_from(kept?.saturating_sub(MARGIN).as_micros()).unwrap_or(u64::MAX);
        Some(Self(now.saturating_sub(provable)))
    }

    const fn millis(self) -> i64 {
        (self.0 / 1000) as i64
    }

    const fn is_settled(self, version: u64) -> bool {
        version < self.0
    }
}

/// The stored visits that a round must leave alone.
#[derive(Debug, Default)]
pub(super) struct SettledForGood(HashMap<(CompactString, u64), Vec<Span>>);

impl SettledForGood {
    /// Those among the stored visits; visits of erased visitors are not.
    pub(super) fn among(stored: &[StoredVisit], horizon: Option<Horizon>, touched: &Touched) -> Self {
        let mut found = Self::default();
        let Some(horizon) = horizon else { return found };
        for visit in stored.iter().filter(|visit| visit.is_gone == 0 && horizon.is_settled(visit.newest_version)) {
            if !touched.is_erased(&visit.site, visit.owner) {
                let span = Span { first: visit.started_at.0, last: visit.ended_at.0 };
                found.0.entry((visit.site.clone(), visit.owner)).or_default().push(span);
            }
        }
        found
    }

    /// Whether this visit, or a part of it, was counted for good.
    pub(super) fn covers(
        &self,
        site: &CompactString,
        visitor: u64,
        started_at: UnixMillis,
        ended_at: UnixMillis,
    ) -> bool {
        let spans = self.0.get(&(site.clone(), visitor));
        spans.is_some_and(|spans| spans.iter().any(|span| span.first <= ended_at.0 && started_at.0 <= span.last))
    }

    pub(super) fn covers_row(&self, row: &VisitRow) -> bool {
        self.covers(&row.site, row.visitor, row.started_at, row.ended_at)
    }
}

impl Rebuilder {
    /// The same, whose base rows are not kept for ever.
    #[must_use]
    pub const fn with_base_rows_kept_for(mut self, kept: KeptFor) -> Self {
        self.kept = kept;
        self
    }

    pub(super) fn horizon_of_visits(&self) -> Option<Horizon> {
        Horizon::of(self.kept.events, self.versions.next())
    }

    /// From where on stored visits are looked up for a span.
    pub(super) fn look_back(span: Span, horizon: Option<Horizon>) -> i64 {
        match horizon {
            Some(horizon) if span.first - LONGEST_VISIT_MS < horizon.millis() => span.first - LONGEST_VISIT_MS,
            _ => span.first,
        }
    }

    /// The companies without those whose day is settled for good.
    pub(super) async fn without_settled(
        &self,
        companies: Companies,
        affected: &Affected,
        day: LocalDay,
        until: UnixMillis,
    ) -> Result<Companies, StoreError> {
        let Some(horizon) = Horizon::of(self.kept.visits, self.versions.next()) else { return Ok(companies) };
        if until.0 > horizon.millis() {
            return Ok(companies);
        }
        let sites: BTreeSet<&str> = companies.iter().map(|(site, _)| site.as_str()).collect();
        let query = self.query(
            "SELECT toString(site), company_id FROM company_activity
             WHERE site IN {sites:Array(String)} AND day = toDate({day:UInt16})
             GROUP BY site, company_id
             HAVING max(version) < {horizon:UInt64} AND argMax(is_deleted, version) = 0",
        );
        let query = query.param("sites", sites).param("day", day.0).param("horizon", horizon.0);
        let settled: BTreeSet<(String, u64)> = self.all::<(String, u64)>(query).await?.into_iter().collect();
        let is_open = |company: &(String, u64)| !settled.contains(company) || affected.is_erased(&company.0, day);
        Ok(companies.into_iter().filter(is_open).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn stored(owner: u64, started_at: i64, ended_at: i64, newest_version: u64) -> StoredVisit {
        StoredVisit {
            site: "shop".into(),
            started_at: UnixMillis(started_at),
            visit_id: 1,
            ended_at: UnixMillis(ended_at),
            owner,
            is_gone: 0,
            newest_version,
            companies: Vec::new(),
        }
    }

    #[test]
    fn only_visits_whose_events_may_be_gone_are_settled_for_good() {
        let kept = Some(Duration::from_secs(100 * DAY));
        let now = 1_000 * DAY * 1_000_000;
        let horizon = Horizon::of(kept, now);
        // 100 days less the margin.
        assert_eq!(horizon, Some(Horizon((1_000 - 79) * DAY * 1_000_000)));
        assert_eq!(Horizon::of(None, now), None);

        let (old, young) = (900 * DAY * 1_000_000, 950 * DAY * 1_000_000);
        let visits = [stored(1, 1_000, 2_000, old), stored(2, 1_000, 2_000, young), stored(3, 1_000, 2_000, old)];
        let mut touched = Touched::default();
        touched.add("shop".into(), 1, Span { first: 0, last: 0 });
        touched.add_erased("shop".into(), 3, Span { first: 0, last: 0 });
        let settled = SettledForGood::among(&visits, horizon, &touched);
        let covers = |visitor, from, to| settled.covers(&"shop".into(), visitor, UnixMillis(from), UnixMillis(to));
        assert!(covers(1, 1_000, 1_500) && covers(1, 2_000, 9_000) && covers(1, 0, 1_000));
        assert!(!covers(1, 2_001, 9_000) && !covers(1, 0, 999));
        assert!(!covers(2, 1_000, 1_500), "its events are still there");
        assert!(!covers(3, 1_000, 1_500), "it is to be erased");
    }

    #[test]
    fn ordinary_rounds_look_no_further_back() {
        let horizon = Horizon::of(Some(Duration::from_secs(100 * DAY)), 1_000 * DAY * 1_000_000);
        let today = Span { first: 1_000 * 86_400_000, last: 1_000 * 86_400_000 };
        assert_eq!(Rebuilder::look_back(today, horizon), today.first);
        let long_ago = Span { first: 900 * 86_400_000, last: 900 * 86_400_000 };
        assert_eq!(Rebuilder::look_back(long_ago, horizon), long_ago.first - LONGEST_VISIT_MS);
        assert_eq!(Rebuilder::look_back(long_ago, None), long_ago.first);
    }
}
