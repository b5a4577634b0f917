//! What `examples/fit_operators.rs` and `cargo xtask eval` need: which rows of the operator tables hold for each operator
//! of the network databases, and what a verdict's evidence would come to with other constants. No part of the library's
//! interface.

use crate::{
    Databases, EvidenceList, NetworkKind, ResolverError, Source,
    decision::Scores,
    name_words::{Agreement, NameWords},
    names::registrable_domain,
    rules::{Rules, calibration::Line},
    signals::{
        asn::{self, System},
        domain_map::DomainOwner,
    },
};

/// Words of `organisation_words.csv` by which an operator says itself that it sells access.
const ACCESS_WORDS: [&str; 62] = [
    "access",
    "banda",
    "bandalarga",
    "broadband",
    "cable",
    "cabo",
    "carrier",
    "catv",
    "communication",
    "comunica",
    "conect",
    "connect",
    "dsl",
    "fiber",
    "fibra",
    "fibre",
    "fone",
    "giga",
    "inet",
    "internet",
    "isp",
    "ix",
    "kabel",
    "komunikasi",
    "lan",
    "larga",
    "link",
    "mobile",
    "movil",
    "multimedia",
    "multimidia",
    "net",
    "netcom",
    "nett",
    "network",
    "networking",
    "networks",
    "online",
    "optic",
    "optica",
    "provedor",
    "provedores",
    "provider",
    "rede",
    "redes",
    "satel",
    "sat",
    "satellite",
    "speed",
    "svyaz",
    "tel",
    "telco",
    "telcom",
    "tele",
    "teleco",
    "telecom",
    "telecommunication",
    "telefon",
    "telekom",
    "voip",
    "wifi",
    "wireless",
];
/// No untagged operator with more addresses is a shop.
const MOST_OF_A_SHOP: u64 = 8_192;

/// One autonomous system.
#[derive(Clone, Debug)]
pub struct Operator {
    /// AS number.
    pub number: u32,
    /// Its registered domain; empty where unknown.
    pub domain: String,
    /// The domain map's type of its owner, where the map knows the domain.
    pub owner_type: Option<String>,
    /// The map's owner and the registered name can be one organisation.
    pub is_named_like_owner: bool,
    /// The name says that it sells access.
    pub has_access_word: bool,
    /// How many IPv4 addresses it announces.
    pub ipv4_addresses: u64,
    /// The rows that hold: those of `organisation_words.csv` from 0, those of `operator_sizes.csv` from
    /// [`Operators::words`], those of `operator_names.csv` from there plus [`Operators::sizes`].
    pub rows: Vec<usize>,
}

impl Operator {
    /// Whether a label of public tags can be trusted to say what this operator is. The rule, explained in
    /// docs/decisions/0080-operators-weighed-together.md:
    ///
    /// - `isp` by class alone (people were seen there, nobody tagged it) is a provider only where the map calls it one, its
    ///   name has a word of access, or it announces more than 8,192 addresses; where the map calls it an organisation of
    ///   another trade, never;
    /// - `residential` of a school or a company by the map is a tag of what was seen there;
    /// - `hosting`, `vpn`, `cdn` of an organisation of another trade by the map likewise;
    /// - `business` of a carrier by the map, or of an unmapped operator with a word of access, is one more provider.
    #[must_use]
    pub fn is_clearly(&self, category: &str) -> bool {
        let owner_type = self.owner_type.as_deref();
        let is_carrier = matches!(
            owner_type,
            Some(
                "ISP"
                    | "Web Host"
                    | "IaaS"
                    | "PaaS"
                    | "MSP"
                    | "MSSP"
                    | "Email Provider"
                    | "Email Security"
                    | "Utilities"
            )
        );
        let is_service = matches!(
            owner_type,
            Some("SaaS" | "Technology" | "Search Engine" | "Social Media" | "Entertainment" | "Marketing")
        );
        let is_organisation = owner_type.is_some() && !is_carrier;
        match category {
            "isp" if owner_type == Some("ISP") => true,
            "isp" if is_organisation => false,
            "isp" => self.has_access_word || self.ipv4_addresses > MOST_OF_A_SHOP,
            "residential" => !is_organisation || is_service || owner_type == Some("Government"),
            "hosting" | "vpn" | "cdn" | "hosting|vpn" | "hosting|cdn" => !is_organisation || is_service,
            "business" => !is_carrier && (owner_type.is_some() || !self.has_access_word),
            _ => true,
        }
    }
}

