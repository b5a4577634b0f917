//! Addresses to listen on, as people write them.

use serde::{Deserialize, Deserializer, de};
use std::net::{Ipv4Addr, SocketAddr};

/// Reads `"127.0.0.1:8080"`, `"[::1]:8080"`, `"localhost:8080"` or `"*:8080"`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        de::Error::custom(format!(
            "{shown:?} is not allowed; write an address and a port, such as \"127.0.0.1:8080\", \"[::1]:8080\", \"localhost:8080\" \
             or \"*:8080\" for all addresses of this machine"
        ))
    })
}

fn parse(text: &str) -> Option<SocketAddr> {
    let named = |name: &str, address: Ipv4Addr| {
        let port = text.strip_prefix(name)?.strip_prefix(':')?.parse::<u16>().ok()?;
        Some(SocketAddr::from((address, port)))
    };
    text.parse().ok().or_else(|| named("localhost", Ipv4Addr::LOCALHOST)).or_else(|| named("*", Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("[::1]:8080", Some("[::1]:8080")),
            ("localhost:8080", Some("127.0.0.1:8080")),
            ("*:80", Some("0.0.0.0:80")),
            ("8080", None),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:99999", None),
            ("example.com:8080", None),
        ] {
            assert_eq!(parse(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }
}
