//! GLEIF's golden copy: who a legal entity identifier belongs to (level 1), and who owns whom (level 2).
//!
//! The register holds three million entities and no websites, so it tells more of companies that another source names with
//! their identifier: registered name, address, parent. Both files are read as CSV in the form that GLEIF publishes, column
//! names included: <https://www.gleif.org/en/lei-data/gleif-golden-copy>.

use super::Address;
use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

/// The licence of the golden copy.
pub(super) const LICENCE: &str = "CC0-1.0";

/// An entry of the register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) legal_name: String,
    pub(super) address: Address,
}

/// A legal entity identifier (ISO 17442): twenty letters and digits.
pub(super) fn is_identifier(text: &str) -> bool {
    text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Reads level 2: the direct parent of each wanted entity.
pub(super) fn parents(file: impl Read, wanted: &HashSet<String>) -> Result<HashMap<String, String>, String> {
    const COLUMNS: [&str; 4] = [
        "Relationship.StartNode.NodeID",
        "Relationship.EndNode.NodeID",
        "Relationship.RelationshipType",
        "Relationship.RelationshipStatus",
    ];
    let mut parents = HashMap::new();
    each_row(file, COLUMNS, |[child, parent, kind, status]| {
        if wanted.contains(child)
            && kind == "IS_DIRECTLY_CONSOLIDATED_BY"
            && status != "INACTIVE"
            && is_identifier(parent)
        {
            parents.insert(child.to_owned(), parent.to_owned());
        }
    })?;
    Ok(parents)
}

/// Reads level 1: the wanted entities.
pub(super) fn entities(file: impl Read, wanted: &HashSet<String>) -> Result<HashMap<String, Entity>, String> {
    const COLUMNS: [&str; 7] = [
        "LEI",
        "Entity.LegalName",
        "Entity.HeadquartersAddress.FirstAddressLine",
        "Entity.HeadquartersAddress.PostalCode",
        "Entity.HeadquartersAddress.City",
        "Entity.HeadquartersAddress.Region",
        "Entity.HeadquartersAddress.Country",
    ];
    let mut entities = HashMap::new();
    each_row(file, COLUMNS, |[identifier, name, street, postcode, city, region, country]| {
        if wanted.contains(identifier) {
            let address = Address {
                street: street.to_owned(),
                postcode: postcode.to_owned(),
                city: city.to_owned(),
                region: region.to_owned(),
                country_code: country.to_ascii_uppercase(),
            };
            entities.insert(identifier.to_owned(), Entity { legal_name: name.to_owned(), address });
        }
    })?;
    Ok(entities)
}

/// Calls `each` with the named columns of every row, wherever they stand.
fn each_row<const N: usize>(
    file: impl Read,
    columns: [&str; N],
    mut each: impl FnMut([&str; N]),
) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name.trim_start_matches('\u{feff}') == column)
            .ok_or_else(|| format!("no column {column:?}: this is not the CSV form of GLEIF's golden copy"))?;
    }
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => each(places.map(|place| record.get(place).unwrap_or_default().trim())),
            // One row that is not UTF-8 is one row.
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Column order and quoting as in the published file, most columns left out.
    const LEVEL_1: &str = "\"LEI\",\"Entity.LegalName\",\"Entity.LegalName.xmllang\",\"Entity.LegalAddress.City\",\"Entity.HeadquartersAddress.FirstAddressLine\",\"Entity.HeadquartersAddress.City\",\"Entity.HeadquartersAddress.Region\",\"Entity.HeadquartersAddress.Country\",\"Entity.HeadquartersAddress.PostalCode\",\"Entity.EntityStatus\"\n\
        \"HWUPKR0MPOU8FGXBT394\",\"APPLE INC.\",\"en\",\"GLENDALE\",\"ONE APPLE PARK WAY\",\"CUPERTINO\",\"US-CA\",\"US\",\"95014\",\"ACTIVE\"\n\
        \"00000000000000000001\",\"Nobody asked\",\"en\",\"\",\"\",\"\",\"\",\"\",\"\",\"ACTIVE\"\n";
    const LEVEL_2: &str = "\"Relationship.StartNode.NodeID\",\"Relationship.StartNode.NodeIDType\",\"Relationship.EndNode.NodeID\",\"Relationship.EndNode.NodeIDType\",\"Relationship.RelationshipType\",\"Relationship.RelationshipStatus\"\n\
        \"AAAAAAAAAAAAAAAAAAAA\",\"LEI\",\"HWUPKR0MPOU8FGXBT394\",\"LEI\",\"IS_DIRECTLY_CONSOLIDATED_BY\",\"ACTIVE\"\n\
        \"AAAAAAAAAAAAAAAAAAAA\",\"LEI\",\"00000000000000000001\",\"LEI\",\"IS_ULTIMATELY_CONSOLIDATED_BY\",\"ACTIVE\"\n\
        \"BBBBBBBBBBBBBBBBBBBB\",\"LEI\",\"00000000000000000001\",\"LEI\",\"IS_DIRECTLY_CONSOLIDATED_BY\",\"ACTIVE\"\n";

    #[test]
    fn wanted_entities_and_their_direct_parents_are_read() {
        let wanted = HashSet::from(["AAAAAAAAAAAAAAAAAAAA".to_owned()]);
        let parents = parents(LEVEL_2.as_bytes(), &wanted).unwrap();
        assert_eq!(parents, HashMap::from([("AAAAAAAAAAAAAAAAAAAA".to_owned(), "HWUPKR0MPOU8FGXBT394".to_owned())]));
        let entities = entities(LEVEL_1.as_bytes(), &parents.into_values().collect()).unwrap();
        assert_eq!(entities.len(), 1);
        let apple = &entities["HWUPKR0MPOU8FGXBT394"];
        assert_eq!((apple.legal_name.as_str(), apple.address.country_code.as_str()), ("APPLE INC.", "US"));
        assert_eq!((apple.address.postcode.as_str(), apple.address.region.as_str()), ("95014", "US-CA"));
    }

    #[test]
    fn another_csv_is_refused_by_the_column_it_lacks() {
        let error = entities("a,b\n1,2\n".as_bytes(), &HashSet::new()).unwrap_err();
        assert!(error.contains("\"LEI\""), "{error}");
    }
}