/// Every autonomous system of the network databases.
#[derive(Clone, Debug)]
pub struct Operators {
    /// How many rows `organisation_words.csv` has.
    pub words: usize,
    /// How many rows `operator_sizes.csv` has.
    pub sizes: usize,
    /// By number.
    pub systems: Vec<Operator>,
}

/// Reads every autonomous system. Walks the network databases twice: seconds.
///
/// # Errors
/// When a rule file is malformed.
pub fn operators(databases: &Databases) -> Result<Operators, ResolverError> {
    let rules = Rules::compile()?;
    let known_by = databases.knowledge(&rules);
    let (words, sizes) = (rules.organisation_words.len(), rules.operator_sizes.len());
    let mut operators = Operators { words, sizes, systems: Vec::new() };
    for (number, name, domain) in databases.autonomous_systems() {
        let mut rows = rules.organisation_words.features(&format!("{name} {domain}")).1;
        let has_access_word = rules.organisation_words.has_one_of(&format!("{name} {domain}"), &ACCESS_WORDS);
        let footprint = databases.footprint(number);
        if let Some(footprint) = &footprint {
            rows.extend(rules.operator_sizes.traits(Some(number), footprint).iter().map(|row| words + row));
        }
        let registrable = registrable_domain(domain).unwrap_or_default();
        let system = System { number: Some(number), name, domain, country: "", footprint: &|| footprint };
        let shape = asn::shape(system, &registrable, footprint.as_ref(), known_by);
        rows.extend(rules.operator_names.traits(&shape).iter().map(|row| words + sizes + row));
        let owner = databases.domain_map.owner(&registrable);
        let label = registrable.split('.').next().unwrap_or_default();
        let agrees = |owner: &DomainOwner| NameWords::of(name).agreement(label, Some(&owner.name)) != Agreement::None;
        operators.systems.push(Operator {
            number,
            domain: domain.to_owned(),
            owner_type: owner.map(|owner| owner.owner_type.to_string()),
            is_named_like_owner: owner.is_some_and(agrees),
            has_access_word,
            ipv4_addresses: shape.ipv4_addresses,
            rows,
        });
    }
    operators.systems.sort_by_key(|system| system.number);
    Ok(operators)
}

fn scores(evidence: &EvidenceList) -> Scores {
    let mut scores = Scores::default();
    for evidence in evidence.iter() {
        if let Some(kind) = evidence.kind {
            scores.add(kind, evidence.weight);
        }
    }
    scores
}

/// The least score that a kind must have to be named (`decision_weights.csv`).
///
/// # Errors
/// When a rule file is malformed.
pub fn least_score() -> Result<f32, ResolverError> {
    Ok(Rules::compile()?.weights.least_score)
}

/// The model's probability that the network is an organisation's own, before `calibration.csv`.
#[must_use]
pub fn organisation_share(evidence: &EvidenceList) -> f32 {
    scores(evidence).organisation()
}

/// The line of `calibration.csv` for a company that a signal named in a network of this kind.
#[must_use]
pub fn calibration_line(signal: Source, kind: NetworkKind, evidence: &EvidenceList) -> Option<&'static str> {
    Line::of(signal, kind, evidence).map(Line::as_str)
}

/// The kind that would win with these weights added, where a kind must have this score at least.
#[must_use]
pub fn winner_with(evidence: &EvidenceList, added: &[(NetworkKind, f32)], least_score: f32) -> NetworkKind {
    let mut scores = scores(evidence);
    for (kind, weight) in added {
        scores.add(*kind, *weight);
    }
    scores.winner(least_score)
}
