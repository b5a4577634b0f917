//! The data files behind a resolver: opened, told apart by content, ready to be asked.

use crate::{
    DatabaseKind, OwnerRules, Profiles, ResolverError,
    company_databases::{CompanyDatabase, NetworkFacts},
    mmdb::{Facts, Mmdb, OperatorKey, Place},
    network_lists::{self, FieldNames, ListForm},
    rules::{Rules, operator_sizes::Footprint},
    signals::{
        asn::Knowledge,
        domain_map::DomainMap,
        exit_lists,
        listed_companies::{self, ListedCompanies},
        range_lists::{MAGIC, RangeTable},
    },
};
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, ErrorKind, Read},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Lists are read into memory; a file larger than this was never one.
const MAX_LIST_BYTES: u64 = 256 << 20;
/// As much is looked at to tell lists from other files.
const MAX_FIRST_LINE: u64 = 64 << 10;

/// What is known about one opened data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// The file.
    pub file: PathBuf,
    /// What it is about.
    pub kind: DatabaseKind,
    /// Seconds since 1970 when its publisher built it, where the file says so.
    pub build_epoch: Option<u64>,
    /// How many entries it has, where that is known without walking it.
    pub records: Option<u64>,
}

/// The opened data files.
pub struct Databases {
    mmdb: Vec<Mmdb>,
    pub(crate) companies: Vec<CompanyDatabase>,
    pub(crate) owner_rules: OwnerRules,
    pub(crate) profiles: Option<Profiles>,
    pub(crate) domain_map: DomainMap,
    pub(crate) listed: ListedCompanies,
    pub(crate) ranges: Vec<RangeTable>,
    lists: Vec<DatabaseStatus>,
    systems: OnceLock<HashMap<u32, (String, String)>>,
    footprints: OnceLock<HashMap<u32, Footprint>>,
}

