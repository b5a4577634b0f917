//! Questions about companies and their visits, and the answers.
//!
//! Each file is one question: a function over the store that takes a site, a `dates::Window` and what else narrows it,
//! and gives plain results or an `Error`. Nothing here knows how it was asked or how the answer is written: HTTP, JSON and
//! parameters belong to `admin` and to the rooms that translate (`leadfeeder`, `api`).
//!
//! Only this room, of those behind the admin listener, holds SQL over visits and companies. `reading` says how a query is
//! asked, `formulas` holds the expressions that several share.

pub(crate) mod breakdowns;
pub(crate) mod companies;
pub(crate) mod company;
pub(crate) mod dates;
pub(crate) mod days;
pub(crate) mod drops;
mod error;
pub(crate) mod feeds;
mod formulas;
mod intent;
pub(crate) mod newest;
pub(crate) mod ranking;
mod reading;
mod resolver;
pub(crate) mod scores;
pub(crate) mod selection;
pub(crate) mod time_series;
mod visit_pages;
pub(crate) mod visit_stream;
pub(crate) mod visits;

pub(crate) use error::Error;
pub use resolver::ResolveForReports;
