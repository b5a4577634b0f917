//! `firmsight backups`: which backups a folder holds, and removing the oldest.
//!
//! Only what bears the name that `backup` gives is looked at or removed. Folders only: what an S3-like service or a disk of a
//! ClickHouse server holds is listed and removed with their own tools.

use super::{CliError, print};
use jiff::{civil::DateTime, tz::TimeZone};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How `backup` names what it makes.
const PREFIX: &str = "firmsight-";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A backup in a folder.
struct Backup {
    path: PathBuf,
    /// In seconds since 1970.
    made_at: i64,
    bytes: u64,
}

/// Prints the backups, newest first.
pub(super) fn list(folder: &Path, json: bool) -> Result<(), CliError> {
    let lines = found(folder)?.into_iter().map(|backup| {
        let (path, made_at, bytes) = (backup.path.display(), shown(backup.made_at), backup.bytes);
        match json {
            true => format!("{}\n", serde_json::json!({"path": path.to_string(), "made_at": made_at, "bytes": bytes})),
            false => format!("{made_at}\t{} MiB\t{path}\n", bytes.div_ceil(1 << 20)),
        }
    });
    print(&lines.collect::<String>())
}

/// Removes all but the newest; says which.
pub(super) fn prune(folder: &Path, keep: usize) -> Result<(), CliError> {
    let mut text = String::new();
    for backup in found(folder)?.into_iter().skip(keep) {
        fs::remove_dir_all(&backup.path).map_err(|source| CliError::Write { path: backup.path.clone(), source })?;
        text += &format!("removed {}\n", backup.path.display());
    }
    print(&text)
}

fn found(folder: &Path) -> Result<Vec<Backup>, CliError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Read { path, source }
    };
    let mut backups = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        if let Some(made_at) = entry.file_name().to_str().and_then(made_at)
            && path.is_dir()
        {
            let bytes = size(&path).map_err(failed(&path))?;
            backups.push(Backup { path, made_at, bytes });
        }
    }
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.made_at));
    Ok(backups)
}

/// When a backup with this name was made.
fn made_at(name: &str) -> Option<i64> {
    let time = DateTime::strptime(TIME, name.strip_prefix(PREFIX)?).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

fn shown(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_of_our_own_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "firmsight-20261122T031500Z",
            "firmsight-20261124T031500Z",
            "firmsight-20261123T031500Z",
            "firmsight-notes",
            "other",
        ] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("data"), "12345").unwrap();
        }
        let times: Vec<String> = found(folder.path()).unwrap().iter().map(|backup| shown(backup.made_at)).collect();
        assert_eq!(times, ["2026-11-24T03:15:00Z", "2026-11-23T03:15:00Z", "2026-11-22T03:15:00Z"]);
        assert!(found(folder.path()).unwrap().iter().all(|backup| backup.bytes == 5));
        prune(folder.path(), 2).unwrap();
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["firmsight-20261123T031500Z", "firmsight-20261124T031500Z", "firmsight-notes", "other"]);
    }
}
