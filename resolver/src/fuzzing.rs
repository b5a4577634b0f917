//! The reading of data files, for `fuzz/`: no part of the library's interface.

#[cfg(feature = "dns")]
pub use crate::dns::fuzzing::Names;

use crate::{
    DatabaseStatus, Databases, ProfileLookup, Profiles, ResolverError,
    decision::{Case, Scores},
    profiles,
    rules::Rules,
    signals::company_database::{self, Door},
};
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
    for ip in addresses {
        for database in &databases.companies {
            let Some(record) = database.look_up(*ip) else { continue };
            let (mut case, mut scores, mut is_final) = (Case::default(), Scores::default(), false);
            let map = &databases.domain_map;
            company_database::judge(database.kind, &record, map, rules, &mut case);
            let mut door = Door { scores: &mut scores, is_final: &mut is_final };
            company_database::judge(database.kind, &record, map, rules, &mut door);
            let decision = case.decide(rules, databases.profiles.as_ref());
            assert_eq!(
                (decision.kind, decision.is_final),
                (scores.winner(rules.weights.least_score), is_final),
                "door and verdict differ"
            );
        }
        black_box(databases.network_facts(*ip));
    }
    black_box(databases.autonomous_system(0));
    Ok(databases.status())
}

/// Reads bytes as each source of company profiles, or opens them as a profile file.
pub fn read_profiles(source: usize, path: &Path, bytes: &[u8]) {
    if source.is_multiple_of(5) {
        if let Ok(file) = Profiles::open(path) {
            black_box((file.profile("acme.com"), file.iter().count()));
        }
    } else {
        profiles::fuzzing::read(source % 5, bytes);
    }
}
