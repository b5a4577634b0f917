//! The reverse DNS name: whose domain it is in, what its words say, and whether it spells the address.
//!
//! A name says two different things. Its registrable domain says who runs the zone: an access provider, a hosting
//! company, an organisation of its own. What stands to the left says what kind of host this is. An access provider names
//! pools after addresses (`p5483a1b2.dip0.t-ipconnect.de`), but so do organisations (`a17-….apple.com` is a desk at
//! Apple), so the words count in full only where the domain's owner is unknown:
//!
//! 1. owner known as a carrier: the name speaks for the owner's kind, words and address only strengthen it;
//! 2. owner known as an organisation: the name speaks for that organisation, more weakly when it looks like a pool;
//! 3. owner unknown: an ordinary host name (`mail.acme.example`) speaks for an organisation of its own; a spelled
//!    address, access words or a provider's vocabulary in the domain itself speak against.
//!
//! Statements never hold the name, because names spell addresses.

use super::domain_map::{DomainKnowledge, DomainMap, knowledge};
use crate::{
    Evidence, NetworkKind, Source, Statement,
    decision::{Candidate, Case},
    evidence::NamePlace,
    names::registrable_part,
    rules::Rules,
};
use std::{net::IpAddr, sync::Arc};

/// A name in a carrier's domain: its customers and its machines are there, hardly ever its desks.
const IN_CARRIER_DOMAIN: f32 = 3.0;
/// A confirmed name in the domain of an organisation whose type is known, on top of the type's weight: enough to
/// outweigh the operator of any network that carries it.
const IN_OWN_DOMAIN: f32 = 3.0;
/// A confirmed ordinary name in a domain of which nothing is known.
const IN_UNKNOWN_DOMAIN: f32 = 5.0;
/// How much a name that does not lead back to the address counts: anyone can write any name.
const UNCONFIRMED_SHARE: f32 = 0.25;
/// No heap of words outweighs everything else.
const MOST_WORD_WEIGHT: f32 = 7.0;
/// How much of what the words of the domain say counts: they were weighed on registered names, which say more.
const DOMAIN_WORDS_SHARE: f32 = 0.6;
/// How much of what words say counts where the domain's owner is known as an organisation.
const WORDS_SHARE_IN_OWN_DOMAIN: f32 = 0.5;

/// How a host name spells the address it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// The whole address.
    Whole,
    /// Its last two bytes, or three numbers in a row that could be.
    Half,
    /// One number that could be its last byte.
    Counted,
    /// No number that matters.
    None,
}

impl Spelling {
    /// Log-odds for an access pool in a domain whose owner is unknown.
    const fn weight(self) -> f32 {
        match self {
            Self::Whole => 6.0,
            Self::Half => 5.2,
            Self::Counted => 1.0,
            Self::None => 0.0,
        }
    }

    const fn statement(self) -> &'static str {
        match self {
            Self::Whole => "the name spells the address",
            Self::Half => "the name spells a part of the address",
            Self::Counted => "the name counts hosts",
            Self::None => "the name spells no address",
        }
    }
}

/// Adds what a reverse DNS name says.
pub(crate) fn judge(
    name: &str,
    is_confirmed: bool,
    ip: Option<IpAddr>,
    map: &DomainMap,
    rules: &Rules,
    case: &mut Case,
) {
    let Some(domain) = registrable_part(name) else { return };
    let host = name.get(..name.len() - domain.len()).unwrap_or_default();
    let share = if is_confirmed { 1.0 } else { UNCONFIRMED_SHARE };
    let known = knowledge(domain, map, rules);
    let reading = Reading { domain, host, spelling: spelling(host, ip), share };
    let statement = |place| Statement::name_in_domain(is_confirmed, place, known.statement.clone());
    match &known.kind {
        Some((kind, _)) if !known.names_are_own => {
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Carrier),
                kind: Some(kind.kind),
                weight: (IN_CARRIER_DOMAIN + kind.weight / 2.0) * share,
            });
            reading.add_spelling(kind.kind, 0.3, case);
            reading.add_words(rules, 0.3, |word| !word.is_organisation(), case);
        }
        Some((kind, _)) => {
            let own_kind = if kind.kind.is_organisation() { kind.kind } else { NetworkKind::Business };
            let weight = (IN_OWN_DOMAIN + kind.weight) * share;
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Organisation),
                kind: Some(own_kind),
                weight,
            });
            if is_confirmed {
                case.propose(candidate(&known, weight));
            }
            reading.add_words(rules, WORDS_SHARE_IN_OWN_DOMAIN, |word| word == NetworkKind::Crawler, case);
        }
        None => {
            let weight = IN_UNKNOWN_DOMAIN * share;
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Unknown),
                kind: Some(NetworkKind::Business),
                weight,
            });
            if is_confirmed {
                case.propose(candidate(&known, weight));
            }
            reading.add_spelling(NetworkKind::Residential, 1.0, case);
            reading.add_words(rules, 1.0, |_| true, case);
            reading.add_domain_words(rules, case);
        }
    }
}