impl std::fmt::Debug for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Databases").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Databases {
    /// No data files: only reserved addresses and names can be judged.
    #[must_use]
    pub fn none() -> Self {
        Self {
            mmdb: Vec::new(),
            companies: Vec::new(),
            owner_rules: OwnerRules::default(),
            profiles: None,
            domain_map: DomainMap::default(),
            listed: ListedCompanies::default(),
            ranges: Vec::new(),
            lists: Vec::new(),
            systems: OnceLock::new(),
            footprints: OnceLock::new(),
        }
    }

    /// Opens data files of any known form: mmdb databases, the domain map, range lists, crawler ranges, iCloud Private
    /// Relay's and Tor's exits. What a file is
    /// follows from its content. Where two files know the same fact, the one named first counts.
    ///
    /// # Errors
    /// One sentence for a file that is missing, unreadable, cut short or of no known form.
    pub fn open(files: &[PathBuf]) -> Result<Self, ResolverError> {
        Self::open_from(files, None)
    }

    /// As [`Self::open`], for a process that must live whatever becomes of the files: databases are mapped from private
    /// copies without a name in `folder`, which end with what is returned, and every part of their trees is checked.
    ///
    /// # Errors
    /// As [`Self::open`], and where a copy can't be made.
    pub fn open_copies(files: &[PathBuf], folder: &Path) -> Result<Self, ResolverError> {
        let databases = Self::open_from(files, Some(folder))?;
        databases.check()?;
        Ok(databases)
    }

    fn open_from(files: &[PathBuf], copies: Option<&Path>) -> Result<Self, ResolverError> {
        let rules = Rules::compile()?;
        let mut databases = Self::none();
        for path in files {
            databases.add(path, copies, &rules)?;
        }
        Ok(databases)
    }

    /// Walks the network databases for what each operator announces, which the first verdict on an operator that no map
    /// knows would otherwise wait for: a fraction of a second.
    pub fn prepare(&self) {
        self.footprint(0);
    }

    /// Whether the databases' trees lead nowhere but to records.
    pub(crate) fn check(&self) -> Result<(), ResolverError> {
        self.mmdb.iter().try_for_each(Mmdb::check)
    }

    /// Opens the default set of data files in a folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_folder(folder: &Path) -> Result<Self, ResolverError> {
        Self::open(&geoip_data::resolver_files().map(|name| folder.join(name)).collect::<Vec<_>>())
    }

    /// Opens the default set of data files in the user's cache folder, where `cargo xtask data` puts them.
    ///
    /// # Errors
    /// As [`Self::open`], and when there is no cache folder.
    pub fn open_default() -> Result<Self, ResolverError> {
        Self::open_folder(&geoip_data::data_folder().ok_or(ResolverError::NoFolder)?)
    }

    pub(crate) fn add(&mut self, path: &Path, copies: Option<&Path>, rules: &Rules) -> Result<(), ResolverError> {
        let damaged = |reason: String| ResolverError::Damaged { path: path.to_owned(), reason };
        let start = read_start(path)?;
        if start.is_empty() {
            return Err(damaged("the file is empty; fetch it again".to_owned()));
        }
        let status = |kind, build_epoch, records: usize| DatabaseStatus {
            file: path.to_owned(),
            kind,
            build_epoch,
            records: u64::try_from(records).ok(),
        };
        if let Some(form) = list_form(path)? {
            self.companies.push(CompanyDatabase::of_list(path, form)?);
        } else if start.starts_with(MAGIC) {
            let table =
                RangeTable::from_range_list(&read_list(path)?, rules).map_err(|error| damaged(error.to_owned()))?;
            self.lists.push(status(DatabaseKind::RangeList, table.built_at, table.len()));
            self.ranges.push(table);
        } else if start.starts_with(DomainMap::HEADER.as_bytes()) {
            let map = DomainMap::from_csv(&read_list(path)?).map_err(damaged)?;
            self.lists.push(status(DatabaseKind::DomainMap, None, map.len()));
            self.domain_map.merge(map);
            self.domain_map.index_labels(rules);
        } else if start.starts_with(listed_companies::HEAD.as_bytes()) {
            let text = String::from_utf8(read_list(path)?).map_err(|_| damaged("not UTF-8".to_owned()))?;
            let listed = ListedCompanies::from_module(&text).map_err(damaged)?;
            self.lists.push(status(DatabaseKind::ListedCompanies, None, listed.len()));
            self.listed.merge(listed);
        } else if start.trim_ascii_start().starts_with(b"{") {
            let table = RangeTable::from_crawler_ranges(&read_list(path)?).map_err(damaged)?;
            self.lists.push(status(DatabaseKind::CrawlerRanges, table.built_at, table.len()));
            self.ranges.push(table);
        } else if exit_lists::is_private_relay(&start) || exit_lists::is_tor_exits(&start) {
            let read = if exit_lists::is_tor_exits(&start) { exit_lists::tor_exits } else { exit_lists::private_relay };
            let table = read(&read_list(path)?).map_err(damaged)?;
            self.lists.push(status(DatabaseKind::RangeList, table.built_at, table.len()));
            self.ranges.push(table);
        } else {
            let companies = CompanyDatabase::open(path, copies)?;
            if companies.as_ref().is_none_or(CompanyDatabase::is_network_or_place_database) {
                self.mmdb.push(Mmdb::open(path, copies)?);
            }
            self.companies.extend(companies);
        }
        Ok(())
    }

    /// Has the owner's rules asked before any data.
    #[must_use]
    pub fn with_owner_rules(mut self, rules: OwnerRules) -> Self {
        self.owner_rules = rules;
        self
    }

    /// Has companies named by their main domains, whichever of their domains they are found by.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = Some(profiles);
        self
    }

    /// What was opened, in the order given; databases that name organisations and lists after the others.
    #[must_use]
    pub fn status(&self) -> Vec<DatabaseStatus> {
        let is_named_below = |mmdb: &&Mmdb| !self.companies.iter().any(|companies| companies.path == mmdb.path);
        let mmdb = self.mmdb.iter().filter(is_named_below).map(|mmdb| DatabaseStatus {
            file: mmdb.path.clone(),
            kind: mmdb.kind,
            build_epoch: Some(mmdb.build_epoch()),
            records: None,
        });
        let companies = self.companies.iter().map(|companies| DatabaseStatus {
            file: companies.path.clone(),
            kind: companies.kind,
            build_epoch: Some(companies.build_epoch()),
            records: None,
        });
        mmdb.chain(companies).chain(self.lists.iter().cloned()).collect()
    }

    /// What each database that names organisations says of an address, as it stands there; verdicts weigh it.
    #[must_use]
    pub fn network_facts(&self, ip: IpAddr) -> Vec<NetworkFacts> {
        let found =
            |database: &CompanyDatabase| Some(NetworkFacts::of(database.kind, &database.look_up(ip.to_canonical())?));
        self.companies.iter().filter_map(found).collect()
    }

    /// Everything the network databases know of an address.
    pub(crate) fn facts(&self, ip: IpAddr) -> Facts<'_> {
        let mut facts = Facts::default();
        for mmdb in &self.mmdb {
            mmdb.look_up(ip, &mut facts);
        }
        facts
    }

    /// Which records of the network databases know the operator of an address.
    pub(crate) fn operator(&self, ip: IpAddr) -> OperatorKey {
        let mut key = OperatorKey::default();
        for mmdb in &self.mmdb {
            mmdb.find_operator(ip, &mut key);
        }
        key
    }

    /// The record of the first city or country database that has one for an address, and which database that is.
    pub(crate) fn place(&self, ip: IpAddr) -> Option<(usize, Place<'_>)> {
        self.mmdb.iter().enumerate().find_map(|(index, mmdb)| Some((index, mmdb.place(ip)?)))
    }

    /// What operators are judged by.
    pub(crate) const fn knowledge<'a>(&'a self, rules: &'a Rules) -> Knowledge<'a> {
        Knowledge { map: &self.domain_map, listed: &self.listed, rules }
    }

    /// What an autonomous system announces. The first call walks the network databases, which takes a second; others
    /// that come meanwhile wait for it.
    pub(crate) fn footprint(&self, number: u32) -> Option<Footprint> {
        let footprints = self.footprints.get_or_init(|| {
            let mut footprints = HashMap::new();
            for mmdb in &self.mmdb {
                mmdb.footprints(&mut footprints);
            }
            footprints
        });
        footprints.get(&number).copied()
    }

    /// Name and domain of an autonomous system. The first call walks the network databases, which takes seconds.
    pub(crate) fn autonomous_system(&self, number: u32) -> Option<(&str, &str)> {
        self.systems().get(&number).map(|(name, domain)| (name.as_str(), domain.as_str()))
    }

    /// Every autonomous system: number, name, domain.
    pub(crate) fn autonomous_systems(&self) -> impl Iterator<Item = (u32, &str, &str)> {
        self.systems().iter().map(|(number, (name, domain))| (*number, name.as_str(), domain.as_str()))
    }

    fn systems(&self) -> &HashMap<u32, (String, String)> {
        self.systems.get_or_init(|| {
            let mut systems = HashMap::new();
            for mmdb in &self.mmdb {
                mmdb.autonomous_systems(&mut systems);
            }
            systems
        })
    }
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> ResolverError {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::NotFound => ResolverError::Missing { path },
        _ => ResolverError::Read { path, source },
    }
}

