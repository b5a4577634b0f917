//! What can't be counted at the moment, kept out of the way of everything else. No clock, no store.
//!
//! A statement that counts many visitors or companies and fails for its size is repeated in halves, down to the one that is at
//! fault ([`super::rebuild`]). That one is tried a few times in its place, because a server that lacks memory fails everybody; then
//! it is set aside: the rest goes on, and it is retried alone, less and less often. Its base rows are stored like
//! all others; only what derives from them stays as it was.
//!
//! At most `MAX_SET_ASIDE` are kept. The one that has waited longest goes first, and is counted.

use super::{local_day::LocalDay, visits::Span};
use crate::time::UnixMillis;
use compact_str::CompactString;
use std::collections::{BTreeMap, HashMap};

/// Most subjects that are kept.
pub(super) const MAX_SET_ASIDE: usize = 1_000;
/// Failures in its place after which a subject is set aside.
const FAILURES_IN_PLACE: u32 = 3;
/// The first wait before a retry, in milliseconds; each failure doubles it.
const FIRST_WAIT_MS: i64 = 60_000;
/// The longest wait before a retry, in milliseconds.
const LONGEST_WAIT_MS: i64 = 6 * 3_600_000;

/// What can be set aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A visitor of a site: their visits stay as they were.
    Visitor {
        /// The site.
        site: CompactString,
        /// The visitor's key.
        visitor: u64,
    },
    /// A company's local day on a site: its sums stay as they were.
    CompanyDay {
        /// The site.
        site: CompactString,
        /// The site's local day.
        day: LocalDay,
        /// The company.
        company: u64,
    },
}

impl Subject {
    /// The word in metrics, logs and the table: `visitor` or `company-day`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Visitor { .. } => "visitor",
            Self::CompanyDay { .. } => "company-day",
        }
    }
}

/// A subject that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Whom or what it is about.
    pub subject: Subject,
    /// The event times that were touched and are not counted yet.
    pub span: Span,
    /// Why counting failed last.
    pub reason: String,
    /// How often it failed.
    pub failures: u32,
    /// Since when it is set aside.
    pub since: UnixMillis,
    /// When it is tried next.
    pub retry_at: UnixMillis,
}

/// How many were set aside since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAsideCounts {
    /// Set aside now.
    pub waiting: u64,
    /// Ever set aside by this process.
    pub total: u64,
    /// Given up because more than `MAX_SET_ASIDE` waited.
    pub pushed_out: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    waiting: BTreeMap<Subject, SetAside>,
    /// Failures of those that are tried in their place.
    suspects: HashMap<Subject, u32>,
    total: u64,
    pushed_out: u64,
}

impl Quarantine {
    /// Whether the subject is set aside. What was touched of it is remembered for its retry.
    pub(super) fn holds(&mut self, subject: &Subject, touched: Span) -> bool {
        match self.waiting.get_mut(subject) {
            Some(waiting) => {
                waiting.span = waiting.span.union(touched);
                true
            }
            None => false,
        }
    }

    /// Notes that counting this one alone failed, where `is_certain` for what it is and not for what else runs. What is set
    /// aside by that, if it is.
    pub(super) fn fail(
        &mut self,
        subject: Subject,
        span: Span,
        (reason, is_certain): (String, bool),
        now: UnixMillis,
    ) -> Option<SetAside> {
        if let Some(waiting) = self.waiting.get_mut(&subject) {
            waiting.failures += 1;
            waiting.reason = reason;
            let wait = FIRST_WAIT_MS << (waiting.failures - FAILURES_IN_PLACE.min(waiting.failures)).min(20);
            waiting.retry_at = UnixMillis(now.0 + wait.min(LONGEST_WAIT_MS));
            return Some(waiting.clone());
        }
        if self.suspects.len() >= MAX_SET_ASIDE {
            self.suspects.clear();
        }
        let failures = self.suspects.entry(subject.clone()).or_default();
        *failures += 1;
        let failures = *failures;
        if failures < FAILURES_IN_PLACE && !is_certain {
            return None;
        }
        self.suspects.remove(&subject);
        self.total += 1;
        let retry_at = UnixMillis(now.0 + FIRST_WAIT_MS);
        let entry = SetAside { subject, span, reason, failures, since: now, retry_at };
        self.keep(entry.clone());
        Some(entry)
    }

