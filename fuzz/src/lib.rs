//! What several fuzz targets share.

use std::{cell::RefCell, fs, path::Path};
use tempfile::NamedTempFile;

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a temporary file"));
}

/// Gives the bytes to a parser that reads a file.
pub fn with_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    FILE.with_borrow(|file| {
        fs::write(file.path(), bytes).expect("a temporary file takes bytes");
        read(file.path())
    })
}

/// The first byte, which chooses among cases, and the rest.
#[must_use]
pub fn choice(bytes: &[u8]) -> (usize, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest))
}
