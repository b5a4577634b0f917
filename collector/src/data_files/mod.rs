//! Data files from their publishers: fetched, checked, put in place.
//!
//! `source` says where a file is and what it asks for, as each publisher documents it; `download` fetches over HTTP
//! within bounds; this file puts a fetched file in place only after it was unpacked, its checksum compared where the
//! publisher gives one, and after the resolver could open it and found every part of its tree in order. Until then it has
//! no name that anybody looks for, so a failure at any point leaves the file that is there. A running server sees the
//! new file by itself.
//!
//! What was fetched is remembered in `STATE_FILE` beside the files: the publisher's ETag and date, so that an unchanged
//! file isn't sent again. Tokens and keys are in no message, no log and no file.

mod download;
mod source;
#[cfg(test)]
mod tests;

pub use download::DownloadError;
pub(crate) use source::CLOUDFLARE_LIST;
pub use source::{BaseUrls, Source, SourceError};

use crate::time::UnixMillis;
use download::{Client, Fetched, Validators};
use firmsight_resolver::{Databases, ResolverError};
use flate2::read::MultiGzDecoder;
use ipnet::{Ipv4Net, Ipv6Net};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use source::{Container, Request};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// What was fetched when, beside the files.
const STATE_FILE: &str = "sources.json";
const LOCK_FILE: &str = "update.lock";
/// The largest file that is taken; the largest that publishers sell have some gigabytes.
const MAX_FILE_BYTES: u64 = 16 << 30;
/// A checksum's file.
const MAX_CHECKSUM_BYTES: u64 = 4096;
/// Cloudflare's list has a few dozen networks.
const MAX_CLOUDFLARE_BYTES: u64 = 1 << 20;

/// What an owner holds: whom to name to publishers.
#[derive(Clone, Default)]
pub struct Credentials {
    /// IPinfo's token.
    pub ipinfo_token: String,
    /// MaxMind's account id.
    pub maxmind_account_id: String,
    /// MaxMind's licence key.
    pub maxmind_license_key: String,
}

/// Why a source's file was not replaced. No text holds a token or a key.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The source is not set up.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The publisher's server did not give the file.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The file can't be written.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive is broken or holds something else.
    #[error("the archive that came from {url} can't be unpacked: {reason}; nothing was replaced, try again later")]
    Archive {
        /// Where it came from.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The archive is not what the publisher's checksum names.
    #[error("what came from {url} does not have the SHA-256 that its publisher names; nothing was replaced, try again")]
    Checksum {
        /// Where it came from.
        url: String,
    },
    /// The resolver can't use the file.
    #[error("what came from {url} can't be used: {reason}; nothing was replaced")]
    Unusable {
        /// Where it came from.
        url: String,
        /// What the resolver says, without the temporary file's name.
        reason: String,
    },
    /// Another update runs.
    #[error("another update of {} is under way", .0.display())]
    Busy(PathBuf),
}

/// What became of a source's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new file is in place.
    Replaced {
        /// Its size in bytes.
        bytes: u64,
        /// Where it came from, without a token.
        url: String,
    },
    /// The publisher has nothing newer.
    Unchanged,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Remembered {
    url: String,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    last_modified: Option<String>,
    checked_at: i64,
}

type State = BTreeMap<String, Remembered>;

/// Fetches files into a folder.
pub struct Updater {
    folder: PathBuf,
    urls: BaseUrls,
    credentials: Credentials,
    client: Client,
}

impl Updater {
    /// An updater of a folder; nothing is asked or written yet.
    ///
    /// # Errors
    /// When the system has no root certificates.
    pub fn new(folder: PathBuf, urls: BaseUrls, credentials: Credentials) -> Result<Self, UpdateError> {
        Ok(Self { folder, urls, credentials, client: Client::new()? })
    }

    /// Fetches what is newer, one source after the other; each ends for itself.
    ///
    /// # Errors
    /// When the folder can't be used or another update runs; else each source has its own result.
    pub async fn update(
        &self,
        sources: &[Source],
        now: UnixMillis,
    ) -> Result<Vec<(Source, Result<Outcome, UpdateError>)>, UpdateError> {
        let _lock = self.lock()?;
        let mut state = self.state();
        let mut outcomes = Vec::new();
        for source in sources {
            let outcome = self.update_one(source, now, &mut state).await;
            self.remember(&state)?;
            outcomes.push((source.clone(), outcome));
        }
        Ok(outcomes)
    }

