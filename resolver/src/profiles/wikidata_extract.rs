//! An extract of Wikidata: the result of a SPARQL query, as JSON or CSV, instead of the whole dump.
//!
//! A result has a row for each combination of an organisation's values, so rows of one organisation are joined: its
//! websites, its industries, and the first of everything else. The query that gives such a result is in
//! docs/company-data.md; columns that are missing leave their facts out, only `item` and `website` are needed.

use super::{
    Employees, Profile, ProfileSource,
    owner_file::link,
    wikidata::{self, LICENCE},
};
use crate::names::display_name;
use serde::Deserialize;
use std::collections::HashMap;

/// The largest result that is read: a million organisations have some 300 MB.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// Reads a result; gives the organisations, and how many rows were left out: without a website of their own, or those of
/// an organisation whose website another one of which more is known has too.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Profile>, u64), String> {
    let mut extract = Extract::default();
    if bytes.trim_ascii_start().starts_with(b"{") {
        extract.json(bytes)?;
    } else {
        extract.csv(bytes)?;
    }
    let left_out = extract.left_out;
    let (profiles, doubles) = without_doubles(extract.organisations);
    Ok((profiles, left_out + doubles))
}

#[derive(Default)]
struct Extract {
    organisations: Vec<Profile>,
    /// By item.
    places: HashMap<String, usize>,
    left_out: u64,
}

impl Extract {
    fn json(&mut self, bytes: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Answer {
            results: Results,
        }
        #[derive(Deserialize)]
        struct Results {
            bindings: Vec<HashMap<String, Bound>>,
        }
        #[derive(Deserialize)]
        struct Bound {
            value: String,
        }
        let answer: Answer =
            serde_json::from_slice(bytes).map_err(|error| format!("not the JSON of a SPARQL result: {error}"))?;
        let has = |column: &str| answer.results.bindings.iter().any(|row| row.contains_key(column));
        needed(has)?;
        for row in &answer.results.bindings {
            self.row(&|column| row.get(column).map_or("", |bound| bound.value.as_str()));
        }
        Ok(())
    }

    fn csv(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let columns: HashMap<String, usize> = reader
            .headers()
            .map_err(|error| format!("not the CSV of a SPARQL result: {error}"))?
            .iter()
            .enumerate()
            .map(|(place, name)| (name.trim_start_matches('\u{feff}').to_owned(), place))
            .collect();
        needed(|column| columns.contains_key(column))?;
        for row in reader.records() {
            let row = row.map_err(|error| format!("a damaged CSV: {error}"))?;
            self.row(&|column| columns.get(column).and_then(|place| row.get(*place)).unwrap_or_default());
        }
        Ok(())
    }

    fn row<'a>(&mut self, get: &dyn Fn(&str) -> &'a str) {
        let item = get("item").rsplit('/').next().unwrap_or_default();
        let own = wikidata::own_website(get("website"));
        let (Some(domain), false) = (own, item.is_empty()) else {
            self.left_out += 1;
            return;
        };
        let place = *self.places.entry(item.to_owned()).or_insert_with(|| {
            self.organisations.push(Profile {
                sources: vec![ProfileSource {
                    name: "Wikidata".to_owned(),
                    licence: LICENCE.to_owned(),
                    id: item.to_owned(),
                }],
                ..Profile::default()
            });
            self.organisations.len() - 1
        });
        let Some(profile) = self.organisations.get_mut(place) else { return };
        if profile.domain.is_empty() {
            profile.domain = domain;
            profile.links.website = wikidata::cut(get("website"));
        } else if profile.domain != domain && !profile.other_domains.contains(&domain) {
            profile.other_domains.push(domain);
        }
        fill(profile, get);
    }
}

/// The columns that a result can't do without.
fn needed(has: impl Fn(&str) -> bool) -> Result<(), String> {
    match ["item", "website"].into_iter().find(|column| !has(column)) {
        Some(missing) => Err(format!("there is no column {missing}; take the query in docs/company-data.md")),
        None => Ok(()),
    }
}

/// Takes what a row says and the profile does not have yet. Wikidata answers an unknown label by the item's number.
fn fill<'a>(profile: &mut Profile, get: &dyn Fn(&str) -> &'a str) {
    let is_number =
        |text: &str| text.strip_prefix('Q').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let label = |column: &str| wikidata::cut(Some(get(column)).filter(|text| !is_number(text)).unwrap_or_default());
    let first = |field: &mut String, text: String| {
        if field.is_empty() {
            *field = text;
        }
    };
    first(&mut profile.name, display_name(&label("itemLabel")));
    first(&mut profile.legal_name, label("legalName"));
    first(&mut profile.description, label("itemDescription"));
    first(&mut profile.address.street, label("street"));
    first(&mut profile.address.postcode, label("postcode"));
    first(&mut profile.address.city, label("cityLabel"));
    first(&mut profile.address.country_code, get("countryCode").to_ascii_uppercase());
    first(&mut profile.legal_entity_identifier, label("lei"));
    first(&mut profile.logo, link("logo", get("logo")).unwrap_or_default());
    let industry = label("industryLabel");
    if !industry.is_empty() && !profile.industries.contains(&industry) {
        profile.industries.push(industry);
    }
    let number = |column: &str| get(column).parse::<f64>().ok().filter(|number| *number >= 0.0);
    // Several rows give several years' numbers; the query orders none of them, and the largest is the group's.
    if let Some(count) = number("employees").map(|count| count as u32)
        && profile.employees.is_none_or(|known| known.min < count)
    {
        profile.employees = Some(Employees::exactly(count));
    }
    profile.founded = profile.founded.or_else(|| get("founded").get(..4)?.parse().ok());
    let parent = label("parentLabel");
    if profile.parent.is_none() && !parent.is_empty() {
        let domain = wikidata::own_website(get("parentWebsite")).unwrap_or_default();
        profile.parent = Some(super::Parent { name: parent, domain });
    }
}

