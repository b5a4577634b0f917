//! Access logs: lines of a web server become the same beacons that browsers send.
//!
//! Everything up to [`Importer`] is a pure core: bytes in, beacons out. A line becomes a [`Hit`]
//! ([`parse`]), a hit is a pageview or not ([`page`]), a pageview becomes a beacon whose event id is
//! derived from the line itself ([`beacons`]), and beacons leave in batches whose id is derived from
//! their events. The same file therefore always makes the same batches: running it again adds
//! nothing, and an import that was cut off is finished by running it again.
//!
//! docs/import.md says the same to the person who imports.

pub mod beacons;
pub mod input;
pub mod page;
pub mod parse;
mod run;

pub use run::{Batch, Importer, MAX_BATCH_PAGEVIEWS, Skipped, Summary, Unparsable};

use crate::{spool::record::ClientAddress, time::UnixMillis};

/// One request as a web server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Who asked.
    pub client: ClientAddress,
    /// When, by the server's clock.
    pub at: UnixMillis,
    /// The method, as written.
    pub method: String,
    /// The request target: path and query, or an absolute URL.
    pub target: String,
    /// The answer's status.
    pub status: u16,
    /// The host that was asked for, where the log has it; without port, lower case.
    pub host: Option<String>,
    /// The Referer header; empty when absent.
    pub referrer: String,
    /// The User-Agent header; `None` when the log has no such column, empty when the client sent none.
    pub user_agent: Option<String>,
    /// The first language of Accept-Language; empty when the log has none.
    pub language: String,
}