    /// The sources whose publisher was not asked for this long, in milliseconds.
    #[must_use]
    pub fn due(&self, sources: &[Source], now: UnixMillis, after: i64) -> Vec<Source> {
        let state = self.state();
        let is_due = |source: &&Source| {
            let checked_at = state.get(&source.to_string()).map(|remembered| remembered.checked_at);
            checked_at.is_none_or(|at| now.0.saturating_sub(at) >= after) || !self.file(source).is_file()
        };
        sources.iter().filter(is_due).cloned().collect()
    }

    /// Where a source's file lands.
    fn file(&self, source: &Source) -> PathBuf {
        self.folder.join(source.file_name())
    }

    async fn update_one(&self, source: &Source, now: UnixMillis, state: &mut State) -> Result<Outcome, UpdateError> {
        let known = state.get(&source.to_string()).filter(|_| self.file(source).is_file()).cloned();
        let mut requests = source.requests(&self.urls, &self.credentials, date(now))?.into_iter().peekable();
        loop {
            let Some(request) = requests.next() else { return Err(SourceError::NoFile(source.to_string()).into()) };
            let validators = known.as_ref().filter(|known| known.url == request.shown_url());
            let validators = validators.map_or_else(Validators::default, |known| Validators {
                etag: known.etag.clone(),
                last_modified: known.last_modified.clone(),
            });
            let arriving = self.arriving()?;
            let fetched = match self.client.fetch(&request, &validators, arriving.path(), MAX_FILE_BYTES).await {
                // This month's file may not be there yet: then last month's.
                Err(DownloadError::Status { status: 404, .. }) if requests.peek().is_some() => continue,
                fetched => fetched?,
            };
            let url = request.shown_url();
            let (validators, outcome) = match fetched {
                Fetched::Unchanged => (validators, Outcome::Unchanged),
                Fetched::New(new) => {
                    self.check_sum(&request, arriving.path()).await?;
                    let bytes = self.put_in_place(source, &request, arriving).await?;
                    (new, Outcome::Replaced { bytes, url: url.clone() })
                }
            };
            let Validators { etag, last_modified } = validators;
            state.insert(source.to_string(), Remembered { url, etag, last_modified, checked_at: now.0 });
            return Ok(outcome);
        }
    }

    async fn check_sum(&self, request: &Request, archive: &Path) -> Result<(), UpdateError> {
        let Some(checksum) = &request.checksum else { return Ok(()) };
        let file = self.arriving()?;
        self.client.fetch(checksum, &Validators::default(), file.path(), MAX_CHECKSUM_BYTES).await?;
        let named = fs::read_to_string(file.path()).map_err(write_error(file.path()))?;
        let named = named.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let found = sha256(archive).map_err(write_error(archive))?;
        if named == found { Ok(()) } else { Err(UpdateError::Checksum { url: request.shown_url() }) }
    }

