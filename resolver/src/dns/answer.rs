//! What hickory's resolver brings back from a question: no sockets, no time.
//!
//! Every record comes from somebody else. It counts only when its owner is the name that was asked for, or when aliases in
//! the same answer lead from it to the owner (RFC 1034 section 3.6.2); hickory asks for what is behind an alias itself, at
//! most eight times, and hands on every record that the last answer held. An answer that one datagram can't hold (TC)
//! says nothing: who has so many names is no visitor.

use hickory_resolver::{
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::rr::{Name, RData, RecordType},
};
use std::{net::IpAddr, time::Duration};

/// Aliases that are followed within an answer; hickory doesn't bring more.
const MAX_ALIASES: usize = 8;

/// What a name server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Names or addresses, and for how long they hold.
    Found { targets: Vec<Target>, ttl: Duration },
    /// There is nothing, and for how long that holds.
    Nothing { ttl: Duration },
    /// It can't or won't say.
    Refused,
}

/// What a record leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// In presentation form, not yet known to be a host name.
    Name(String),
    Address(IpAddr),
}

/// What was found for a name, by PTR, A or AAAA; `None` where nobody answered, or nothing that can be read.
pub(super) fn read(name: &Name, record_type: RecordType, found: &Result<Lookup, NetError>) -> Option<Said> {
    match found {
        Ok(found) => Some(targets(name, record_type, found)),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            Some(Said::Nothing { ttl: seconds(none.negative_ttl.unwrap_or(0)) })
        }
        Err(NetError::Truncated) => Some(Said::Nothing { ttl: Duration::ZERO }),
        Err(NetError::Dns(_) | NetError::ForeignClassRecord { .. }) => Some(Said::Refused),
        Err(_) => None,
    }
}

fn targets(name: &Name, record_type: RecordType, found: &Lookup) -> Said {
    let mut owner = name;
    let mut ttl = u32::MAX;
    for _ in 0..MAX_ALIASES {
        let alias = found.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *owner => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, alias_ttl)) = alias else { break };
        owner = target;
        ttl = ttl.min(alias_ttl);
    }
    let mut targets = Vec::new();
    let records = found.answers().iter().filter(|record| record.name == *owner && record.record_type() == record_type);
    for record in records {
        ttl = ttl.min(record.ttl);
        targets.push(match &record.data {
            RData::PTR(target) => Target::Name(target.to_ascii()),
            RData::A(address) => Target::Address(address.0.into()),
            RData::AAAA(address) => Target::Address(address.0.into()),
            _ => continue,
        });
    }
    if targets.is_empty() { Said::Nothing { ttl: Duration::ZERO } } else { Said::Found { targets, ttl: seconds(ttl) } }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::{
        net::NoRecords,
        proto::{
            op::{Query, ResponseCode},
            rr::{
                Record,
                rdata::{A, CNAME, PTR},
            },
        },
    };

    const ASKED: &str = "1.2.0.192.in-addr.arpa.";

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn pointer(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 600, RData::PTR(PTR(name(target))))
    }

    fn alias(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
    }

    fn found(targets: &[&str], ttl: u64) -> Said {
        let targets = targets.iter().map(|target| Target::Name((*target).to_owned())).collect();
        Said::Found { targets, ttl: Duration::from_secs(ttl) }
    }

    #[test]
    fn only_records_of_the_name_or_of_its_aliases_count() {
        let nothing = || Said::Nothing { ttl: Duration::ZERO };
        for (what, records, expected) in [
            ("its own", vec![pointer(ASKED, "a.example.")], found(&["a.example."], 600)),
            ("in other letters", vec![pointer("1.2.0.192.IN-ADDR.arpa.", "A.example.")], found(&["A.example."], 600)),
            (
                "another owner's beside it",
                vec![pointer("9.2.0.192.in-addr.arpa.", "evil.example."), pointer(ASKED, "a.example.")],
                found(&["a.example."], 600),
            ),
            ("another owner's alone", vec![pointer("9.2.0.192.in-addr.arpa.", "evil.example.")], nothing()),
            (
                "behind an alias, in any order",
                vec![
                    pointer("1.half.2.0.192.in-addr.arpa.", "a.example."),
                    alias(ASKED, "1.half.2.0.192.in-addr.arpa."),
                ],
                found(&["a.example."], 300),
            ),
            ("an alias alone", vec![alias(ASKED, "1.other.example.")], nothing()),
            ("aliases in a ring", vec![alias(ASKED, "b.example."), alias("b.example.", ASKED)], nothing()),
            (
                "an address in place of a name",
                vec![Record::from_rdata(name(ASKED), 600, RData::A(A::new(192, 0, 2, 1)))],
                nothing(),
            ),
        ] {
            let lookup = Lookup::new_with_max_ttl(Query::query(name(ASKED), RecordType::PTR), records);
            assert_eq!(read(&name(ASKED), RecordType::PTR, &Ok(lookup)), Some(expected), "{what}");
        }
    }

    #[test]
    fn refusals_and_silence_are_told_apart_from_having_no_name() {
        let mut none = NoRecords::new(Query::query(name(ASKED), RecordType::PTR), ResponseCode::NXDomain);
        none.negative_ttl = Some(900);
        for (error, expected) in [
            (none.into(), Some(Said::Nothing { ttl: Duration::from_secs(900) })),
            (NetError::Truncated, Some(Said::Nothing { ttl: Duration::ZERO })),
            (DnsError::ResponseCode(ResponseCode::ServFail).into(), Some(Said::Refused)),
            (NetError::Timeout, None),
            (NetError::NoConnections, None),
        ] {
            let what = format!("{error}");
            assert_eq!(read(&name(ASKED), RecordType::PTR, &Err(error)), expected, "{what}");
        }
    }
}
