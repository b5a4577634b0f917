//! Who is asking, by the forwarding header of a trusted proxy.
//!
//! The first byte chooses the header; each line is one header line.
#![no_main]

use collector::ingest::client_address::{ProxyTrust, is_unnamed_proxy};
use firmsight_fuzz::choice;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv4Addr};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (kind, input) = choice(input);
    let header = HeaderName::from_static(["x-forwarded-for", "forwarded", "x-real-ip"][kind % 3]);
    let trust = ProxyTrust {
        networks: ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:ffff::/48"].map(|network| network.parse().unwrap()).to_vec(),
        header: header.clone(),
    };
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).take(1_000) {
        headers.append(&header, line);
    }
    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    assert_eq!(trust.client_address(stranger, &headers), stranger, "a stranger's word counted");
    assert!(!is_unnamed_proxy(stranger, &headers));
    let client = trust.client_address(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers);
    assert_eq!(client, client.to_canonical());
});
