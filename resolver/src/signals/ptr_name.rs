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

use super::{
    domain_map::{DomainKnowledge, DomainMap, knowledge},
    own_hosts::OwnHost,
};
use crate::{
    Evidence, NetworkKind, Source, Statement,
    decision::{Candidate, Case},
    evidence::NamePlace,
    names::registrable_part,
    rules::{Rules, weights::Weights},
};
use smallvec::SmallVec;
use std::{net::IpAddr, sync::Arc};

/// The label right before a carrier's domain that is its staff's. Carriers name customers' lines otherwise, and where
/// `corp` stands for corporate customers the name spells the address or has a word of access.
const OFFICE_LABELS: [&str; 14] = [
    "corp",
    "corporate",
    "office",
    "offices",
    "hq",
    "headquarters",
    "staff",
    "employee",
    "employees",
    "intern",
    "internal",
    "oficina",
    "bureau",
    "buero",
];
/// How a host name spells the address it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    /// No number that matters.
    None,
    /// One number that could be its last byte.
    Counted,
    /// Its last two bytes, or numbers in a row that could be.
    Half,
    /// The whole address.
    Whole,
}

impl Spelling {
    /// Log-odds for an access pool in a domain whose owner is unknown.
    const fn weight(self, weights: &Weights) -> f32 {
        match self {
            Self::Whole => weights.spells_whole_address,
            Self::Half => weights.spells_part_of_address,
            Self::Counted => weights.counts_hosts,
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

/// Who announces the address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcer {
    /// Nobody knows, or the name has no address.
    Unknown,
    /// An operator with the name's own domain, or one that differs in its ending only.
    Itself,
    /// Another one, which serves homes.
    Access,
    /// Another one.
    Other,
}

impl Announcer {
    /// By a host name, the operator's domain, and whether the operator serves homes.
    pub(crate) fn of(host: &str, operator_domain: &str, is_access: bool) -> Self {
        let label = |name: &str| registrable_part(name).and_then(|domain| domain.split('.').next()).map(str::to_owned);
        match (label(host), label(operator_domain)) {
            (_, None) => Self::Unknown,
            (ours, theirs) if ours == theirs => Self::Itself,
            _ if is_access => Self::Access,
            _ => Self::Other,
        }
    }
}

/// A host name with what is known of its address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PtrName<'a> {
    /// Clean: lower case, without a final dot.
    pub(crate) host: &'a str,
    /// Its own zone leads back to the address.
    pub(crate) is_confirmed: bool,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) announced_by: Announcer,
}

