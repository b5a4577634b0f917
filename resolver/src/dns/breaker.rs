//! A circuit breaker: when a name server doesn't answer, addresses are not kept waiting one after the other.

use std::time::{Duration, Instant};

/// So many time-outs in a row, with no answer between them, mean that it is down.
const FAILURES: u32 = 64;
/// How long nobody is asked then, before one address tries again.
const PAUSE: Duration = Duration::from_secs(5);

/// Counts time-outs in a row; the time is passed in.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether the server is left alone now.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Whether the server may be asked now. While it is down, one question in every pause may try.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// A name server answered, whatever it said.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// Nobody answered in time.
    pub(crate) fn timed_out(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.open_until = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_outs_in_a_row_break_the_circuit_and_one_probe_an_interval_goes_through() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES - 1 {
            breaker.timed_out(now);
        }
        assert!(breaker.allows(now));
        breaker.answered();
        for _ in 0..FAILURES {
            assert!(breaker.allows(now));
            breaker.timed_out(now);
        }
        assert!(breaker.is_open(now) && !breaker.allows(now));
        assert!(!breaker.allows(now + PAUSE - Duration::from_millis(1)));
        assert!(breaker.allows(now + PAUSE));
        assert!(!breaker.allows(now + PAUSE));
        breaker.answered();
        assert!(breaker.allows(now + PAUSE));
    }
}
