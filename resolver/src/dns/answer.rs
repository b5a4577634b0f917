//! Questions to a name server and what its datagrams say: no sockets, no time.
//!
//! Every byte here comes from somebody else. Records count only when their owner is the name that was asked for, or when
//! aliases in the same answer lead from it to them (RFC 1034 section 3.6.2), at most [`MAX_ALIASES`] of them. Other
//! sections, classes and types are not looked at. What is cut off (TC) still counts as far as it goes: a name from it
//! names no company before its own zone confirms it.

use hickory_proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};
use std::{net::IpAddr, time::Duration};

/// The largest datagram that is asked for and read (dnsflagday.net 2020): no fragments, and little memory for each.
pub(super) const MAX_DATAGRAM: usize = 1232;
/// Aliases that are followed for one question.
pub(super) const MAX_ALIASES: usize = 8;

/// A question under way.
#[derive(Debug)]
pub(super) struct Question {
    message: Message,
    name: Name,
    record_type: RecordType,
}

/// What a name server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Names or addresses, and for how long they hold.
    Found { targets: Vec<Target>, ttl: Duration },
    /// The name is an alias, and the answer does not say what is behind it.
    Alias { name: Name, ttl: Duration },
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

impl Question {
    /// A question with a random number; PTR, A or AAAA.
    pub(super) fn new(name: Name, record_type: RecordType) -> Self {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        let mut edns = Edns::new();
        // 1232 fits into 16 bits.
        edns.set_max_payload(MAX_DATAGRAM as u16);
        message.set_edns(edns);
        Self { message, name, record_type }
    }

    /// The datagram to send; `None` for a name that can't be written.
    pub(super) fn datagram(&self) -> Option<Vec<u8>> {
        self.message.to_vec().ok()
    }