/// One organisation a domain: the one of which more is known, the first of equal ones.
fn without_doubles(organisations: Vec<Profile>) -> (Vec<Profile>, u64) {
    let mut best: HashMap<String, (usize, u32)> = HashMap::new();
    for (place, profile) in organisations.iter().enumerate() {
        for domain in profile.domains() {
            let facts = facts(profile);
            let known = best.entry(domain.clone()).or_insert((place, facts));
            if known.1 < facts {
                *known = (place, facts);
            }
        }
    }
    let all = organisations.len();
    let mut kept = Vec::new();
    for (place, mut profile) in organisations.into_iter().enumerate() {
        let is_own = |domain: &String| best.get(domain).is_some_and(|(owner, _)| *owner == place);
        if is_own(&profile.domain) {
            profile.other_domains.retain(is_own);
            kept.push(profile);
        }
    }
    let doubles = (all - kept.len()) as u64;
    (kept, doubles)
}

fn facts(profile: &Profile) -> u32 {
    let has = |known: bool| u32::from(known);
    has(profile.employees.is_some()) * 2
        + has(!profile.industries.is_empty())
        + has(!profile.address.city.is_empty())
        + has(!profile.legal_entity_identifier.is_empty())
        + has(profile.parent.is_some())
        + has(!profile.logo.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "item,itemLabel,website,industryLabel,employees,cityLabel,countryCode,logo,parentLabel,parentWebsite\n\
        http://www.wikidata.org/entity/Q1,Acme Ltd,https://www.acme.com/en,toys,250,Berlin,de,http://commons.wikimedia.org/wiki/Special:FilePath/Acme.svg,Big,https://big.example.com\n\
        http://www.wikidata.org/entity/Q1,Acme Ltd,https://acme.de/,games,300,Berlin,de,,,\n\
        http://www.wikidata.org/entity/Q2,On a platform,https://www.facebook.com/somebody,,,,,,,\n\
        http://www.wikidata.org/entity/Q3,On a blog,https://somebody.wordpress.com/,,,,,,,\n\
        http://www.wikidata.org/entity/Q4,A page,https://somebody.github.io,,,,,,,\n\
        http://www.wikidata.org/entity/Q5,Double,https://acme.com/,,,,,,,\n\
        http://www.wikidata.org/entity/Q6,Q6,https://xn--mller-kva.de/,,,,,javascript:alert(1),,\n";

    #[test]
    fn rows_of_one_organisation_become_one_profile() {
        let (profiles, left_out) = read(CSV.as_bytes()).unwrap();
        assert_eq!(left_out, 4, "three on platforms, one double");
        let acme = &profiles[0];
        assert_eq!(
            (acme.domain.as_str(), acme.other_domains.as_slice()),
            ("acme.com", ["acme.de".to_owned()].as_slice())
        );
        assert_eq!((acme.name.as_str(), acme.industries.join("/").as_str()), ("Acme", "toys/games"));
        assert_eq!(acme.employees, Some(Employees::exactly(300)));
        assert_eq!((acme.address.city.as_str(), acme.address.country_code.as_str()), ("Berlin", "DE"));
        assert_eq!(acme.parent.as_ref().map(|parent| parent.name.as_str()), Some("Big"));
        assert!(acme.logo.ends_with("Acme.svg"));
        assert_eq!(acme.sources[0].id, "Q1");
    }

    #[test]
    fn punycode_is_a_domain_and_a_label_that_is_a_number_is_no_name() {
        let (profiles, _) = read(CSV.as_bytes()).unwrap();
        let other = profiles.iter().find(|profile| profile.domain == "xn--mller-kva.de").unwrap();
        assert_eq!((other.name.as_str(), other.logo.as_str()), ("", ""));
    }

    #[test]
    fn the_json_of_a_result_says_the_same() {
        let json = r#"{"head":{"vars":["item","website"]},"results":{"bindings":[{"item":{"type":"uri","value":"http://www.wikidata.org/entity/Q1"},"website":{"type":"uri","value":"https://acme.com"},"itemLabel":{"type":"literal","value":"Acme"}}]}}"#;
        let (profiles, left_out) = read(json.as_bytes()).unwrap();
        assert_eq!((profiles.len(), left_out, profiles[0].name.as_str()), (1, 0, "Acme"));
    }

    #[test]
    fn a_result_without_a_needed_column_is_refused_by_its_name() {
        for (text, missing) in [
            ("item,itemLabel\nQ1,Acme\n", "website"),
            ("website\nhttps://acme.com\n", "item"),
            (r#"{"results":{"bindings":[{"item":{"value":"Q1"}}]}}"#, "website"),
        ] {
            assert!(read(text.as_bytes()).unwrap_err().contains(missing), "{text}");
        }
        assert!(read(b"{}").is_err());
    }
}
