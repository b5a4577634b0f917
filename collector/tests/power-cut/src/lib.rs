//! A library to preload (`LD_PRELOAD`) into a process whose power is to be cut, and the cut itself.
//!
//! # Design
//! A killed process leaves its files as it last saw them, because the kernel still has the pages. A power cut doesn't: what
//! was written and not synced is gone, and so are new, removed and changed names that the file system had not yet put on
//! disk. The preloaded half (`preload`) therefore writes a *journal* of what the process does to files below
//! [`ROOT_VARIABLE`]: which names it makes, changes and removes, and which files and folders it syncs, at what length.
//! What is removed is kept under a second name, because it may have to come back. After the process was killed,
//! [`cut`] reads the journal and takes away what was not certain:
//!
//! - *Names*: a change counts once something was synced after it. In a folder that is *strict* only a sync of that folder
//!   itself counts, which is all that POSIX promises; elsewhere any later sync will do, which is what the journals of
//!   ext4 and XFS give and what ClickHouse relies on.
//! - *Contents*: of the bytes behind the length at the last sync, any number may be there.
//!
//! Bytes that were overwritten in place are left as they are: nothing here rests on them.

mod journal;
#[cfg(feature = "preload")]
mod preload;
mod restore;

pub use journal::{FREEZE_FILE, JOURNAL_VARIABLE, ROOT_VARIABLE, frozen_file};
pub use restore::{Lost, cut};