/// Adds what a reverse DNS name says.
pub(crate) fn judge(name: PtrName<'_>, map: &DomainMap, rules: &Rules, case: &mut Case) {
    let PtrName { host: name, is_confirmed, ip, announced_by } = name;
    let Some(domain) = registrable_part(name) else { return };
    let host = name.get(..name.len() - domain.len()).unwrap_or_default();
    let weights = &rules.weights;
    let share = if is_confirmed { 1.0 } else { weights.unconfirmed_share };
    let known = knowledge(domain, map, rules);
    let reading = Reading { domain, host, spelling: spelling(host, ip), share };
    let statement = |place| Statement::name_in_domain(is_confirmed, place, known.statement.clone());
    match &known.kind {
        Some((kind, _)) if !known.names_are_own && is_confirmed && reading.is_office(kind.kind, rules) => {
            let weight = weights.in_own_domain + weights.own_offices;
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Office),
                kind: Some(NetworkKind::Business),
                weight,
            });
            case.propose(candidate(&known, weight));
        }
        Some((kind, _)) if !known.names_are_own => {
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Carrier),
                kind: Some(kind.kind),
                weight: (weights.in_carrier_domain + kind.weight / 2.0) * share,
            });
            reading.add_spelling(kind.kind, weights.words_share_in_carrier_domain, weights, case);
            reading.add_words(rules, weights.words_share_in_carrier_domain, |word| !word.is_organisation(), case);
        }
        Some((kind, source)) if !reading.is_customers_line(*source, kind.kind, announced_by, rules) => {
            let own_kind = if kind.kind.is_organisation() { kind.kind } else { NetworkKind::Business };
            let weight = (weights.in_own_domain + kind.weight) * share;
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Organisation),
                kind: Some(own_kind),
                weight,
            });
            if is_confirmed {
                case.propose(candidate(&known, weight));
            }
            reading.add_own_host(own_kind, weights.words_share_in_own_domain, weights, case);
            reading.add_words(rules, weights.words_share_in_own_domain, |word| word == NetworkKind::Crawler, case);
            reading.add_crawler(rules, case);
        }
        // Nothing is known of the domain, or what the map says of it can't be.
        _ => {
            let weight = weights.in_unknown_domain * share;
            case.add(Evidence {
                source: Source::Ptr,
                statement: statement(NamePlace::Unknown),
                kind: Some(NetworkKind::Business),
                weight,
            });
            if is_confirmed {
                case.propose(candidate(&known, weight));
            }
            reading.add_spelling(NetworkKind::Residential, 1.0, weights, case);
            reading.add_own_host(NetworkKind::Business, 1.0, weights, case);
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
        found_by: None,
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
    /// Whether the name is one of the carrier's own offices: `gw3.corp.provider.example`.
    fn is_office(&self, carrier: NetworkKind, rules: &Rules) -> bool {
        let last_label = self.host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        matches!(carrier, NetworkKind::Residential | NetworkKind::Mobile | NetworkKind::Hosting)
            && OFFICE_LABELS.contains(&last_label)
            && matches!(self.spelling, Spelling::None | Spelling::Counted)
            && rules.ptr_words.find(self.host).iter().all(|word| word.says.kind.is_organisation())
    }

    /// Whether a name in a domain that the map calls a company's is nevertheless that of a customer's line: it has a strong
    /// word of access, or another operator, which serves homes, announces the address that it spells or that a word of
    /// access stands beside. Schools and authorities do have such pools of their own, and an ending is no mistake of the map.
    fn is_customers_line(&self, source: Source, kind: NetworkKind, announced_by: Announcer, rules: &Rules) -> bool {
        if source != Source::DomainMap || kind != NetworkKind::Business || rules.suffix(self.domain).is_some() {
            return false;
        }
        let words = rules.ptr_words.find(self.host);
        let is_access = |kind| matches!(kind, NetworkKind::Residential | NetworkKind::Mobile);
        let heaviest =
            words.iter().filter(|word| is_access(word.says.kind)).map(|word| word.says.weight).fold(0.0, f32::max);
        heaviest >= rules.weights.strong_access_word
            || announced_by == Announcer::Access
                && (self.spelling >= Spelling::Half || heaviest > rules.weights.weak_word)
    }

    /// A confirmed name that calls itself a crawler is one.
    fn add_crawler(&self, rules: &Rules, case: &mut Case) {
        let is_crawler = rules.ptr_words.find(self.host).iter().any(|word| word.says.kind == NetworkKind::Crawler);
        if is_crawler && self.share >= 1.0 {
            case.add(Evidence {
                source: Source::Ptr,
                statement: Statement::fixed("the confirmed name calls itself a crawler"),
                kind: Some(NetworkKind::Crawler),
                weight: rules.weights.confirmed_crawler,
            });
        }
    }

    fn add_spelling(&self, kind: NetworkKind, share: f32, weights: &Weights, case: &mut Case) {
        let weight = self.spelling.weight(weights) * share * self.share;
        if weight > 0.0 {
            case.add(Evidence {
                source: Source::Ptr,
                statement: Statement::fixed(self.spelling.statement()),
                kind: Some(kind),
                weight,
            });
        }
    }

    /// A name server or mail host of its own speaks for the domain's owner.
    fn add_own_host(&self, kind: NetworkKind, share: f32, weights: &Weights, case: &mut Case) {
        let Some(host) = OwnHost::of(self.host) else { return };
        let weight = match host {
            OwnHost::NameServer => weights.own_name_server,
            OwnHost::MailHost => weights.own_mail_host,
        };
        case.add(Evidence {
            source: Source::Ptr,
            statement: Statement::fixed(host.statement()),
            kind: Some(kind),
            weight: weight * share * self.share,
        });
    }

    fn add_words(&self, rules: &Rules, share: f32, counts: impl Fn(NetworkKind) -> bool, case: &mut Case) {
        let mut left = rules.weights.most_words;
        // A lone label without a number is a machine's name: `router.acme.example`.
        let is_lone = self.host.bytes().filter(|byte| *byte == b'.').count() == 1
            && self.host.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.');
        let is_name = |weight: f32| is_lone && weight <= rules.weights.weak_word;
        let words = rules.ptr_words.find(self.host);
        for word in words.into_iter().filter(|word| counts(word.says.kind) && !is_name(word.says.weight)) {
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
        let share = rules.weights.domain_words_share * self.share;
        let Some((words, weights)) = rules.organisation_words.domain(self.domain, share) else { return };
        for (kind, weight) in weights {
            let statement = Statement::domain_words(words.clone());
            case.add(Evidence { source: Source::Ptr, statement, kind: Some(kind), weight });
        }
    }
}

/// How a host name spells an address; without the address, whether it looks as if.
fn spelling(host: &str, ip: Option<IpAddr>) -> Spelling {
    let runs = Runs::of(host);
    let by_address = match ip {
        Some(IpAddr::V4(ip)) => runs.spelling_v4(ip.octets()),
        Some(IpAddr::V6(ip)) => spelling_v6(host, ip.octets()),
        None => Spelling::None,
    };
    if by_address == Spelling::Whole { by_address } else { by_address.max(runs.spelling_by_shape()) }
}

/// A run of decimal digits.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    /// Of runs of up to ten digits; others are no number that matters.
    value: Option<u64>,
}

