//! What can go wrong in a task: what, where and what to do.

use std::{io, path::PathBuf};

/// Why a task stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// A program could not be started.
    #[error("can't start {program}: {source}; {hint}")]
    Start { program: String, source: io::Error, hint: String },
    /// A program ended with a failure.
    #[error("{command} failed ({status})")]
    Failed { command: String, status: String },
    /// Something that is needed is missing.
    #[error("{0}")]
    Missing(String),
    /// What was fetched is not what was pinned.
    #[error("{package}: the download's SHA-256 is {found}, pinned is {pinned}; nothing was installed")]
    Hash { package: String, found: String, pinned: String },
    /// Anything else, said in one sentence.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
