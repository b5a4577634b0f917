//! The shell around databases that name organisations: commercial ones, and those that `firmsight geoip build` makes.
//!
//! What a file holds follows from its metadata (`database_type`), which publishers keep stable, and not from its name. One
//! reading serves all schemas: a record is a map, perhaps with a map inside (`traits` in GeoIP2 Enterprise), and its keys
//! mean the same wherever they occur, but for `name`, `domain` and `type`, which IPinfo's files use for whatever the file
//! is about. Values come as the publishers write them: AS numbers as numbers or as `"AS15169"`, flags as booleans or as
//! `"true"`.

use crate::{
    DatabaseKind, ResolverError,
    mapped_file::MappedFile,
    mmdb::AsNumber,
    network_lists::{self, BuildError, BuildOptions, ListForm, ListInput, build},
};
use maxminddb::Reader;
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    fs::File,
    io::BufReader,
    net::IpAddr,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// A longer list takes its time at every start.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Flags in one record; more are left out.
const MAX_FLAGS: usize = 12;
/// How deep maps may lie in maps.
const MAX_DEPTH: usize = 4;

/// What a record says of a network; texts are empty where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompanyRecord<'a> {
    pub(crate) asn: Option<u32>,
    pub(crate) as_name: &'a str,
    pub(crate) as_domain: &'a str,
    pub(crate) as_type: &'a str,
    /// Who uses the network.
    pub(crate) organization: &'a str,
    /// Through whom.
    pub(crate) isp: &'a str,
    /// In IPinfo's files the organisation's own; in MaxMind's that of the addresses' names, often the provider's.
    pub(crate) domain: &'a str,
    pub(crate) company_type: &'a str,
    pub(crate) user_type: &'a str,
    pub(crate) connection_type: &'a str,
    /// Of our own lists: a word of [`crate::NetworkKind`].
    pub(crate) kind: &'a str,
    flags: [&'a str; MAX_FLAGS],
    flag_count: usize,
}

impl<'a> CompanyRecord<'a> {
    /// The names of fields that are true, without `is_`.
    pub(crate) fn flags(&self) -> &[&'a str] {
        self.flags.get(..self.flag_count).unwrap_or_default()
    }

    fn set(&mut self, key: &'a str, value: Value<'a>) {
        match (key, value) {
            (_, Value::Record(inner)) => self.merge(*inner),
            ("asn" | "autonomous_system_number", Value::Number(number)) => self.asn = u32::try_from(number).ok(),
            ("asn" | "autonomous_system_number", Value::Text(text)) => {
                self.asn = AsNumber::of_text(text).map(|AsNumber(number)| number);
            }
            ("as_name" | "autonomous_system_organization", Value::Text(text)) => self.as_name = text,
            ("as_domain", Value::Text(text)) => self.as_domain = text,
            ("as_type", Value::Text(text)) => self.as_type = text,
            ("organization" | "organisation" | "company" | "name", Value::Text(text)) => self.organization = text,
            ("isp", Value::Text(text)) => self.isp = text,
            ("domain", Value::Text(text)) => self.domain = text,
            ("type", Value::Text(text)) => self.company_type = text,
            ("user_type", Value::Text(text)) => self.user_type = text,
            ("connection_type", Value::Text(text)) => self.connection_type = text,
            ("kind", Value::Text(text)) => self.kind = text,
            (key, Value::Flag) => {
                if let Some(place) = self.flags.get_mut(self.flag_count) {
                    *place = key.strip_prefix("is_").unwrap_or(key);
                    self.flag_count += 1;
                }
            }
            _ => {}
        }
    }

    fn merge(&mut self, inner: Self) {
        self.asn = self.asn.or(inner.asn);
        for (ours, theirs) in [
            (&mut self.as_name, inner.as_name),
            (&mut self.as_domain, inner.as_domain),
            (&mut self.as_type, inner.as_type),
            (&mut self.organization, inner.organization),
            (&mut self.isp, inner.isp),
            (&mut self.domain, inner.domain),
            (&mut self.company_type, inner.company_type),
            (&mut self.user_type, inner.user_type),
            (&mut self.connection_type, inner.connection_type),
            (&mut self.kind, inner.kind),
        ] {
            if ours.is_empty() {
                *ours = theirs;
            }
        }
        for flag in inner.flags() {
            self.set(flag, Value::Flag);
        }
    }
}

