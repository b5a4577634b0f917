//! The shell around MaxMind DB files: what each holds is read from its metadata and its records, never from its name.
//!
//! Publishers agree on the container and on little else. Two layouts are in use for places: nested (GeoLite2, DB-IP's own
//! files: `country.iso_code`, `city.names.en`) and flat (`country_code`, `city`, `state1`). AS numbers come as numbers
//! (`autonomous_system_number`) or as text (`"AS15169"`). One publisher's data may be split into a file for IPv4 and one
//! for IPv6. So a file is opened, a few of its records are looked at, and it is remembered what it can say; a look-up then
//! decodes only those fields, borrowed from the mapped file. The first file that knows a fact wins, in the order given.

use crate::{
    ResolverError,
    mapped_file::MappedFile,
    rules::operator_sizes::Footprint,
    search_tree::{Ipv4Index, SearchTree},
    verdict::Location,
};
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use serde::{Deserialize, Deserializer, de};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// How many records are looked at to learn what a file holds.
const SAMPLE: usize = 64;

/// What a data file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseKind {
    /// Network to autonomous system; may name its domain and country.
    Asn,
    /// Network to city.
    City,
    /// Network to country.
    Country,
    /// Registrable domain to name and type.
    DomainMap,
    /// Ranges of clouds, content networks, VPNs, relays and Tor exits.
    RangeList,
    /// Listed companies: name, website, industry, employees.
    ListedCompanies,
    /// Ranges that crawlers publish.
    CrawlerRanges,
    /// Network to provider and customer (GeoIP2 ISP).
    Isp,
    /// Network to place, provider, customer and type of user (GeoIP2 Enterprise).
    Enterprise,
    /// Network to kind of line (GeoIP2 Connection Type).
    ConnectionTypes,
    /// Networks of VPNs, proxies, relays, Tor (GeoIP2 Anonymous IP, IPinfo privacy).
    Anonymizers,
    /// Network to the domain of its addresses' names (GeoIP2 Domain).
    Domains,
    /// Network to company and its type (IPinfo company, core).
    Companies,
    /// Network to operator and its type (IPinfo ASN).
    OperatorTypes,
    /// A list of the owner's, or one that `firmsight geoip build` made.
    OwnList,
}

impl DatabaseKind {
    /// A word for tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asn => "asn",
            Self::City => "city",
            Self::Country => "country",
            Self::DomainMap => "domain-map",
            Self::ListedCompanies => "listed-companies",
            Self::RangeList => "range-list",
            Self::CrawlerRanges => "crawler-ranges",
            Self::Isp => "isp",
            Self::Enterprise => "enterprise",
            Self::ConnectionTypes => "connection-types",
            Self::Anonymizers => "anonymizers",
            Self::Domains => "domains",
            Self::Companies => "companies",
            Self::OperatorTypes => "operator-types",
            Self::OwnList => "own-list",
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells operators apart without reading their records: where these are in their files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OperatorKey {
    files: u8,
    offsets: u64,
}

impl OperatorKey {
    /// The next network database has its record here, or none.
    fn push(&mut self, offset: Option<usize>) {
        self.files = self.files.saturating_add(1);
        let place = offset.and_then(|offset| u32::try_from(offset + 1).ok()).unwrap_or(0);
        self.offsets = self.offsets << 32 | u64::from(place);
    }

    /// A number that no other operator has; `None` with more network databases than fit, or without any.
    pub(crate) fn get(self) -> Option<u64> {
        matches!(self.files, 1 | 2).then_some(self.offsets)
    }
}

/// Facts about an address, borrowed from mapped files; empty where unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) asn: Option<u32>,
    pub(crate) as_name: &'a str,
    pub(crate) as_domain: &'a str,
    /// By the network database.
    pub(crate) network_country: &'a str,
}

/// A record of a city or country database: where it is, to be read when needed.
pub(crate) struct Place<'a> {
    mmdb: &'a Mmdb,
    ip: IpAddr,
    /// A number that no other record of this file has.
    pub(crate) offset: usize,
}

