//! What an earlier process left in the folder, and what can be made of it.

use super::{
    SpoolError,
    files::Files,
    segment::{Contents, HeaderError, SegmentKey},
};
use crate::{sealing::MasterKey, site::SiteId};
use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// How a segment's file name ends; before it stands the segment's id, a UUID v7, so that names sort by age.
pub(super) const SEGMENT_SUFFIX: &str = ".segment";
/// Where files go that can't be opened, inside the spool's folder.
pub(super) const DAMAGED_FOLDER: &str = "damaged";
/// Where segments of newer versions go. Nothing there is ever removed: they are whole, and were acknowledged.
const NEWER_FOLDER: &str = "newer";
/// Most files that are kept there.
const MAX_DAMAGED_FILES: usize = 10_000;
/// Longest file that is read as a segment, in bytes.
pub(super) const MAX_SEGMENT_BYTES: u64 = 512 << 20;

/// How many damaged files a [`Recovery`] describes in words.
const DAMAGES_SHOWN: usize = 5;

/// What was found in the spool when it was opened; its `Display` says so in words, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that wait to be stored.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes at the ends of segments that a crash interrupted: never acknowledged, ignored.
    pub torn_bytes: u64,
    /// Files with something wrong.
    pub damaged: Vec<Damage>,
    /// Segments that a newer version wrote, kept in `newer/`.
    pub newer: Vec<Damage>,
    /// Files of `damaged/` that were removed, oldest first, because those there took more room than the spool may.
    pub damaged_removed: u64,
}

/// Something wrong with a file of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, where it is now.
    pub file: PathBuf,
    /// What is wrong, what could be saved, what to do.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments == 0 {
            f.write_str("the spool is empty")?;
        } else {
            write!(f, "the spool holds {} events in {} segments ({} bytes)", self.events, self.segments, self.bytes)?;
        }
        if self.torn_bytes > 0 {
            write!(
                f,
                "; {} bytes that a crash interrupted before they were acknowledged are ignored",
                self.torn_bytes
            )?;
        }
        if let Some(first) = self.newer.first() {
            write!(f, "; {} segments are of a newer version, such as {first}", self.newer.len())?;
        }
        for damage in self.damaged.iter().take(DAMAGES_SHOWN) {
            write!(f, "; {damage}")?;
        }
        match self.damaged.len().saturating_sub(DAMAGES_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more damaged files"),
        }
    }
}

/// A closed segment's file.
#[derive(Clone, Debug)]
pub(super) struct ClosedSegment {
    pub(super) id: Uuid,
    pub(super) path: PathBuf,
    /// How much of the file counts.
    pub(super) bytes: u64,
    /// Events that it should hold.
    pub(super) events: u64,
    /// How its bytes are shared among the sites in it.
    pub(super) bytes_of: HashMap<SiteId, u64>,
}

/// Looks at every segment in the folder, puts what it keeps on disk (so that a second reading finds the same), finishes
/// interrupted removals, and moves what can't be opened aside. Oldest first.
pub(super) fn recover(
    files: &dyn Files,
    folder: &Path,
    key: &MasterKey,
    max_bytes: u64,
) -> Result<(Recovery, Vec<ClosedSegment>), SpoolError> {
    let failed = |source| SpoolError::Folder { folder: folder.to_owned(), source };
    files.create_folder(folder).map_err(failed)?;
    bring_back_newer(files, folder);
    let mut names = files.list(folder).map_err(failed)?;
    names.retain(|name| name.ends_with(SEGMENT_SUFFIX));
    names.sort_unstable();

    let mut recovery = Recovery::default();
    let mut segments = Vec::new();
    let mut seen = HashSet::new();
    for name in names {
        let path = folder.join(name);
        match recover_file(files, &path, key, &mut seen) {
            Ok(Found::Segment { segment, torn_bytes, damage }) => {
                recovery.segments += 1;
                recovery.events += segment.events;
                recovery.bytes += segment.bytes;
                recovery.torn_bytes += torn_bytes;
                recovery.damaged.extend(damage.map(|what| Damage { file: path, what }));
                segments.push(segment);
            }
            Ok(Found::Nothing { torn_bytes }) => {
                recovery.torn_bytes += torn_bytes;
                files.remove(&path).map_err(failed)?;
            }
            Ok(Found::Unusable(what)) => {
                let what = format!("{what}; move it back into {} once that is put right", folder.display());
                recovery.damaged.push(move_aside(files, folder, DAMAGED_FOLDER, &path, what));
            }
            Ok(Found::Newer(what)) => {
                let what = format!("{what}; it is whole, and that version stores it when it starts");
                recovery.newer.push(move_aside(files, folder, NEWER_FOLDER, &path, what));
            }
            Err(error) => {
                let what =
                    format!("it could not be read and stays where it is, to be tried at the next start: {error}");
                recovery.damaged.push(Damage { file: path, what });
            }
        }
    }
    files.sync_folder(folder).map_err(failed)?;
    recovery.damaged_removed = bound_damaged(files, folder, max_bytes);
    Ok((recovery, segments))
}

