//! Wikidata's JSON dump: one entity a line, a hundred million of them, so nothing is kept but what companies need.
//!
//! The dump is read twice. The first time, every entity that has a website and a property that only organisations have
//! becomes a [`Company`], in which other entities (its industry, its city, its owner) are still numbers. The second time
//! the labels and codes of just those entities are picked up ([`Label`]). A line is looked at as bytes first and parsed
//! only when it can matter, which leaves out ninety-eight of a hundred.
//!
//! Form: <https://doc.wikimedia.org/Wikibase/master/php/docs_topics_json.html>; properties by their numbers there.

use super::{Address, Employees, Links, Profile, ProfileSource, Revenue};
use crate::{names::display_name, network_lists::domain_of};
use memchr::memmem;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{
    collections::{HashMap, HashSet},
    marker::PhantomData,
};

/// The licence of all structured data on Wikidata.
pub(super) const LICENCE: &str = "CC0-1.0";
/// Names of at most so many bytes are taken.
const MAX_TEXT: usize = 500;
/// A website's path may be so long: `/en`, `/de/`, `/home`.
const MAX_PATH: usize = 6;

/// An entity's number: 312 in `Q312`.
pub(super) type EntityId = u32;

/// What another entity is called, and the codes it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    /// ISO 3166-1 alpha-2 of a country, or ISO 4217 of a currency.
    pub(super) code: String,
    /// Of an organisation.
    pub(super) domain: String,
}

/// An organisation as the first reading leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Company {
    id: EntityId,
    name: String,
    legal_name: String,
    description: String,
    /// The main one first.
    pub(super) domains: Vec<String>,
    website: String,
    industries: Vec<EntityId>,
    employees: Option<u32>,
    revenue: Option<(u64, EntityId, Option<i16>)>,
    street: String,
    postcode: String,
    city: Option<EntityId>,
    country: Option<EntityId>,
    phone: String,
    linkedin: String,
    twitter: String,
    facebook: String,
    logo: String,
    parent: Option<EntityId>,
    founded: Option<i16>,
    pub(super) legal_entity_identifier: String,
    /// Of two organisations with one website the one of which more is known counts.
    pub(super) weight: u32,
}

impl Company {
    /// The entities whose labels it needs.
    pub(super) fn references(&self) -> impl Iterator<Item = EntityId> + '_ {
        let currency = self.revenue.map(|(_, currency, _)| currency);
        self.industries.iter().copied().chain(self.city).chain(self.country).chain(self.parent).chain(currency)
    }

    /// The profile, with labels in the place of numbers.
    pub(super) fn profile(self, labels: &HashMap<EntityId, Label>) -> Profile {
        let label = |id: Option<EntityId>| id.and_then(|id| labels.get(&id)).cloned().unwrap_or_default();
        let parent = label(self.parent);
        let mut domains = self.domains.into_iter();
        let page = |base: &str, name: &str| if name.is_empty() { String::new() } else { format!("{base}{name}") };
        Profile {
            domain: domains.next().unwrap_or_default(),
            other_domains: domains.collect(),
            name: display_name(&self.name),
            legal_name: self.legal_name,
            industries: self
                .industries
                .iter()
                .map(|id| label(Some(*id)).name)
                .filter(|name| !name.is_empty())
                .collect(),
            employees: self.employees.map(Employees::exactly),
            revenue: self.revenue.map(|(amount, currency, year)| Revenue {
                amount,
                currency: label(Some(currency)).code,
                year,
            }),
            address: Address {
                street: self.street,
                postcode: self.postcode,
                city: label(self.city).name,
                region: String::new(),
                country_code: label(self.country).code,
            },
            phone: self.phone,
            links: Links {
                website: self.website,
                linkedin: page("https://www.linkedin.com/company/", &self.linkedin),
                twitter: page("https://x.com/", &self.twitter),
                facebook: page("https://www.facebook.com/", &self.facebook),
            },
            logo: page("https://commons.wikimedia.org/wiki/Special:FilePath/", &self.logo.replace(' ', "_")),
            parent: (!parent.name.is_empty()).then_some(super::Parent { name: parent.name, domain: parent.domain }),
            description: self.description,
            founded: self.founded,
            legal_entity_identifier: self.legal_entity_identifier,
            sources: vec![ProfileSource {
                name: "Wikidata".to_owned(),
                licence: LICENCE.to_owned(),
                id: format!("Q{}", self.id),
            }],
        }
    }
}

