//! Published ranges: clouds, content networks, VPNs, relays, Tor exits, crawlers.
//!
//! Both files become one kind of table: disjoint ranges, sorted, searched by bisection.

use crate::{
    Evidence, NetworkKind, Source, Statement,
    rules::{RangeSays, Rules},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// The first bytes of a range list.
pub(crate) const MAGIC: &[u8; 8] = b"IPORIGIN";
const VERSION: u16 = 1;
/// What a list of published crawler ranges says.
const CRAWLER: RangeSays = RangeSays { kind: NetworkKind::Crawler, weight: 20.0, is_final: true };

/// Disjoint ranges with what they say.
#[derive(Default)]
pub(crate) struct RangeTable {
    v4: Vec<(u32, u32, u16)>,
    v6: Vec<(u128, u128, u16)>,
    labels: Vec<(RangeSays, Arc<str>)>,
    pub(crate) built_at: Option<u64>,
}

impl RangeTable {
    /// Reads a range list: magic, version, build time, label count, range counts; labels as length-prefixed
    /// `provider TAB kind`; IPv4 records of 10 bytes, little-endian; IPv6 records of 34 bytes, addresses big-endian.
    pub(crate) fn from_range_list(bytes: &[u8], rules: &Rules) -> Result<Self, &'static str> {
        const CUT: &str = "cut short; fetch it again";
        let mut rest = Bytes(bytes);
        if rest.take(MAGIC.len()).ok_or(CUT)? != MAGIC {
            return Err("not a range list");
        }
        if rest.number(2).ok_or(CUT)? != u64::from(VERSION) {
            return Err("a range list of another format version; take the version that this program names");
        }
        let built_at = rest.number(8).ok_or(CUT)?;
        let label_count = rest.number(2).ok_or(CUT)?;
        let v4_count = rest.number(4).ok_or(CUT)?;
        let v6_count = rest.number(4).ok_or(CUT)?;
        let mut table = Self { built_at: Some(built_at), ..Self::default() };
        for _ in 0..label_count {
            let length = usize::try_from(rest.number(2).ok_or(CUT)?).map_err(|_| CUT)?;
            let text = std::str::from_utf8(rest.take(length).ok_or(CUT)?).map_err(|_| "a label is not UTF-8")?;
            let (provider, kind) = text.split_once('\t').unwrap_or((text, ""));
            let unknown = RangeSays { kind: NetworkKind::Unknown, weight: 0.0, is_final: false };
            let (says, shown_as) =
                rules.range_label(kind, provider).map_or((unknown, kind), |label| (label.says, &label.shown_as));
            table.labels.push((says, format!("in a published range of {provider} ({shown_as})").into()));
        }
        for _ in 0..v4_count {
            let (Some(start), Some(end), Some(label)) = (rest.number(4), rest.number(4), rest.number(2)) else {
                return Err(CUT);
            };
            // Four and two bytes can't exceed their types.
            table.v4.push((start as u32, end as u32, label as u16));
        }
        for _ in 0..v6_count {
            let (Some(start), Some(end), Some(label)) = (rest.address(), rest.address(), rest.number(2)) else {
                return Err(CUT);
            };
            table.v6.push((start, end, label as u16));
        }
        table.finish()
    }

    /// Reads the JSON of published crawler ranges.
    pub(crate) fn from_crawler_ranges(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct File {
            sources: HashMap<String, CrawlerSource>,
        }
        #[derive(Deserialize)]
        struct CrawlerSource {
            label: String,
            #[serde(default)]
            ipv4: Vec<IpNet>,
            #[serde(default)]
            ipv6: Vec<IpNet>,
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| format!("not crawler ranges: {error}"))?;
        let mut table = Self::default();
        for source in file.sources.into_values() {
            let label = u16::try_from(table.labels.len()).map_err(|_| "more than 65,536 crawlers")?;
            table.labels.push((CRAWLER, format!("in a range that {} publishes for its robot", source.label).into()));
            table.add(label, source.ipv4.into_iter().chain(source.ipv6));
        }
        table.finish().map_err(str::to_owned)
    }

    /// A table of networks that all mean the same.
    pub(super) fn of(meaning: RangeSays, statement: &str, networks: Vec<IpNet>) -> Result<Self, String> {
        let mut table = Self { labels: vec![(meaning, statement.into())], ..Self::default() };
        table.add(0, networks);
        table.finish().map_err(str::to_owned)
    }

    fn add(&mut self, label: u16, networks: impl IntoIterator<Item = IpNet>) {
        for network in networks {
            match network {
                IpNet::V4(network) => self.v4.push((network.network().into(), network.broadcast().into(), label)),
                IpNet::V6(network) => self.v6.push((network.network().into(), network.broadcast().into(), label)),
            }
        }
    }

    /// Sorts, drops ranges inside others, checks labels.
    fn finish(mut self) -> Result<Self, &'static str> {
        let labels = self.labels.len();
        let known = |label: u16| usize::from(label) < labels;
        if !self.v4.iter().all(|range| known(range.2)) || !self.v6.iter().all(|range| known(range.2)) {
            return Err("a range names a label that isn't there; fetch it again");
        }
        keep_outermost(&mut self.v4);
        keep_outermost(&mut self.v6);
        Ok(self)
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// What the range of an address says, if it says anything, and the statement for people.
    pub(crate) fn meaning(&self, ip: IpAddr) -> Option<(RangeSays, &Arc<str>)> {
        let label = match ip {
            IpAddr::V4(ip) => find(&self.v4, u32::from(ip)),
            IpAddr::V6(ip) => find(&self.v6, u128::from(ip)),
        }?;
        let (meaning, statement) = self.labels.get(usize::from(label))?;
        (meaning.weight > 0.0).then_some((*meaning, statement))
    }

    /// The same as evidence, and whether it is final.
    pub(crate) fn evidence(&self, ip: IpAddr) -> Option<(Evidence, bool)> {
        let (meaning, statement) = self.meaning(ip)?;
        let evidence = Evidence {
            source: Source::RangeList,
            statement: Statement::shared(Arc::clone(statement)),
            kind: Some(meaning.kind),
            weight: meaning.weight,
        };
        Some((evidence, meaning.is_final))
    }
}