enum Found {
    Segment { segment: ClosedSegment, torn_bytes: u64, damage: Option<String> },
    Nothing { torn_bytes: u64 },
    Unusable(String),
    Newer(String),
}

fn recover_file(files: &dyn Files, path: &Path, key: &MasterKey, seen: &mut HashSet<Uuid>) -> io::Result<Found> {
    let bytes = match files.read(path, MAX_SEGMENT_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Ok(Found::Unusable(format!("it is longer than a segment can be ({MAX_SEGMENT_BYTES} bytes)")));
        }
        other => other?,
    };
    let segment_key = match SegmentKey::open(&bytes, key) {
        Ok(segment_key) => segment_key,
        Err(HeaderError::NeverWritten | HeaderError::KeyDestroyed) => return Ok(Found::Nothing { torn_bytes: 0 }),
        Err(error @ HeaderError::Newer(_)) => return Ok(Found::Newer(error.to_string())),
        Err(error) => return Ok(Found::Unusable(error.to_string())),
    };
    if !seen.insert(segment_key.id()) {
        return Ok(Found::Unusable("it is a copy of another segment in the folder, which is kept".to_owned()));
    }
    let contents = segment_key.read(&bytes);
    let damage = contents.damage();
    if contents.beacons.is_empty() && contents.drops.is_empty() && damage.is_none() {
        return Ok(Found::Nothing { torn_bytes: contents.torn_bytes });
    }
    files.sync(path)?;
    let segment = ClosedSegment {
        id: segment_key.id(),
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        events: contents.events(),
        bytes_of: bytes_of(&contents, bytes.len() as u64),
    };
    Ok(Found::Segment { segment, torn_bytes: contents.torn_bytes, damage })
}

/// A segment's bytes by site, as far as beacons say: each counts for the same share.
fn bytes_of(contents: &Contents, bytes: u64) -> HashMap<SiteId, u64> {
    let each = bytes / (contents.beacons.len() as u64).max(1);
    let mut bytes_of = HashMap::new();
    for beacon in &contents.beacons {
        *bytes_of.entry(beacon.site.clone()).or_default() += each;
    }
    bytes_of
}

/// Keeps `damaged/` within the room that the spool itself may take: removes the oldest files beyond it, never the newest, and
/// says so. How many.
pub(super) fn bound_damaged(files: &dyn Files, folder: &Path, max_bytes: u64) -> u64 {
    let aside = folder.join(DAMAGED_FOLDER);
    // Names sort by age; no folder, no files.
    let mut names = files.list(&aside).unwrap_or_default();
    names.sort_unstable_by(|one, next| next.cmp(one));
    let (mut kept, mut count, mut removed) = (0_u64, 0, 0);
    for name in names {
        let path = aside.join(name);
        kept = kept.saturating_add(files.length(&path).unwrap_or_default());
        count += 1;
        if count == 1 || (kept <= max_bytes && count <= MAX_DAMAGED_FILES) {
            continue;
        }
        match files.remove(&path) {
            Ok(()) => {
                removed += 1;
                tracing::error!(file = %path.display(), "a damaged spool file was removed: damaged/ took more room than the spool may");
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a damaged spool file can't be removed");
            }
        }
    }
    removed
}

/// Moves segments that an older version set aside to where the others are: this version may be the one that reads them.
fn bring_back_newer(files: &dyn Files, folder: &Path) {
    let aside = folder.join(NEWER_FOLDER);
    for name in files.list(&aside).unwrap_or_default() {
        let path = aside.join(&name);
        if let Err(error) = files.rename(&path, &folder.join(&name)) {
            tracing::warn!(file = %path.display(), %error, "a segment that was set aside can't be moved back");
        }
    }
}

/// Keeps a file that can't be stored out of the way, without deleting it.
pub(super) fn move_aside(files: &dyn Files, folder: &Path, aside: &str, path: &Path, what: String) -> Damage {
    let aside = folder.join(aside);
    let target = aside.join(path.file_name().unwrap_or(path.as_os_str()));
    let moved = files
        .create_folder(&aside)
        .and_then(|()| files.rename(path, &target))
        .and_then(|()| files.sync_folder(&aside))
        .and_then(|()| files.sync_folder(folder));
    match moved {
        Ok(()) => Damage { what: format!("{what}; it was moved here"), file: target },
        Err(error) => Damage {
            what: format!("{what}; it could not be moved to {} and stays where it is: {error}", aside.display()),
            file: path.to_owned(),
        },
    }
}