fn candidate(known: &DomainKnowledge<'_>, weight: f32) -> Candidate {
    let domain = &known.statement.domain;
    Candidate {
        id: None,
        domain: Some(Arc::clone(domain)),
        name: Arc::clone(known.owner.map_or(domain, |owner| &owner.name)),
        industry: known.owner.map(|owner| Arc::clone(&owner.owner_type)),
        source: Source::Ptr,
        weight,
    }
}

struct Reading<'a> {
    domain: &'a str,
    /// What stands left of the domain, with its final dot.
    host: &'a str,
    spelling: Spelling,
    share: f32,
}

impl Reading<'_> {
    fn add_spelling(&self, kind: NetworkKind, share: f32, case: &mut Case) {
        let weight = self.spelling.weight() * share * self.share;
        if weight > 0.0 {
            case.add(Evidence {
                source: Source::Ptr,
                statement: Statement::fixed(self.spelling.statement()),
                kind: Some(kind),
                weight,
            });
        }
    }

    fn add_words(&self, rules: &Rules, share: f32, counts: impl Fn(NetworkKind) -> bool, case: &mut Case) {
        let mut left = MOST_WORD_WEIGHT;
        for word in rules.ptr_words.find(self.host).into_iter().filter(|word| counts(word.says.kind)) {
            let weight = word.says.weight.min(left).max(0.0);
            left -= weight;
            case.add(Evidence {
                source: Source::Ptr,
                statement: Statement::word(Arc::clone(&word.word)),
                kind: Some(word.says.kind),
                weight: weight * share * self.share,
            });
        }
    }

    /// Words in the domain itself: `sanbrunocable.com` is a provider by its own word for itself.
    fn add_domain_words(&self, rules: &Rules, case: &mut Case) {
        let share = DOMAIN_WORDS_SHARE * self.share;
        let Some((words, weights)) = rules.organisation_words.domain(self.domain, share) else { return };
        for (kind, weight) in weights {
            let statement = Statement::domain_words(words.clone());
            case.add(Evidence { source: Source::Ptr, statement, kind: Some(kind), weight });
        }
    }
}

/// How a host name spells an address; without the address, whether it looks as if.
fn spelling(host: &str, ip: Option<IpAddr>) -> Spelling {
    let by_address = match ip {
        Some(IpAddr::V4(ip)) => spelling_v4(host, ip.octets()),
        Some(IpAddr::V6(ip)) => spelling_v6(host, ip.octets()),
        None => Spelling::None,
    };
    if by_address == Spelling::Whole { by_address } else { stronger(by_address, spelling_by_shape(host)) }
}

fn stronger(a: Spelling, b: Spelling) -> Spelling {
    if a.weight() >= b.weight() { a } else { b }
}

