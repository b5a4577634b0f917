//! The owner's own companies: CSV under a header, a JSON array, or one JSON object a line.
//!
//! Names of columns and of JSON fields are the same; JSON may nest them (`address.city`). A row needs a domain; everything
//! else may be missing, and what is there wins over every other source.

use super::{Employees, Parent, Profile, ProfileSource, Revenue};
use crate::{names::registrable_domain, network_lists::domain_of};
use serde_json::Value;

/// The name under which the owner's file appears among the sources.
pub(super) const SOURCE: &str = "your own file";
/// More companies than any owner keeps by hand; they are held in memory.
const MAX_COMPANIES: usize = 1_000_000;
/// Longest text of a field, in bytes.
const MAX_TEXT: usize = 2_000;

/// What a file held.
#[derive(Debug, Default)]
pub(super) struct OwnerFile {
    pub(super) profiles: Vec<Profile>,
    /// Rows left out: line or number, and why.
    pub(super) problems: Vec<String>,
    /// Columns that mean nothing here.
    pub(super) ignored: Vec<String>,
}

/// Reads a file, whichever of the forms it has.
pub(super) fn read(bytes: &[u8]) -> Result<OwnerFile, String> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    match text.trim_start().as_bytes().first() {
        Some(b'[') => {
            let rows: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("no JSON array: {error}"))?;
            let mut file = OwnerFile::default();
            for (number, row) in (1..).zip(&rows) {
                file.json(&format!("entry {number}"), row)?;
            }
            Ok(file)
        }
        Some(b'{') => {
            let mut file = OwnerFile::default();
            for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
                match serde_json::from_str(line) {
                    Ok(row) => file.json(&format!("line {number}"), &row)?,
                    Err(error) => file.problems.push(format!("line {number}: no JSON object: {error}")),
                }
            }
            Ok(file)
        }
        _ => csv(text),
    }
}

fn csv(text: &str) -> Result<OwnerFile, String> {
    let first = text.lines().next().unwrap_or_default();
    let semicolons = first.matches(';').count() > first.matches(',').count();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if semicolons { b';' } else { b',' })
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().map_err(|error| error.to_string())?.iter().map(name).collect();
    if !columns.iter().any(|column| column == "domain") {
        return Err("its first line names no column `domain`".to_owned());
    }
    let mut file = OwnerFile {
        ignored: columns.iter().filter(|column| !FIELDS.contains(&column.as_str())).cloned().collect(),
        ..OwnerFile::default()
    };
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        file.row(&format!("line {line}"), columns.iter().map(String::as_str).zip(&record))?;
    }
    Ok(file)
}

/// Letter case, spaces and hyphens don't matter: `Legal Name` is `legal_name`.
fn name(text: &str) -> String {
    text.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-'], "_")
}

/// Every column.
pub(super) const FIELDS: [&str; 25] = [
    "domain",
    "other_domains",
    "name",
    "legal_name",
    "industries",
    "employees",
    "revenue",
    "currency",
    "revenue_year",
    "street",
    "postcode",
    "city",
    "region",
    "country_code",
    "phone",
    "website",
    "linkedin",
    "twitter",
    "facebook",
    "logo",
    "parent",
    "parent_domain",
    "description",
    "founded",
    "legal_entity_identifier",
];

