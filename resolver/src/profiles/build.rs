//! Open data and the owner's file become one profile file.
//!
//! # Which source counts
//! The owner's file wins field by field, then extracts of Wikidata, listed companies, Wikidata's dump, then GLEIF; GLEIF's registered name and address win over
//! Wikidata's, because a register is what they are from. What identifies a company is its domain: a row of the owner's with
//! a domain that Wikidata knows too completes that company. A domain that two organisations on Wikidata claim belongs to
//! the one of which more is known.
//!
//! # Which domain is the main one
//! A verdict names a company by its main domain, and so does its id. The owner's word counts; else the domain that was main in
//! the file which this one replaces stays main, so that a company keeps its id when a source puts its domains in another
//! order; else the source's first. An ASN database completes a company's domains with those that its operator's other
//! networks have ([`operators`]).
//!
//! # Memory
//! Of Wikidata are held: which entity is wanted for its label and what it is called, 8 to 100 bytes each, and for each
//! company's domain 24 bytes; the companies themselves wait in a temporary file. Some two million companies come to about
//! 200 MB. Of GLEIF only entities are held that a company names.

use super::{
    Profile, ProfileFileWriter, ProfileLookup, ProfileSource, Profiles, ProfilesStatus, SourceStatus, gleif, listed,
    operators, owner_file,
    wikidata::{self, EntityId},
    wikidata_extract,
};
use crate::{CompanyId, Databases};
use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Longest line of the dump that is read; the longest entity has about four million bytes.
const MAX_LINE_BYTES: u64 = 64 << 20;
/// Entities whose labels are wanted, at most.
const MAX_REFERENCES: usize = 20_000_000;
/// Left-out rows that are described one by one.
const SHOWN_PROBLEMS: usize = 10;

/// Opens an input from its beginning, decompressed.
pub type Open<'a> = dyn Fn(&Path) -> io::Result<Box<dyn BufRead>> + 'a;

/// What profiles are made of; every part may be missing.
#[derive(Clone, Debug, Default)]
pub struct ProfileInputs {
    /// Wikidata's JSON dump; read twice.
    pub wikidata: Option<PathBuf>,
    /// Results of a SPARQL query to Wikidata, JSON or CSV, beside the dump or in its place.
    pub wikidata_extracts: Vec<PathBuf>,
    /// The package of listed companies that the default data hold.
    pub listed: Option<PathBuf>,
    /// GLEIF's golden copy, level 1, CSV.
    pub gleif: Option<PathBuf>,
    /// GLEIF's golden copy, level 2 relationships, CSV.
    pub gleif_relationships: Option<PathBuf>,
    /// The owner's files; the first that knows a field counts.
    pub owner: Vec<PathBuf>,
    /// ASN databases (mmdb), for the domains of operators that have several; licence and attribution are theirs.
    pub networks: Vec<PathBuf>,
}

/// What a build came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilesReport {
    /// What stands in the file.
    pub status: ProfilesStatus,
    /// Lines of Wikidata's dump.
    pub entities: u64,
    /// Rows of the owner's files that were left out.
    pub left_out: u64,
    /// The first of these: file, line and what is wrong.
    pub problems: Vec<String>,
    /// Columns of the owner's files that mean nothing here.
    pub ignored: Vec<String>,
}

