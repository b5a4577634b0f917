//! Evidence: what spoke for or against a verdict.
//!
//! A verdict is made a million times for each time that somebody asks why. So what was found is kept as small values
//! that refer to the rules' and the data's own texts, and turned into sentences only when one is shown. What the operator
//! of a network says of everyone in it is one shared list, made once.

use crate::NetworkKind;
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, sync::Arc};

/// Which signal a statement came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// IANA special-purpose registries.
    SpecialPurpose,
    /// The site owner's own rules or list.
    OwnRule,
    /// The autonomous system and its domain.
    Asn,
    /// The domain to name and type map.
    DomainMap,
    /// Published ranges of clouds, crawlers, relays, Tor exits.
    RangeList,
    /// The reverse DNS name.
    Ptr,
    /// A commercial database that the owner holds.
    CommercialDatabase,
    /// The city database.
    CityDatabase,
    /// The file of company profiles.
    CompanyProfiles,
}

/// One statement that spoke for or against a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The signal.
    pub source: Source,
    /// What it says, a short sentence for a person; never an address.
    pub statement: Statement,
    /// The network kind it speaks for, if any.
    pub kind: Option<NetworkKind>,
    /// Its weight, log-odds; positive speaks for `kind`.
    pub weight: f32,
}

/// A short sentence for a person, put into words when it is shown ([`fmt::Display`]).
#[derive(Clone, PartialEq)]
pub struct Statement(Words);

#[derive(Clone, PartialEq)]
enum Words {
    Fixed(&'static str),
    Shared(Arc<str>),
    Word(Arc<str>),
    OfDomain([Option<Arc<str>>; 3]),
    NameInDomain { is_confirmed: bool, place: NamePlace, domain: DomainStatement },
}

/// Whose domain a reverse DNS name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamePlace {
    Carrier,
    Office,
    Organisation,
    Unknown,
}

/// What is known of a registrable domain.
#[derive(Clone, PartialEq)]
pub(crate) struct DomainStatement {
    pub(crate) domain: Arc<str>,
    pub(crate) known: DomainFact,
}

/// The fact behind a [`DomainStatement`].
#[derive(Clone, PartialEq)]
pub(crate) enum DomainFact {
    /// One of our own rules: others browse through it.
    Carries(NetworkKind),
    /// One of our own rules: its own network.
    OwnNetwork,
    /// A row of the domain map; perhaps with an ending that is reserved for a kind.
    Belongs { name: Arc<str>, owner_type: Arc<str>, ending: Option<(Arc<str>, NetworkKind)> },
    /// An ending that is reserved for a kind.
    Ends(Arc<str>, NetworkKind),
    /// Nothing.
    Nothing,
}

impl fmt::Display for DomainStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = &self.domain;
        match &self.known {
            DomainFact::Carries(kind) => write!(f, "{domain} carries other people's traffic ({kind})"),
            DomainFact::OwnNetwork => write!(f, "{domain} is the organisation's own network"),
            DomainFact::Belongs { name, owner_type, ending } => {
                write!(f, "{domain} belongs to {name} ({owner_type})")?;
                match ending {
                    Some((ending, kind)) => write!(f, ", and .{ending} is for {kind} only"),
                    None => Ok(()),
                }
            }
            DomainFact::Ends(ending, kind) => write!(f, "{domain} ends in .{ending}, which is for {kind} only"),
            DomainFact::Nothing => write!(f, "nothing is known of {domain}"),
        }
    }
}

impl Statement {
    /// A sentence that is in the program.
    #[must_use]
    pub const fn fixed(text: &'static str) -> Self {
        Self(Words::Fixed(text))
    }

    /// A sentence that was put into words when rules or data were read.
    #[must_use]
    pub const fn shared(text: Arc<str>) -> Self {
        Self(Words::Shared(text))
    }

    /// A host name has a word.
    pub(crate) const fn word(word: Arc<str>) -> Self {
        Self(Words::Word(word))
    }

    /// A domain has words; the first three of them.
    pub(crate) const fn domain_words(words: [Option<Arc<str>>; 3]) -> Self {
        Self(Words::OfDomain(words))
    }

    /// A host name is in a domain.
    pub(crate) const fn name_in_domain(is_confirmed: bool, place: NamePlace, domain: DomainStatement) -> Self {
        Self(Words::NameInDomain { is_confirmed, place, domain })
    }

    /// Whether this says that a name is in a domain of whose owner nothing is known.
    pub(crate) fn is_of_unknown_domain(&self) -> bool {
        matches!(self.0, Words::NameInDomain { place: NamePlace::Unknown, .. })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Words::Fixed(text) => f.write_str(text),
            Words::Shared(text) => f.write_str(text),
            Words::Word(word) => write!(f, "the name has the word {word:?}"),
            Words::OfDomain(words) => {
                f.write_str("the domain has the words")?;
                words.iter().flatten().try_for_each(|word| write!(f, " {word:?}"))
            }
            Words::NameInDomain { is_confirmed, place, domain } => {
                let name = if *is_confirmed { "the confirmed name" } else { "an unconfirmed name" };
                match place {
                    NamePlace::Carrier => write!(f, "{name} is in a carrier's domain: {domain}"),
                    NamePlace::Office => write!(f, "{name} is of a carrier's own offices: {domain}"),
                    NamePlace::Organisation => write!(f, "{name} is in an organisation's own domain: {domain}"),
                    NamePlace::Unknown => {
                        write!(f, "{name} is in the domain {}, of whose owner nothing is known", domain.domain)
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Everything that was weighed for one verdict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvidenceList {
    /// What the operator of the network says of everyone in it.
    shared: Option<Arc<[Evidence]>>,
    /// What was found of this address alone.
    own: Vec<Evidence>,
}

impl EvidenceList {
    /// In the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &Evidence> {
        self.own.iter().chain(self.shared.as_deref().unwrap_or_default())
    }

    /// Ordered by weight, for people: whatever its direction, the heaviest first.
    #[must_use]
    pub fn strongest_first(&self) -> Vec<&Evidence> {
        let mut all: Vec<&Evidence> = self.iter().collect();
        all.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        all
    }

    pub(crate) fn push(&mut self, evidence: Evidence) {
        if self.own.is_empty() {
            // Most names say three or four things; growing from one is three allocations more.
            self.own.reserve(4);
        }
        self.own.push(evidence);
    }

    /// Lets go of room that was kept for more.
    pub(crate) fn shrink(&mut self) {
        self.own.shrink_to_fit();
    }

    pub(crate) fn share(&mut self, evidence: Arc<[Evidence]>) {
        self.shared = Some(evidence);
    }

    /// About how much memory belongs to this list alone, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.own.capacity() * size_of::<Evidence>()
    }
}

impl Serialize for EvidenceList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.strongest_first())
    }
}
