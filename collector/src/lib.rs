//! Firmsight's collector: beacons in, companies out.
//!
//! # Layout
//! Each room may import those above it, never those below (ARCHITECTURE.md says why).
//!
//! - [`time`], [`site`], [`person`], [`snapshot`], [`counters`], [`metrics`], [`backoff`], [`plain_text`]: the words every room shares
//! - [`sealing`]: AES-256-GCM under the master key
//! - [`spool`]: the durable, sealed queue between "answered 2xx" and "stored"
//! - [`ingest`]: the public side: beacons, pixel, tracker files, opt-out page
//! - [`data_files`]: data files from their publishers
//! - [`store`]: ClickHouse: connection, migrations, rows
//! - [`control`]: sites, keys and day keys: the one writer of control data
//! - [`retention`]: how long what is stored stays
//! - [`pipeline`]: spool to rows to visits to company days
//! - [`import`]: access logs
//! - [`reports`]: questions about companies and visits, and their answers; no HTTP
//! - [`admin`]: the admin listener: who asks, allowance, audit, usage, health, metrics, refusals
//! - [`sign_in`]: passwords, sessions, and whether a request comes from our own pages
//! - [`leadfeeder`], [`api`], [`dashboard`]: siblings on it that only translate between their form and `reports` or `control`
//! - [`config`], [`serve`], [`cli`]: putting it together
#![forbid(unsafe_code)]

pub mod backoff;
pub mod counters;
pub mod feed;
pub mod metrics;
pub mod objection;
pub mod person;
pub mod plain_text;
pub mod site;
pub mod snapshot;
pub mod time;

pub mod sealing;
pub mod spool;

pub mod data_files;
pub mod ingest;

pub mod control;
pub mod store;

pub mod retention;

pub mod pipeline;

pub mod import;
pub mod reports;

pub mod admin;
pub mod sign_in;

pub mod api;
pub mod dashboard;
pub mod leadfeeder;

pub mod cli;
pub mod config;
pub mod serve;
