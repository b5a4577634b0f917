//! Lists of where relays leave, as those who run them publish them: iCloud Private Relay's and Tor's.
//!
//! Nothing can be known of who browses through them, so they are final.

use super::range_lists::RangeTable;
use crate::{NetworkKind, rules::RangeSays};
use ipnet::IpNet;
use std::net::IpAddr;

const RELAY: RangeSays = RangeSays { kind: NetworkKind::Anonymizer, weight: 20.0, is_final: true };
/// The first word of Tor's list.
const TOR_START: &str = "ExitNode ";

/// Whether a file that starts so is Apple's list: `CIDR,country,region,city,`.
pub(crate) fn is_private_relay(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| private_relay_network(line).is_some())
}

/// Whether a file that starts so is the Tor project's `exit-addresses`.
pub(crate) fn is_tor_exits(start: &[u8]) -> bool {
    start.starts_with(TOR_START.as_bytes())
}

/// Reads Apple's `egress-ip-ranges.csv`.
pub(crate) fn private_relay(bytes: &[u8]) -> Result<RangeTable, String> {
    let networks = lines(bytes)?
        .map(|(number, line)| private_relay_network(line).ok_or_else(|| format!("line {number} is no relay range")))
        .collect::<Result<Vec<_>, _>>()?;
    RangeTable::of(RELAY, "in a range through which iCloud Private Relay leaves", networks)
}

/// `172.224.224.0/31,GB,GB-EN,London,`: the network of a row. Country, region and city may be empty.
fn private_relay_network(line: &str) -> Option<IpNet> {
    let mut fields = line.trim_end_matches('\r').split(',');
    let network = fields.next()?.parse().ok()?;
    let country = fields.next()?;
    let is_country = country.is_empty() || (country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()));
    let region = fields.next()?;
    let is_region = region.is_empty() || region.starts_with(country);
    (is_country && is_region && fields.count() >= 1).then_some(network)
}

/// Reads the Tor project's `exit-addresses`: the addresses of lines `ExitAddress 192.0.2.1 2026-11-01 03:04:05`.
pub(crate) fn tor_exits(bytes: &[u8]) -> Result<RangeTable, String> {
    let mut networks = Vec::new();
    for (number, line) in lines(bytes)? {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("ExitAddress") => {
                let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
                networks.push(IpNet::from(address.ok_or_else(|| format!("line {number} has no address"))?));
            }
            Some("ExitNode" | "Published" | "LastStatus") => {}
            _ => return Err(format!("line {number} is none of Tor's")),
        }
    }
    RangeTable::of(RELAY, "the address of a Tor exit", networks)
}

/// Lines with something in them, numbered from 1.
fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    Ok((1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY_LIST: &str =
        "172.224.224.0/31,GB,GB-EN,London,\n2a02:26f7:c000::/64,,,,\n104.28.0.0/24,US,US-CA,\"Los Angeles\",\n";
    const TOR_LIST: &str = "ExitNode 0011BD2485AD45D984EC4159C88FC066E5E3300E\nPublished 2026-11-01 03:04:05\n\
                            LastStatus 2026-11-01 04:00:00\nExitAddress 5.2.3.4 2026-11-01 03:04:06\n";

    #[test]
    fn the_publishers_forms_are_told_apart_and_read() {
        assert!(is_private_relay(RELAY_LIST.as_bytes()) && !is_private_relay(TOR_LIST.as_bytes()));
        assert!(is_tor_exits(TOR_LIST.as_bytes()) && !is_tor_exits(RELAY_LIST.as_bytes()));
        let (relay, tor) = (private_relay(RELAY_LIST.as_bytes()).unwrap(), tor_exits(TOR_LIST.as_bytes()).unwrap());
        for (table, ip, is_in) in [
            (&relay, "172.224.224.1", true),
            (&relay, "172.224.224.2", false),
            (&relay, "2a02:26f7:c000::7", true),
            (&relay, "104.28.0.255", true),
            (&tor, "5.2.3.4", true),
            (&tor, "5.2.3.5", false),
        ] {
            let meaning = table.meaning(ip.parse().unwrap()).map(|(meaning, _)| (meaning.kind, meaning.is_final));
            assert_eq!(meaning, is_in.then_some((NetworkKind::Anonymizer, true)), "{ip}");
        }
    }

    #[test]
    fn other_lists_and_broken_ones_are_refused() {
        for list in [
            "5.5.0.0/16,Acme Inc.,acme.example,x\n",
            "5.5.0.0/16\n",
            "5.5.0.0/16,US\n",
            "<!doctype html>,US,US-CA,,\n",
            "",
        ] {
            assert!(!is_private_relay(list.as_bytes()), "{list}");
        }
        assert!(
            private_relay(format!("{RELAY_LIST}5.5.0.0/99,US,US-CA,,\n").as_bytes())
                .err()
                .is_some_and(|error| error.contains("line 4"))
        );
        for broken in ["ExitNode 00\nExitAddress x\n", "ExitNode 00\n<html>\n"] {
            assert!(tor_exits(broken.as_bytes()).err().is_some_and(|error| error.contains("line 2")));
        }
    }
}