fn keep_outermost<T: Ord + Copy>(ranges: &mut Vec<(T, T, u16)>) {
    ranges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut end_so_far: Option<T> = None;
    ranges.retain(|range| {
        let inside = end_so_far.is_some_and(|end| range.1 <= end);
        if !inside {
            end_so_far = Some(range.1);
        }
        !inside
    });
    ranges.shrink_to_fit();
}

fn find<T: Ord + Copy>(ranges: &[(T, T, u16)], address: T) -> Option<u16> {
    let after = ranges.partition_point(|range| range.0 <= address);
    let range = ranges.get(after.checked_sub(1)?)?;
    (address <= range.1).then_some(range.2)
}

/// A cursor over bytes that never panics.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    /// A little-endian number of up to eight bytes.
    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn address(&mut self) -> Option<u128> {
        Some(u128::from_be_bytes(self.take(16)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(1_790_000_000u64.to_le_bytes());
        bytes.extend(3u16.to_le_bytes());
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        for label in ["Example Cloud\thosting", "Tor\ttor", "Meta\tbot"] {
            bytes.extend((label.len() as u16).to_le_bytes());
            bytes.extend(label.as_bytes());
        }
        for (start, end, label) in [([5, 0, 0, 0], [5, 0, 0, 255], 0u16), ([6, 0, 0, 1], [6, 0, 0, 1], 1)] {
            bytes.extend(u32::from_be_bytes(start).to_le_bytes());
            bytes.extend(u32::from_be_bytes(end).to_le_bytes());
            bytes.extend(label.to_le_bytes());
        }
        bytes.extend("2a03:2880::".parse::<std::net::Ipv6Addr>().unwrap().octets());
        bytes.extend("2a03:2880:ffff::".parse::<std::net::Ipv6Addr>().unwrap().octets());
        bytes.extend(2u16.to_le_bytes());
        bytes
    }

    #[test]
    fn a_range_list_answers_inside_and_only_inside_its_ranges() {
        let table = RangeTable::from_range_list(&list(), &Rules::compile().unwrap()).unwrap();
        assert_eq!(table.built_at, Some(1_790_000_000));
        for (ip, expected) in [
            ("4.255.255.255", None),
            ("5.0.0.0", Some((NetworkKind::Hosting, false))),
            ("5.0.0.255", Some((NetworkKind::Hosting, false))),
            ("5.0.1.0", None),
            ("6.0.0.1", Some((NetworkKind::Anonymizer, true))),
            ("6.0.0.2", None),
            ("2a03:2880::1", None),
            ("::1", None),
        ] {
            let found = table.meaning(ip.parse().unwrap());
            assert_eq!(found.map(|(meaning, _)| (meaning.kind, meaning.is_final)), expected, "{ip}");
        }
    }

    #[test]
    fn a_range_list_cut_anywhere_is_refused() {
        let rules = Rules::compile().unwrap();
        let bytes = list();
        for length in 0..bytes.len() {
            assert!(RangeTable::from_range_list(&bytes[..length], &rules).is_err(), "{length}");
        }
    }

    #[test]
    fn nested_crawler_ranges_keep_the_outer_one() {
        let json = br#"{"sources":{"a":{"label":"A","ipv4":["9.0.0.0/8"],"ipv6":[]},"b":{"label":"B","ipv4":["9.1.0.0/16","11.0.0.0/24"]}}}"#;
        let table = RangeTable::from_crawler_ranges(json).unwrap();
        assert_eq!(table.len(), 2);
        for (ip, known) in [("9.1.0.1", true), ("9.200.0.1", true), ("10.0.0.1", false), ("11.0.0.9", true)] {
            assert_eq!(table.evidence(ip.parse().unwrap()).is_some(), known, "{ip}");
        }
    }
}