impl Place<'_> {
    /// Where the address is. The network database's country is the better one: where the city database names another
    /// country, its city is wrong too and is left out.
    pub(crate) fn location(&self, network_country: &str) -> Location {
        let (country, region, city) = self.mmdb.read_place(self.ip);
        if network_country.is_empty() || network_country.eq_ignore_ascii_case(country) {
            Location { country_code: country.to_ascii_uppercase(), region: region.to_owned(), city: city.to_owned() }
        } else {
            Location { country_code: network_country.to_ascii_uppercase(), ..Location::default() }
        }
    }
}

/// One opened file.
pub(crate) struct Mmdb {
    pub(crate) path: PathBuf,
    pub(crate) kind: DatabaseKind,
    nested: bool,
    file: MappedFile,
    ipv4: Option<Ipv4Index>,
    reader: Reader<MappedFile>,
}

impl Mmdb {
    /// Maps a file and learns what it holds.
    ///
    /// With `copies` it is a private copy in that folder that is mapped.
    pub(crate) fn open(path: &Path, copies: Option<&Path>) -> Result<Self, ResolverError> {
        let file = MappedFile::open(path, copies)?;
        let reader = Reader::from_source(file.clone()).map_err(|error| ResolverError::Damaged {
            path: path.to_owned(),
            reason: format!("not an mmdb file, or cut short ({error}); fetch it again"),
        })?;
        let sample = Sample::take(&reader).map_err(|error| ResolverError::Damaged {
            path: path.to_owned(),
            reason: format!("an mmdb file with damaged records ({error}); fetch it again"),
        })?;
        let Some((kind, nested)) = sample.kind() else {
            return Err(ResolverError::UnknownRecords {
                path: path.to_owned(),
                database_type: reader.metadata().database_type.clone(),
                fields: sample.describe(),
            });
        };
        let ipv4 = SearchTree::new(&file, reader.metadata()).and_then(|tree| tree.ipv4_index());
        Ok(Self { path: path.to_owned(), kind, nested, file, ipv4, reader })
    }

