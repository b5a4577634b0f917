//! The profile file: written once, mapped for reading, replaced whole.
//!
//! ```text
//! "FIRMPROF" version:u32
//! records    each length:u32 and a JSON object
//! index      sorted: key:u64 (the domain's company id), offset:u64 (of its record; the highest bit says that the domain
//!            is not the company's main one)
//! status     JSON: when it was made, of what
//! trailer    index offset, index entries, status offset, status length: u64 each; SHA-256 of all before it
//! ```
//! Numbers are little-endian. A file is written beside its target, synced and renamed over it, so that a reader has the
//! old one or the new one, never half of one; the hash finds what a disk or a copy damaged later. Records are JSON so that
//! a newer version may add fields which an older one skips.

use super::{Profile, ProfileLookup};
use crate::{CompanyId, ResolverError, mapped_file::MappedFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    cmp::Ordering,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

const MAGIC: &[u8; 8] = b"FIRMPROF";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 12;
const ENTRY_BYTES: usize = 16;
/// In the offset of an index entry: the key is of an alternative domain.
const ALTERNATIVE: u64 = 1 << 63;
const HASH_BYTES: usize = 32;
const TRAILER_BYTES: usize = 4 * 8 + HASH_BYTES;
/// A longer record was never a profile.
const MAX_RECORD_BYTES: usize = 64 << 10;

/// What a profile file was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfilesStatus {
    /// Seconds since 1970 when it was made.
    pub built_at: u64,
    /// Companies in it.
    pub companies: u64,
    /// Domains that lead to them.
    pub domains: u64,
    /// Publisher, licence and the attribution it asks for, in the order in which they count.
    pub sources: Vec<SourceStatus>,
}

/// One source of a profile file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// The publisher.
    pub name: String,
    /// SPDX expression; empty for the owner's own data.
    pub licence: String,
    /// A sentence to show where the data is shown; CC0 asks for none, saying where facts are from is good manners.
    pub attribution: String,
    /// How many companies it told something of.
    pub companies: u64,
}

/// An opened profile file.
#[derive(Debug)]
pub struct Profiles {
    path: PathBuf,
    map: MappedFile,
    index: std::ops::Range<usize>,
    status: ProfilesStatus,
}

impl Profiles {
    /// Maps a file after checking it whole: form, bounds and hash.
    ///
    /// # Errors
    /// One sentence for a file that is missing, unreadable, damaged or of another version.
    pub fn open(path: &Path) -> Result<Self, ResolverError> {
        Self::open_from(path, None)
    }

    /// As [`Self::open`], for a process that must live whatever becomes of the file: a private copy without a name in
    /// `folder` is mapped, which ends with what is returned.
    ///
    /// # Errors
    /// As [`Self::open`], and where a copy can't be made.
    pub fn open_copy(path: &Path, folder: &Path) -> Result<Self, ResolverError> {
        Self::open_from(path, Some(folder))
    }

    fn open_from(path: &Path, copies: Option<&Path>) -> Result<Self, ResolverError> {
        let map = MappedFile::open(path, copies).map_err(|error| match error {
            ResolverError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                ResolverError::Missing { path }
            }
            error => error,
        })?;
        let damaged = |reason: &str| ResolverError::Damaged {
            path: path.to_owned(),
            reason: format!("{reason}; make it again with `firmsight companies build`"),
        };
        let (index, status) = check(&map).map_err(damaged)?;
        let status =
            serde_json::from_slice(&map[status]).map_err(|_| damaged("a profile file with a damaged status"))?;
        Ok(Self { path: path.to_owned(), map, index, status })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was made of.
    #[must_use]
    pub const fn status(&self) -> &ProfilesStatus {
        &self.status
    }