/// What one database that names organisations says of an address; empty where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFacts {
    /// What the database is about.
    pub database: DatabaseKind,
    /// Who uses the network.
    pub organization: String,
    /// Through whom.
    pub isp: String,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Its registered name.
    pub as_name: String,
    /// The organisation's domain, or that of the addresses' names.
    pub domain: String,
    /// The publisher's word for the type of user or company.
    pub user_type: String,
    /// The publisher's word for the kind of line.
    pub connection_type: String,
    /// The publisher's names of what is true of the network, `is_` left out.
    pub flags: Vec<String>,
}

impl NetworkFacts {
    pub(crate) fn of(database: DatabaseKind, record: &CompanyRecord<'_>) -> Self {
        let user_type = if record.user_type.is_empty() { record.company_type } else { record.user_type };
        Self {
            database,
            organization: record.organization.to_owned(),
            isp: record.isp.to_owned(),
            asn: record.asn,
            as_name: record.as_name.to_owned(),
            domain: record.domain.to_owned(),
            user_type: user_type.to_owned(),
            connection_type: record.connection_type.to_owned(),
            flags: record.flags().iter().map(|flag| (*flag).to_owned()).collect(),
        }
    }
}

enum Value<'a> {
    Text(&'a str),
    Number(u64),
    /// True; what is false says nothing.
    Flag,
    Record(Box<CompanyRecord<'a>>),
    Other,
}

/// Reads a record at a depth of maps in maps.
struct RecordVisitor {
    depth: usize,
}

impl<'de> de::Visitor<'de> for RecordVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(if text == "true" { Value::Flag } else { Value::Text(text) })
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(if flag { Value::Flag } else { Value::Other })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, _: &'de [u8]) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut record = CompanyRecord::default();
        while let Some(key) = map.next_key::<&'de str>()? {
            // Places have names too, which are nobody's organisation.
            if self.depth >= MAX_DEPTH
                || matches!(
                    key,
                    "city"
                        | "country"
                        | "continent"
                        | "location"
                        | "postal"
                        | "registered_country"
                        | "represented_country"
                        | "subdivisions"
                )
            {
                map.next_value::<de::IgnoredAny>()?;
            } else {
                record.set(key, map.next_value_seed(Self { depth: self.depth + 1 })?);
            }
        }
        Ok(Value::Record(Box::new(record)))
    }
}

impl<'de> de::DeserializeSeed<'de> for RecordVisitor {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CompanyRecord<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(RecordVisitor { depth: 0 })? {
            Value::Record(record) => Ok(*record),
            _ => Err(de::Error::custom("a record that is no map")),
        }
    }
}

/// What a `database_type` stands for; `None` for databases that name no organisations.
fn kind_of(database_type: &str) -> Option<DatabaseKind> {
    let name = database_type.to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    if name == network_lists::DATABASE_TYPE.to_ascii_lowercase() {
        Some(DatabaseKind::OwnList)
    } else if has("ipinfo") {
        match () {
            () if has("privacy") => Some(DatabaseKind::Anonymizers),
            () if has("company") || has("core") || has("plus") => Some(DatabaseKind::Companies),
            // Its `type` is the operator's; the free one has none.
            () if has("asn") && !has("country") => Some(DatabaseKind::OperatorTypes),
            () => None,
        }
    } else if has("enterprise") {
        Some(DatabaseKind::Enterprise)
    } else if has("geoip2-isp") {
        Some(DatabaseKind::Isp)
    } else if has("connection-type") {
        Some(DatabaseKind::ConnectionTypes)
    } else if has("anonymous") {
        Some(DatabaseKind::Anonymizers)
    } else if has("geoip2-domain") {
        Some(DatabaseKind::Domains)
    } else {
        None
    }
}

/// One opened file.
pub(crate) struct CompanyDatabase {
    pub(crate) path: PathBuf,
    pub(crate) kind: DatabaseKind,
    reader: Reader<MappedFile>,
}

impl CompanyDatabase {
    /// Maps a file, when its metadata says that it names organisations or says more of networks than who announces them.
    ///
    /// With `copies` it is a private copy in that folder that is mapped.
    pub(crate) fn open(path: &Path, copies: Option<&Path>) -> Result<Option<Self>, ResolverError> {
        let reader = Reader::from_source(MappedFile::open(path, copies)?).map_err(|error| ResolverError::Damaged {
            path: path.to_owned(),
            reason: format!("not an mmdb file, or cut short ({error}); fetch it again"),
        })?;
        let kind = kind_of(&reader.metadata().database_type);
        Ok(kind.map(|kind| Self { path: path.to_owned(), kind, reader }))
    }

