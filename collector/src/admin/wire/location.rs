//! Where an address or a company is.

use firmsight_resolver::Location;
use serde::Serialize;
use utoipa::ToSchema;

/// Where an address is; empty where unknown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResolvedLocation {
    /// ISO 3166-1 alpha-2.
    #[schema(example = "DE")]
    country_code: String,
    region: String,
    city: String,
}

impl From<&Location> for ResolvedLocation {
    fn from(location: &Location) -> Self {
        let Location { country_code, region, city } = location;
        Self { country_code: country_code.clone(), region: region.clone(), city: city.clone() }
    }
}
