//! How long what is stored stays, by class.
//!
//! # Design
//! The [`Policy`] names a period for each [`Class`]; `RULES` says by which tables and columns a class is stored and from
//! when its period counts. [`enforce()`] turns both into ClickHouse's own TTLs, which remove rows as parts are merged, and
//! deletes what removed sites left behind. Nothing is deleted row by row, and nothing is asked of ClickHouse where its tables
//! say already what the policy says.
//!
//! A period counts from when a row was *stored*, not from the time that it tells of: an access log of last year that is
//! imported today is there to be looked at. For events that is `stored_at`; what is derived from them carries the time of its
//! last rebuild in its version (microseconds since 1970, see `pipeline::rebuild::Versions`).
//!
//! [`enforce()`] refuses a policy that would delete more than half of a table at once, until the owner allows it: a mistyped
//! period must not cost a year of data (docs/decisions/0061-retention.md).

mod enforce;

pub use enforce::{Enforced, Refusal, enforce};

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// 100 years: ClickHouse's dates end in 2106.
const MOST_MONTHS: u16 = 1_200;
const MOST_DAYS: u16 = 36_500;

/// How long a class is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum Keep {
    /// So many days of 24 hours; never zero.
    Days(u16),
    /// So many calendar months; never zero.
    Months(u16),
    /// For as long as the site exists.
    Forever,
}

/// A number alone means days.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Days(u64),
    Text(String),
}

/// What is written is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no period: write \"30 days\", \"13 months\" (at most 100 years) or \"forever\"")]
pub struct KeepError(String);

impl Keep {
    /// At least so long; `None` for ever.
    #[must_use]
    pub const fn at_least(self) -> Option<Duration> {
        match self {
            Self::Days(days) => Some(Duration::from_secs(days as u64 * SECONDS_A_DAY)),
            // February.
            Self::Months(months) => Some(Duration::from_secs(months as u64 * 28 * SECONDS_A_DAY)),
            Self::Forever => None,
        }
    }

    /// The shorter of two.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        match (self.at_least(), other.at_least()) {
            (Some(one), Some(two)) if two < one => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    /// As ClickHouse writes it; `None` for ever.
    fn interval(self) -> Option<String> {
        match self {
            Self::Days(days) => Some(format!("toIntervalDay({days})")),
            Self::Months(months) => Some(format!("toIntervalMonth({months})")),
            Self::Forever => None,
        }
    }
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        let refuse = || KeepError(text.chars().take(80).collect());
        if text.trim() == "forever" {
            return Ok(Self::Forever);
        }
        let (number, unit) = text.trim().split_once(' ').ok_or_else(refuse)?;
        let number: u16 = number.parse().map_err(|_| refuse())?;
        match unit.trim() {
            "day" | "days" if (1..=MOST_DAYS).contains(&number) => Ok(Self::Days(number)),
            "month" | "months" if (1..=MOST_MONTHS).contains(&number) => Ok(Self::Months(number)),
            _ => Err(refuse()),
        }
    }
}

impl TryFrom<Written> for Keep {
    type Error = KeepError;

    fn try_from(written: Written) -> Result<Self, KeepError> {
        match written {
            Written::Days(days) => format!("{days} days").parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days} days"),
            Self::Months(months) => write!(f, "{months} months"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

/// What is kept for a time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Pageviews and all other events, as they came.
    Events,
    /// Visits with their routes.
    Visits,
    /// Company days.
    CompanyDays,
    /// What tells one visitor of a company from another: the keyed hash, and what `identify` gave.
    VisitorHashes,
    /// Counts of dropped events.
    Drops,
    /// The audit log.
    Audit,
    /// Counts of API requests.
    Usage,
    /// Everything of a site that was removed.
    DeletedSites,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Events,
        Self::Visits,
        Self::CompanyDays,
        Self::VisitorHashes,
        Self::Drops,
        Self::Audit,
        Self::Usage,
        Self::DeletedSites,
    ];

    /// Its key in `[retention]`, and its label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Visits => "visits",
            Self::CompanyDays => "company_days",
            Self::VisitorHashes => "visitor_hashes",
            Self::Drops => "drops",
            Self::Audit => "audit",
            Self::Usage => "usage",
            Self::DeletedSites => "deleted_sites",
        }
    }
}

