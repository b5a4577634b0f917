//! Profiles of listed companies, from the package that the default data hold.

use super::{Employees, Profile, ProfileSource};
use crate::{
    names::display_name,
    signals::listed_companies::{ListedCompanies, ListedCompany},
};

/// Facts of Wikipedia's articles.
const LICENCE: &str = "CC-BY-SA-4.0";

/// Reads the package's module.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Profile>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let listed = ListedCompanies::from_module(text)?;
    let mut profiles: Vec<Profile> = listed.iter().map(profile).collect();
    profiles.sort_by(|a, b| a.domain.cmp(&b.domain));
    Ok(profiles)
}

fn profile(company: &ListedCompany) -> Profile {
    let (city, country) = place(&company.headquarters);
    let mut profile = Profile {
        domain: company.website.to_string(),
        name: display_name(&company.name),
        industries: company.industries.clone(),
        employees: employees(&company.employees).map(Employees::exactly),
        sources: vec![ProfileSource { name: "Wikipedia".to_owned(), licence: LICENCE.to_owned(), id: String::new() }],
        ..Profile::default()
    };
    profile.address.city = city;
    profile.address.country_code = country_code(&country).to_owned();
    profile.links.website = format!("https://{}", company.website);
    profile
}

/// The first number of a text: `~ 23,299 (December, 2024)`. With dots as with commas: `1.234`.
fn employees(text: &str) -> Option<u32> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let rest = text.get(start..)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ',' | '.')).unwrap_or(rest.len());
    let digits: String = rest.get(..end)?.chars().filter(char::is_ascii_digit).collect();
    // "1.2 million" is no count.
    let is_rounded = rest.get(end..)?.trim_start().starts_with("million");
    digits.parse().ok().filter(|_| !is_rounded)
}

/// City and country of `Amsterdam , Netherlands`, or of `Cupertino, California, U.S.`.
fn place(headquarters: &str) -> (String, String) {
    let mut parts = headquarters.split(',').map(str::trim).filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default().to_owned();
    let last = parts.next_back().unwrap_or_default().to_owned();
    // A street or a building instead of a city has digits.
    let city = if first.bytes().any(|byte| byte.is_ascii_digit()) { String::new() } else { first };
    (city, last)
}

/// ISO 3166-1 alpha-2 of the countries whose companies the indices have, as Wikipedia writes them.
fn country_code(country: &str) -> &'static str {
    let country = country.split(['[', '(']).next().unwrap_or_default().trim();
    let known = [
        ("Australia", "AU"),
        ("Austria", "AT"),
        ("Belgium", "BE"),
        ("Brazil", "BR"),
        ("Canada", "CA"),
        ("China", "CN"),
        ("Denmark", "DK"),
        ("England", "GB"),
        ("Finland", "FI"),
        ("France", "FR"),
        ("Germany", "DE"),
        ("Hong Kong", "HK"),
        ("India", "IN"),
        ("Ireland", "IE"),
        ("Israel", "IL"),
        ("Italy", "IT"),
        ("Japan", "JP"),
        ("Luxembourg", "LU"),
        ("Mexico", "MX"),
        ("Netherlands", "NL"),
        ("The Netherlands", "NL"),
        ("New Zealand", "NZ"),
        ("Norway", "NO"),
        ("Poland", "PL"),
        ("Portugal", "PT"),
        ("Russia", "RU"),
        ("Scotland", "GB"),
        ("Singapore", "SG"),
        ("South Africa", "ZA"),
        ("South Korea", "KR"),
        ("Spain", "ES"),
        ("Sweden", "SE"),
        ("Switzerland", "CH"),
        ("Taiwan", "TW"),
        ("Turkey", "TR"),
        ("U.S.", "US"),
        ("US", "US"),
        ("USA", "US"),
        ("United States", "US"),
        ("UK", "GB"),
        ("United Kingdom", "GB"),
    ];
    known.iter().find(|(name, _)| *name == country).map_or("", |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places_are_read_as_wikipedia_writes_them() {
        for (text, expected) in [
            ("23,299 (December, 2024)", Some(23_299)),
            ("~ 1.234", Some(1_234)),
            ("c. 161,000 (2023)", Some(161_000)),
            ("1.2 million (2020)", None),
            ("many", None),
        ] {
            assert_eq!(employees(text), expected, "{text}");
        }
        for (text, expected) in [
            ("Amsterdam , Netherlands", ("Amsterdam", "NL")),
            ("Cupertino, California, U.S.", ("Cupertino", "US")),
            ("1 Infinite Loop, Cupertino, U.S.", ("", "US")),
            ("", ("", "")),
        ] {
            let (city, country) = place(text);
            assert_eq!((city.as_str(), country_code(&country)), expected, "{text}");
        }
    }
}