    fn tree(&self) -> Option<SearchTree<'_>> {
        SearchTree::new(&self.file, self.reader.metadata())
    }

    /// Whether every branch of the tree leads to a record or nowhere.
    pub(crate) fn check(&self) -> Result<(), ResolverError> {
        let damaged = |reason: &str| ResolverError::Damaged {
            path: self.path.clone(),
            reason: format!("an mmdb file with a damaged tree ({reason}); fetch it again"),
        };
        self.tree().ok_or("it is cut short").and_then(|tree| tree.check(&self.file)).map_err(damaged)
    }

    /// Seconds since 1970 when the file was built.
    pub(crate) fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Adds what this file knows of an address. A damaged record counts as no record.
    pub(crate) fn look_up<'a>(&'a self, ip: IpAddr, facts: &mut Facts<'a>) {
        if self.kind != DatabaseKind::Asn {
            return;
        }
        let Some(found) = self.find(ip) else { return };
        if facts.asn.is_none()
            && let Ok(Some(record)) = found.decode::<AsnRecord<'_>>()
        {
            facts.asn = record.asn.map(|AsNumber(number)| number);
            facts.as_name = record.name();
            facts.as_domain = record.domain();
            facts.network_country = record.country_code.unwrap_or_default();
        }
    }

    /// The record of an address's place, for files that know places.
    pub(crate) fn place(&self, ip: IpAddr) -> Option<Place<'_>> {
        if !matches!(self.kind, DatabaseKind::City | DatabaseKind::Country) {
            return None;
        }
        Some(Place { mmdb: self, ip, offset: self.offset(ip)? })
    }

    /// Country, region and city; empty where unknown. A damaged record counts as no record.
    fn read_place(&self, ip: IpAddr) -> (&str, &str, &str) {
        let Some(found) = self.find(ip) else { return ("", "", "") };
        if self.nested {
            let Ok(Some(record)) = found.decode::<NestedPlace<'_>>() else { return ("", "", "") };
            (
                record.country.and_then(|country| country.iso_code).unwrap_or_default(),
                record.subdivisions.and_then(|list| list.0).unwrap_or_default(),
                record.city.and_then(Named::english).unwrap_or_default(),
            )
        } else {
            let Ok(Some(record)) = found.decode::<FlatPlace<'_>>() else { return ("", "", "") };
            (
                record.country_code.or(record.country).unwrap_or_default(),
                record.region.unwrap_or_default(),
                record.city.unwrap_or_default(),
            )
        }
    }

    /// Adds where the record of an address's operator is, for files that know operators.
    pub(crate) fn find_operator(&self, ip: IpAddr, key: &mut OperatorKey) {
        if self.kind == DatabaseKind::Asn {
            key.push(self.offset(ip));
        }
    }

    /// Where the record of an address is.
    fn offset(&self, ip: IpAddr) -> Option<usize> {
        self.tree()?.record(ip, self.ipv4.as_ref())
    }

    fn find(&self, ip: IpAddr) -> Option<LookupResult<'_, MappedFile>> {
        let is_foreign = ip.is_ipv6() && self.reader.metadata().ip_version == 4;
        if is_foreign { None } else { self.reader.lookup(ip).ok() }
    }

    /// Adds what every AS number of this file announces. Walks the whole file: a fraction of a second for millions of networks.
    pub(crate) fn footprints(&self, into: &mut HashMap<u32, Footprint>) {
        if self.kind != DatabaseKind::Asn {
            return;
        }
        // Few records are shared by many networks, so each is decoded once.
        let mut records: HashMap<usize, Option<(u32, &str)>> = HashMap::new();
        let Some(tree) = self.tree() else { return };
        tree.walk(|leaf| {
            let record = records.entry(leaf.record).or_insert_with(|| {
                let record = self.reader.lookup(leaf.address).ok()?.decode::<AsnRecord<'_>>().ok().flatten()?;
                Some((record.asn?.0, record.country_code.unwrap_or_default()))
            });
            if let Some((number, country)) = *record {
                into.entry(number).or_default().add(leaf.address, leaf.prefix_length, country);
            }
        });
    }

    /// Every AS number of this file with name and domain. Walks the whole file.
    pub(crate) fn autonomous_systems(&self, into: &mut HashMap<u32, (String, String)>) {
        if self.kind != DatabaseKind::Asn {
            return;
        }
        let mut seen = HashSet::new();
        let Some(tree) = self.tree() else { return };
        tree.walk(|leaf| {
            if seen.insert(leaf.record)
                && let Ok(found) = self.reader.lookup(leaf.address)
                && let Ok(Some(record)) = found.decode::<AsnRecord<'_>>()
                && let Some(AsNumber(number)) = record.asn
            {
                into.entry(number).or_insert_with(|| (record.name().to_owned(), record.domain().to_owned()));
            }
        });
    }
}

/// The networks of a file that have data, in bounded time.
///
/// In a sound tree every node has one parent, so that it has one leaf more than it has nodes, and the IPv4 part hangs in
/// it at most four times. The branches of a damaged one may meet again: then a hundred nodes make 2¹⁰⁰ paths. The reader
/// skips leaves without data and aliases of IPv4 inside its loop, where nothing could count them; so they are asked for
/// and left out here.
pub(crate) fn networks(
    reader: &Reader<MappedFile>,
) -> Result<impl Iterator<Item = Result<LookupResult<'_, MappedFile>, MaxMindDbError>>, MaxMindDbError> {
    let options = WithinOptions::default().include_networks_without_data().include_aliased_networks();
    let leaves = u64::from(reader.metadata().node_count) + 1;
    let all = reader.networks(options)?.take(usize::try_from(4 * leaves).unwrap_or(usize::MAX));
    Ok(all.filter(|found| found.as_ref().map_or(true, |found| found.has_data() && !is_alias(found))))
}

/// Whether a network repeats IPv4: mapped addresses, Teredo (RFC 4380), 6to4 (RFC 3056).
fn is_alias(found: &LookupResult<'_, MappedFile>) -> bool {
    found.network().is_ok_and(|network| match network.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            first == 0x2002 || (first == 0x2001 && second == 0) || ip.to_ipv4_mapped().is_some()
        }
    })
}

/// The field paths of a file's first records, two levels deep.
struct Sample {
    paths: BTreeSet<String>,
}