    /// Keeps what was set aside, by this process or an earlier one.
    pub(super) fn keep(&mut self, entry: SetAside) {
        self.waiting.insert(entry.subject.clone(), entry);
        while self.waiting.len() > MAX_SET_ASIDE {
            let oldest = self.waiting.values().min_by_key(|entry| entry.since).map(|entry| entry.subject.clone());
            oldest.and_then(|oldest| self.waiting.remove(&oldest));
            self.pushed_out += 1;
        }
    }

    /// The one whose retry is due for longest.
    pub(super) fn due(&self, now: UnixMillis) -> Option<SetAside> {
        self.waiting.values().filter(|entry| entry.retry_at <= now).min_by_key(|entry| entry.retry_at).cloned()
    }

    /// Counting it succeeded.
    pub(super) fn release(&mut self, subject: &Subject) {
        self.waiting.remove(subject);
        self.suspects.remove(subject);
    }

    pub(super) fn waiting(&self) -> Vec<SetAside> {
        self.waiting.values().cloned().collect()
    }

    pub(super) fn counts(&self) -> SetAsideCounts {
        SetAsideCounts { waiting: self.waiting.len() as u64, total: self.total, pushed_out: self.pushed_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(visitor: u64) -> Subject {
        Subject::Visitor { site: "shop".into(), visitor }
    }

    fn fail(quarantine: &mut Quarantine, number: u64, now: i64) -> bool {
        let span = Span { first: now, last: now };
        quarantine.fail(visitor(number), span, ("too large".to_owned(), false), UnixMillis(now)).is_some()
    }

    #[test]
    fn the_third_failure_sets_a_visitor_aside_and_no_other() {
        let mut quarantine = Quarantine::default();
        let outcomes: Vec<bool> = (0..3).map(|now| fail(&mut quarantine, 1, now)).collect();
        assert_eq!(outcomes, [false, false, true]);
        assert!(quarantine.holds(&visitor(1), Span { first: 7, last: 9 }));
        assert!(!quarantine.holds(&visitor(2), Span { first: 7, last: 9 }));
        assert_eq!(quarantine.waiting()[0].span, Span { first: 2, last: 9 });
        assert_eq!(quarantine.counts(), SetAsideCounts { waiting: 1, total: 1, pushed_out: 0 });
    }

    #[test]
    fn what_can_only_fail_again_is_set_aside_at_once() {
        let mut quarantine = Quarantine::default();
        let certain = ("too many".to_owned(), true);
        let entry = quarantine.fail(visitor(1), Span { first: 0, last: 0 }, certain, UnixMillis(5)).unwrap();
        assert_eq!((entry.failures, entry.retry_at), (1, UnixMillis(60_005)));
    }

    #[test]
    fn retries_come_less_and_less_often_until_one_succeeds() {
        let mut quarantine = Quarantine::default();
        for _ in 0..3 {
            fail(&mut quarantine, 1, 0);
        }
        let mut waits = Vec::new();
        let mut now = 0;
        for _ in 0..12 {
            let next = quarantine.waiting()[0].retry_at.0;
            assert_eq!(quarantine.due(UnixMillis(next - 1)), None);
            assert!(quarantine.due(UnixMillis(next)).is_some());
            waits.push((next - now) / 60_000);
            now = next;
            fail(&mut quarantine, 1, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        quarantine.release(&visitor(1));
        assert_eq!((quarantine.due(UnixMillis(i64::MAX)), quarantine.counts().waiting), (None, 0));
    }

    #[test]
    fn the_quarantine_itself_is_bounded_and_says_whom_it_gave_up() {
        let mut quarantine = Quarantine::default();
        for number in 0..MAX_SET_ASIDE as u64 + 5 {
            for _ in 0..3 {
                fail(&mut quarantine, number, number as i64);
            }
        }
        assert_eq!(quarantine.counts(), SetAsideCounts { waiting: 1_000, total: 1_005, pushed_out: 5 });
        assert!(!quarantine.holds(&visitor(4), Span { first: 0, last: 0 }));
        assert!(quarantine.holds(&visitor(5), Span { first: 0, last: 0 }));
        for number in 0..5_000 {
            fail(&mut quarantine, 1_000_000 + number, 0);
        }
        assert!(quarantine.suspects.len() <= MAX_SET_ASIDE);
    }
}