    /// Makes a list of the owner's, read as it stands, into the same form, in a file that has no name any more.
    pub(crate) fn of_list(path: &Path, form: ListForm) -> Result<Self, ResolverError> {
        let damaged = |reason: String| ResolverError::Damaged { path: path.to_owned(), reason };
        let read = |source| ResolverError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if metadata.len() > MAX_LIST_BYTES {
            return Err(damaged(format!(
                "a list of {} bytes; up to {MAX_LIST_BYTES} are read as they stand, make one file of it with `firmsight geoip build`",
                metadata.len()
            )));
        }
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let folder = tempfile::tempdir().map_err(read)?;
        let output = folder.path().join("list.mmdb");
        let options = BuildOptions {
            output: &output,
            built_at: changed.map_or(0, |changed| changed.as_secs()),
            description: "a list of the owner's",
            entries_in_memory: BuildOptions::ENTRIES_IN_MEMORY,
        };
        let input = ListInput { path, form, text: Box::new(BufReader::new(file)) };
        let report = build(vec![input], &options, &mut |_| {}).map_err(|error| match error {
            BuildError::Input { reason, .. } => damaged(reason),
            other => damaged(other.to_string()),
        })?;
        if let Some(problem) = report.problems.first() {
            return Err(damaged(format!("{problem}; {} rows can't be used", report.left_out)));
        }
        let opened = Self::open(&output, None)?.ok_or_else(|| damaged("no list of networks".to_owned()))?;
        Ok(Self { path: path.to_owned(), ..opened })
    }

    /// Whether the file also holds what other databases hold: AS numbers, places.
    pub(crate) const fn is_network_or_place_database(&self) -> bool {
        matches!(
            self.kind,
            DatabaseKind::Isp | DatabaseKind::Enterprise | DatabaseKind::Companies | DatabaseKind::OperatorTypes
        )
    }

    /// Seconds since 1970 when the file was built.
    pub(crate) fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// What the file says of an address's network. A damaged record counts as none.
    pub(crate) fn look_up(&self, ip: IpAddr) -> Option<CompanyRecord<'_>> {
        if ip.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return None;
        }
        let record: CompanyRecord<'_> = self.reader.lookup(ip).ok()?.decode().ok()??;
        Some(match self.kind {
            // Here `name`, `domain` and `type` are the operator's.
            DatabaseKind::OperatorTypes => CompanyRecord {
                as_name: if record.as_name.is_empty() { record.organization } else { record.as_name },
                as_domain: if record.as_domain.is_empty() { record.domain } else { record.as_domain },
                as_type: if record.as_type.is_empty() { record.company_type } else { record.as_type },
                organization: "",
                domain: "",
                company_type: "",
                ..record
            },
            _ => record,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_known_by_its_type_whatever_its_publisher_calls_the_variant() {
        for (database_type, kind) in [
            ("GeoIP2-ISP", Some(DatabaseKind::Isp)),
            ("GeoIP2-Enterprise", Some(DatabaseKind::Enterprise)),
            ("GeoIP2-Precision-Enterprise", Some(DatabaseKind::Enterprise)),
            ("GeoIP2-Connection-Type", Some(DatabaseKind::ConnectionTypes)),
            ("GeoIP2-Anonymous-IP", Some(DatabaseKind::Anonymizers)),
            ("GeoIP-Anonymous-Plus", Some(DatabaseKind::Anonymizers)),
            ("GeoIP2-Domain", Some(DatabaseKind::Domains)),
            ("ipinfo standard_company.mmdb", Some(DatabaseKind::Companies)),
            ("ipinfo generic_company_free_sample.mmdb", Some(DatabaseKind::Companies)),
            ("ipinfo standard_asn.mmdb", Some(DatabaseKind::OperatorTypes)),
            ("ipinfo standard_privacy.mmdb", Some(DatabaseKind::Anonymizers)),
            ("ipinfo extended_privacy_v2.mmdb", Some(DatabaseKind::Anonymizers)),
            ("ipinfo ipinfo_core.mmdb", Some(DatabaseKind::Companies)),
            ("Firmsight-Organizations", Some(DatabaseKind::OwnList)),
            ("ipinfo country_asn.mmdb", None),
            ("ipinfo bundle_location_lite.mmdb", None),
            ("GeoLite2-ASN", None),
            ("GeoLite2-City", None),
            ("DBIP-City-Lite", None),
            ("", None),
        ] {
            assert_eq!(kind_of(database_type), kind, "{database_type}");
        }
    }
}
