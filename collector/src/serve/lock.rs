//! One process at a time works on a data directory.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// The directory is ours as long as this lives; the kernel lets go of it when the process ends.
#[derive(Debug)]
pub(crate) struct DataDirectoryLock {
    _file: File,
}

/// What an attempt to take the lock found.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is ours.
    Taken(DataDirectoryLock),
    /// Another process has it; its id where it wrote one.
    HeldBy(Option<u32>),
}

impl DataDirectoryLock {
    /// Makes the directory where it is missing (mode 0700) and tries to lock it, without waiting.
    ///
    /// # Errors
    /// When the directory or the lock file can't be made.
    pub(crate) fn try_take(data_dir: &Path) -> io::Result<Attempt> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data_dir.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())?;
                Ok(Attempt::Taken(Self { _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let read = Read::by_ref(&mut file).take(32).read_to_string(&mut text);
                Ok(Attempt::HeldBy(read.ok().and_then(|_| text.trim().parse().ok())))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_has_it_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let Attempt::Taken(lock) = DataDirectoryLock::try_take(&data_dir).unwrap() else { panic!("the first is free") };
        let second = DataDirectoryLock::try_take(&data_dir).unwrap();
        assert!(matches!(second, Attempt::HeldBy(Some(pid)) if pid == std::process::id()), "{second:?}");
        drop(lock);
        assert!(matches!(DataDirectoryLock::try_take(&data_dir).unwrap(), Attempt::Taken(_)));
    }
}
