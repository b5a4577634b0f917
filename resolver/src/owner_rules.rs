//! The owner's own rules: what nobody knows better than whoever runs the website.
//!
//! One rule a line, in a file or in the configuration:
//!
//! ```text
//! # a network or a domain, what it is, and for a company its domain (or -) and its name
//! 192.0.2.0/24      company     acme.example Acme Widgets
//! 2001:db8:77::/48  company     -            Acme Widgets, branch office
//! carrier.example   company     carrier.example
//! 198.51.100.0/24   own-office
//! partner.example   ignore
//! ```
//!
//! - `company`: visits from there are this company's, whatever any data says. On a domain it speaks of networks whose
//!   operator has that domain, and of addresses whose confirmed name is in it.
//! - `own-office`: the owner's own people: visits are dropped as `own-network`.
//! - `ignore`: visits from there are dropped as `ignored`.
//!
//! Of networks inside networks the narrower one counts; rules on networks come before rules on domains; of two rules on
//! the same network or domain the first is kept and the second is an error.

use crate::{
    NetworkKind, Source,
    decision::Candidate,
    names::{display_name, registrable_domain},
    rules::RangeSays,
    signals::company_database::Listener,
};
use ipnet::IpNet;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Nothing outweighs the owner's word, reserved addresses included.
const WEIGHT: f32 = 40.0;
/// A file with more rules is a list: `firmsight geoip build` makes one of it.
const MAX_RULES: usize = 200_000;
/// Longest name of a company, in bytes.
const MAX_NAME_BYTES: usize = 500;

/// What a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleSubject {
    /// Addresses.
    Network(IpNet),
    /// A registrable domain, lower case.
    Domain(Arc<str>),
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// This company's.
    Company {
        /// Its registrable domain, where it has one.
        domain: Option<Arc<str>>,
        /// Its name.
        name: Arc<str>,
    },
    /// The owner's own people.
    OwnOffice,
    /// Nobody the owner wants to see.
    Ignore,
}

/// Why a visit is left out although its company may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOut {
    /// A rule says `own-office`.
    OwnOffice,
    /// A rule says `ignore`.
    Ignored,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRule {
    /// What it speaks of.
    pub subject: RuleSubject,
    /// What it says.
    pub action: RuleAction,
}

/// Why a line is no rule; says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The first word is something else.
    #[error("{0:?} is neither a network such as 192.0.2.0/24 nor a domain such as acme.com")]
    Subject(String),
    /// A network has bits set behind its prefix.
    #[error("{0} has bits set behind its prefix: write {1}")]
    HostBits(IpNet, IpNet),
    /// The second word is something else.
    #[error("{0:?} is no action: write company, own-office or ignore")]
    Action(String),
    /// Something follows an action that takes nothing.
    #[error("nothing follows {0}, but {1:?} does")]
    Rest(&'static str, String),
    /// A company rule names nobody.
    #[error("company is followed by its domain, or by - and its name")]
    Company,
    /// The domain of a company is none.
    #[error("{0:?} is no domain: write one such as acme.com, or - where the company has none")]
    Domain(String),
    /// The name of a company is longer than anybody's.
    #[error("a company's name has at most {MAX_NAME_BYTES} bytes")]
    Name,
    /// The same subject has a rule already.
    #[error("there is a rule for {0} before this one")]
    Twice(RuleSubject),
    /// Too many rules.
    #[error("more than {MAX_RULES} rules; make a list of them with `firmsight geoip build`")]
    TooMany,
}

/// A rule that can't be used, and where it stands.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of it is no rule.
    #[error("{}, line {line}: {text:?}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The rule as written, its beginning.
        text: String,
        /// What is wrong.
        source: RuleError,
    },
    /// A rule of the configuration contradicts another.
    #[error("[resolver].rules, rule {number}: {text:?}: {source}")]
    Configured {
        /// From 1.
        number: usize,
        /// The rule.
        text: String,
        /// What is wrong.
        source: RuleError,
    },
}

impl fmt::Display for RuleSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Domain(domain) => f.write_str(domain),
        }
    }
}

impl fmt::Display for OwnerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.subject)?;
        match &self.action {
            RuleAction::Company { domain, name } => write!(f, "company {} {name}", domain.as_deref().unwrap_or("-")),
            RuleAction::OwnOffice => f.write_str("own-office"),
            RuleAction::Ignore => f.write_str("ignore"),
        }
    }
}

