//! Who is asking: the peer, or what proxies that the owner trusts say about it.
//!
//! The peer's address is the client's unless the peer is one of `trusted_proxies`. Then the one
//! configured header is walked from its right end (each proxy appends what it saw) for as long as the
//! hop at hand is trusted; the first hop that isn't is the client. What stands further left was
//! written by the client and is never believed. An entry that is no address ends the walk at the last
//! good hop. Forwarded (RFC 7239) is read as such when it is the configured header; every other header
//! is read as a list of addresses, which X-Forwarded-For, X-Real-IP and CF-Connecting-IP all are.

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Which peers may speak for others, and in which header.
#[derive(Clone, Debug)]
pub struct ProxyTrust {
    /// Networks of trusted proxies.
    pub networks: Vec<IpNet>,
    /// The one header that is read.
    pub header: HeaderName,
}

impl ProxyTrust {
    /// Whether this hop's word counts.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client's address; `peer` must be canonical ([`IpAddr::to_canonical`]).
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let mut hop = peer;
        for line in headers.get_all(&self.header).iter().rev() {
            let Ok(line) = line.to_str() else { return hop };
            for element in elements_from_the_right(line) {
                let named = if self.header == FORWARDED { forwarded_for(element) } else { Some(element) };
                let Some(address) = named.and_then(node_address) else { return hop };
                hop = address;
                if !self.trusts(hop) {
                    return hop;
                }
            }
        }
        hop
    }

    /// The client in a list that a proxy wrote, walked as the header is. `peer` is the hop that handed the list on; without
    /// one whoever appended the last entry is believed. `None` when nobody in it is known.
    #[must_use]
    pub fn client_in_list(&self, peer: Option<IpAddr>, list: &str) -> Option<IpAddr> {
        let mut hop = peer;
        for element in elements_from_the_right(list) {
            if hop.is_some_and(|hop| !self.trusts(hop)) {
                break;
            }
            match node_address(element) {
                Some(address) => hop = Some(address),
                None => break,
            }
        }
        hop
    }
}

/// Whether a request looks relayed by a proxy that nobody named: a loopback or private peer that sends
/// a forwarding header. Then every visitor looks local, which the owner should hear of.
#[must_use]
pub fn is_unnamed_proxy(peer: IpAddr, headers: &HeaderMap) -> bool {
    const FORWARDING: [&str; 5] = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];
    is_local(peer) && FORWARDING.iter().any(|name| headers.contains_key(*name))
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            // RFC 6598: shared address space of carriers and of container networks.
            let shared = first == 100 && (64..128).contains(&second);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The elements of a comma-separated list, last one first; commas inside quoted strings don't count.
fn elements_from_the_right(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let comma = text.bytes().enumerate().rev().find_map(|(index, byte)| {
            quoted ^= byte == b'"';
            (byte == b',' && !quoted).then_some(index)
        });
        let (left, element) = comma.map_or((None, text), |index| (Some(&text[..index]), &text[index + 1..]));
        rest = left;
        Some(element.trim())
    })
}