/// Reads a line of the first reading: `None` when it is no organisation with a website.
pub(super) fn company(line: &[u8]) -> Option<Company> {
    // Official website: without the bytes there is nothing to parse.
    memmem::find(line, b"\"P856\"")?;
    let entity = entity(line)?;
    let claims = &entity.claims;
    let is_organisation = [
        &claims.industry,
        &claims.employees,
        &claims.headquarters,
        &claims.parent,
        &claims.legal_entity_identifier,
        &claims.revenue,
        &claims.legal_form,
        &claims.stock_exchange,
    ]
    .iter()
    .any(|statements| !statements.is_empty());
    // Q5: a human being, who may have a website and an employer.
    let is_person = claims.instance_of.iter().any(|statement| statement.entity() == Some(5));
    // P576: dissolved.
    if !is_organisation || is_person || !claims.dissolved.is_empty() {
        return None;
    }
    let (website, domains) = websites(&claims.website);
    let headquarters = best(&claims.headquarters);
    let qualifiers = headquarters.map(|statement| &statement.qualifiers);
    let company = Company {
        id: entity.number()?,
        name: entity.label()?,
        legal_name: text(&claims.official_name),
        description: entity.descriptions.0.get("en").map(|text| cut(&text.value)).unwrap_or_default(),
        weight: entity.sitelinks.0.len() as u32 + claims.count(),
        domains,
        website,
        industries: claims
            .industry
            .iter()
            .filter(|claim| claim.is_current())
            .filter_map(Statement::entity)
            .take(5)
            .collect(),
        employees: best(&claims.employees)
            .and_then(Statement::amount)
            .and_then(|(number, _)| u32::try_from(number).ok()),
        revenue: best(&claims.revenue).and_then(|claim| {
            let (amount, unit) = claim.amount()?;
            Some((amount, unit?, claim.year()))
        }),
        street: qualifiers.map(|of| snak_text(&of.street)).unwrap_or_default(),
        postcode: qualifiers.map(|of| snak_text(&of.postcode)).unwrap_or_default(),
        city: headquarters.and_then(Statement::entity),
        country: best(&claims.country)
            .and_then(Statement::entity)
            .or_else(|| qualifiers.and_then(|of| of.country.first()?.entity())),
        phone: text(&claims.phone),
        linkedin: text(&claims.linkedin),
        twitter: text(&claims.twitter),
        facebook: text(&claims.facebook),
        logo: text(&claims.logo),
        parent: best(&claims.parent).or_else(|| best(&claims.owner)).and_then(Statement::entity),
        founded: best(&claims.inception).and_then(|claim| claim.mainsnak.year()),
        legal_entity_identifier: text(&claims.legal_entity_identifier),
    };
    (!company.domains.is_empty()).then_some(company)
}

/// Reads a line of the second reading: `None` when nobody refers to it.
pub(super) fn label(line: &[u8], wanted: &HashSet<EntityId>) -> Option<(EntityId, Label)> {
    // The id stands near the start of a line: `{"type":"item","id":"Q312",`.
    let start = line.get(..line.len().min(200))?;
    if let Some(at) = memmem::find(start, b"\"id\":\"Q") {
        let digits = line.get(at + 7..)?.split(|byte| !byte.is_ascii_digit()).next()?;
        if !wanted.contains(&std::str::from_utf8(digits).ok()?.parse().ok()?) {
            return None;
        }
    }
    let entity = entity(line)?;
    let id = entity.number().filter(|id| wanted.contains(id))?;
    let claims = &entity.claims;
    let code =
        [&claims.country_code, &claims.currency_code].into_iter().map(|code| text(code)).find(|code| !code.is_empty());
    let (_, domains) = websites(&claims.website);
    let domain = domains.into_iter().next().unwrap_or_default();
    Some((id, Label { name: entity.label()?, code: code.unwrap_or_default().to_ascii_uppercase(), domain }))
}

fn entity(line: &[u8]) -> Option<Entity> {
    let line = line.trim_ascii();
    serde_json::from_slice(line.strip_suffix(b",").unwrap_or(line)).ok()
}

