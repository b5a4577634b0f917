//! The one back-off: how attempts are spaced by whatever tries again.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Exponential back-off with jitter: each wait is between half and all of a limit that doubles up to the longest wait.
/// The jitter spreads several collectors that wait for the same store.
#[derive(Debug)]
pub struct Backoff {
    builder: ExponentialBuilder,
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// Starts at `first` and never waits more than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        // backon's jitter adds up to once the wait.
        let builder = ExponentialBuilder::new()
            .with_min_delay(first / 2)
            .with_max_delay(longest / 2)
            .without_max_times()
            .with_jitter();
        Self { builder, waits: builder.build(), longest }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.longest)
    }

    /// Starts over: what was tried went well for a while.
    pub fn reset(&mut self) {
        self.waits = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_takes_off_half_at_most() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for limit in [100, 200, 400, 800, 1000, 1000, 1000] {
            let wait = backoff.next_wait().as_millis();
            assert!((limit / 2..=limit).contains(&wait), "{wait} of {limit}");
        }
        for _ in 0..10_000 {
            assert!(backoff.next_wait() <= Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