impl FromStr for OwnerRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        let (first, rest) = first_word(text);
        let (action, rest) = first_word(rest);
        let subject = subject(first)?;
        let nothing_follows = |action| match rest {
            "" => Ok(()),
            more => Err(RuleError::Rest(action, shown(more))),
        };
        let action = match action {
            "company" => {
                let (domain, name) = first_word(rest);
                let domain = match domain {
                    "" => return Err(RuleError::Company),
                    "-" => None,
                    other => Some(registrable_domain(other).ok_or_else(|| RuleError::Domain(shown(other)))?),
                };
                let name = if name.is_empty() { domain.as_deref().ok_or(RuleError::Company)? } else { name };
                if name.len() > MAX_NAME_BYTES {
                    return Err(RuleError::Name);
                }
                RuleAction::Company { name: name.into(), domain }
            }
            "own-office" => nothing_follows("own-office").map(|()| RuleAction::OwnOffice)?,
            "ignore" => nothing_follows("ignore").map(|()| RuleAction::Ignore)?,
            other => return Err(RuleError::Action(shown(other))),
        };
        Ok(Self { subject, action })
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

fn subject(text: &str) -> Result<RuleSubject, RuleError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(RuleSubject::Network(ip.to_canonical().into()));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        let whole = network.trunc();
        return if whole == network {
            Ok(RuleSubject::Network(network))
        } else {
            Err(RuleError::HostBits(network, whole))
        };
    }
    let domain = registrable_domain(text).filter(|domain| domain.eq_ignore_ascii_case(text.trim_end_matches('.')));
    domain.map(RuleSubject::Domain).ok_or_else(|| RuleError::Subject(text.chars().take(80).collect()))
}

/// The owner's rules, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct OwnerRules {
    networks: HashMap<IpNet, RuleAction>,
    domains: HashMap<Arc<str>, RuleAction>,
    /// The prefix lengths that networks have, the narrowest first.
    v4_prefixes: Vec<u8>,
    v6_prefixes: Vec<u8>,
}

impl OwnerRules {
    /// The rules of the configuration, then those of a file. Comments begin with `#`.
    ///
    /// # Errors
    /// When the file can't be read, or a line of it is no rule or repeats one: names file, line and rule.
    pub fn read(configured: &[OwnerRule], file: Option<&Path>) -> Result<Self, RulesError> {
        let mut rules = Self::default();
        for (number, rule) in (1..).zip(configured) {
            let text = rule.to_string();
            rules.add(rule.clone()).map_err(|source| RulesError::Configured { number, text, source })?;
        }
        if let Some(path) = file {
            let bytes = std::fs::read(path).map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
            for (line, text) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
                let text = text.split('#').next().unwrap_or_default().trim().trim_start_matches('\u{feff}');
                if !text.is_empty() {
                    let added = text.parse().and_then(|rule| rules.add(rule));
                    let shown = text.chars().take(120).collect();
                    added.map_err(|source| RulesError::Line { path: path.to_owned(), line, text: shown, source })?;
                }
            }
        }
        let prefixes = |is_v4: bool| {
            let of_family = rules.networks.keys().filter(|network| matches!(network, IpNet::V4(_)) == is_v4);
            of_family.map(IpNet::prefix_len).collect::<BTreeSet<u8>>().into_iter().rev().collect()
        };
        (rules.v4_prefixes, rules.v6_prefixes) = (prefixes(true), prefixes(false));
        Ok(rules)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.networks.len() + self.domains.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&mut self, rule: OwnerRule) -> Result<(), RuleError> {
        if self.len() >= MAX_RULES {
            return Err(RuleError::TooMany);
        }
        let twice = || RuleError::Twice(rule.subject.clone());
        match &rule.subject {
            RuleSubject::Network(network) if self.networks.contains_key(network) => return Err(twice()),
            RuleSubject::Domain(domain) if self.domains.contains_key(domain) => return Err(twice()),
            RuleSubject::Network(network) => self.networks.insert(*network, rule.action),
            RuleSubject::Domain(domain) => self.domains.insert(Arc::clone(domain), rule.action),
        };
        Ok(())
    }

    /// The rule on the narrowest network that holds the address.
    pub(crate) fn of_address(&self, ip: IpAddr) -> Option<&RuleAction> {
        let prefixes = if ip.is_ipv4() { &self.v4_prefixes } else { &self.v6_prefixes };
        prefixes.iter().find_map(|prefix| self.networks.get(&IpNet::new(ip, *prefix).ok()?.trunc()))
    }

    /// The rule on a registrable domain.
    pub(crate) fn of_domain(&self, domain: &str) -> Option<&RuleAction> {
        if self.domains.is_empty() { None } else { self.domains.get(domain) }
    }
}