    /// Unpacks, checks and renames; gives the file's size.
    async fn put_in_place(
        &self,
        source: &Source,
        request: &Request,
        archive: NamedTempFile,
    ) -> Result<u64, UpdateError> {
        let (target, folder, url) = (self.file(source), self.folder.clone(), request.shown_url());
        let (container, is_for_resolver) = (request.container, source.is_for_resolver());
        let work = move || {
            let mut unpacked = NamedTempFile::with_prefix_in(".arriving-", &folder).map_err(write_error(&folder))?;
            let bytes = unpack(container, archive.path(), &mut unpacked).map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => write_error(&folder)(error),
                _ => UpdateError::Archive { url: url.clone(), reason: error.to_string() },
            })?;
            unpacked.as_file().sync_all().map_err(write_error(&folder))?;
            if is_for_resolver {
                Databases::open_copies(&[unpacked.path().to_owned()], &folder)
                    .map_err(|error| UpdateError::Unusable { url, reason: reason(&error, unpacked.path()) })?;
            }
            let kept = unpacked.persist(&target).map_err(|error| write_error(&target)(error.error))?;
            drop(kept);
            // The new name must outlive a power cut.
            File::open(&folder).and_then(|folder| folder.sync_all()).map_err(write_error(&folder))?;
            Ok(bytes)
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        outcome.map_err(|error| write_error(&self.folder)(io::Error::other(error)))?
    }

    fn arriving(&self) -> Result<NamedTempFile, UpdateError> {
        NamedTempFile::with_prefix_in(".arriving-", &self.folder).map_err(write_error(&self.folder))
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<File, UpdateError> {
        fs::create_dir_all(&self.folder).map_err(write_error(&self.folder))?;
        let path = self.folder.join(LOCK_FILE);
        let file = File::create(&path).map_err(write_error(&path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| UpdateError::Busy(self.folder.clone()))?;
        Ok(file)
    }

    /// What is remembered; nothing where the file is missing or damaged: then everything is fetched again.
    fn state(&self) -> State {
        let text = fs::read_to_string(self.folder.join(STATE_FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn remember(&self, state: &State) -> Result<(), UpdateError> {
        let path = self.folder.join(STATE_FILE);
        let mut file = self.arriving()?;
        serde_json::to_writer_pretty(&mut file, state).map_err(|error| write_error(&path)(error.into()))?;
        file.persist(&path).map_err(|error| write_error(&path)(error.error))?;
        Ok(())
    }
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> UpdateError + use<> {
    let path = path.to_owned();
    move |source| UpdateError::Write { path: path.clone(), source }
}

/// What the resolver says, without the name that the file has for now.
fn reason(error: &ResolverError, path: &Path) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned()
}

/// Whether a source has what its publisher asks for.
///
/// # Errors
/// [`SourceError::NoCredentials`] names the keys and where to get them.
pub fn is_set_up(
    source: &Source,
    urls: &BaseUrls,
    credentials: &Credentials,
    now: UnixMillis,
) -> Result<(), SourceError> {
    source.requests(urls, credentials, date(now)).map(drop)
}

fn date(now: UnixMillis) -> Date {
    Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..length]);
    }
}

/// Writes what an archive holds; gives its size.
fn unpack(container: Container, archive: &Path, into: &mut NamedTempFile) -> io::Result<u64> {
    let mut archive = File::open(archive)?;
    let copied = match container {
        Container::Plain => copy_bounded(&mut archive, into)?,
        Container::Gzip => copy_bounded(&mut MultiGzDecoder::new(archive), into)?,
        Container::TarGzip => {
            let mut tar = tar::Archive::new(MultiGzDecoder::new(archive));
            let mut found = None;
            for entry in tar.entries()? {
                let mut entry = entry?;
                if entry.path()?.extension().is_some_and(|extension| extension == "mmdb") {
                    found = Some(copy_bounded(&mut entry, into)?);
                    break;
                }
            }
            found.ok_or_else(|| io::Error::other("it holds no .mmdb file"))?
        }
        Container::CloudflareJson => {
            let lines = cloudflare_lines(archive)?;
            into.write_all(lines.as_bytes())?;
            lines.len() as u64
        }
    };
    into.flush()?;
    Ok(copied)
}

/// The networks of Cloudflare's answer (developers.cloudflare.com/api, "Cloudflare IPs"), one a line. Whoever is in the list
/// is believed when he says whose visit it is, so a network that is wider than any of Cloudflare's is refused.
fn cloudflare_lines(answer: impl Read) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        result: Ranges,
    }
    #[derive(Deserialize)]
    struct Ranges {
        ipv4_cidrs: Vec<Ipv4Net>,
        ipv6_cidrs: Vec<Ipv6Net>,
    }
    let Answer { result } = serde_json::from_reader(answer.take(MAX_CLOUDFLARE_BYTES))?;
    let v4 = result.ipv4_cidrs.iter().map(|network| (network.prefix_len() >= 8, network.to_string()));
    let v6 = result.ipv6_cidrs.iter().map(|network| (network.prefix_len() >= 24, network.to_string()));
    let mut lines = String::new();
    for (is_narrow, network) in v4.chain(v6) {
        if !is_narrow {
            return Err(io::Error::other(format!("{network} is wider than a list of proxies can be")));
        }
        lines.push_str(&network);
        lines.push('\n');
    }
    if lines.is_empty() { Err(io::Error::other("it holds no networks")) } else { Ok(lines) }
}

fn copy_bounded(from: &mut impl Read, into: &mut impl Write) -> io::Result<u64> {
    let copied = io::copy(&mut from.take(MAX_FILE_BYTES + 1), into)?;
    if copied > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it holds more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(copied)
}
