//! The half that takes away what was not on disk.

use crate::journal::{Change, Inode, JOURNAL_FILE};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What a cut took away or brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Names that were made, changed or removed and are again as they were.
    pub names: usize,
    /// Bytes that were written and are gone.
    pub bytes: u64,
}

/// Makes the tree below `root` what a power cut would have left of it, from the journal in `journal`, which is
/// emptied. All processes that were watched must be gone.
///
/// `is_strict` says of a folder whether its names count only after a sync of itself; `keep` chooses, of a number of bytes
/// that may or may not be on disk, how many are.
///
/// # Errors
/// When the journal can't be read, or a file can't be put back as it was.
pub fn cut(
    root: &Path,
    journal: &Path,
    is_strict: impl Fn(&Path) -> bool,
    mut keep: impl FnMut(u64) -> u64,
) -> io::Result<Lost> {
    let changes: Vec<Change> =
        fs::read_to_string(journal.join(JOURNAL_FILE))?.lines().filter_map(Change::parse).collect();
    let mut lost = Lost::default();
    for (place, change) in changes.iter().enumerate().rev() {
        if !is_durable(change, &changes[place + 1..], &is_strict) {
            lost.names += usize::from(undo(change, journal)?);
        }
    }
    let mut lengths: HashMap<Inode, u64> = HashMap::new();
    for change in &changes {
        match change {
            Change::FileSynced { inode, length } => {
                let known = lengths.entry(*inode).or_default();
                *known = (*known).max(*length);
            }
            // Whatever was there before the watch began is taken to be on disk: only what was made since is known.
            Change::Created { inode, .. } => {
                lengths.entry(*inode).or_default();
            }
            _ => {}
        }
    }
    cut_files(root, &lengths, &mut keep, &mut lost)?;
    for entry in fs::read_dir(journal)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(lost)
}

fn is_durable(change: &Change, later: &[Change], is_strict: &impl Fn(&Path) -> bool) -> bool {
    let synced = |path: &PathBuf| {
        let Some(folder) = path.parent() else { return true };
        later.iter().any(|later| match later {
            Change::FolderSynced { path } => !is_strict(folder) || path == folder,
            Change::FileSynced { .. } => !is_strict(folder),
            _ => false,
        })
    };
    match change {
        Change::Created { path, .. } | Change::Removed { path, .. } => synced(path),
        Change::Renamed { from, to, .. } => synced(from) && synced(to),
        Change::FileSynced { .. } | Change::FolderSynced { .. } => true,
    }
}

/// Takes one change back; false where a later one that counts has overtaken it.
fn undo(change: &Change, journal: &Path) -> io::Result<bool> {
    let kept = |inode: Inode| journal.join(inode.0.to_string());
    match change {
        Change::Created { path, inode } => {
            let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(false) };
            if metadata.ino() != inode.0 {
                return Ok(false);
            }
            if metadata.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Change::Removed { path, inode, is_folder } => {
            let has_a_place = path.parent().is_some_and(Path::is_dir);
            if fs::symlink_metadata(path).is_ok() || !has_a_place {
                return Ok(false);
            }
            if *is_folder {
                fs::create_dir(path)?;
            } else if kept(*inode).exists() {
                fs::hard_link(kept(*inode), path)?;
            } else {
                return Ok(false);
            }
        }
        Change::Renamed { from, to, replaced } => {
            let has_a_place = from.parent().is_some_and(Path::is_dir);
            if fs::symlink_metadata(to).is_err() || fs::symlink_metadata(from).is_ok() || !has_a_place {
                return Ok(false);
            }
            #[allow(clippy::disallowed_methods, reason = "nothing here has to last")]
            fs::rename(to, from)?;
            if let Some(inode) = replaced {
                fs::hard_link(kept(*inode), to)?;
            }
        }
        Change::FileSynced { .. } | Change::FolderSynced { .. } => return Ok(false),
    }
    Ok(true)
}

