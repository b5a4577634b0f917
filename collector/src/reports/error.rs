//! Why a question has no answer.

use crate::store::StoreError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store is away or refused the query.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A time series would have more periods than one answer may hold.
    #[error("that would be more than {0} rows: take a longer interval or fewer days")]
    TooManyPeriods(usize),
    /// A query that always gives one row gave none.
    #[error("the store gave no row of {0}")]
    NoRow(&'static str),
}
