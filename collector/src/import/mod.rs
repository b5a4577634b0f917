//! Access logs: lines of a web server become the same beacons that browsers send.
//!
//! # Design
//! Everything up to [`Importer`] is a pure core: bytes in, beacons out.
//!
//! ```text
//! input      bytes of a file ▸ unpacked members ▸ UTF-8 ▸ chunks of whole lines
//! prefix     what syslog, journald, Docker, Kubernetes put before a line is taken off
//! format     a line ▸ named columns, by a grammar ▸ a Hit
//! page       a Hit ▸ a pageview, a robot's page, or none at all and why
//! chunk      a chunk of lines ▸ what it holds; any number at once, in any order
//! run        chunks in order ▸ batches and a summary
//! beacons    a pageview ▸ a beacon, whose event id is derived from the line
//! ```
//!
//! A line is read by its own form. Forms are tried in a fixed order that no other line changes, so that the same line gives the same
//! hit in whatever file, chunk or order it comes; only a `#Fields` directive says something about the lines after it. Event ids come
//! from lines and batch ids from their events: the same file makes the same batches, running it again adds nothing, and an import
//! that was cut off is finished by running it again.
//!
//! docs/import.md says the same to the person who imports.

pub mod beacons;
pub mod chunk;
pub mod format;
pub mod input;
pub mod page;
pub mod prefix;
mod run;

pub use run::{Batch, Importer, MAX_BATCH_PAGEVIEWS, Skipped, Summary, Unparsable};

use crate::{spool::record::ClientAddress, time::UnixMillis};
use std::borrow::Cow;

/// One request as a web server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Who asked; `None` where the log has the column but no address in it.
    pub client: Option<ClientAddress>,
    /// When, by the server's clock.
    pub at: UnixMillis,
    /// The method, as written; empty when the request was no HTTP.
    pub method: Cow<'a, str>,
    /// The request target: path and query, or an absolute URL.
    pub target: Cow<'a, str>,
    /// The answer's status.
    pub status: u16,
    /// The host that was asked for, where the log has it; without port, lower case.
    pub host: Option<String>,
    /// The Referer header; empty when absent.
    pub referrer: Cow<'a, str>,
    /// The User-Agent header; `None` when the log has no such column, empty when the client sent none.
    pub user_agent: Option<Cow<'a, str>>,
    /// The first language of Accept-Language; empty when the log has none.
    pub language: String,
}

impl Hit<'_> {
    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Hit<'static> {
        Hit {
            client: self.client,
            at: self.at,
            method: Cow::Owned(self.method.into_owned()),
            target: Cow::Owned(self.target.into_owned()),
            status: self.status,
            host: self.host,
            referrer: Cow::Owned(self.referrer.into_owned()),
            user_agent: self.user_agent.map(|agent| Cow::Owned(agent.into_owned())),
            language: self.language,
        }
    }
}
