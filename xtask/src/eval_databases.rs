//! The part of `cargo xtask eval` on commercial databases: what MaxMind's test databases say, field by field, must be what
//! their source says.

use crate::error::Error;
use firmsight_resolver::{DatabaseKind, Databases, NetworkFacts};
use std::net::IpAddr;

/// How many differences are printed.
const SHOWN: usize = 10;

/// One labelled network.
pub(crate) struct Case<'a> {
    /// Its first address.
    pub(crate) address: Option<IpAddr>,
    /// The file that it comes from, such as `GeoIP2-ISP-Test.json`.
    pub(crate) source: &'a str,
    /// What each field must be; empty where the source has none.
    pub(crate) organization: &'a str,
    pub(crate) isp: &'a str,
    pub(crate) asn: &'a str,
    pub(crate) as_name: &'a str,
    pub(crate) user_type: &'a str,
    pub(crate) connection_type: &'a str,
}

/// A table of how many networks read as they are written, by source.
pub(crate) fn check<'a>(cases: impl Iterator<Item = Case<'a>>) -> Result<String, Error> {
    let Some(folder) = geoip_data::test_data_folder().filter(|folder| folder.join("seven.mmdb").is_file()) else {
        return Ok("MaxMind's test databases are missing: `cargo xtask test` fetches them\n\n".to_owned());
    };
    let open = |name: &str| Databases::open(&[folder.join(name)]).map_err(|error| Error::Other(error.to_string()));
    let sources = [
        ("GeoIP2-ISP-Test.json", open("seven.mmdb")?),
        ("GeoIP2-Enterprise-Test.json", open("five.mmdb")?),
        ("GeoIP2-Precision-Enterprise-Test.json", open("six.mmdb")?),
        ("GeoIP2-Connection-Type-Test.json", open("three.mmdb")?),
    ];
    let mut counts = [(0u32, 0u32, 0u32); 4];
    let mut differences = Vec::new();
    for case in cases {
        let Some(index) = sources.iter().position(|(name, _)| *name == case.source) else { continue };
        let Some((_, databases)) = sources.get(index) else { continue };
        let found = case.address.map(|address| databases.network_facts(address)).unwrap_or_default();
        let (right, all, absent) = &mut counts[index];
        let Some(facts) = found.first() else {
            *absent += 1;
            continue;
        };
        let is_right = is_as_written(facts, &case);
        *right += u32::from(is_right);
        *all += 1;
        if !is_right && differences.len() < SHOWN {
            differences.push(format!("  {}: {:?} gives {facts:?}\n", case.source, case.address));
        }
    }
    let mut text = String::from(
        "commercial databases, every field of every network as in the publisher's own source; what is not in the package's \
         files, which are older than the source, is counted apart\n",
    );
    for ((name, databases), (right, all, absent)) in sources.iter().zip(counts) {
        let kind = databases.status().first().map_or(DatabaseKind::Asn, |status| status.kind);
        text.push_str(&format!("{name:<42} read as {kind:<18} right {right} of {all}, {absent} not in the file\n"));
    }
    differences.into_iter().for_each(|difference| text.push_str(&difference));
    text.push('\n');
    Ok(text)
}

fn is_as_written(facts: &NetworkFacts, case: &Case<'_>) -> bool {
    facts.organization == case.organization
        && facts.isp == case.isp
        && facts.asn == case.asn.parse().ok()
        && facts.as_name == case.as_name
        && facts.user_type == case.user_type
        && facts.connection_type == case.connection_type
}