/// The runs of decimal digits of a text that could be bytes, in order, and the longest run of digits.
fn numbers(host: &str) -> Vec<(usize, &str)> {
    let mut runs = Vec::new();
    let mut start = None;
    for (index, byte) in host.bytes().enumerate() {
        match (byte.is_ascii_digit(), start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                runs.push((from, &host[from..index]));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        runs.push((from, &host[from..]));
    }
    runs
}

fn spelling_v4(host: &str, octets: [u8; 4]) -> Spelling {
    let [a, b, c, d] = octets;
    let runs = numbers(host);
    let bytes: Vec<Option<u8>> = runs.iter().map(|(_, run)| run.parse().ok()).collect();
    let has_in_order = |wanted: &[u8]| {
        bytes
            .windows(wanted.len())
            .any(|window| window.iter().zip(wanted).all(|(found, wanted)| *found == Some(*wanted)))
    };
    let padded = format!("{a:03}{b:03}{c:03}{d:03}");
    let padded_reversed = format!("{d:03}{c:03}{b:03}{a:03}");
    let hex = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
    let hex_reversed = format!("{d:02x}{c:02x}{b:02x}{a:02x}");
    let decimal = u32::from_be_bytes(octets).to_string();
    let whole = has_in_order(&[a, b, c, d])
        || has_in_order(&[d, c, b, a])
        || host.contains(&padded)
        || host.contains(&padded_reversed)
        || host.contains(&hex)
        || host.contains(&hex_reversed)
        || runs.iter().any(|(_, run)| *run == decimal)
        || [a, b, c, d].iter().all(|octet| bytes.contains(&Some(*octet))) && runs.len() >= 4;
    if whole {
        return Spelling::Whole;
    }
    let last_two = format!("{c:03}{d:03}");
    if has_in_order(&[c, d]) || has_in_order(&[d, c]) || host.contains(&last_two) {
        Spelling::Half
    } else if bytes.contains(&Some(d)) {
        Spelling::Counted
    } else {
        Spelling::None
    }
}

fn spelling_v6(host: &str, octets: [u8; 16]) -> Spelling {
    let nibbles: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let spelled: String = host.chars().filter(char::is_ascii_hexdigit).collect();
    // The network half alone already names the line.
    let whole = spelled.contains(&nibbles)
        || spelled.contains(&nibbles[..16])
        || spelled.contains(&nibbles[16..]) && !nibbles[16..].starts_with("000000000000");
    let dense =
        host.split('.').filter(|label| label.len() == 1 && label.bytes().all(|b| b.is_ascii_hexdigit())).count() >= 16;
    if whole || dense { Spelling::Whole } else { Spelling::None }
}

/// Whether a name looks as if it spelled some address: four numbers that could be bytes side by side, twelve digits,
/// or eight hexadecimal digits with some of each.
fn spelling_by_shape(host: &str) -> Spelling {
    let runs = numbers(host);
    let mut longest = 0;
    let mut current = 0;
    let mut end_of_last = None;
    for (start, run) in &runs {
        let is_byte = run.len() <= 3 && run.parse::<u8>().is_ok();
        let touches = end_of_last.is_some_and(|end| start - end == 1);
        current = match (is_byte, touches) {
            (true, true) => current + 1,
            (true, false) => 1,
            (false, _) => 0,
        };
        longest = longest.max(current);
        end_of_last = Some(start + run.len());
    }
    let all_octets = |run: &str| {
        run.len() == 12
            && run
                .as_bytes()
                .chunks(3)
                .all(|chunk| std::str::from_utf8(chunk).is_ok_and(|text| text.parse::<u8>().is_ok()))
    };
    if longest >= 4 || runs.iter().any(|(_, run)| all_octets(run)) {
        return Spelling::Whole;
    }
    // Eight hexadecimal digits of both sorts, alone in their part or behind one letter.
    let is_hex_address = |part: &str| {
        matches!(part.len(), 8 | 9)
            && part.get(part.len() - 8..).is_some_and(|hex| {
                hex.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && hex.bytes().any(|byte| byte.is_ascii_digit())
                    && hex.bytes().any(|byte| byte.is_ascii_alphabetic())
            })
    };
    let many = longest >= 2 || runs.len() >= 4 || runs.iter().any(|(_, run)| run.len() >= 6);
    if many || host.split(['.', '-', '_']).any(is_hex_address) {
        Spelling::Half
    } else if runs.is_empty() {
        Spelling::None
    } else {
        Spelling::Counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_addresses_are_found_in_every_common_form() {
        for (host, ip, expected) in [
            ("24-158-53-229.", Some("24.158.53.229"), Spelling::Whole),
            ("229.53.158.24.", Some("24.158.53.229"), Spelling::Whole),
            ("host229-53.pool24158.", Some("24.158.53.229"), Spelling::Half),
            ("061092085098.", Some("61.92.85.98"), Spelling::Whole),
            ("yahoobb219173000034.", Some("219.173.0.34"), Spelling::Whole),
            ("ac81e805.ipt.", Some("172.129.232.5"), Spelling::Whole),
            ("h80ad2695.async.", Some("128.173.38.149"), Spelling::Whole),
            ("d5760a70.kabel.", Some("213.118.10.112"), Spelling::Whole),
            ("a17-128-100-225.", Some("17.128.100.225"), Spelling::Whole),
            ("host209.", Some("63.75.22.209"), Spelling::Counted),
            ("mail.", Some("63.75.22.209"), Spelling::None),
            ("pool-1-2-3-4.", None, Spelling::Whole),
            ("dialup516.", None, Spelling::Counted),
            ("www.", None, Spelling::None),
            ("", None, Spelling::None),
            ("2a02-8388-e001-0001.", Some("2a02:8388:e001:1::7"), Spelling::Whole),
            ("mail.", Some("2a02:8388:e001:1::7"), Spelling::None),
        ] {
            assert_eq!(spelling(host, ip.map(|ip| ip.parse().unwrap())), expected, "{host}");
        }
    }
}