/// A text of at most [`MAX_TEXT`] bytes.
pub(super) fn cut(text: &str) -> String {
    let end =
        text.char_indices().map(|(index, letter)| index + letter.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
    text[..end.unwrap_or(0)].trim().to_owned()
}

/// The first website and the domains of all that are the organisation's own: not a page on somebody's platform.
fn websites(statements: &[Statement]) -> (String, Vec<String>) {
    let mut of_rank: Vec<&Statement> = statements.iter().filter(|claim| claim.is_current()).collect();
    of_rank.sort_by_key(|claim| claim.rank != Rank::Preferred);
    let mut first = String::new();
    let mut domains: Vec<String> = Vec::new();
    for claim in of_rank {
        let Some(url) = claim.mainsnak.text() else { continue };
        let Some(domain) = own_website(url) else { continue };
        if !domains.contains(&domain) {
            if domains.is_empty() {
                first = cut(url);
            }
            domains.push(domain);
        }
    }
    (first, domains)
}

/// The registrable domain of a website that is an organisation's own: not a page on somebody's platform.
pub(super) fn own_website(url: &str) -> Option<String> {
    let domain = domain_of(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.strip_prefix("www.").unwrap_or(host);
    let is_own = !domain.is_empty() && host.eq_ignore_ascii_case(&domain) && path.trim_matches('/').len() < MAX_PATH;
    is_own.then_some(domain)
}

/// The statement that counts: preferred rank, then the latest point in time, then the last.
fn best(statements: &[Statement]) -> Option<&Statement> {
    let current = statements.iter().filter(|claim| claim.is_current());
    current.max_by_key(|claim| (claim.rank == Rank::Preferred, claim.year()))
}

fn text(statements: &[Statement]) -> String {
    best(statements).and_then(|claim| claim.mainsnak.text()).map(cut).unwrap_or_default()
}

fn snak_text(snaks: &[Snak]) -> String {
    snaks.first().and_then(Snak::text).map(cut).unwrap_or_default()
}

#[derive(Deserialize)]
struct Entity {
    id: String,
    #[serde(default)]
    labels: MapOrNothing<Text>,
    #[serde(default)]
    descriptions: MapOrNothing<Text>,
    #[serde(default, deserialize_with = "claims_or_nothing")]
    claims: Claims,
    #[serde(default)]
    sitelinks: MapOrNothing<de::IgnoredAny>,
}

impl Entity {
    fn number(&self) -> Option<EntityId> {
        self.id.strip_prefix('Q')?.parse().ok()
    }

    /// English, else the label of all languages, else any.
    fn label(&self) -> Option<String> {
        let labels = &self.labels.0;
        let found = ["en", "mul", "en-gb", "de", "fr", "es"].iter().find_map(|language| labels.get(*language));
        found.or_else(|| labels.values().next()).map(|label| cut(&label.value)).filter(|label| !label.is_empty())
    }
}

#[derive(Deserialize)]
struct Text {
    value: String,
}

/// A map; the dump writes an empty one as an empty list.
struct MapOrNothing<T>(HashMap<String, T>);

impl<T> Default for MapOrNothing<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MapOrNothing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = HashMap<String, T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map or an empty list")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(HashMap::new())
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                HashMap::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData)).map(Self)
    }
}

fn claims_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Claims, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Claims;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("statements by property or an empty list")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Claims, A::Error> {
            while list.next_element::<de::IgnoredAny>()?.is_some() {}
            Ok(Claims::default())
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Claims, A::Error> {
            Claims::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Visitor)
}

macro_rules! claims {
    ($($name:ident = $property:literal,)*) => {
        /// Statements by property; all others are skipped.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Claims {
            $(#[serde(rename = $property)] $name: Vec<Statement>,)*
        }

        impl Claims {
            fn count(&self) -> u32 {
                [$(self.$name.len(),)*].into_iter().sum::<usize>() as u32
            }
        }
    };
}

claims! {
    instance_of = "P31",
    country = "P17",
    owner = "P127",
    logo = "P154",
    headquarters = "P159",
    country_code = "P297",
    stock_exchange = "P414",
    industry = "P452",
    currency_code = "P498",
    inception = "P571",
    dissolved = "P576",
    parent = "P749",
    website = "P856",
    employees = "P1128",
    legal_entity_identifier = "P1278",
    phone = "P1329",
    official_name = "P1448",
    legal_form = "P1454",
    twitter = "P2002",
    facebook = "P2013",
    revenue = "P2139",
    linkedin = "P4264",
}

