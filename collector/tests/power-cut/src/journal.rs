//! What the preloaded half tells the other: one line for each change, in order, tab-separated.

use std::{fmt, path::PathBuf};

/// Names the folder below which files are watched.
pub const ROOT_VARIABLE: &str = "POWER_CUT_ROOT";
/// Names the folder in which the journal is written and removed files are kept; on the same file system as the root.
pub const JOURNAL_VARIABLE: &str = "POWER_CUT_JOURNAL";
/// The journal's file name.
pub(crate) const JOURNAL_FILE: &str = "journal";

/// A process that finds this file in the journal's folder when it is about to sync stops there, with what it wrote not
/// yet on disk: the worst moment for a cut.
pub const FREEZE_FILE: &str = "freeze";

/// The file in the journal's folder that says that a process has stopped.
#[must_use]
pub fn frozen_file(process: u32) -> String {
    format!("frozen-{process}")
}

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Inode(pub(crate) u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new file or folder.
    Created { path: PathBuf, inode: Inode },
    /// A name was taken away; a file lives on in the journal's folder under its inode.
    Removed { path: PathBuf, inode: Inode, is_folder: bool },
    /// A name was changed; what had the new one before lives on in the journal's folder.
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<Inode> },
    /// A file's contents are on disk up to this length.
    FileSynced { inode: Inode, length: u64 },
    /// A folder's names are on disk.
    FolderSynced { path: PathBuf },
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { path, inode } => write!(formatter, "created\t{}\t{}", path.display(), inode.0),
            Self::Removed { path, inode, is_folder } => {
                write!(formatter, "removed\t{}\t{}\t{is_folder}", path.display(), inode.0)
            }
            Self::Renamed { from, to, replaced } => {
                let replaced = replaced.map_or(0, |inode| inode.0);
                write!(formatter, "renamed\t{}\t{}\t{replaced}", from.display(), to.display())
            }
            Self::FileSynced { inode, length } => write!(formatter, "file-synced\t{}\t{length}", inode.0),
            Self::FolderSynced { path } => write!(formatter, "folder-synced\t{}", path.display()),
        }
    }
}

impl Change {
    /// Reads a line; none for one that a kill cut short.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let kind = fields.next()?;
        let mut path = || fields.next().map(PathBuf::from);
        Some(match kind {
            "created" => Self::Created { path: path()?, inode: Inode(fields.next()?.parse().ok()?) },
            "removed" => Self::Removed {
                path: path()?,
                inode: Inode(fields.next()?.parse().ok()?),
                is_folder: fields.next()?.parse().ok()?,
            },
            "renamed" => Self::Renamed {
                from: path()?,
                to: path()?,
                replaced: Some(fields.next()?.parse().ok()?).filter(|inode| *inode != 0).map(Inode),
            },
            "file-synced" => {
                Self::FileSynced { inode: Inode(fields.next()?.parse().ok()?), length: fields.next()?.parse().ok()? }
            }
            "folder-synced" => Self::FolderSynced { path: path()? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let path = PathBuf::from("/data/spool/a b.segment");
        for change in [
            Change::Created { path: path.clone(), inode: Inode(7) },
            Change::Removed { path: path.clone(), inode: Inode(7), is_folder: true },
            Change::Renamed { from: path.clone(), to: path.clone(), replaced: None },
            Change::Renamed { from: path.clone(), to: path.clone(), replaced: Some(Inode(9)) },
            Change::FileSynced { inode: Inode(7), length: 4096 },
            Change::FolderSynced { path },
        ] {
            assert_eq!(Change::parse(&change.to_string()), Some(change));
        }
        assert_eq!(Change::parse("created\t/data/x"), None);
    }
}