    /// Every company once, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Profile> + '_ {
        let mut at = HEAD_BYTES;
        std::iter::from_fn(move || {
            if at >= self.index.start {
                return None;
            }
            let record = self.record(at)?;
            at += 4 + record.len();
            serde_json::from_slice(record).ok()
        })
    }

    /// The company that `id` is an alternative domain of; `None` for main domains and for what nobody knows, without
    /// reading a record.
    pub(crate) fn company_of_alternative(&self, id: CompanyId) -> Option<Profile> {
        let place = self.find(id).filter(|place| place & ALTERNATIVE != 0)?;
        let profile = self.decoded(place)?;
        let is_its = |domain: &String| CompanyId::of_domain(domain) == id;
        profile.other_domains.iter().any(is_its).then_some(profile)
    }

    /// What the index has for a key: an offset with [`ALTERNATIVE`] or without.
    fn find(&self, id: CompanyId) -> Option<u64> {
        let (mut low, mut high) = (0, self.index.len() / ENTRY_BYTES);
        while low < high {
            let middle = low + (high - low) / 2;
            let start = self.index.start + middle * ENTRY_BYTES;
            let entry = self.map.get(start..start + ENTRY_BYTES)?;
            match number_at(entry, 0).cmp(&id.0) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(number_at(entry, 8)),
            }
        }
        None
    }

    fn decoded(&self, place: u64) -> Option<Profile> {
        let offset = usize::try_from(place & !ALTERNATIVE).ok()?;
        serde_json::from_slice(self.record(offset)?).ok()
    }

    fn record(&self, offset: usize) -> Option<&[u8]> {
        let length = self.map.get(offset..offset.checked_add(4)?)?;
        let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.map.get(offset + 4..offset.checked_add(4)?.checked_add(length)?).filter(|_| length <= MAX_RECORD_BYTES)
    }
}

impl ProfileLookup for Profiles {
    fn profile(&self, domain: &str) -> Option<Profile> {
        let profile = self.decoded(self.find(CompanyId::of_domain(domain))?)?;
        // Two domains may share a key, however unlikely.
        let is_its = profile.domains().any(|own| own == domain);
        is_its.then_some(profile)
    }
}

/// The ranges of index and status of a file that is whole.
fn check(map: &[u8]) -> Result<(std::ops::Range<usize>, std::ops::Range<usize>), &'static str> {
    if !map.starts_with(MAGIC) {
        return Err("not a profile file");
    }
    let body_end = map.len().checked_sub(TRAILER_BYTES).filter(|end| *end >= HEAD_BYTES).ok_or("cut short")?;
    if map[MAGIC.len()..HEAD_BYTES] != VERSION.to_le_bytes() {
        return Err("a profile file of another format version");
    }
    let (body, trailer) = map.split_at(body_end + 4 * 8);
    if Sha256::digest(body).as_slice() != trailer {
        return Err("cut short or damaged: its hash is another one");
    }
    let numbers = &body[body_end..];
    let number = |index: usize| usize::try_from(number_at(numbers, index * 8)).map_err(|_| "impossible offsets");
    let range = |start: usize, length: Option<usize>| {
        let end = length.and_then(|length| start.checked_add(length));
        end.filter(|end| start >= HEAD_BYTES && *end <= body_end).map(|end| start..end).ok_or("impossible offsets")
    };
    let index = range(number(0)?, number(1)?.checked_mul(ENTRY_BYTES))?;
    let status = range(number(2)?, Some(number(3)?))?;
    Ok((index, status))
}

/// A little-endian number of eight bytes; missing bytes count as zero.
fn number_at(bytes: &[u8], start: usize) -> u64 {
    bytes.iter().skip(start).take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Writes a profile file. Memory: 16 bytes a domain; records go straight to disk.
pub struct ProfileFileWriter {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
    hash: Sha256,
    at: u64,
    index: Vec<(u64, u64)>,
    companies: u64,
}

impl std::fmt::Debug for ProfileFileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileFileWriter").field("target", &self.target).finish_non_exhaustive()
    }
}