#[derive(Deserialize)]
struct Statement {
    mainsnak: Snak,
    #[serde(default)]
    rank: Rank,
    #[serde(default)]
    qualifiers: Qualifiers,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rank {
    Preferred,
    Deprecated,
    #[default]
    #[serde(other)]
    Normal,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Qualifiers {
    #[serde(rename = "P17")]
    country: Vec<Snak>,
    #[serde(rename = "P281")]
    postcode: Vec<Snak>,
    #[serde(rename = "P582")]
    end: Vec<Snak>,
    #[serde(rename = "P585")]
    point_in_time: Vec<Snak>,
    #[serde(rename = "P6375")]
    street: Vec<Snak>,
}

#[derive(Deserialize)]
struct Snak {
    #[serde(default)]
    datavalue: Option<DataValue>,
}

#[derive(Deserialize)]
struct DataValue {
    value: serde_json::Value,
}

impl Statement {
    /// Not deprecated, and without an end.
    fn is_current(&self) -> bool {
        self.rank != Rank::Deprecated && self.qualifiers.end.is_empty()
    }

    fn entity(&self) -> Option<EntityId> {
        self.mainsnak.entity()
    }

    fn year(&self) -> Option<i16> {
        self.qualifiers.point_in_time.first()?.year()
    }

    /// A whole number and its unit: `+164000`, `http://www.wikidata.org/entity/Q4917`, or `1` without one.
    fn amount(&self) -> Option<(u64, Option<EntityId>)> {
        let value = &self.mainsnak.datavalue.as_ref()?.value;
        let number = value.get("amount")?.as_str()?.trim_start_matches('+').split('.').next()?.parse().ok()?;
        let unit = value.get("unit").and_then(|unit| unit.as_str()?.rsplit('Q').next()?.parse().ok());
        Some((number, unit.filter(|unit| *unit > 1)))
    }
}

impl Snak {
    fn text(&self) -> Option<&str> {
        let value = &self.datavalue.as_ref()?.value;
        // Monolingual texts are an object.
        value.as_str().or_else(|| value.get("text")?.as_str()).map(str::trim).filter(|text| !text.is_empty())
    }

    fn entity(&self) -> Option<EntityId> {
        let value = &self.datavalue.as_ref()?.value;
        let number = value.get("numeric-id").and_then(|id| id.as_u64()?.try_into().ok());
        number.or_else(|| value.get("id")?.as_str()?.strip_prefix('Q')?.parse().ok())
    }

    /// `+1976-04-01T00:00:00Z`; years before our era begin with a minus.
    fn year(&self) -> Option<i16> {
        let time = self.datavalue.as_ref()?.value.get("time")?.as_str()?;
        let (sign, digits) =
            if let Some(rest) = time.strip_prefix('-') { (-1, rest) } else { (1, time.trim_start_matches('+')) };
        Some(sign * digits.split('-').next()?.parse::<i16>().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of the dump, shortened: facts of the entity Q312 as they stand there.
    const APPLE: &str = r#"{"type":"item","id":"Q312","labels":{"en":{"language":"en","value":"Apple Inc."},"de":{"language":"de","value":"Apple"}},"descriptions":{"en":{"language":"en","value":"American multinational technology company"}},"aliases":{},"claims":{"P31":[{"mainsnak":{"snaktype":"value","property":"P31","datavalue":{"value":{"entity-type":"item","numeric-id":4830453,"id":"Q4830453"},"type":"wikibase-entityid"},"datatype":"wikibase-item"},"type":"statement","id":"q312$1","rank":"normal"}],"P856":[{"mainsnak":{"snaktype":"value","property":"P856","datavalue":{"value":"https://www.apple.com/","type":"string"},"datatype":"url"},"type":"statement","id":"q312$2","rank":"preferred"},{"mainsnak":{"snaktype":"value","property":"P856","datavalue":{"value":"https://www.facebook.com/apple/about","type":"string"},"datatype":"url"},"type":"statement","id":"q312$3","rank":"normal"}],"P452":[{"mainsnak":{"snaktype":"value","property":"P452","datavalue":{"value":{"entity-type":"item","numeric-id":880371,"id":"Q880371"},"type":"wikibase-entityid"},"datatype":"wikibase-item"},"type":"statement","id":"q312$4","rank":"normal"}],"P1128":[{"mainsnak":{"snaktype":"value","property":"P1128","datavalue":{"value":{"amount":"+147000","unit":"1"},"type":"quantity"},"datatype":"quantity"},"type":"statement","id":"q312$5","rank":"normal","qualifiers":{"P585":[{"snaktype":"value","property":"P585","datavalue":{"value":{"time":"+2020-09-26T00:00:00Z","timezone":0,"before":0,"after":0,"precision":11,"calendarmodel":"http://www.wikidata.org/entity/Q1985727"},"type":"time"},"datatype":"time"}]}},{"mainsnak":{"snaktype":"value","property":"P1128","datavalue":{"value":{"amount":"+164000","unit":"1"},"type":"quantity"},"datatype":"quantity"},"type":"statement","id":"q312$6","rank":"normal","qualifiers":{"P585":[{"snaktype":"value","property":"P585","datavalue":{"value":{"time":"+2022-09-24T00:00:00Z","timezone":0,"before":0,"after":0,"precision":11,"calendarmodel":"http://www.wikidata.org/entity/Q1985727"},"type":"time"},"datatype":"time"}]}}],"P2139":[{"mainsnak":{"snaktype":"value","property":"P2139","datavalue":{"value":{"amount":"+394328000000","unit":"http://www.wikidata.org/entity/Q4917"},"type":"quantity"},"datatype":"quantity"},"type":"statement","id":"q312$7","rank":"normal","qualifiers":{"P585":[{"snaktype":"value","property":"P585","datavalue":{"value":{"time":"+2022-00-00T00:00:00Z"},"type":"time"},"datatype":"time"}]}}],"P159":[{"mainsnak":{"snaktype":"value","property":"P159","datavalue":{"value":{"entity-type":"item","numeric-id":189471,"id":"Q189471"},"type":"wikibase-entityid"},"datatype":"wikibase-item"},"type":"statement","id":"q312$8","rank":"normal","qualifiers":{"P6375":[{"snaktype":"value","property":"P6375","datavalue":{"value":{"text":"One Apple Park Way","language":"en"},"type":"monolingualtext"},"datatype":"monolingualtext"}],"P281":[{"snaktype":"value","property":"P281","datavalue":{"value":"95014","type":"string"},"datatype":"string"}]}}],"P17":[{"mainsnak":{"snaktype":"value","property":"P17","datavalue":{"value":{"entity-type":"item","numeric-id":30,"id":"Q30"},"type":"wikibase-entityid"},"datatype":"wikibase-item"},"type":"statement","id":"q312$9","rank":"normal"}],"P571":[{"mainsnak":{"snaktype":"value","property":"P571","datavalue":{"value":{"time":"+1976-04-01T00:00:00Z","precision":11},"type":"time"},"datatype":"time"},"type":"statement","id":"q312$10","rank":"normal"}],"P1278":[{"mainsnak":{"snaktype":"value","property":"P1278","datavalue":{"value":"HWUPKR0MPOU8FGXBT394","type":"string"},"datatype":"external-id"},"type":"statement","id":"q312$11","rank":"normal"}],"P4264":[{"mainsnak":{"snaktype":"value","property":"P4264","datavalue":{"value":"apple","type":"string"},"datatype":"external-id"},"type":"statement","id":"q312$12","rank":"normal"}],"P154":[{"mainsnak":{"snaktype":"value","property":"P154","datavalue":{"value":"Apple logo black.svg","type":"string"},"datatype":"commonsMedia"},"type":"statement","id":"q312$13","rank":"normal"}],"P2002":[{"mainsnak":{"snaktype":"novalue","property":"P2002","datatype":"external-id"},"type":"statement","id":"q312$14","rank":"normal"}]},"sitelinks":{"enwiki":{"site":"enwiki","title":"Apple Inc.","badges":[]}},"lastrevid":1},"#;

    #[test]
    fn an_organisation_is_read_with_its_latest_numbers() {
        let company = company(APPLE.as_bytes()).unwrap();
        let wanted: HashSet<EntityId> = company.references().collect();
        assert_eq!(wanted, HashSet::from([880_371, 189_471, 30, 4917]));
        let lines = [
            r#"{"type":"item","id":"Q30","labels":{"en":{"language":"en","value":"United States"}},"descriptions":[],"claims":{"P297":[{"mainsnak":{"snaktype":"value","property":"P297","datavalue":{"value":"US","type":"string"}},"rank":"normal"}]},"sitelinks":[]},"#,
            r#"{"type":"item","id":"Q4917","labels":{"en":{"language":"en","value":"United States dollar"}},"claims":{"P498":[{"mainsnak":{"datavalue":{"value":"USD","type":"string"}},"rank":"normal"}]}},"#,
            r#"{"type":"item","id":"Q880371","labels":{"en":{"language":"en","value":"software industry"}},"claims":[]},"#,
            r#"{"type":"item","id":"Q189471","labels":{"mul":{"language":"mul","value":"Cupertino"}},"claims":[]}"#,
            r#"{"type":"item","id":"Q2","labels":{"en":{"language":"en","value":"Earth"}},"claims":[]},"#,
        ];
        let labels: HashMap<EntityId, Label> =
            lines.iter().filter_map(|line| label(line.as_bytes(), &wanted)).collect();
        assert_eq!(labels.len(), 4);
        let profile = company.profile(&labels);
        assert_eq!((profile.domain.as_str(), profile.name.as_str()), ("apple.com", "Apple"));
        assert!(profile.other_domains.is_empty(), "a page on a platform is no domain of theirs");
        assert_eq!(profile.industries, ["software industry"]);
        assert_eq!(profile.employees, Some(Employees::exactly(164_000)));
        assert_eq!(
            profile.revenue,
            Some(Revenue { amount: 394_328_000_000, currency: "USD".to_owned(), year: Some(2022) })
        );
        assert_eq!(
            [&profile.address.street, &profile.address.postcode, &profile.address.city, &profile.address.country_code],
            ["One Apple Park Way", "95014", "Cupertino", "US"]
        );
        assert_eq!(profile.founded, Some(1976));
        assert_eq!(profile.legal_entity_identifier, "HWUPKR0MPOU8FGXBT394");
        assert_eq!(profile.links.linkedin, "https://www.linkedin.com/company/apple");
        assert_eq!(profile.links.twitter, "");
        assert_eq!(profile.logo, "https://commons.wikimedia.org/wiki/Special:FilePath/Apple_logo_black.svg");
        assert_eq!((profile.sources[0].id.as_str(), profile.sources[0].licence.as_str()), ("Q312", "CC0-1.0"));
    }

    #[test]
    fn people_things_and_what_is_gone_are_no_companies() {
        let website = r#""P856":[{"mainsnak":{"datavalue":{"value":"https://example.org/"}},"rank":"normal"}]"#;
        let industry = r#""P452":[{"mainsnak":{"datavalue":{"value":{"numeric-id":1}}},"rank":"normal"}]"#;
        let line =
            |claims: &str| format!(r#"{{"id":"Q9","labels":{{"en":{{"value":"Nine"}}}},"claims":{{{claims}}}}},"#);
        assert!(company(line(&format!("{website},{industry}")).as_bytes()).is_some());
        for claims in [
            website.to_owned(),
            industry.to_owned(),
            format!(
                r#"{website},{industry},"P31":[{{"mainsnak":{{"datavalue":{{"value":{{"numeric-id":5}}}}}},"rank":"normal"}}]"#
            ),
            format!(r#"{website},{industry},"P576":[{{"mainsnak":{{}},"rank":"normal"}}]"#),
            format!(
                r#"{industry},"P856":[{{"mainsnak":{{"datavalue":{{"value":"https://nine.wordpress.com/"}}}},"rank":"normal"}}]"#
            ),
            format!(
                r#"{industry},"P856":[{{"mainsnak":{{"datavalue":{{"value":"https://example.org/"}}}},"rank":"deprecated"}}]"#
            ),
        ] {
            assert_eq!(company(line(&claims).as_bytes()), None, "{claims}");
        }
        for text in ["[", "]", "", "{}", "{\"id\":\"P856\"}", "\"P856\"", "nonsense \"P856\""] {
            assert_eq!(company(text.as_bytes()), None, "{text}");
        }
    }
}
