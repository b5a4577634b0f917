//! ClickHouse: the one client, its migrations and its rows.
//!
//! The embedded server, a server and a cluster are reached the same way, over HTTP with the `clickhouse` crate, and
//! differ in [`Settings`] only. A [`Store`] is cheap to clone, holds no state of its own and connects when it is
//! first used, so that it can be made while ClickHouse is away.
//!
//! Every call has a time limit, and every failure says by [`StoreError::is_retryable`] whether the same call may
//! succeed later. When in doubt it may: what is given up is lost.

mod cluster;
mod connection;
mod error;
mod insert;
mod migrate;
mod rows;
mod staged;
mod statements;

pub use cluster::Cluster;
pub use connection::{Settings, Store, Version};
pub use error::StoreError;
pub use migrate::{MIGRATIONS, Migration};
pub use rows::{CompanyDayRow, CompanyRow, DropRow, EventRow, VisitRow};
pub(crate) use staged::Staged;
