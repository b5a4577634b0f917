//! Lists that go on: `limit` and `cursor`.
//!
//! A cursor holds the sort key of the last row that was given, so that rows that come or go meanwhile move nothing. Its
//! text means something to us only.

use crate::admin::{problem::Problem, wire::Parameters};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Reads `limit`, 1 to 1,000, 100 when absent.
pub(super) fn limit(parameters: &Parameters) -> Result<usize, Problem> {
    limit_up_to(parameters, MAX_LIMIT)
}

/// Reads `limit`, 1 to `max`, 100 when absent.
pub(super) fn limit_up_to(parameters: &Parameters, max: usize) -> Result<usize, Problem> {
    let Some(text) = parameters.optional("limit")? else { return Ok(DEFAULT_LIMIT) };
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
    number.filter(|limit| (1..=max).contains(limit)).ok_or_else(|| Problem::Parameter {
        name: "limit",
        detail: format!("limit must be a whole number from 1 to {max}"),
    })
}

/// Reads `cursor`: the sort key after which the list goes on.
pub(super) fn read<Key: DeserializeOwned>(parameters: &Parameters) -> Result<Option<Key>, Problem> {
    let Some(text) = parameters.optional("cursor")? else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let key = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    key.map(Some).ok_or_else(|| Problem::Parameter {
        name: "cursor",
        detail: "cursor must be the next_cursor of an earlier answer of this list".to_owned(),
    })
}

/// The cursor after a row with this sort key.
pub(super) fn after<Key: Serialize>(key: &Key) -> Option<String> {
    serde_json::to_vec(key).ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// Cuts a list that was read with one row too many, and says how it goes on.
pub(super) fn cut<Row, Key: Serialize>(
    mut rows: Vec<Row>,
    limit: usize,
    key: impl Fn(&Row) -> Key,
) -> (Vec<Row>, Option<String>) {
    let goes_on = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| goes_on).and_then(|row| after(&key(row)));
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_their_bounds() {
        let read = |query: &str| limit(&Parameters::read(Some(query)));
        assert_eq!(read("").unwrap(), 100);
        assert_eq!(read("limit=1").unwrap(), 1);
        assert_eq!(read("limit=1000").unwrap(), 1000);
        for wrong in ["0", "1001", "-1", "+1", "x", "", "1.0", "99999999999999999999999"] {
            assert!(read(&format!("limit={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_a_wrong_one_is_named() {
        let cursor = after(&(17_i64, "shop")).unwrap();
        let parameters = Parameters::read(Some(&format!("cursor={cursor}")));
        assert_eq!(read::<(i64, String)>(&parameters).unwrap(), Some((17, "shop".to_owned())));
        for wrong in ["x", "", "e30", "%00"] {
            let parameters = Parameters::read(Some(&format!("cursor={wrong}")));
            assert!(read::<(i64, String)>(&parameters).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_goes_on_only_when_there_is_more() {
        let (rows, next) = cut(vec![1, 2, 3], 2, |row| *row);
        assert_eq!((rows, next), (vec![1, 2], after(&2)));
        assert_eq!(cut(vec![1, 2], 2, |row| *row), (vec![1, 2], None));
        assert_eq!(cut(Vec::<i32>::new(), 2, |row| *row), (vec![], None));
    }
}
