//! How often one name server is asked: evenly, at most so many times a second, with a short burst.

use std::time::{Duration, Instant};

/// So many questions may follow each other at once after a pause.
const BURST: u32 = 32;

/// Hands out turns in time (the generic cell rate algorithm); the time is passed in.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two questions; zero means any number.
    interval: Duration,
    /// When the next question is due by an even pace.
    due: Option<Instant>,
    /// Turns that were taken, and no question was asked yet.
    taken: u32,
}

impl Pace {
    /// At most `per_second` questions; 0 means any number.
    pub(super) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1).checked_div(per_second).unwrap_or_default(), due: None, taken: 0 }
    }

    /// Takes the next turn and says how long to wait for it. Every call takes one, so whoever calls must be bounded.
    pub(super) fn reserve(&mut self, now: Instant) -> Duration {
        self.taken = self.taken.saturating_add(1);
        self.advance(now)
    }

    /// A question is sent. One without a turn, as for what is behind an alias, does not wait, but who comes next waits for
    /// it.
    pub(super) fn sent(&mut self, now: Instant) {
        match self.taken.checked_sub(1) {
            Some(left) => self.taken = left,
            None => drop(self.advance(now)),
        }
    }

    fn advance(&mut self, now: Instant) -> Duration {
        let allowance = self.interval * BURST;
        let due = self.due.map_or(now, |due| due.max(now.checked_sub(allowance).unwrap_or(now)));
        self.due = Some(due + self.interval);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_turns_than_the_rate_and_the_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(100);
        let mut now = start;
        let mut turns = Vec::new();
        for question in 0..1000u64 {
            let turn = now + pace.reserve(now);
            turns.push(turn);
            // Now and then nobody asks for a while.
            now = if question % 200 == 199 { turn + Duration::from_secs(5) } else { turn };
        }
        assert!(turns.is_sorted());
        for (index, first) in turns.iter().enumerate() {
            let in_a_second = turns[index..].iter().take_while(|turn| **turn < *first + Duration::from_secs(1)).count();
            assert!(in_a_second <= 100 + BURST as usize + 1, "{in_a_second} at {index}");
        }
    }

    #[test]
    fn questions_without_a_turn_delay_those_that_come_after() {
        let now = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..BURST {
            pace.reserve(now);
            pace.sent(now);
        }
        let due = pace.reserve(now);
        pace.sent(now);
        for _ in 0..10 {
            pace.sent(now);
        }
        assert_eq!(pace.reserve(now), due + Duration::from_millis(110));
    }

    #[test]
    fn a_rate_of_zero_is_no_bound() {
        let now = Instant::now();
        let mut pace = Pace::new(0);
        assert!((0..10_000).all(|_| pace.reserve(now).is_zero()));
    }
}