/// Why no file was made.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// An input can't be used.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The ASN database can't be used.
    #[error(transparent)]
    Networks(#[from] crate::ResolverError),
    /// No input was named, or none knew a company.
    #[error("no company is in these files")]
    Empty,
    /// The disk refuses.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Makes a profile file. `progress` hears what is being read.
///
/// # Errors
/// When an input can't be read or is of another form, when no company is in them, and when the disk refuses.
pub fn build_profiles(
    inputs: &ProfileInputs,
    output: &Path,
    built_at: u64,
    open: &Open<'_>,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<ProfilesReport, ProfilesError> {
    let write = |source| ProfilesError::Write { path: output.to_owned(), source };
    let mut report = ProfilesReport::default();
    let mut owners = owners(inputs, open, &mut report)?;
    let mut found = Found::default();
    let mut waiting = BufWriter::new(tempfile::tempfile().map_err(write)?);
    if let Some(path) = &inputs.wikidata {
        found.companies(path, open, &mut waiting, progress)?;
        found.labels(path, open, progress)?;
        report.entities = found.entities;
    }
    let mut identifiers: HashSet<String> = std::mem::take(&mut found.identifiers);
    identifiers.extend(owners.iter().map(|owner| owner.legal_entity_identifier.clone()));
    identifiers.retain(|identifier| gleif::is_identifier(identifier));
    let register = Register::read(inputs, open, identifiers, progress)?;
    let mut operators = Operators::read(&inputs.networks, progress)?;
    // What can't be read had no main domains.
    let previous = Profiles::open(output).ok();

    let mut writer = ProfileFileWriter::create(output).map_err(write)?;
    let mut counts = Counts::default();
    // The owner's come first: the first company under a domain keeps it.
    let mut by_domain: HashMap<String, usize> = HashMap::new();
    for (index, owner) in owners.iter().enumerate() {
        for domain in owner.domains() {
            by_domain.entry(domain.clone()).or_insert(index);
        }
    }
    let is_known = |domain: &str| by_domain.contains_key(domain) || found.is_known(domain);
    let mut waiting = waiting.into_inner().map_err(|error| write(error.into_error()))?;
    waiting.seek(SeekFrom::Start(0)).map_err(write)?;
    let mut reader = BufReader::new(waiting);
    let mut offset = 0;
    let mut line = String::new();
    loop {
        line.clear();
        let read = reader.read_line(&mut line).map_err(write)?;
        if read == 0 {
            break;
        }
        let at = offset;
        offset += read as u64;
        let Ok(mut company) = serde_json::from_str::<wikidata::Company>(&line) else { continue };
        company.domains.retain(|domain| found.is_best(domain, at));
        if company.domains.is_empty() {
            continue;
        }
        let mut profile = company.profile(&found.labels);
        register.complete(&mut profile);
        operators.complete(&mut profile, &is_known);
        let owner = profile.domains().find_map(|domain| by_domain.get(domain)).copied();
        match owner.and_then(|owner| owners.get_mut(owner)) {
            Some(owner) => complete(owner, profile),
            None => {
                keep_main_domain(&mut profile, previous.as_ref());
                counts.add(&profile);
                writer.add(&profile).map_err(write)?;
            }
        }
    }
    for owner in &mut owners {
        register.complete(owner);
        operators.complete(owner, &is_known);
        counts.add(owner);
        writer.add(owner).map_err(write)?;
    }
    for mut operator in operators.rest() {
        keep_main_domain(&mut operator, previous.as_ref());
        counts.add(&operator);
        writer.add(&operator).map_err(write)?;
    }
    if counts.companies == 0 {
        return Err(ProfilesError::Empty);
    }
    report.status = writer.finish(built_at, counts.sources).map_err(write)?;
    Ok(report)
}

/// Has the domain go first that was the company's main one before.
fn keep_main_domain(profile: &mut Profile, previous: Option<&Profiles>) {
    let was_main = |domain: &String| {
        previous.and_then(|previous| previous.profile(domain)).is_some_and(|before| before.domain == *domain)
    };
    if profile.other_domains.is_empty() || was_main(&profile.domain) {
        return;
    }
    if let Some(main) = profile.other_domains.iter_mut().find(|domain| was_main(domain)) {
        std::mem::swap(&mut profile.domain, main);
    }
}

/// Organisations of the ASN database, by their domains, until a company takes them.
#[derive(Default)]
struct Operators {
    organisations: Vec<Option<Profile>>,
    places: HashMap<String, usize>,
}

impl Operators {
    fn read(networks: &[PathBuf], progress: &mut dyn FnMut(&str, u64)) -> Result<Self, ProfilesError> {
        let mut operators = Self::default();
        if networks.is_empty() {
            return Ok(operators);
        }
        progress("operators", 0);
        let databases = Databases::open(networks)?;
        let systems = databases.autonomous_systems().map(|(_, name, domain)| (name, domain));
        for organisation in operators::with_several_domains(systems) {
            for domain in organisation.domains() {
                operators.places.insert(domain.clone(), operators.organisations.len());
            }
            operators.organisations.push(Some(organisation));
        }
        Ok(operators)
    }

    /// Adds the operator's domains that no other company `is_known` by.
    fn complete(&mut self, profile: &mut Profile, is_known: &dyn Fn(&str) -> bool) {
        let place = profile.domains().find_map(|domain| self.places.get(domain));
        let Some(operator) = place.and_then(|place| self.organisations.get_mut(*place)?.take()) else { return };
        let is_new = |domain: &&String| !is_known(domain) && !profile.domains().any(|own| own == *domain);
        let new: Vec<String> = operator.domains().filter(is_new).cloned().collect();
        if !new.is_empty() {
            profile.other_domains.extend(new);
            profile.sources.extend(operator.sources);
        }
    }

    fn rest(self) -> impl Iterator<Item = Profile> {
        self.organisations.into_iter().flatten()
    }
}

/// The owner's companies, then those of extracts and the listed ones; those that share a domain joined.
fn owners(inputs: &ProfileInputs, open: &Open<'_>, report: &mut ProfilesReport) -> Result<Vec<Profile>, ProfilesError> {
    let mut joined = Joined::default();
    for path in &inputs.owner {
        let file = owner_file::read(&read_whole(path, open)?).map_err(unusable(path))?;
        joined.add(file.profiles);
        for problem in file.problems {
            report.left_out += 1;
            if report.problems.len() < SHOWN_PROBLEMS {
                report.problems.push(format!("{}, {problem}", path.display()));
            }
        }
        for column in file.ignored {
            if !report.ignored.contains(&column) {
                report.ignored.push(column);
            }
        }
    }
    for path in &inputs.wikidata_extracts {
        let (profiles, left_out) = wikidata_extract::read(&read_whole(path, open)?).map_err(unusable(path))?;
        joined.add(profiles);
        report.left_out += left_out;
    }
    if let Some(path) = &inputs.listed {
        joined.add(listed::read(&read_whole(path, open)?).map_err(unusable(path))?);
    }
    Ok(joined.profiles)
}

fn unusable(path: &Path) -> impl Fn(String) -> ProfilesError {
    move |reason| ProfilesError::Input { path: path.to_owned(), reason }
}

fn read_whole(path: &Path, open: &Open<'_>) -> Result<Vec<u8>, ProfilesError> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|file| file.take(wikidata_extract::MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| unusable(path)(error.to_string()))?;
    if bytes.len() as u64 > wikidata_extract::MAX_BYTES {
        return Err(unusable(path)(format!("more than {} bytes", wikidata_extract::MAX_BYTES)));
    }
    Ok(bytes)
}

/// Companies of several sources by their domains; what comes first counts.
#[derive(Default)]
struct Joined {
    profiles: Vec<Profile>,
    places: HashMap<String, usize>,
}

impl Joined {
    fn add(&mut self, profiles: Vec<Profile>) {
        for mut profile in profiles {
            let place = profile.domains().find_map(|domain| self.places.get(domain)).copied();
            if let Some((place, first)) = place.and_then(|place| Some((place, self.profiles.get_mut(place)?))) {
                let domains: Vec<String> = profile.domains().cloned().collect();
                complete(first, profile);
                for domain in domains {
                    self.places.entry(domain).or_insert(place);
                }
                continue;
            }
            let places = &self.places;
            profile.other_domains.retain(|domain| !places.contains_key(domain));
            for domain in profile.domains() {
                self.places.insert(domain.clone(), self.profiles.len());
            }
            self.profiles.push(profile);
        }
    }
}

/// What was found in Wikidata's dump.
#[derive(Default)]
struct Found {
    entities: u64,
    wanted: HashSet<EntityId>,
    labels: HashMap<EntityId, wikidata::Label>,
    identifiers: HashSet<String>,
    /// By the domain's key: how much is known of the company that has it, and where it waits.
    best: HashMap<u64, (u32, u64)>,
}

impl Found {
    fn is_best(&self, domain: &str, at: u64) -> bool {
        self.best.get(&CompanyId::of_domain(domain).0).is_some_and(|(_, best)| *best == at)
    }

    fn is_known(&self, domain: &str) -> bool {
        self.best.contains_key(&CompanyId::of_domain(domain).0)
    }

    /// The first reading.
    fn companies(
        &mut self,
        path: &Path,
        open: &Open<'_>,
        waiting: &mut impl Write,
        progress: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ProfilesError> {
        let unusable = |error: io::Error| ProfilesError::Input { path: path.to_owned(), reason: error.to_string() };
        let mut offset = 0;
        let mut entities = 0;
        each_line(open(path).map_err(unusable)?, |line| {
            entities += 1;
            progress("companies", entities);
            let Some(company) = wikidata::company(line) else { return Ok(()) };
            for domain in &company.domains {
                let best = self.best.entry(CompanyId::of_domain(domain).0).or_insert((company.weight, offset));
                if company.weight > best.0 {
                    *best = (company.weight, offset);
                }
            }
            if self.wanted.len() < MAX_REFERENCES {
                self.wanted.extend(company.references());
            }
            if !company.legal_entity_identifier.is_empty() {
                self.identifiers.insert(company.legal_entity_identifier.clone());
            }
            let mut text = serde_json::to_vec(&company)?;
            text.push(b'\n');
            offset += text.len() as u64;
            waiting.write_all(&text)
        })
        .map_err(unusable)?;
        self.entities = entities;
        if entities > 0 && self.best.is_empty() {
            let reason =
                "no organisation with a website is in it; it should be Wikidata's JSON dump, one entity a line";
            return Err(ProfilesError::Input { path: path.to_owned(), reason: reason.to_owned() });
        }
        Ok(())
    }

    /// The second reading.
    fn labels(
        &mut self,
        path: &Path,
        open: &Open<'_>,
        progress: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ProfilesError> {
        let unusable = |error: io::Error| ProfilesError::Input { path: path.to_owned(), reason: error.to_string() };
        let mut entities = 0;
        each_line(open(path).map_err(unusable)?, |line| {
            entities += 1;
            progress("labels", entities);
            self.labels.extend(wikidata::label(line, &self.wanted));
            Ok(())
        })
        .map_err(unusable)
    }
}

fn each_line(mut file: Box<dyn BufRead>, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if Read::take(&mut file, MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(&line)?;
    }
}

/// What GLEIF's register says of those who were asked for.
#[derive(Default)]
struct Register {
    entities: HashMap<String, gleif::Entity>,
    parents: HashMap<String, String>,
}

impl Register {
    fn read(
        inputs: &ProfileInputs,
        open: &Open<'_>,
        mut wanted: HashSet<String>,
        progress: &mut dyn FnMut(&str, u64),
    ) -> Result<Self, ProfilesError> {
        let mut register = Self::default();
        let unusable = |path: &Path, reason: String| ProfilesError::Input { path: path.to_owned(), reason };
        let opened = |path: &Path| open(path).map_err(|error| unusable(path, error.to_string()));
        if let Some(path) = &inputs.gleif_relationships {
            progress("owners", 0);
            register.parents = gleif::parents(opened(path)?, &wanted).map_err(|reason| unusable(path, reason))?;
            wanted.extend(register.parents.values().cloned());
        }
        if let Some(path) = &inputs.gleif {
            progress("register", 0);
            register.entities = gleif::entities(opened(path)?, &wanted).map_err(|reason| unusable(path, reason))?;
        }
        Ok(register)
    }

    /// A register's name and address are better than an encyclopaedia's, not better than the owner's.
    fn complete(&self, profile: &mut Profile) {
        let Some(entity) = self.entities.get(&profile.legal_entity_identifier) else { return };
        let is_owners = profile.sources.iter().any(|source| source.name == owner_file::SOURCE);
        if !is_owners || profile.legal_name.is_empty() {
            profile.legal_name.clone_from(&entity.legal_name);
        }
        if !is_owners || profile.address.is_empty() {
            profile.address.clone_from(&entity.address);
        }
        let parent = self.parents.get(&profile.legal_entity_identifier).and_then(|parent| self.entities.get(parent));
        if let Some(parent) = parent.filter(|_| profile.parent.is_none()) {
            let name = crate::names::display_name(&parent.legal_name);
            profile.parent = Some(super::Parent { name, domain: String::new() });
        }
        let id = profile.legal_entity_identifier.clone();
        if !profile.sources.iter().any(|source| source.name == "GLEIF") {
            let (name, licence) = ("GLEIF".to_owned(), gleif::LICENCE.to_owned());
            profile.sources.push(ProfileSource { name, licence, id });
        }
    }
}

/// Takes from another source what the first does not know.
fn complete(first: &mut Profile, other: Profile) {
    for domain in std::iter::once(other.domain).chain(other.other_domains) {
        if domain != first.domain && !first.other_domains.contains(&domain) {
            first.other_domains.push(domain);
        }
    }
    for (ours, theirs) in [
        (&mut first.name, other.name),
        (&mut first.legal_name, other.legal_name),
        (&mut first.phone, other.phone),
        (&mut first.links.website, other.links.website),
        (&mut first.links.linkedin, other.links.linkedin),
        (&mut first.links.twitter, other.links.twitter),
        (&mut first.links.facebook, other.links.facebook),
        (&mut first.logo, other.logo),
        (&mut first.description, other.description),
        (&mut first.legal_entity_identifier, other.legal_entity_identifier),
    ] {
        if ours.is_empty() {
            *ours = theirs;
        }
    }
    if first.industries.is_empty() {
        first.industries = other.industries;
    }
    if first.address.is_empty() {
        first.address = other.address;
    }
    first.employees = first.employees.or(other.employees);
    first.revenue = first.revenue.take().or(other.revenue);
    first.parent = first.parent.take().or(other.parent);
    first.founded = first.founded.or(other.founded);
    for source in other.sources {
        if !first.sources.contains(&source) {
            first.sources.push(source);
        }
    }
}

/// How many companies each source told something of.
#[derive(Default)]
struct Counts {
    companies: u64,
    sources: Vec<SourceStatus>,
}

impl Counts {
    fn add(&mut self, profile: &Profile) {
        self.companies += 1;
        for source in &profile.sources {
            match self.sources.iter_mut().find(|known| known.name == source.name) {
                Some(known) => known.companies += 1,
                None => self.sources.push(SourceStatus {
                    name: source.name.clone(),
                    licence: source.licence.clone(),
                    attribution: match source.name.as_str() {
                        "Wikidata" => "Company facts from Wikidata (https://www.wikidata.org), CC0".to_owned(),
                        "GLEIF" => "Legal entity data from GLEIF (https://www.gleif.org), CC0".to_owned(),
                        _ => String::new(),
                    },
                    companies: 1,
                }),
            }
        }
    }
}