/// The form of a list of networks and organisations, when a file's first line shows that it is one.
fn list_form(path: &Path) -> Result<Option<ListForm>, ResolverError> {
    let mut line = Vec::new();
    let file = fs::File::open(path).map_err(read_error(path))?;
    BufReader::new(file.take(MAX_FIRST_LINE)).read_until(b'\n', &mut line).map_err(read_error(path))?;
    Ok(if network_lists::row_of_json(&line).is_ok() {
        Some(ListForm::Ndjson)
    } else if FieldNames::of_header(&line).is_ok() {
        Some(ListForm::Csv)
    } else {
        None
    })
}

/// The first bytes of a file, enough to tell the forms apart.
fn read_start(path: &Path) -> Result<Vec<u8>, ResolverError> {
    let mut start = Vec::with_capacity(64);
    let file = fs::File::open(path).map_err(read_error(path))?;
    file.take(256).read_to_end(&mut start).map_err(read_error(path))?;
    Ok(start)
}

fn read_list(path: &Path) -> Result<Vec<u8>, ResolverError> {
    let length = fs::metadata(path).map_err(read_error(path))?.len();
    if length > MAX_LIST_BYTES {
        return Err(ResolverError::Damaged {
            path: path.to_owned(),
            reason: format!("a list of {length} bytes; at most {MAX_LIST_BYTES} are read"),
        });
    }
    fs::read(path).map_err(read_error(path))
}