impl Run {
    /// The byte that a run of up to three digits writes.
    fn byte(&self) -> Option<u8> {
        let value = self.value.filter(|_| self.end - self.start <= 3)?;
        u8::try_from(value).ok()
    }
}

/// The numbers in a host name, found in one pass.
struct Runs<'a> {
    host: &'a [u8],
    runs: SmallVec<[Run; 16]>,
    /// The longest run of hexadecimal digits, decimal ones included.
    longest_hex: usize,
}

impl<'a> Runs<'a> {
    fn of(host: &'a str) -> Self {
        let host = host.as_bytes();
        let mut runs: SmallVec<[Run; 16]> = SmallVec::new();
        let mut hex = 0;
        let mut longest_hex = 0;
        for (index, byte) in host.iter().enumerate() {
            hex = if byte.is_ascii_hexdigit() { hex + 1 } else { 0 };
            longest_hex = longest_hex.max(hex);
            if !byte.is_ascii_digit() {
                continue;
            }
            let digit = u64::from(byte - b'0');
            match runs.last_mut() {
                Some(run) if run.end == index => {
                    run.end += 1;
                    run.value = run.value.filter(|_| run.end - run.start <= 10).map(|value| value * 10 + digit);
                }
                _ => runs.push(Run { start: index, end: index + 1, value: Some(digit) }),
            }
        }
        Self { host, runs, longest_hex }
    }

    fn has_in_order(&self, wanted: &[u8]) -> bool {
        self.runs
            .windows(wanted.len())
            .any(|window| window.iter().zip(wanted).all(|(found, wanted)| found.byte() == Some(*wanted)))
    }

    /// Whether a number is two bytes written one behind the other without padding: `j84176` for `….84.176`.
    fn has_joined(&self, first: u8, second: u8) -> bool {
        let factor = if second >= 100 { 1000 } else { 100 };
        let joined = u64::from(first) * factor + u64::from(second);
        self.runs.iter().any(|run| run.value == Some(joined))
    }

    fn has_text(&self, wanted: &[u8]) -> bool {
        self.host.windows(wanted.len()).any(|window| window == wanted)
    }

    fn spelling_v4(&self, octets: [u8; 4]) -> Spelling {
        let [a, b, c, d] = octets;
        let reversed = [d, c, b, a];
        let decimal = u64::from(u32::from_be_bytes(octets));
        let longest = self.runs.iter().map(|run| run.end - run.start).max().unwrap_or(0);
        let has = |octet: &u8| self.runs.iter().any(|run| run.byte() == Some(*octet));
        let whole = self.has_in_order(&octets)
            || self.has_in_order(&reversed)
            || longest >= 12 && (self.has_text(&padded(octets)) || self.has_text(&padded(reversed)))
            || self.longest_hex >= 8 && (self.has_text(&hexadecimal(octets)) || self.has_text(&hexadecimal(reversed)))
            || self.runs.iter().any(|run| run.value == Some(decimal) && run.end - run.start >= 7)
            || self.runs.len() >= 4 && octets.iter().all(has);
        if whole {
            return Spelling::Whole;
        }
        let half = self.has_in_order(&[c, d])
            || c >= 10 && d >= 10 && self.has_joined(c, d)
            || self.has_in_order(&[d, c])
            || longest >= 6 && self.has_text(&padded(octets)[6..])
            || self.has_hexadecimal_part(&hexadecimal(octets)[4..]);
        if half {
            Spelling::Half
        } else if has(&d) {
            Spelling::Counted
        } else {
            Spelling::None
        }
    }

    /// Whether four hexadecimal digits, a decimal one among them, stand alone in their part of the name.
    fn has_hexadecimal_part(&self, wanted: &[u8]) -> bool {
        wanted.iter().any(u8::is_ascii_digit)
            && wanted.iter().any(u8::is_ascii_alphabetic)
            && self.host.split(|byte| matches!(byte, b'.' | b'-' | b'_')).any(|part| part == wanted)
    }

