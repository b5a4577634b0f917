//! The reading of data files, for `fuzz/`: no part of the library's interface.

#[cfg(feature = "dns")]
pub use crate::dns::fuzzing::{Names, read_dns_answer};

use crate::{DatabaseStatus, Databases, ResolverError, rules::Rules};
use std::{hint::black_box, net::IpAddr, path::Path, sync::OnceLock};

/// Opens a data file and looks everything up that the resolver would. The rules are compiled once.
///
/// # Errors
/// As [`Databases::open`].
pub fn read_data_file(path: &Path, addresses: &[IpAddr]) -> Result<Vec<DatabaseStatus>, ResolverError> {
    static RULES: OnceLock<Rules> = OnceLock::new();
    let rules = match RULES.get() {
        Some(rules) => rules,
        None => {
            let compiled = Rules::compile()?;
            RULES.get_or_init(|| compiled)
        }
    };
    let mut databases = Databases::none();
    databases.add(path, None, rules)?;
    // Whatever it finds: what was opened must be safe to ask.
    black_box(databases.check().is_ok());
    for ip in addresses {
        let facts = databases.facts(*ip);
        black_box(databases.place(*ip).map(|(_, place)| place.location(facts.network_country)));
        black_box(databases.ranges.iter().filter_map(|table| table.evidence(*ip)).count());
    }
    black_box(databases.autonomous_system(0));
    Ok(databases.status())
}
