//! What no key shows by itself: keys that contradict each other, and sizes that nothing fits into.

use super::Config;
use std::net::SocketAddr;

/// The least the spool may have: less refuses ordinary beacons while it is empty.
const LEAST_SPOOL_BYTES: u64 = 16 << 10;
/// The least a segment may have: less is closed after every beacon.
const LEAST_SEGMENT_BYTES: u64 = 4 << 10;
/// The most a segment may have; the spool reads one as a whole.
const MOST_SEGMENT_BYTES: u64 = 256 << 20;
/// Below this ClickHouse can't merge the tables' parts.
const LEAST_ENGINE_BYTES: u64 = 128 << 20;

/// The first contradiction, in one sentence that names its keys.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    if config.tracker.script_path == config.tracker.endpoint_path {
        return Some("tracker.script_path and tracker.endpoint_path must differ".to_owned());
    }
    if listens_twice(config.public.listen, config.admin.listen) {
        return Some(format!(
            "public.listen and admin.listen both take port {}: give each its own",
            config.public.listen.port()
        ));
    }
    // It is written into HTML and into proxies' configuration as it is.
    if config.public.base_url.get().is_some_and(|url| url.contains(['"', '\'', '<', '>', '&', '?', '#', ' '])) {
        return Some("public.base_url takes a host and a path, without quotes, `?` and `#`".to_owned());
    }
    let spool = &config.spool;
    let embedded = config.clickhouse.url.get().is_none().then_some(config.clickhouse.embedded_memory);
    let sizes = [
        ("spool.max_bytes", Some(spool.max_bytes), LEAST_SPOOL_BYTES, u64::MAX),
        ("spool.segment_bytes", Some(spool.segment_bytes), LEAST_SEGMENT_BYTES, MOST_SEGMENT_BYTES),
        ("clickhouse.embedded_memory", embedded, LEAST_ENGINE_BYTES, u64::MAX),
    ];
    for (key, size, least, most) in sizes {
        let Some(size) = size else { continue };
        if size.get() < least {
            return Some(format!("{key} = \"{size}\" is too small: it takes at least {} KiB", least >> 10));
        }
        if size.get() > most {
            return Some(format!("{key} = \"{size}\" is too large: it takes at most {} MiB", most >> 20));
        }
    }
    if spool.segment_bytes > spool.max_bytes {
        return Some(format!(
            "spool.segment_bytes = \"{}\" is more than spool.max_bytes = \"{}\"",
            spool.segment_bytes, spool.max_bytes
        ));
    }
    let limits = &config.limits;
    let counts = [
        ("limits.public_connections", limits.public_connections),
        ("limits.admin_connections", limits.admin_connections),
        ("limits.request_headers", limits.request_headers),
        ("resolver.dns_concurrency", config.resolver.dns_concurrency),
    ];
    counts.into_iter().find(|(_, count)| *count == 0).map(|(key, _)| format!("{key} = 0 would let nothing through"))
}

/// Whether two listeners want the same port of one address; port 0 is another one each time.
fn listens_twice(one: SocketAddr, other: SocketAddr) -> bool {
    let is_shared = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && is_shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_agree_with_themselves() {
        assert_eq!(contradiction(&Config::default()), None);
    }

    #[test]
    fn two_listeners_take_one_port_only_where_their_addresses_meet() {
        for (one, other, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("[::]:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8081", false),
            ("0.0.0.0:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(listens_twice(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} {other}");
        }
    }
}
