//! JSON:API documents and what several of them share.

use super::paging::Links;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// A document with one resource or a list of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Document<Data> {
    pub(super) data: Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) included: Option<Vec<Resource<LocationAttributes>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) links: Option<Links>,
}

impl<Data> Document<Data> {
    pub(super) const fn plain(data: Data) -> Self {
        Self { data, included: None, links: None }
    }
}

/// A resource; `Attributes` says of which type.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resource<Attributes> {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) relationships: Option<Relationships>,
}

/// Where a lead or a visit is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Relationships {
    location: Relationship,
}

#[derive(Debug, Serialize, ToSchema)]
struct Relationship {
    data: Identifier,
}

#[derive(Debug, Serialize, ToSchema)]
struct Identifier {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A place as stored; empty where unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) country_code: &'a str,
    pub(super) region: &'a str,
    pub(super) city: &'a str,
}

impl Place<'_> {
    /// The same place has the same id everywhere and always: 64 bits of SHA-256 over its parts.
    fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.country_code, self.region, self.city] {
            hash.update(part);
            hash.update([0]);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn relationships(&self) -> Relationships {
        Relationships { location: Relationship { data: Identifier { id: self.id(), kind: LOCATIONS } } }
    }

    fn resource(&self) -> Resource<LocationAttributes> {
        let country = rust_iso3166::from_alpha2(self.country_code).map_or("", |country| country.name);
        Resource {
            id: self.id(),
            kind: LOCATIONS,
            attributes: LocationAttributes {
                country,
                country_code: self.country_code.to_owned(),
                region: self.region.to_owned(),
                region_code: "",
                city: self.city.to_owned(),
                state_code: "",
            },
            relationships: None,
        }
    }
}

const LOCATIONS: &str = "locations";

/// Each place once, in the order of first mention: clients join on the id, and a second one would double their rows.
pub(super) fn included<'a>(places: impl Iterator<Item = Place<'a>>) -> Vec<Resource<LocationAttributes>> {
    let mut seen: Vec<Place<'a>> = Vec::new();
    for place in places {
        if !seen.contains(&place) {
            seen.push(place);
        }
    }
    seen.iter().map(Place::resource).collect()
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LocationAttributes {
    country: &'static str,
    country_code: String,
    region: String,
    region_code: &'static str,
    city: String,
    state_code: &'static str,
}

/// `None` for what is not known, so that it becomes null.
pub(super) fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