impl RuleAction {
    /// Tells what the rule says of a network; `whose` puts into words what it matched.
    pub(crate) fn tell(&self, whose: &str, listener: &mut impl Listener) {
        if let Self::Company { domain, name } = self {
            let meaning = RangeSays { kind: NetworkKind::Business, weight: WEIGHT, is_final: true };
            listener.hear(Source::OwnRule, &format!("a rule of yours gives {whose} to {name}").into(), meaning);
            listener.propose(|| Candidate {
                domain: domain.clone(),
                name: display_name(name).into(),
                found_by: None,
                industry: None,
                id: None,
                source: Source::OwnRule,
                weight: WEIGHT,
            });
        }
    }

    /// Whether it leaves visits out.
    pub(crate) const fn left_out(&self) -> Option<LeftOut> {
        match self {
            Self::Company { .. } => None,
            Self::OwnOffice => Some(LeftOut::OwnOffice),
            Self::Ignore => Some(LeftOut::Ignored),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<OwnerRules, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.txt");
        std::fs::write(&path, text).unwrap();
        OwnerRules::read(&[], Some(&path)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_narrowest_network_counts_and_domains_are_registrable() {
        let rules = rules(
            "# ours\n5.0.0.0/8 company acme.com Acme Ltd\n5.1.0.0/16 own-office # the branch\n5.1.2.3 ignore\n\
             2a02:77::/32 company - Beta\n\nPartner.co.uk company -\t Nobody\n",
        )
        .unwrap();
        let name = |ip: &str| match rules.of_address(ip.parse().unwrap()) {
            Some(RuleAction::Company { name, .. }) => name.to_string(),
            Some(RuleAction::OwnOffice) => "own".to_owned(),
            Some(RuleAction::Ignore) => "ignored".to_owned(),
            None => "none".to_owned(),
        };
        for (ip, expected) in [
            ("5.9.9.9", "Acme Ltd"),
            ("5.1.9.9", "own"),
            ("5.1.2.3", "ignored"),
            ("6.0.0.1", "none"),
            ("2a02:77::1", "Beta"),
            ("2a02:78::1", "none"),
        ] {
            assert_eq!(name(ip), expected, "{ip}");
        }
        assert!(rules.of_domain("partner.co.uk").is_some() && rules.of_domain("acme.com").is_none());
    }

    #[test]
    fn a_line_that_is_no_rule_is_named_with_what_is_allowed() {
        for (line, part) in [
            ("nonsense ignore", "neither a network"),
            ("www.acme.com ignore", "neither a network"),
            ("5.0.0.0/33 ignore", "neither a network"),
            ("5.1.2.3/8 ignore", "write 5.0.0.0/8"),
            ("5.0.0.0/8", "write company, own-office or ignore"),
            ("5.0.0.0/8 firm acme.com", "write company, own-office or ignore"),
            ("5.0.0.0/8 company", "followed by its domain"),
            ("5.0.0.0/8 company -", "followed by its domain"),
            ("5.0.0.0/8 company Acme Ltd", "\"Acme\" is no domain"),
            ("5.0.0.0/8 ignore please", "nothing follows ignore"),
            ("6.0.0.0/8 ignore", "before this one"),
        ] {
            let error = rules(&format!("6.0.0.0/8 ignore\n{line}\n")).unwrap_err();
            assert!(error.contains("rules.txt, line 2") && error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        for line in
            ["5.0.0.0/8 company acme.com Acme Ltd", "acme.com own-office", "2a02::/32 ignore", "1.2.3.4/32 company - A"]
        {
            assert_eq!(line.parse::<OwnerRule>().unwrap().to_string(), line);
        }
    }
}