/// The `for` parameter of one RFC 7239 element, quotes removed.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`; IPv4-mapped
/// addresses become IPv4. Obfuscated nodes (`_hidden`, `unknown`) are none.
fn node_address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(bracketed);
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(peer: &str, header: &str, lines: &[&str]) -> String {
        let trust = ProxyTrust {
            networks: ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48"].map(|net| net.parse().unwrap()).to_vec(),
            header: header.parse().unwrap(),
        };
        let name: HeaderName = header.parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
        trust.client_address(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_walk_ends_at_the_first_hop_that_nobody_trusts() {
        const XFF: &str = "x-forwarded-for";
        #[rustfmt::skip]
        let table: &[(&str, &str, &[&str], &str)] = &[
            // An untrusted peer's word never counts.
            ("203.0.113.9", XFF, &["198.51.100.1"], "203.0.113.9"),
            // No header, an empty header.
            ("127.0.0.1", XFF, &[], "127.0.0.1"),
            ("127.0.0.1", XFF, &[""], "127.0.0.1"),
            // One proxy, and what a client wrote before it.
            ("127.0.0.1", XFF, &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", XFF, &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", XFF, &["1.1.1.1,198.51.100.1"], "198.51.100.1"),
            // Two proxies, in one line and in two.
            ("127.0.0.1", XFF, &["1.1.1.1, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
            ("127.0.0.1", XFF, &["1.1.1.1, 198.51.100.1", "10.0.0.7"], "198.51.100.1"),
            // All hops trusted: the leftmost of them.
            ("127.0.0.1", XFF, &["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
            // Ports, brackets, IPv4-mapped.
            ("127.0.0.1", XFF, &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", XFF, &["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", XFF, &["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", XFF, &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("127.0.0.1", XFF, &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", XFF, &["198.51.100.1, ::ffff:10.0.0.7"], "198.51.100.1"),
            ("2001:db8:ffff::1", XFF, &["198.51.100.1"], "198.51.100.1"),
            // Garbage ends at the last good hop.
            ("127.0.0.1", XFF, &["198.51.100.1, nonsense"], "127.0.0.1"),
            ("127.0.0.1", XFF, &["198.51.100.1, unknown, 10.0.0.7"], "10.0.0.7"),
            ("127.0.0.1", XFF, &["198.51.100.1,"], "127.0.0.1"),
            ("127.0.0.1", XFF, &["999.1.1.1"], "127.0.0.1"),
            ("127.0.0.1", XFF, &["198.51.100.1:99999"], "127.0.0.1"),
            ("127.0.0.1", XFF, &["[2001:db8::1"], "127.0.0.1"),
            ("127.0.0.1", XFF, &["fe80::1%eth0"], "127.0.0.1"),
            // Headers with one address.
            ("127.0.0.1", "cf-connecting-ip", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", "x-real-ip", &["198.51.100.1"], "198.51.100.1"),
            // RFC 7239.
            ("127.0.0.1", "forwarded", &["for=198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", "forwarded", &["For=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.7"], "2001:db8::1"),
            ("127.0.0.1", "forwarded", &["for=1.1.1.1, for=198.51.100.1;proto=https, for=10.0.0.7"], "198.51.100.1"),
            ("127.0.0.1", "forwarded", &["for=\"1.1.1.1,\", for=198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", "forwarded", &["for=198.51.100.1, for=_hidden"], "127.0.0.1"),
            ("127.0.0.1", "forwarded", &["for=198.51.100.1, for=unknown"], "127.0.0.1"),
            ("127.0.0.1", "forwarded", &["for=198.51.100.1, proto=https"], "127.0.0.1"),
            ("127.0.0.1", "forwarded", &["198.51.100.1"], "127.0.0.1"),
        ];
        for (peer, header, lines, expected) in table {
            assert_eq!(client(peer, header, lines), *expected, "{peer} {header} {lines:?}");
        }
    }

    #[test]
    fn a_list_in_a_log_is_walked_as_the_header_is() {
        let trust = ProxyTrust {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: HeaderName::from_static("x-forwarded-for"),
        };
        for (peer, list, expected) in [
            (None, "203.0.113.9", Some("203.0.113.9")),
            (None, "1.1.1.1, 203.0.113.9", Some("203.0.113.9")),
            (None, "1.1.1.1, 203.0.113.9, 10.0.0.2", Some("203.0.113.9")),
            (None, "unknown", None),
            (None, "", None),
            (Some("10.0.0.1"), "1.1.1.1, 203.0.113.9", Some("203.0.113.9")),
            (Some("10.0.0.1"), "-", Some("10.0.0.1")),
            (Some("198.51.100.1"), "203.0.113.9", Some("198.51.100.1")),
        ] {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let found = trust.client_in_list(peer, list).map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn only_the_configured_header_is_read() {
        let trust = ProxyTrust {
            networks: vec!["127.0.0.1/32".parse().unwrap()],
            header: HeaderName::from_static("x-forwarded-for"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, "for=198.51.100.1".parse().unwrap());
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(trust.client_address(peer, &headers), peer);
    }

    #[test]
    fn an_unnamed_proxy_is_a_local_peer_that_forwards() {
        let mut headers = HeaderMap::new();
        let local: IpAddr = "172.17.0.1".parse().unwrap();
        assert!(!is_unnamed_proxy(local, &headers));
        headers.insert("x-forwarded-for", "198.51.100.1".parse().unwrap());
        assert!(is_unnamed_proxy(local, &headers));
        assert!(is_unnamed_proxy("::1".parse().unwrap(), &headers));
        assert!(is_unnamed_proxy("100.64.3.2".parse().unwrap(), &headers));
        assert!(!is_unnamed_proxy("203.0.113.9".parse().unwrap(), &headers));
    }

    proptest! {
        #[test]
        fn no_header_panics_and_what_the_client_wrote_never_counts(spoofed in "[ -~]{0,60}") {
            // A spoofed value with an open quote can at worst hide the walk's end, never become the client.
            let line = format!("{spoofed}, 198.51.100.1");
            let found = client("127.0.0.1", "x-forwarded-for", &[&line]);
            prop_assert_eq!(found, "198.51.100.1");
        }

        #[test]
        fn no_forwarded_header_panics(line in "[ -~]{0,80}") {
            client("127.0.0.1", "forwarded", &[&line]);
        }
    }
}
