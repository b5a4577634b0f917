//! Starts a ClickHouse for one program: as a child process, on loopback, gone when the program is gone.
//!
//! The engine is either the library `libchdb.so` (ClickHouse as chDB packs it, which since 26.7 holds
//! ClickHouse's real HTTP server) or a `clickhouse` binary. Both get the same generated configuration
//! and are reached over HTTP, as any ClickHouse is.
//!
//! # Design
//! - **A child, not a thread.** Loaded into the program itself, the engine ends the whole process when it
//!   stops or crashes. So the program executes itself again ([`child_main_if_asked`] takes over when a
//!   hidden first argument is there) and the child loads the library.
//! - **It dies with its parent.** The kernel kills it when the parent is gone (`PR_SET_PDEATHSIG`), and an
//!   orderly stop is the end of its standard input. The thread that starts the child waits for it
//!   too, because that signal comes when the starting *thread* ends.
//! - **One per folder.** The child holds a lock on the folder for its whole life, so that a successor
//!   waits for a predecessor that is still dying, and no longer than [`Settings::folder_patience`].
//! - **Nobody else's.** It listens on 127.0.0.1, on a port the kernel chose, and answers queries only with
//!   a header whose value is made for each start, because the engine's session has no password and can
//!   read the user's files. `/ping` is open.
//!
//! ```no_run
//! # async fn run() -> Result<(), clickhouse_embedded::Error> {
//! use clickhouse_embedded::{Settings, locate, start};
//!
//! let engine = locate(None, &["/usr/lib/firmsight/libchdb.so".into()])?;
//! let server = start(Settings::new("data/clickhouse", engine)).await?;
//! println!("{} with {:?}", server.url(), server.secret_header());
//! server.stop().await;
//! # Ok(()) }
//! ```

mod child;
mod configuration;
mod ffi;
mod locate;
mod server;

pub use child::child_main_if_asked;
pub use locate::locate;
pub use server::{ClusterNode, Exit, Server, Settings, start};

use std::{path::PathBuf, time::Duration};

/// What runs ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `libchdb.so`, version 26.7 or later.
    Library(PathBuf),
    /// A `clickhouse` binary.
    Binary(PathBuf),
}

impl Engine {
    /// The file that is loaded or executed.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Library(path) | Self::Binary(path) => path,
        }
    }
}

/// Why there is no embedded ClickHouse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither library nor binary is where one is expected.
    #[error("no embedded ClickHouse found: looked for {}", list(.looked_for))]
    NotFound {
        /// Every path tried.
        looked_for: Vec<PathBuf>,
    },
    /// A folder or file of the server's own could not be made.
    #[error("cannot prepare {}: {source}", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The program could not be executed.
    #[error("cannot execute {}: {source}", .program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works on the data folder.
    #[error("{} is in use by another process, even after {} seconds: stop the other one, or choose another folder", .folder.display(), .waited.as_secs())]
    FolderInUse {
        /// The data folder.
        folder: PathBuf,
        /// How long the start waited for it.
        waited: Duration,
    },
    /// The child ended before it answered.
    #[error("the embedded ClickHouse ended while starting ({0})")]
    Ended(Exit),
    /// The child runs but did not answer in time; it was killed.
    #[error("the embedded ClickHouse did not answer within {} seconds", .0.as_secs())]
    Silent(Duration),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