    /// What a datagram says to this question, or `None` when it is no answer to it.
    pub(super) fn read(&self, datagram: &[u8]) -> Option<Said> {
        // Before anything is parsed: whoever does not know the number learns nothing of the parser.
        if datagram.get(..2)? != self.message.metadata.id.to_be_bytes() {
            return None;
        }
        let answer = Message::from_vec(datagram).ok()?;
        let [question] = answer.queries.as_slice() else { return None };
        let is_answer = answer.metadata.message_type == MessageType::Response
            && question.name() == &self.name
            && question.query_type() == self.record_type
            && question.query_class() == DNSClass::IN;
        if !is_answer {
            return None;
        }
        if !matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Some(Said::Refused);
        }
        Some(self.said(&answer))
    }

    fn said(&self, answer: &Message) -> Said {
        let records = || answer.answers.iter().filter(|record| record.dns_class == DNSClass::IN);
        let mut owner = &self.name;
        let mut ttl = u32::MAX;
        for _ in 0..MAX_ALIASES {
            let alias = records().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == *owner => Some((&target.0, record.ttl)),
                _ => None,
            });
            let Some((target, alias_ttl)) = alias else { break };
            owner = target;
            ttl = ttl.min(alias_ttl);
        }
        let mut targets = Vec::new();
        for record in records().filter(|record| record.name == *owner && record.record_type() == self.record_type) {
            ttl = ttl.min(record.ttl);
            targets.push(match &record.data {
                RData::PTR(target) => Target::Name(target.to_ascii()),
                RData::A(address) => Target::Address(address.0.into()),
                RData::AAAA(address) => Target::Address(address.0.into()),
                _ => continue,
            });
        }
        let seconds = |ttl: u32| Duration::from_secs(ttl.into());
        if !targets.is_empty() {
            return Said::Found { targets, ttl: seconds(ttl) };
        }
        let negative_ttl = answer.authorities.iter().find_map(|record| match &record.data {
            // RFC 2308 section 5.
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
        let is_unfinished = answer.metadata.response_code == ResponseCode::NoError && negative_ttl.is_none();
        if owner != &self.name && is_unfinished {
            return Said::Alias { name: owner.clone(), ttl: seconds(ttl) };
        }
        Said::Nothing { ttl: seconds(negative_ttl.unwrap_or(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::{
        Record,
        rdata::{A, CNAME, PTR, SOA},
    };

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn question() -> Question {
        Question::new(name("1.2.0.192.in-addr.arpa."), RecordType::PTR)
    }

    fn pointer(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 600, RData::PTR(PTR(name(target))))
    }

    fn alias(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
    }

    fn answer(question: &Question, records: Vec<Record>) -> Message {
        let mut answer = question.message.clone().into_response();
        answer.add_answers(records);
        answer
    }

    fn read(question: &Question, answer: &Message) -> Option<Said> {
        question.read(&answer.to_vec().unwrap())
    }

    fn found(targets: &[&str], ttl: u64) -> Option<Said> {
        let targets = targets.iter().map(|target| Target::Name((*target).to_owned())).collect();
        Some(Said::Found { targets, ttl: Duration::from_secs(ttl) })
    }

    #[test]
    fn only_records_of_the_name_or_of_its_aliases_count() {
        const ASKED: &str = "1.2.0.192.in-addr.arpa.";
        let question = question();
        for (what, records, expected) in [
            ("its own", vec![pointer(ASKED, "a.example.")], found(&["a.example."], 600)),
            ("in other letters", vec![pointer("1.2.0.192.IN-ADDR.arpa.", "A.example.")], found(&["A.example."], 600)),
            (
                "another owner's beside it",
                vec![pointer("9.2.0.192.in-addr.arpa.", "evil.example."), pointer(ASKED, "a.example.")],
                found(&["a.example."], 600),
            ),
            (
                "another owner's alone",
                vec![pointer("9.2.0.192.in-addr.arpa.", "evil.example.")],
                Some(Said::Nothing { ttl: Duration::ZERO }),
            ),
            (
                "behind an alias, in any order",
                vec![
                    pointer("1.half.2.0.192.in-addr.arpa.", "a.example."),
                    alias(ASKED, "1.half.2.0.192.in-addr.arpa."),
                ],
                found(&["a.example."], 300),
            ),
            (
                "an alias alone",
                vec![alias(ASKED, "1.other.example.")],
                Some(Said::Alias { name: name("1.other.example."), ttl: Duration::from_secs(300) }),
            ),
            (
                "aliases in a ring",
                vec![alias(ASKED, "b.example."), alias("b.example.", ASKED)],
                Some(Said::Nothing { ttl: Duration::ZERO }),
            ),
            (
                "an address in place of a name",
                vec![Record::from_rdata(name(ASKED), 600, RData::A(A::new(192, 0, 2, 1)))],
                Some(Said::Nothing { ttl: Duration::ZERO }),
            ),
        ] {
            assert_eq!(read(&question, &answer(&question, records)), expected, "{what}");
        }
    }

    #[test]
    fn what_does_not_answer_the_question_is_no_answer() {
        let question = question();
        let good = answer(&question, vec![pointer("1.2.0.192.in-addr.arpa.", "a.example.")]);
        let mut number = good.clone();
        number.metadata.id ^= 1;
        let mut query = good.clone();
        query.metadata.message_type = MessageType::Query;
        let mut none = good.clone();
        none.queries.clear();
        let mut two = good.clone();
        two.queries.push(two.queries[0].clone());
        let mut other = good.clone();
        other.queries = vec![Query::query(name("9.2.0.192.in-addr.arpa."), RecordType::PTR)];
        let mut kind = good.clone();
        kind.queries = vec![Query::query(name("1.2.0.192.in-addr.arpa."), RecordType::A)];
        for (what, message) in
            [("number", number), ("query", query), ("none", none), ("two", two), ("other", other), ("kind", kind)]
        {
            assert_eq!(read(&question, &message), None, "{what}");
        }
        let bytes = good.to_vec().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(question.read(&bytes[..length]), None, "cut at {length}");
        }
        let mut refused = good;
        refused.metadata.response_code = ResponseCode::ServFail;
        assert_eq!(read(&question, &refused), Some(Said::Refused));
    }

    #[test]
    fn the_negative_ttl_is_the_smaller_of_the_zones_two() {
        let question = question();
        let mut message = answer(&question, Vec::new());
        message.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(read(&question, &message), Some(Said::Nothing { ttl: Duration::ZERO }));
        let zone = SOA::new(name("ns.example."), name("root.example."), 1, 2, 3, 4, 900);
        message.add_authority(Record::from_rdata(name("in-addr.arpa."), 3600, RData::SOA(zone)));
        assert_eq!(read(&question, &message), Some(Said::Nothing { ttl: Duration::from_secs(900) }));
    }
}
