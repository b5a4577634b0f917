//! The durable queue between "answered 2xx" and "stored in ClickHouse".

pub mod record;
