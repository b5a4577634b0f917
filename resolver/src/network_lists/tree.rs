//! The search tree, written while its networks pass by in their order.

use super::{
    BuildProgress,
    encode::{DataSection, SEPARATOR},
    sort::{Entry, Sorted},
};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    iter::Peekable,
    path::Path,
};

const NODE_BYTES: u64 = 16;
/// Nodes that are turned around at a time.
const BLOCK: u64 = 1 << 14;
const ADDRESS_BITS: u8 = 128;
const ENTRIES_A_TICK: u64 = 65_536;

/// Where a side of a node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Nowhere,
    /// To a record, by its offset in the data section.
    Record(u32),
    /// To a node, by the number under which it was written: children before their parents.
    Node(u32),
}

impl Side {
    fn bytes(self) -> [u8; 8] {
        let (kind, value) = match self {
            Self::Nowhere => (0u32, 0),
            Self::Record(offset) => (1, offset),
            Self::Node(number) => (2, number),
        };
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    /// The same in the file's own terms: nodes in reverse, the root first, which was written last.
    fn pointer(bytes: &[u8], nodes: u32) -> u32 {
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        let (kind, value) = bytes.split_at(4);
        match number(kind) {
            0 => nodes,
            1 => nodes + SEPARATOR.len() as u32 + number(value),
            _ => nodes - 1 - number(value),
        }
    }
}

/// A sum over networks and the records they lead to, the same in whatever order they are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NetworkSum {
    count: u64,
    sum: u64,
}

impl NetworkSum {
    pub(super) fn add(&mut self, address: u128, prefix: u8, offset: u32) {
        // SplitMix64's finalizer, over each part in turn.
        let mix = |number: u64| {
            let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            number ^ number >> 31
        };
        let mut hash = mix((address >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15);
        hash = mix(hash ^ address as u64);
        hash = mix(hash ^ u64::from(prefix) << 32 ^ u64::from(offset));
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

/// Nodes on disk, children before parents.
pub(super) struct TreeFile {
    file: BufWriter<File>,
    nodes: u64,
    repeated: u64,
    networks: u64,
    passed: u64,
    sum: NetworkSum,
}

impl TreeFile {
    pub(super) fn create(folder: &Path, networks: u64) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?),
            nodes: 0,
            repeated: 0,
            networks,
            passed: 0,
            sum: NetworkSum::default(),
        })
    }

    pub(super) const fn nodes(&self) -> u64 {
        self.nodes
    }

    pub(super) const fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(super) const fn sum(&self) -> NetworkSum {
        self.sum
    }

    /// Writes all nodes.
    pub(super) fn fill(&mut self, entries: Sorted, progress: &mut dyn FnMut(BuildProgress)) -> io::Result<()> {
        let mut entries = entries.peekable();
        let root = self.subtree(&mut entries, 0, 0, Side::Nowhere, progress)?;
        if !matches!(root, Side::Node(_)) {
            // One record for every address, or none for any: a tree needs a root all the same.
            self.node(0, 0, [root, root])?;
        }
        if let Some(left) = entries.next() {
            return Err(left.err().unwrap_or_else(|| io::Error::other("a network begins before the one before it")));
        }
        Ok(())
    }

    /// Takes the entries inside a network from the stream. `inherited` is what its addresses lead to as far as no narrower
    /// network says otherwise. As deep as an address has bits.
    fn subtree(
        &mut self,
        entries: &mut Peekable<Sorted>,
        network: u128,
        prefix: u8,
        inherited: Side,
        progress: &mut dyn FnMut(BuildProgress),
    ) -> io::Result<Side> {
        let mut leads_to = inherited;
        let mut is_named = false;
        while let Some(entry) = next_if(entries, |entry| entry.address == network && entry.prefix == prefix)? {
            if is_named {
                self.repeated += 1;
            } else {
                leads_to = Side::Record(entry.offset);
                is_named = true;
            }
            self.passed += 1;
            if self.passed.is_multiple_of(ENTRIES_A_TICK) {
                progress(BuildProgress::Networks(self.passed, self.networks));
            }
        }
        if prefix == ADDRESS_BITS || !peek(entries)?.is_some_and(|entry| is_inside(entry.address, network, prefix)) {
            return Ok(leads_to);
        }
        let right = network | 1 << (ADDRESS_BITS - 1 - prefix);
        let sides = [
            self.subtree(entries, network, prefix + 1, leads_to, progress)?,
            self.subtree(entries, right, prefix + 1, leads_to, progress)?,
        ];
        match sides {
            [Side::Record(left), Side::Record(right)] if left == right => Ok(sides[0]),
            _ => self.node(network, prefix, sides),
        }
    }

    fn node(&mut self, network: u128, prefix: u8, sides: [Side; 2]) -> io::Result<Side> {
        let number = u32::try_from(self.nodes).map_err(|_| io::Error::other("more than 4,294,967,295 nodes"))?;
        for (side, bit) in sides.into_iter().zip([0, 1u128]) {
            self.file.write_all(&side.bytes())?;
            if let Side::Record(offset) = side {
                self.sum.add(network | bit << (ADDRESS_BITS - 1 - prefix), prefix + 1, offset);
            }
        }
        self.nodes += 1;
        Ok(Side::Node(number))
    }

    /// Writes tree, separator and data as the format has them.
    pub(super) fn write(self, into: &mut File, data: DataSection) -> io::Result<()> {
        let nodes = u32::try_from(self.nodes).map_err(io::Error::other)?;
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut output = BufWriter::with_capacity(1 << 18, into);
        let mut block = Vec::new();
        let mut end = self.nodes;
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            file.seek(SeekFrom::Start(start * NODE_BYTES))?;
            block.resize(((end - start) * NODE_BYTES) as usize, 0);
            file.read_exact(&mut block)?;
            for node in block.rchunks_exact(NODE_BYTES as usize) {
                for side in node.chunks_exact(8) {
                    output.write_all(&Side::pointer(side, nodes).to_be_bytes())?;
                }
            }
            end = start;
        }
        output.write_all(&SEPARATOR)?;
        let mut data = data.into_file()?;
        data.seek(SeekFrom::Start(0))?;
        io::copy(&mut BufReader::with_capacity(1 << 18, data), &mut output)?;
        output.flush()
    }
}

fn is_inside(address: u128, network: u128, prefix: u8) -> bool {
    (address ^ network).checked_shr(u32::from(ADDRESS_BITS - prefix)).unwrap_or(0) == 0
}

/// The next entry, unless reading it failed: then the failure.
fn peek(entries: &mut Peekable<Sorted>) -> io::Result<Option<Entry>> {
    match entries.next_if(Result::is_err) {
        Some(Err(error)) => Err(error),
        _ => Ok(entries.peek().and_then(|entry| entry.as_ref().ok().copied())),
    }
}

fn next_if(entries: &mut Peekable<Sorted>, is_wanted: impl Fn(&Entry) -> bool) -> io::Result<Option<Entry>> {
    let wanted = peek(entries)?.filter(|entry| is_wanted(entry));
    if wanted.is_some() {
        drop(entries.next());
    }
    Ok(wanted)
}
