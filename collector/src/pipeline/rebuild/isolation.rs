//! Setting aside what can't be counted, and retrying it alone. The rule is in [`super::super::set_aside`]; here are its table and
//! its retries. The table brings what an earlier process set aside, whose base rows no segment holds any more, and tells
//! `firmsight doctor` about it.

use super::{
    super::{
        local_day::LocalDay,
        set_aside::{SetAside, SetAsideCounts, Subject},
        visits::Span,
    },
    Affected, Rebuilder, Scope, Touched,
};
use crate::{snapshot::Snapshot, store::StoreError, time::UnixMillis};
use clickhouse::{Row, query::Query};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;

/// Longest reason that is stored, in bytes.
const MAX_REASON_BYTES: usize = 300;

/// A row of `set_aside`.
#[derive(Debug, Row, Serialize, Deserialize)]
struct SetAsideRow {
    kind: CompactString,
    site: CompactString,
    /// The visitor's key or the company's id.
    id: u64,
    /// The local day, as days since 1970-01-01; 0 for a visitor.
    day: u16,
    first: UnixMillis,
    last: UnixMillis,
    failures: u32,
    reason: String,
    since: UnixMillis,
    version: u64,
    is_deleted: u8,
}

impl Rebuilder {
    /// What is set aside now.
    #[must_use]
    pub fn set_aside_now(&self) -> Vec<SetAside> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).waiting()
    }

    /// How many subjects were set aside.
    #[must_use]
    pub fn set_aside_counts(&self) -> SetAsideCounts {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// Whether this subject waits for a retry of its own.
    pub(super) fn is_set_aside(&self, subject: &Subject, touched: Span) -> bool {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).holds(subject, touched)
    }

    /// Notes that counting this subject alone failed.
    ///
    /// # Errors
    /// The failure itself, for as long as the subject is tried in its place.
    pub(super) async fn set_aside(&self, subject: Subject, span: Span, error: StoreError) -> Result<(), StoreError> {
        let is_certain = matches!(error, StoreError::TooManyEvents(_));
        let mut reason = error.to_string();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        let entry = {
            let mut quarantine = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
            quarantine.fail(subject, span, (reason, is_certain), UnixMillis::now())
        };
        let Some(entry) = entry else { return Err(error) };
        tracing::error!(
            kind = entry.subject.kind(),
            failures = entry.failures,
            reason = entry.reason,
            "something can't be counted and is set aside; the rest goes on, and it is tried again later"
        );
        self.store.insert("set_aside", None, &[self.row(&entry, false)]).await
    }

    /// Counts these visitors with all others again: little is left of them.
    pub(in super::super) fn release_visitors(&self, touched: &Touched) {
        let mut quarantine = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        for (site, visitor) in touched.spans.keys() {
            quarantine.release(&Subject::Visitor { site: site.clone(), visitor: *visitor });
        }
    }

    /// Takes over what an earlier process set aside, once.
    pub(super) async fn recall_set_aside(&self) -> Result<(), StoreError> {
        if self.has_recalled.get().is_some() {
            return Ok(());
        }
        let query = self.query("SELECT ?fields FROM set_aside FINAL");
        for row in self.all::<SetAsideRow>(query).await? {
            let subject = match row.kind.as_str() {
                "visitor" => Subject::Visitor { site: row.site, visitor: row.id },
                "company-day" => Subject::CompanyDay { site: row.site, day: LocalDay(row.day), company: row.id },
                _ => continue,
            };
            let SetAsideRow { first, last, reason, failures, since, .. } = row;
            let span = Span { first: first.0, last: last.0 };
            let entry = SetAside { subject, span, reason, failures, since, retry_at: UnixMillis::now() };
            self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).keep(entry);
        }
        self.has_recalled.get_or_init(|| ());
        Ok(())
    }

    /// Counts one subject that is set aside and due, alone. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`], where it is not the subject's own fault.
    pub async fn retry_set_aside(&self, snapshot: &Snapshot) -> Result<bool, StoreError> {
        let due = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).due(UnixMillis::now());
        let Some(entry) = due else { return Ok(false) };
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).release(&entry.subject);
        let outcome = self.count_alone(snapshot, &entry).await;
        match outcome {
            Ok(()) if self.is_set_aside(&entry.subject, entry.span) => {}
            Ok(()) => {
                tracing::info!(kind = entry.subject.kind(), "what was set aside is counted now");
                self.store.insert("set_aside", None, &[self.row(&entry, true)]).await?;
            }
            Err(error) => {
                self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).keep(entry.clone());
                if !error.is_over_limit() {
                    return Err(error);
                }
                self.set_aside(entry.subject, entry.span, error).await?;
            }
        }
        Ok(true)
    }

    async fn count_alone(&self, snapshot: &Snapshot, entry: &SetAside) -> Result<(), StoreError> {
        let mut affected = Affected::new();
        match &entry.subject {
            Subject::Visitor { site, visitor } => {
                let mut touched = Touched::default();
                touched.add(site.clone(), *visitor, entry.span);
                self.rebuild_visits(snapshot, &[], touched, &mut affected).await?;
            }
            Subject::CompanyDay { site, day, company } => {
                affected.companies.entry((site.clone(), *day)).or_default().insert(*company);
            }
        }
        self.rebuild_totals(snapshot, &affected, Scope::Companies).await
    }

    fn row(&self, entry: &SetAside, is_over: bool) -> SetAsideRow {
        let (site, id, day) = match &entry.subject {
            Subject::Visitor { site, visitor } => (site, *visitor, 0),
            Subject::CompanyDay { site, day, company } => (site, *company, day.0),
        };
        SetAsideRow {
            kind: entry.subject.kind().into(),
            site: site.clone(),
            id,
            day,
            first: UnixMillis(entry.span.first),
            last: UnixMillis(entry.span.last),
            failures: entry.failures,
            reason: entry.reason.clone(),
            since: entry.since,
            version: self.versions.next(),
            is_deleted: is_over.into(),
        }
    }
}

/// What a statement may take whose size comes from outside: it sorts and groups on disk before it takes a server's memory, and ends
/// before the call does.
pub(super) fn within_limits(query: Query) -> Query {
    query
        .with_setting("max_bytes_before_external_sort", "134217728")
        .with_setting("max_bytes_before_external_group_by", "134217728")
        .with_setting("max_execution_time", "60")
}