impl ProfileFileWriter {
    /// Starts a file that will become `target`.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub fn create(target: &Path) -> io::Result<Self> {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".company-profiles").tempfile_in(folder)?;
        let mut writer = Self {
            target: target.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            hash: Sha256::new(),
            at: 0,
            index: Vec::new(),
            companies: 0,
        };
        writer.write(MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Adds a company under all its domains. Of two companies with one domain the first keeps it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add(&mut self, profile: &Profile) -> io::Result<()> {
        let record = serde_json::to_vec(profile)?;
        if record.len() > MAX_RECORD_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the profile of {} has {} bytes; at most {MAX_RECORD_BYTES} are kept",
                    profile.domain,
                    record.len()
                ),
            ));
        }
        let offset = self.at;
        self.index.push((CompanyId::of_domain(&profile.domain).0, offset));
        for domain in &profile.other_domains {
            self.index.push((CompanyId::of_domain(domain).0, offset | ALTERNATIVE));
        }
        self.write(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.write(&record)?;
        self.companies += 1;
        Ok(())
    }

    /// Completes the file and puts it in its place.
    ///
    /// # Errors
    /// When the disk refuses; the old file stays then.
    pub fn finish(mut self, built_at: u64, sources: Vec<SourceStatus>) -> io::Result<ProfilesStatus> {
        let mut index = std::mem::take(&mut self.index);
        // The first of equal keys is the first written: offsets grow.
        index.sort_unstable_by_key(|(key, place)| (*key, place & !ALTERNATIVE));
        index.dedup_by_key(|(key, _)| *key);
        let index_at = self.at;
        for (key, offset) in &index {
            self.write(&key.to_le_bytes())?;
            self.write(&offset.to_le_bytes())?;
        }
        let domains = index.len() as u64;
        let status = ProfilesStatus { built_at, companies: self.companies, domains, sources };
        let status_at = self.at;
        let status_text = serde_json::to_vec(&status)?;
        self.write(&status_text)?;
        for number in [index_at, domains, status_at, status_text.len() as u64] {
            self.write(&number.to_le_bytes())?;
        }
        let hash = std::mem::take(&mut self.hash).finalize();
        self.file.write_all(&hash)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.target).map_err(|error| error.error)?;
        Ok(status)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn profile(domain: &str, other_domains: &[&str]) -> Profile {
        Profile {
            domain: domain.to_owned(),
            other_domains: other_domains.iter().map(|other| (*other).to_owned()).collect(),
            name: format!("The company at {domain}"),
            ..Profile::default()
        }
    }

    fn written(path: &Path) -> Vec<u8> {
        let mut writer = ProfileFileWriter::create(path).unwrap();
        for number in 0..200 {
            writer.add(&profile(&format!("company-{number}.example"), &[])).unwrap();
        }
        writer.add(&profile("acme.example", &["acme.test", "company-7.example"])).unwrap();
        let source = SourceStatus { name: "Wikidata".to_owned(), companies: 201, ..SourceStatus::default() };
        let status = writer.finish(1_790_000_000, vec![source]).unwrap();
        assert_eq!((status.companies, status.domains), (201, 202));
        fs::read(path).unwrap()
    }

    #[test]
    fn every_domain_leads_to_its_company_and_a_taken_one_stays_with_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("companies");
        written(&path);
        let profiles = Profiles::open(&path).unwrap();
        for number in 0..200 {
            let domain = format!("company-{number}.example");
            assert_eq!(profiles.profile(&domain).unwrap().domain, domain);
        }
        assert_eq!(profiles.profile("acme.test").unwrap().domain, "acme.example");
        assert_eq!(
            profiles.profile("acme.example"),
            Some(profile("acme.example", &["acme.test", "company-7.example"]))
        );
        assert_eq!(profiles.profile("nobody.example"), None);
        assert_eq!(profiles.iter().count(), 201);
        assert_eq!(profiles.status().sources[0].name, "Wikidata");
    }

    #[test]
    fn a_private_copy_answers_whatever_becomes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("companies");
        written(&path);
        let profiles = Profiles::open_copy(&path, &folder.path().join("copies")).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(profiles.profile("acme.test").unwrap().domain, "acme.example");
        assert_eq!(profiles.iter().count(), 201);
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("companies");
        let whole = written(&path);
        let other = folder.path().join("damaged");
        for length in (0..whole.len()).step_by(97) {
            fs::write(&other, &whole[..length]).unwrap();
            assert!(Profiles::open(&other).is_err(), "cut at {length}");
        }
        for place in (0..whole.len()).step_by(61) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            fs::write(&other, &damaged).unwrap();
            assert!(Profiles::open(&other).is_err(), "changed at {place}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_while_the_old_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("companies");
        written(&path);
        let old = Profiles::open(&path).unwrap();
        ProfileFileWriter::create(&path).unwrap().finish(0, Vec::new()).unwrap();
        assert!(old.profile("acme.example").is_some());
        assert!(Profiles::open(&path).unwrap().profile("acme.example").is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
