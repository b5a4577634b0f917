//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off: each wait is between half and all of a limit that doubles up to the longest wait.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Starts at `first` and never waits more than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// The next wait. `jitter`, 0 to 1, spreads several collectors that wait for the same store.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let limit = self.first.saturating_mul(1 << self.attempts.min(20)).min(self.longest);
        self.attempts += 1;
        limit.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_takes_off_half_at_most() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let longest: Vec<u128> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.next(0.0).as_millis(), 50);
        assert_eq!(backoff.next(f64::MAX).as_millis(), 200);
        assert_eq!((0..100).map(|_| backoff.next(0.0)).last(), Some(Duration::from_millis(500)));
    }
}