impl Sample {
    fn take(reader: &Reader<MappedFile>) -> Result<Self, MaxMindDbError> {
        let mut paths = BTreeSet::new();
        for found in networks(reader)?.take(SAMPLE) {
            // Values that JSON can't hold (128-bit numbers) leave a record out of the sample.
            let Ok(Some(serde_json::Value::Object(fields))) = found?.decode::<serde_json::Value>() else { continue };
            for (name, value) in fields {
                if let serde_json::Value::Object(inner) = &value {
                    paths.extend(inner.keys().map(|key| format!("{name}.{key}")));
                }
                paths.insert(name);
            }
        }
        Ok(Self { paths })
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// What the file holds, and whether places are nested.
    fn kind(&self) -> Option<(DatabaseKind, bool)> {
        if self.has("city.names") || (self.has("city.geoname_id") && self.has("country.iso_code")) {
            Some((DatabaseKind::City, true))
        } else if self.has("city") && (self.has("country_code") || self.has("country")) {
            Some((DatabaseKind::City, false))
        } else if self.has("asn") || self.has("autonomous_system_number") {
            Some((DatabaseKind::Asn, false))
        } else if self.has("country.iso_code") {
            Some((DatabaseKind::Country, true))
        } else if self.has("country_code") {
            Some((DatabaseKind::Country, false))
        } else {
            None
        }
    }

    fn describe(&self) -> String {
        if self.paths.is_empty() {
            return "none".to_owned();
        }
        self.paths.iter().take(12).map(|path| path.chars().take(40).collect::<String>()).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Deserialize)]
struct AsnRecord<'a> {
    #[serde(default, alias = "autonomous_system_number")]
    asn: Option<AsNumber>,
    #[serde(borrow, default, alias = "autonomous_system_organization")]
    as_name: Option<&'a str>,
    #[serde(borrow, default)]
    name: Option<&'a str>,
    #[serde(borrow, default)]
    as_domain: Option<&'a str>,
    #[serde(borrow, default)]
    domain: Option<&'a str>,
    #[serde(borrow, default)]
    country_code: Option<&'a str>,
}

impl<'a> AsnRecord<'a> {
    fn name(&self) -> &'a str {
        self.as_name.or(self.name).unwrap_or_default()
    }

    fn domain(&self) -> &'a str {
        self.as_domain.or(self.domain).unwrap_or_default()
    }
}

/// An AS number written as a number, as `"15169"` or as `"AS15169"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsNumber(pub(crate) u32);

impl AsNumber {
    /// Reads `"15169"` or `"AS15169"`.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
        digits.parse().ok().map(Self)
    }
}

impl<'de> Deserialize<'de> for AsNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = AsNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an AS number")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<AsNumber, E> {
                u32::try_from(value).map(AsNumber).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<AsNumber, E> {
                AsNumber::of_text(value).ok_or_else(|| E::custom("no AS number"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Deserialize)]
struct FlatPlace<'a> {
    #[serde(borrow, default)]
    country_code: Option<&'a str>,
    #[serde(borrow, default)]
    country: Option<&'a str>,
    #[serde(borrow, default, alias = "state1", alias = "state", alias = "region_name")]
    region: Option<&'a str>,
    #[serde(borrow, default)]
    city: Option<&'a str>,
}

#[derive(Deserialize)]
struct NestedPlace<'a> {
    #[serde(borrow, default)]
    country: Option<NestedCountry<'a>>,
    #[serde(borrow, default)]
    city: Option<Named<'a>>,
    #[serde(borrow, default)]
    subdivisions: Option<FirstSubdivision<'a>>,
}

#[derive(Deserialize)]
struct NestedCountry<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    names: Option<Names<'a>>,
}

impl<'a> Named<'a> {
    fn english(self) -> Option<&'a str> {
        self.names.and_then(|names| names.en)
    }
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow, default)]
    en: Option<&'a str>,
}

/// The first entry of a list of subdivisions, read without allocating.
struct FirstSubdivision<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for FirstSubdivision<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FirstSubdivision<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of subdivisions")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element::<Named<'de>>()?.and_then(Named::english);
                while list.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(FirstSubdivision(first))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}
