//! The shell around databases that name organisations: commercial ones, and those that `firmsight geoip build` makes.
//!
//! What a file holds follows from its metadata (`database_type`), which publishers keep stable, and not from its name. One
//! reading serves all schemas: `company_record`.

use crate::{
    DatabaseKind, ResolverError,
    company_record::CompanyRecord,
    mapped_file::MappedFile,
    network_lists::{self, BuildError, BuildOptions, ListForm, ListInput, build},
};
use maxminddb::Reader;
use std::{
    fs::File,
    io::BufReader,
    net::IpAddr,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// A longer list takes its time at every start.
const MAX_LIST_BYTES: u64 = 64 << 20;
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