/// `[retention]`: how long each class is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Pageviews and all other events.
    pub events: Keep,
    /// Visits with their routes.
    pub visits: Keep,
    /// Company days.
    pub company_days: Keep,
    /// Keyed hashes of visitors, and what `identify` gave.
    pub visitor_hashes: Keep,
    /// Counts of dropped events.
    pub drops: Keep,
    /// The audit log.
    pub audit: Keep,
    /// Counts of API requests.
    pub usage: Keep,
    /// What a removed site left.
    pub deleted_sites: Keep,
    /// Whether a new policy may delete more than half of a table at once.
    pub allow_large_deletions: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            events: Keep::Months(13),
            visits: Keep::Months(25),
            company_days: Keep::Forever,
            visitor_hashes: Keep::Months(13),
            drops: Keep::Months(25),
            audit: Keep::Months(24),
            usage: Keep::Months(13),
            deleted_sites: Keep::Days(30),
            allow_large_deletions: false,
        }
    }
}

impl Policy {
    /// The period of a class.
    #[must_use]
    pub const fn of(&self, class: Class) -> Keep {
        match class {
            Class::Events => self.events,
            Class::Visits => self.visits,
            Class::CompanyDays => self.company_days,
            Class::VisitorHashes => self.visitor_hashes,
            Class::Drops => self.drops,
            Class::Audit => self.audit,
            Class::Usage => self.usage,
            Class::DeletedSites => self.deleted_sites,
        }
    }
}

/// Where a class is stored, and from when its period counts.
#[derive(Clone, Copy, Debug)]
struct Rule {
    class: Class,
    table: &'static str,
    /// The columns that are emptied; none where the whole row goes.
    columns: &'static [&'static str],
    since: &'static str,
}

/// When a derived row was written last.
const REBUILT_AT: &str = "toDateTime(intDiv(version, 1000000))";

/// The table of policy. A table has at most one rule for its rows.
const RULES: &[Rule] = &[
    Rule { class: Class::Events, table: "events", columns: &[], since: "stored_at" },
    Rule { class: Class::Visits, table: "visits", columns: &[], since: REBUILT_AT },
    Rule { class: Class::CompanyDays, table: "company_activity", columns: &[], since: REBUILT_AT },
    // `props` holds what `identify` gave.
    Rule { class: Class::VisitorHashes, table: "events", columns: &["visitor", "props"], since: "stored_at" },
    Rule {
        class: Class::VisitorHashes,
        table: "visits",
        columns: &["visitor", "email", "first_name", "last_name"],
        since: REBUILT_AT,
    },
    Rule { class: Class::Drops, table: "drops", columns: &[], since: REBUILT_AT },
    Rule { class: Class::Audit, table: "audit", columns: &[], since: "toDateTime(at)" },
    Rule { class: Class::Usage, table: "api_usage", columns: &[], since: "day" },
];

/// Tables with rows of a site; each has a column `site`.
const TABLES_OF_SITES: [&str; 5] = ["events", "visits", "company_activity", "companies", "drops"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_written_alike() {
        for (text, keep) in [
            ("30 days", Keep::Days(30)),
            ("1 day", Keep::Days(1)),
            ("13 months", Keep::Months(13)),
            ("1 month", Keep::Months(1)),
            (" forever ", Keep::Forever),
        ] {
            assert_eq!(text.parse::<Keep>().unwrap(), keep, "{text}");
            assert_eq!(keep.to_string().parse::<Keep>().unwrap(), keep);
        }
        for text in
            ["", "0 days", "0 months", "13", "13 years", "-1 days", "1201 months", "99999 days", "never", "1.5 months"]
        {
            assert!(text.parse::<Keep>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_alone_means_days() {
        let policy: Policy = toml::from_str("audit = 90\nevents = \"6 months\"").unwrap();
        assert_eq!((policy.audit, policy.events), (Keep::Days(90), Keep::Months(6)));
        assert!(toml::from_str::<Policy>("events = 0").is_err());
    }

    #[test]
    fn of_two_periods_the_shorter_is_found() {
        assert_eq!(Keep::Months(13).shorter(Keep::Months(25)), Keep::Months(13));
        assert_eq!(Keep::Months(13).shorter(Keep::Days(30)), Keep::Days(30));
        assert_eq!(Keep::Forever.shorter(Keep::Days(30)), Keep::Days(30));
        assert_eq!(Keep::Days(30).shorter(Keep::Forever), Keep::Days(30));
    }

    #[test]
    fn every_class_has_a_rule_and_every_table_one_for_its_rows_at_most() {
        for class in Class::ALL.into_iter().filter(|class| *class != Class::DeletedSites) {
            assert!(RULES.iter().any(|rule| rule.class == class), "{class:?}");
        }
        let mut of_rows: Vec<&str> =
            RULES.iter().filter(|rule| rule.columns.is_empty()).map(|rule| rule.table).collect();
        of_rows.sort_unstable();
        assert!(of_rows.is_sorted_by(|one, next| one < next), "{of_rows:?}");
    }
}
