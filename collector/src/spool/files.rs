//! The file system as the spool needs it: small enough that a test can stand in for it and lose unsynced pages.

use std::{
    fmt::Debug,
    fs, io,
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::Path,
};

/// What the spool does to files. A change is certain to survive a power cut only after the matching sync returned Ok.
pub(crate) trait Files: Debug + Send + Sync {
    /// Makes a folder, with its parents, for its owner alone; fine if it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names of the files (not folders) in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// A new file for its owner alone; refuses one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// The whole file; refuses one longer than `limit` bytes with `FileTooLarge`.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// How long a file is, in bytes.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Puts what a file holds on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Replaces bytes inside a file and puts them on disk.
    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name; certain only when both folders are synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; certain only when its folder is synced.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Puts the names in a folder on disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is being written, at its end only.
pub(crate) trait AppendFile: Debug + Send {
    /// Adds all the bytes, or fails having added some of them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Puts what was appended on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `length` bytes; the next append starts there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug)]
pub(crate) struct RealFiles;

impl Files for RealFiles {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealAppendFile(file)))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_data()
    }

    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    #[allow(clippy::disallowed_methods, reason = "callers sync both folders, as the trait says")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }
}

#[derive(Debug)]
struct RealAppendFile(fs::File);

impl AppendFile for RealAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

/// Gives a finished file its final name so that a crash leaves the old file or the new one, whole: syncs the file,
/// renames it, syncs the folder.
///
/// # Errors
/// When any of the three fails.
#[allow(clippy::disallowed_methods, reason = "this is the durable rename the rule asks for")]
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::File::open(folder)?.sync_all()
}
