//! Time as a value: cores take it as an argument, only shells read the clock.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Reads the system clock. For shells only.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The UTC day this falls into.
    #[must_use]
    pub const fn day(self) -> UtcDay {
        UtcDay(self.0.div_euclid(86_400_000) as i32)
    }
}

/// A UTC calendar day, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcDay(pub i32);

impl UtcDay {
    /// The day's first millisecond.
    #[must_use]
    pub const fn start(self) -> UnixMillis {
        UnixMillis(self.0 as i64 * 86_400_000)
    }
}