impl OwnerFile {
    fn json(&mut self, place: &str, row: &Value) -> Result<(), String> {
        let Some(object) = row.as_object() else {
            self.problems.push(format!("{place}: no JSON object"));
            return Ok(());
        };
        let mut fields: Vec<(String, String)> = Vec::new();
        for (key, value) in object {
            let key = name(key);
            match value {
                Value::Object(inner) => {
                    // `employees` has `min` and `max`, `revenue` `amount` and `year`, `parent` `name` and `domain`.
                    let part = |name: &str| inner.get(name).map(text_of).unwrap_or_default();
                    match key.as_str() {
                        "employees" => fields.push((key, format!("{}-{}", part("min"), part("max")))),
                        "revenue" => fields.extend([
                            (key, part("amount")),
                            ("currency".to_owned(), part("currency")),
                            ("revenue_year".to_owned(), part("year")),
                        ]),
                        "parent" => fields.extend([(key, part("name")), ("parent_domain".to_owned(), part("domain"))]),
                        _ => fields.extend(inner.iter().map(|(key, value)| (name(key), text_of(value)))),
                    }
                }
                other => fields.push((key, text_of(other))),
            }
        }
        for (key, _) in &fields {
            if !FIELDS.contains(&key.as_str()) && !self.ignored.contains(key) && self.ignored.len() < 50 {
                self.ignored.push(key.clone());
            }
        }
        self.row(place, fields.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    fn row<'a>(&mut self, place: &str, fields: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), String> {
        if self.profiles.len() >= MAX_COMPANIES {
            return Err(format!("more than {MAX_COMPANIES} companies"));
        }
        match profile(fields) {
            Ok(profile) => self.profiles.push(profile),
            Err(problem) => self.problems.push(format!("{place}: {problem}")),
        }
        Ok(())
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.iter().map(text_of).collect::<Vec<_>>().join(";"),
        _ => String::new(),
    }
}

fn profile<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Profile, String> {
    let source = ProfileSource { name: SOURCE.to_owned(), licence: String::new(), id: String::new() };
    let mut profile = Profile { sources: vec![source], ..Profile::default() };
    let (mut amount, mut currency, mut year) = (None, String::new(), None);
    let mut parent = Parent::default();
    for (field, text) in fields {
        let text = text.trim();
        if text.is_empty() || text == "-" {
            continue;
        }
        if text.len() > MAX_TEXT {
            return Err(format!("{field} has more than {MAX_TEXT} bytes"));
        }
        let number = || {
            text.replace([',', '_', ' '], "").parse::<u64>().map_err(|_| format!("{field} {text:?} is no whole number"))
        };
        let a_year = || text.parse::<i16>().map_err(|_| format!("{field} {text:?} is no year"));
        match field {
            "domain" => profile.domain = domain_of(text),
            "other_domains" => {
                let domains = text.split([';', ' ', ',']).filter_map(registrable_domain);
                profile.other_domains = domains.map(|domain| domain.to_string()).collect();
            }
            "name" => text.clone_into(&mut profile.name),
            "legal_name" => text.clone_into(&mut profile.legal_name),
            "industries" => {
                profile.industries = text
                    .split(';')
                    .map(|industry| industry.trim().to_owned())
                    .filter(|industry| !industry.is_empty())
                    .collect();
            }
            "employees" => profile.employees = Some(employees(text)?),
            "revenue" => amount = Some(number()?),
            "currency" => currency = text.to_ascii_uppercase(),
            "revenue_year" => year = Some(a_year()?),
            "street" => text.clone_into(&mut profile.address.street),
            "postcode" => text.clone_into(&mut profile.address.postcode),
            "city" => text.clone_into(&mut profile.address.city),
            "region" => text.clone_into(&mut profile.address.region),
            "country_code" => profile.address.country_code = text.to_ascii_uppercase(),
            "phone" => text.clone_into(&mut profile.phone),
            "website" => profile.links.website = link(field, text)?,
            "linkedin" => profile.links.linkedin = link(field, text)?,
            "twitter" => profile.links.twitter = link(field, text)?,
            "facebook" => profile.links.facebook = link(field, text)?,
            "logo" => profile.logo = link(field, text)?,
            "parent" => text.clone_into(&mut parent.name),
            "parent_domain" => parent.domain = domain_of(text),
            "description" => text.clone_into(&mut profile.description),
            "founded" => profile.founded = Some(a_year()?),
            "legal_entity_identifier" => text.clone_into(&mut profile.legal_entity_identifier),
            _ => {}
        }
    }
    if profile.domain.is_empty() {
        return Err("no domain such as acme.com".to_owned());
    }
    let domain = profile.domain.clone();
    profile.other_domains.retain(|other| *other != domain);
    profile.revenue = amount.map(|amount| Revenue { amount, currency, year });
    profile.parent = (!parent.name.is_empty() || !parent.domain.is_empty()).then_some(parent);
    Ok(profile)
}

/// `250`, `201-500`, `10,001+`.
fn employees(text: &str) -> Result<Employees, String> {
    let wrong = || format!("employees {text:?}: write a number, a range such as 201-500, or 10001+");
    let number = |text: &str| text.trim().replace([',', '_', '.'], "").parse::<u32>().map_err(|_| wrong());
    if let Some(min) = text.strip_suffix('+') {
        return Ok(Employees { min: number(min)?, max: None });
    }
    let range = match text.split_once(['-', '\u{2013}']) {
        Some((min, "")) => Employees { min: number(min)?, max: None },
        Some((min, max)) => Employees { min: number(min)?, max: Some(number(max)?) },
        None => Employees::exactly(number(text)?),
    };
    if range.max.is_some_and(|max| max < range.min) { Err(wrong()) } else { Ok(range) }
}

/// Links are shown in reports and dashboards: only web addresses are.
pub(super) fn link(field: &str, text: &str) -> Result<String, String> {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    let has_scheme = text.contains(':');
    match (is_web, has_scheme) {
        (true, _) => Ok(text.to_owned()),
        (false, false) => Ok(format!("https://{}", text.trim_start_matches('/'))),
        (false, true) => Err(format!("{field} {text:?} is no web address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_both_forms_of_json_give_the_same_company() {
        let csv = "Domain,Other Domains,Name,Industries,Employees,Revenue,Currency,Revenue Year,City,Country Code,Website,Parent,Our Id\n\
                   www.Acme.com,acme.de acme.co.uk,Acme,Widgets; Tools,201-500,\"1,000,000\",eur,2024,Berlin,de,acme.com,Big Co,7\n";
        let json = r#"{"domain":"acme.com","other_domains":["acme.de","acme.co.uk"],"name":"Acme","industries":["Widgets","Tools"],"employees":{"min":201,"max":500},"revenue":{"amount":1000000,"currency":"EUR","year":2024},"address":{"city":"Berlin","country_code":"DE"},"links":{"website":"https://acme.com"},"parent":{"name":"Big Co"},"our_id":7}"#;
        let from_csv = read(csv.as_bytes()).unwrap();
        assert_eq!(from_csv.ignored, ["our_id"]);
        let profile = &from_csv.profiles[0];
        assert_eq!((profile.domain.as_str(), profile.other_domains.len()), ("acme.com", 2));
        assert_eq!(profile.employees, Some(Employees { min: 201, max: Some(500) }));
        assert_eq!(profile.links.website, "https://acme.com");
        for json in [json.to_owned(), format!("[{json}]"), format!("{json}\n\n")] {
            let from_json = read(json.as_bytes()).unwrap();
            assert_eq!(from_json.profiles, from_csv.profiles, "{json}: {:?}", from_json.problems);
        }
    }

    #[test]
    fn rows_with_mistakes_are_left_out_by_line_and_field() {
        let text = "domain,employees,website,founded\nacme.com,many,,\n,5,,\nbeta.org,5,javascript:alert(1),\ngamma.org,9-3,,\ndelta.org,,,soon\nepsilon.org,10001+,,1999\n";
        let file = read(text.as_bytes()).unwrap();
        for (problem, part) in file.problems.iter().zip([
            "line 2: employees",
            "line 3: no domain",
            "line 4: website",
            "line 5: employees",
            "line 6: founded",
        ]) {
            assert!(problem.starts_with(part), "{problem}");
        }
        assert_eq!((file.problems.len(), file.profiles.len()), (5, 1));
        assert_eq!(file.profiles[0].employees, Some(Employees { min: 10_001, max: None }));
        assert!(read(b"name\nAcme\n").unwrap_err().contains("`domain`"));
        assert!(read(b"[1").is_err());
    }
}
