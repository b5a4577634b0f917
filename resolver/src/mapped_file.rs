//! Data files in memory, without reading them: mapped, and safe from whoever changes them.
//!
//! A mapped file that somebody cuts short or overwrites in place (`cp new.mmdb old.mmdb`, `rsync --inplace`) kills the
//! process that touches the missing part (SIGBUS), or changes under its hands. Nothing that another name for the same
//! file could do helps: a hard link leads to the same bytes. So a server maps a private copy: a file without a name in a
//! folder of its own, gone when the process is. Where the file system can, the copy shares the original's blocks
//! (`copy_file_range`); elsewhere it costs the file's size on that disk, and memory only as pages are read, which the
//! kernel takes back when it needs them. Reading the file into memory instead would hold all of it, for files of
//! gigabytes too.
//!
//! A command that ends by itself maps the original: it is quicker, and a file that changes meanwhile hurts nobody else.

use crate::ResolverError;
use memmap2::Mmap;
use std::{fs::File, io, ops::Deref, path::Path, sync::Arc};

/// A mapped file; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct MappedFile(Arc<Mmap>);

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl MappedFile {
    /// Maps a private copy of a file, made in the folder `copies`, or without one the file itself.
    #[allow(unsafe_code)]
    pub(crate) fn open(path: &Path, copies: Option<&Path>) -> Result<Self, ResolverError> {
        let read = |source| ResolverError::Read { path: path.to_owned(), source };
        let original = File::open(path).map_err(read)?;
        let file = match copies {
            Some(folder) => copy(path, original, folder)?,
            None => original,
        };
        // SAFETY: nobody else can reach a private copy. A file that is mapped itself must not be changed in place; data
        // files are replaced by renaming a new file over them, which leaves the mapped one as it was.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        Ok(Self(Arc::new(map)))
    }
}

/// A file without a name that holds the same, of one moment.
fn copy(path: &Path, mut original: File, folder: &Path) -> Result<File, ResolverError> {
    let not_copied = |source| ResolverError::Copy { path: path.to_owned(), folder: folder.to_owned(), source };
    let state = |file: &File| file.metadata().and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
    std::fs::create_dir_all(folder).map_err(not_copied)?;
    let mut copy = tempfile::tempfile_in(folder).map_err(not_copied)?;
    let before = state(&original).map_err(not_copied)?;
    let copied = io::copy(&mut original, &mut copy).map_err(not_copied)?;
    if copied != before.0 || before != state(&original).map_err(not_copied)? {
        return Err(ResolverError::Damaged {
            path: path.to_owned(),
            reason: "it is being written now; write a new file beside it and rename that over it".to_owned(),
        });
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_private_copy_survives_whatever_happens_to_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copies) = (folder.path().join("a.mmdb"), folder.path().join("copies"));
        let content: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        let mapped = MappedFile::open(&path, Some(&copies)).unwrap();
        fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        assert!(*mapped == *content);
        fs::write(&path, vec![0; content.len()]).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(*mapped == *content);
        assert_eq!(fs::read_dir(&copies).unwrap().count(), 0, "a copy has no name");
    }

    #[test]
    fn without_a_place_for_copies_the_refusal_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mmdb");
        fs::write(&path, "content").unwrap();
        let error = MappedFile::open(&path, Some(&path)).unwrap_err().to_string();
        assert!(error.contains("private copy"), "{error}");
    }
}
