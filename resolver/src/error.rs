//! What can go wrong when the resolver is set up. Looking an address up never fails: what is not known is `Unknown`.

use std::{io, path::PathBuf};

/// Why the resolver could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// A data file is not there.
    #[error(
        "{path}: there is no such data file; fetch the default set with `cargo xtask data` or name another in [resolver].databases"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A data file could not be read.
    #[error("{path}: can't be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A private copy of a data file could not be made.
    #[error("{path}: a private copy can't be made in {folder}: {source}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// Where the copy should be.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A data file is of none of the known forms, or cut short.
    #[error("{path}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A database holds records that this version can't use.
    #[error(
        "{path}: its records ({database_type}) hold neither networks, companies nor places that Firmsight can read; fields seen: {fields}"
    )]
    UnknownRecords {
        /// The file.
        path: PathBuf,
        /// The database's own name for its type.
        database_type: String,
        /// The first fields of its first records.
        fields: String,
    },
    /// No folder with data files could be found.
    #[error("no data folder: neither XDG_CACHE_HOME nor HOME is set; name the files in [resolver].databases")]
    NoFolder,
    /// A rule file inside the program is malformed; its tests should have found that.
    #[error("rule file {file}, line {line}: {reason}")]
    Rules {
        /// The rule file.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The DNS client could not be set up.
    #[error("reverse DNS can't start: {reason}; name servers in [resolver].nameservers or set [resolver].dns = false")]
    Dns {
        /// What the library said.
        reason: String,
    },
}
