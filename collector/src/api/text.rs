//! Instants as `/v1` writes and reads them.

use crate::{admin::problem::Problem, time::UnixMillis};
use jiff::Timestamp;

/// UTC with milliseconds and `Z`.
pub(super) fn instant(at: UnixMillis) -> String {
    format!("{:.3}", Timestamp::from_millisecond(at.0).unwrap_or_default())
}

/// Reads an instant with an offset or `Z` (RFC 3339).
pub(super) fn read_instant(field: &'static str, text: &str) -> Result<UnixMillis, Problem> {
    let read = text.parse::<Timestamp>().map(|at| UnixMillis(at.as_millisecond()));
    read.map_err(|_| Problem::Body {
        field: field.to_owned(),
        detail: format!("{field} must be an instant such as 2027-12-31T23:00:00Z"),
    })
}
