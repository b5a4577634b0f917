//! Lists that are read newest first, page by page, while they grow.
//!
//! Newest first, each new entry pushes all others down by one place, and whoever walks through the pages meets the last entry
//! of a page again on the next one. Counted from the oldest, places never change, since a list grows at its newest end. So a
//! walk through the pages keeps one number: how long the list was when the walk began. A page is then counted from the oldest
//! entry by that number and turned round, and what arrived meanwhile lies beyond it.

/// Entries of a list, counted from the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Newer entries to pass over.
    pub(crate) skip: u64,
    /// Entries to give at most.
    pub(crate) take: u64,
    /// How many entries the list had when the walk began; `None` begins a walk.
    pub(crate) among: Option<u64>,
}

impl Newest {
    /// Offset and limit of the same entries in a list of this many, oldest first.
    pub(super) fn counted_from_oldest(self, total: u64) -> (u64, u64) {
        let left = total.saturating_sub(self.skip);
        let limit = self.take.min(left);
        (left - limit, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pages_from_the_newest_are_places_from_the_oldest() {
        for (skip, take, total, expected) in [
            (0, 10, 25, (15, 10)),
            (10, 10, 25, (5, 10)),
            (20, 10, 25, (0, 5)),
            (30, 10, 25, (0, 0)),
            (0, 10, 0, (0, 0)),
            (0, 0, 25, (25, 0)),
            (u64::MAX, u64::MAX, u64::MAX, (0, 0)),
        ] {
            assert_eq!(
                Newest { skip, take, among: None }.counted_from_oldest(total),
                expected,
                "{skip} {take} {total}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_walk_meets_each_entry_once_while_the_list_grows(
            total in 0_u64..500,
            size in 1_u64..=100,
            grows in proptest::collection::vec(0_u64..20, 0..10),
        ) {
            let mut list: Vec<u64> = (0..total).collect();
            let mut grows = grows.into_iter();
            let mut seen = Vec::new();
            for number in 0..=total / size {
                let (offset, limit) = Newest { skip: number * size, take: size, among: Some(total) }.counted_from_oldest(total);
                seen.extend(list.iter().skip(offset as usize).take(limit as usize).rev().copied());
                list.extend((0..grows.next().unwrap_or_default()).map(|new| total + new));
            }
            prop_assert_eq!(seen, (0..total).rev().collect::<Vec<_>>());
        }
    }
}
