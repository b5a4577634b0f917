//! What can go wrong with the store, and whether trying again helps.

use super::Version;
use clickhouse::error::Error;
use std::time::Duration;

/// A failed call to ClickHouse.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer came: not reachable, connection broken.
    #[error("ClickHouse cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came in time. Whether an insert was stored is unknown.
    #[error("ClickHouse did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// ClickHouse, or a proxy before it, answered with a failure that isn't the data's fault.
    #[error("ClickHouse answered: {0}")]
    Failed(String),
    /// ClickHouse gave a statement up because it would take too much memory, time or rows: it may be the statement's fault, or
    /// that of everything else that runs.
    #[error("ClickHouse gave up: {0}")]
    OverLimit(String),
    /// A visitor has more events than are read to count visits.
    #[error("more than {0} events within a few days")]
    TooManyEvents(usize),
    /// What was sent can't be stored or asked, now or later.
    #[error("ClickHouse refused what was sent: {0}")]
    Refused(String),
    /// The server lacks what the migrations and queries use.
    #[error("ClickHouse {found} is too old: Firmsight needs {needed} or later", needed = Version::OLDEST)]
    TooOld {
        /// The server's version.
        found: Version,
    },
    /// What answered is no ClickHouse.
    #[error("ClickHouse told no version that can be read: {0:?}")]
    NoVersion(String),
    /// A migration that this database has run is another one now.
    #[error(
        "migration {0} was changed after this database ran it: restore the released file, and put the change into a new one"
    )]
    MigrationChanged(String),
    /// A later version of Firmsight has worked on this database.
    #[error("the database was migrated by a newer Firmsight ({0}): run that version or a later one")]
    DatabaseNewer(String),
    /// A cluster can't have this name.
    #[error(
        "{0:?} is no name of a cluster: letters, digits, `_`, `-` and `.` make one, as in ClickHouse's remote_servers"
    )]
    ClusterName(String),
    /// A statement of a migration has a form that is not known how to run on a cluster.
    #[error("this can't be run on a cluster: {0}…")]
    NotForClusters(String),
    /// The tables that are there are of the other kind.
    #[error("{}", if *.is_on_cluster {
        "the tables of this database are on a cluster: name it as [clickhouse].cluster"
    } else {
        "the tables of this database are one node's: a cluster needs a database of its own, into which INSERT … SELECT brings the old one's rows (docs/cluster.md)"
    })]
    OtherTopology {
        /// Whether they are on a cluster.
        is_on_cluster: bool,
    },
    /// A statement of a migration failed.
    #[error("migration {name}: {source}")]
    Migration {
        /// The migration's name.
        name: String,
        /// What went wrong.
        source: Box<Self>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later, with nobody changing what is sent.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::TimedOut(_)
            | Self::Failed(_)
            | Self::OverLimit(_)
            | Self::TooManyEvents(_) => true,
            Self::Refused(_)
            | Self::TooOld { .. }
            | Self::NoVersion(_)
            | Self::MigrationChanged(_)
            | Self::DatabaseNewer(_)
            | Self::ClusterName(_)
            | Self::NotForClusters(_)
            | Self::OtherTopology { .. } => false,
            Self::Migration { source, .. } => source.is_retryable(),
        }
    }
}

impl StoreError {
    /// Whether a smaller statement may succeed where this one failed.
    #[must_use]
    pub const fn is_over_limit(&self) -> bool {
        matches!(self, Self::OverLimit(_) | Self::TooManyEvents(_))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Network(cause) => Self::Unreachable(chain(cause.as_ref())),
            Error::TimedOut => Self::Failed(error.to_string()),
            // Exceptions come with their code; without one it was a proxy that answered.
            Error::BadResponse(text) if has_code(text, &FAULTS_OF_DATA) => Self::Refused(shorten(text)),
            Error::BadResponse(text) if has_code(text, &OVER_LIMITS) => Self::OverLimit(shorten(text)),
            Error::BadResponse(text) => Self::Failed(shorten(text)),
            // An answer that broke off.
            Error::Decompression(_) | Error::NotEnoughData => Self::Failed(error.to_string()),
            Error::Other(cause) => Self::Failed(chain(cause.as_ref())),
            _ => Self::Refused(chain(&error)),
        }
    }
}

/// ClickHouse's codes (`system.errors`) of statements and values that will fail again, whenever they are repeated.
const FAULTS_OF_DATA: [u16; 27] = [
    6,   // CANNOT_PARSE_TEXT
    16,  // NO_SUCH_COLUMN_IN_TABLE
    20,  // NUMBER_OF_COLUMNS_DOESNT_MATCH
    26,  // CANNOT_PARSE_QUOTED_STRING
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    36,  // BAD_ARGUMENTS
    38,  // CANNOT_PARSE_DATE
    41,  // CANNOT_PARSE_DATETIME
    42,  // NUMBER_OF_ARGUMENTS_DOESNT_MATCH
    43,  // ILLEGAL_TYPE_OF_ARGUMENT
    44,  // ILLEGAL_COLUMN
    46,  // UNKNOWN_FUNCTION
    47,  // UNKNOWN_IDENTIFIER
    50,  // UNKNOWN_TYPE
    53,  // TYPE_MISMATCH
    62,  // SYNTAX_ERROR
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    72,  // CANNOT_PARSE_NUMBER
    115, // UNKNOWN_SETTING
    117, // INCORRECT_DATA
    128, // TOO_LARGE_ARRAY_SIZE
    131, // TOO_LARGE_STRING_SIZE
    248, // INVALID_PARTITION_VALUE
    349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    376, // CANNOT_PARSE_UUID
    441, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
];

/// Codes of statements that took more than they may.
const OVER_LIMITS: [u16; 7] = [
    158, // TOO_MANY_ROWS
    159, // TIMEOUT_EXCEEDED
    173, // CANNOT_ALLOCATE_MEMORY
    191, // SET_SIZE_LIMIT_EXCEEDED
    241, // MEMORY_LIMIT_EXCEEDED
    307, // TOO_MANY_BYTES
    396, // TOO_MANY_ROWS_OR_BYTES
];

fn has_code(text: &str, codes: &[u16]) -> bool {
    let code = text.split_once("Code: ").map(|(_, rest)| rest);
    let digits = code.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.and_then(|digits| digits.parse().ok()).is_some_and(|code: u16| codes.contains(&code))
}

/// An error with what caused it: hyper's own text alone says "client error (Connect)".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// An exception may quote the rows that were sent; a log needs its beginning only.
fn shorten(text: &str) -> String {
    const KEPT: usize = 600;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fails_again_is_given_up() {
        let answer = |text: &str| StoreError::from(Error::BadResponse(text.to_owned())).is_retryable();
        assert!(answer("503 Service Unavailable"));
        assert!(answer("Code: 252. DB::Exception: Too many parts (3000). (TOO_MANY_PARTS)"));
        assert!(answer("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"));
        assert!(answer("Code: 999999. DB::Exception: nobody knows"));
        let memory =
            StoreError::from(Error::BadResponse("Code: 241. DB::Exception: Query memory limit exceeded".to_owned()));
        assert!(memory.is_over_limit() && !StoreError::Failed(String::new()).is_over_limit());
        assert!(!answer("Code: 62. DB::Exception: Syntax error"));
        assert!(!answer("Code: 53"));
        assert!(!StoreError::from(Error::SchemaMismatch(String::new())).is_retryable());
        assert!(StoreError::from(Error::Network("reset".into())).is_retryable());
    }
}
