//! Sorting more entries than fit into memory: sorted runs on disk, merged while they are read.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A network of a row. The order is that of the tree: by first address, wider networks first, then by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// First address; IPv4 below 2³², as the format has it.
    pub(super) address: u128,
    /// Prefix length in 128 bits.
    pub(super) prefix: u8,
    /// Counted over all inputs, so that an earlier source comes first.
    pub(super) row: u64,
    /// Of its record in the data section.
    pub(super) offset: u32,
}

const ENTRY_BYTES: usize = 29;

impl Entry {
    fn write(&self, into: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.address.to_le_bytes());
        bytes[16] = self.prefix;
        bytes[17..25].copy_from_slice(&self.row.to_le_bytes());
        bytes[25..].copy_from_slice(&self.offset.to_le_bytes());
        into.write_all(&bytes)
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; ENTRY_BYTES];
        from.read_exact(&mut bytes)?;
        let number =
            |range: std::ops::Range<usize>| bytes[range].iter().rev().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        Ok(Self {
            address: number(0..16),
            prefix: bytes[16],
            row: number(17..25) as u64,
            offset: number(25..29) as u32,
        })
    }
}

/// Takes entries in any order.
pub(super) struct Sorter {
    folder: PathBuf,
    most: usize,
    entries: Vec<Entry>,
    runs: Vec<(File, u64)>,
}

impl Sorter {
    pub(super) fn new(folder: &Path, most: usize) -> Self {
        Self { folder: folder.to_owned(), most: most.max(1), entries: Vec::new(), runs: Vec::new() }
    }

    pub(super) fn add(&mut self, entry: Entry) -> io::Result<()> {
        self.entries.push(entry);
        if self.entries.len() >= self.most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable();
        let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(&self.folder)?);
        for entry in &self.entries {
            entry.write(&mut file)?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        self.runs.push((file, self.entries.len() as u64));
        self.entries.clear();
        Ok(())
    }

    /// The entries in their order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        self.entries.sort_unstable();
        let mut sorted = Sorted { memory: self.entries.into_iter(), runs: Vec::new(), heads: BinaryHeap::new() };
        for (file, left) in self.runs {
            sorted.runs.push((BufReader::with_capacity(1 << 16, file), left));
        }
        for run in 0..=sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

/// A merge under way.
pub(super) struct Sorted {
    memory: std::vec::IntoIter<Entry>,
    runs: Vec<(BufReader<File>, u64)>,
    /// The next entry of every run; the run behind the last is the one in memory.
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Sorted {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let next = match self.runs.get_mut(run) {
            None => self.memory.next(),
            Some((_, 0)) => None,
            Some((file, left)) => {
                *left -= 1;
                Some(Entry::read(file)?)
            }
        };
        self.heads.extend(next.map(|entry| Reverse((entry, run))));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((entry, run)) = self.heads.pop()?;
        Some(self.advance(run).map(|()| entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_on_disk_merge_to_the_order_that_memory_gives(addresses in prop::collection::vec((0u128..50, 100u8..=128), 0..200), most in 1usize..40) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(folder.path(), most);
            let entry = |(row, (address, prefix)): (u64, &(u128, u8))| Entry { address: *address << 70, prefix: *prefix, row, offset: row as u32 };
            let mut entries: Vec<Entry> = (0..).zip(&addresses).map(entry).collect();
            entries.iter().for_each(|entry| sorter.add(*entry).unwrap());
            let sorted: Vec<Entry> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            entries.sort();
            prop_assert_eq!(sorted, entries);
        }
    }
}