    /// Whether a name looks as if it spelled some address: four numbers that could be bytes side by side, twelve
    /// digits, or eight hexadecimal digits with some of each.
    fn spelling_by_shape(&self) -> Spelling {
        let mut longest = 0;
        let mut current = 0;
        let mut end_of_last = None;
        let mut digits = 0;
        let mut is_padded = false;
        for run in &self.runs {
            let touches = end_of_last.is_some_and(|end| run.start - end == 1);
            current = match (run.byte().is_some(), touches) {
                (true, true) => current + 1,
                (true, false) => 1,
                (false, _) => 0,
            };
            longest = longest.max(current);
            end_of_last = Some(run.end);
            digits = digits.max(run.end - run.start);
            is_padded |= self.host.get(run.start..run.end).is_some_and(is_padded_address);
        }
        if longest >= 4 || is_padded {
            return Spelling::Whole;
        }
        let is_hexadecimal = self.longest_hex >= 8
            && self.host.split(|byte| matches!(byte, b'.' | b'-' | b'_')).any(is_hexadecimal_address);
        if longest >= 2 || self.runs.len() >= 4 || digits >= 6 || is_hexadecimal {
            Spelling::Half
        } else if self.runs.is_empty() {
            Spelling::None
        } else {
            Spelling::Counted
        }
    }
}

/// Four bytes of three decimal digits each.
fn padded(octets: [u8; 4]) -> [u8; 12] {
    let mut text = [0; 12];
    for (digits, octet) in text.chunks_exact_mut(3).zip(octets) {
        digits.copy_from_slice(&[b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10]);
    }
    text
}

/// Four bytes of two hexadecimal digits each.
fn hexadecimal(octets: [u8; 4]) -> [u8; 8] {
    let mut text = [0; 8];
    for (digits, octet) in text.chunks_exact_mut(2).zip(octets) {
        digits.copy_from_slice(&[hexadecimal_digit(octet >> 4), hexadecimal_digit(octet & 15)]);
    }
    text
}

const fn hexadecimal_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn is_padded_address(run: &[u8]) -> bool {
    run.len() == 12
        && run.chunks_exact(3).all(|chunk| {
            chunk.iter().fold(0u16, |value, digit| value * 10 + u16::from(digit.saturating_sub(b'0'))) <= 255
        })
}

/// Eight hexadecimal digits of both sorts, alone in their part or behind one letter.
fn is_hexadecimal_address(part: &[u8]) -> bool {
    matches!(part.len(), 8 | 9)
        && part.get(part.len() - 8..).is_some_and(|hex| {
            hex.iter().all(u8::is_ascii_hexdigit)
                && hex.iter().any(u8::is_ascii_digit)
                && hex.iter().any(u8::is_ascii_alphabetic)
        })
}

fn spelling_v6(host: &str, octets: [u8; 16]) -> Spelling {
    let mut nibbles = [0; 32];
    for (digits, octet) in nibbles.chunks_exact_mut(2).zip(octets) {
        digits.copy_from_slice(&[hexadecimal_digit(octet >> 4), hexadecimal_digit(octet & 15)]);
    }
    let spelled: SmallVec<[u8; 64]> = host.bytes().filter(u8::is_ascii_hexdigit).collect();
    let has = |wanted: &[u8]| spelled.windows(wanted.len()).any(|window| window == wanted);
    let mut reversed = nibbles;
    reversed.reverse();
    let interface = &nibbles[16..];
    // The network half alone already names the line.
    let whole = has(&nibbles[..16])
        || has(&reversed[16..])
        || has(interface) && interface.iter().take(12).any(|digit| *digit != b'0');
    let dense =
        host.split('.').filter(|label| label.len() == 1 && label.bytes().all(|b| b.is_ascii_hexdigit())).count() >= 16;
    if whole || dense { Spelling::Whole } else { Spelling::None }
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
            ("1.0.0.0.1.0.0.e.8.8.3.8.2.0.a.2.", Some("2a02:8388:e001:1::7"), Spelling::Whole),
            ("host-53e5.", Some("24.158.83.229"), Spelling::Half),
            ("409884645.", Some("24.110.87.229"), Spelling::Whole),
            ("j84176.upc-j.", Some("24.132.84.176"), Spelling::Half),
            ("123456789012345678901234567890.", Some("24.110.87.229"), Spelling::Half),
        ] {
            assert_eq!(spelling(host, ip.map(|ip| ip.parse().unwrap())), expected, "{host}");
        }
    }
}