fn cut_files(
    folder: &Path,
    lengths: &HashMap<Inode, u64>,
    keep: &mut impl FnMut(u64) -> u64,
    lost: &mut Lost,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            cut_files(&entry.path(), lengths, keep, lost)?;
        } else if metadata.is_file()
            && let Some(synced) = lengths.get(&Inode(metadata.ino()))
            && let Some(unsynced @ 1..) = metadata.len().checked_sub(*synced)
        {
            let kept = keep(unsynced).min(unsynced);
            fs::OpenOptions::new().write(true).open(entry.path())?.set_len(synced + kept)?;
            lost.bytes += unsynced - kept;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        root: tempfile::TempDir,
        journal: tempfile::TempDir,
        changes: Vec<Change>,
    }

    impl Scene {
        fn new() -> Self {
            let folder = || tempfile::tempdir().unwrap();
            Self { root: folder(), journal: folder(), changes: Vec::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn inode(&self, name: &str) -> Inode {
            Inode(fs::metadata(self.path(name)).unwrap().ino())
        }

        fn write(&mut self, name: &str, contents: &str) {
            let is_new = !self.path(name).exists();
            fs::write(self.path(name), contents).unwrap();
            if is_new {
                let change = Change::Created { path: self.path(name), inode: self.inode(name) };
                self.changes.push(change);
            }
        }

        fn sync(&mut self, name: &str) {
            let length = fs::metadata(self.path(name)).unwrap().len();
            self.changes.push(Change::FileSynced { inode: self.inode(name), length });
        }

        fn sync_folder(&mut self) {
            self.changes.push(Change::FolderSynced { path: self.root.path().to_owned() });
        }

        fn remove(&mut self, name: &str) {
            let inode = self.inode(name);
            fs::hard_link(self.path(name), self.journal.path().join(inode.0.to_string())).unwrap();
            fs::remove_file(self.path(name)).unwrap();
            self.changes.push(Change::Removed { path: self.path(name), inode, is_folder: false });
        }

        #[allow(clippy::disallowed_methods, reason = "nothing here has to last")]
        fn rename(&mut self, from: &str, to: &str) {
            let replaced = self.path(to).exists().then(|| self.inode(to));
            if let Some(inode) = replaced {
                fs::hard_link(self.path(to), self.journal.path().join(inode.0.to_string())).unwrap();
            }
            fs::rename(self.path(from), self.path(to)).unwrap();
            self.changes.push(Change::Renamed { from: self.path(from), to: self.path(to), replaced });
        }

        /// What is there after the cut: names and contents.
        fn cut(self, is_strict: bool) -> Vec<(String, String)> {
            let lines: String = self.changes.iter().map(|change| format!("{change}\n")).collect();
            fs::write(self.journal.path().join(JOURNAL_FILE), lines).unwrap();
            cut(self.root.path(), self.journal.path(), |_| is_strict, |_| 0).unwrap();
            let mut left: Vec<(String, String)> = fs::read_dir(self.root.path())
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
                .collect();
            left.sort();
            left
        }
    }

    fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, contents)| ((*name).to_owned(), (*contents).to_owned())).collect()
    }

    #[test]
    fn what_was_written_behind_the_last_sync_is_gone() {
        let mut scene = Scene::new();
        scene.write("a", "12");
        scene.sync("a");
        scene.sync_folder();
        scene.write("a", "1234");
        assert_eq!(scene.cut(true), files(&[("a", "12")]));
    }

    #[test]
    fn a_new_name_counts_after_a_sync_of_its_folder_or_where_that_is_enough_of_any_file() {
        for (is_strict, expected) in [(true, files(&[])), (false, files(&[("a", "12")]))] {
            let mut scene = Scene::new();
            scene.write("a", "12");
            scene.sync("a");
            scene.write("b", "never synced");
            assert_eq!(scene.cut(is_strict), expected);
        }
    }

    #[test]
    fn a_removed_file_comes_back_and_a_changed_name_is_the_old_one_again() {
        let mut scene = Scene::new();
        for name in ["removed", "from", "to"] {
            scene.write(name, name);
            scene.sync(name);
        }
        scene.sync_folder();
        scene.remove("removed");
        scene.rename("from", "to");
        assert_eq!(scene.cut(true), files(&[("from", "from"), ("removed", "removed"), ("to", "to")]));
    }

    #[test]
    fn what_was_synced_after_the_change_stays() {
        let mut scene = Scene::new();
        scene.write("from", "from");
        scene.sync("from");
        scene.write("old", "old");
        scene.rename("from", "to");
        scene.remove("old");
        scene.sync_folder();
        assert_eq!(scene.cut(true), files(&[("to", "from")]));
    }
}
