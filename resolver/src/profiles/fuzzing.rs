//! The readers of profile sources, for `fuzz/`.

use super::{gleif, owner_file, wikidata};
use std::{
    collections::{HashMap, HashSet},
    hint::black_box,
};

/// Reads bytes as lines of Wikidata's dump, as GLEIF's files, or as the owner's.
pub(crate) fn read(source: usize, bytes: &[u8]) {
    let wanted = HashSet::from(["HWUPKR0MPOU8FGXBT394".to_owned()]);
    match source {
        1 => {
            for line in bytes.split(|byte| *byte == b'\n') {
                let Some(company) = wikidata::company(line) else { continue };
                let references: HashSet<_> = company.references().collect();
                let labels: HashMap<_, _> = wikidata::label(line, &references).into_iter().collect();
                let stored = serde_json::to_vec(&company).ok();
                let read = stored.and_then(|text| serde_json::from_slice::<wikidata::Company>(&text).ok());
                assert_eq!(read.as_ref(), Some(&company), "a company reads as it was written");
                let profile = company.profile(&labels);
                assert!(!profile.domain.is_empty(), "a company has a domain");
            }
        }
        2 => drop(black_box(gleif::entities(bytes, &wanted))),
        3 => drop(black_box(gleif::parents(bytes, &wanted))),
        _ => {
            if let Ok(file) = owner_file::read(bytes) {
                assert!(file.profiles.iter().all(|profile| !profile.domain.is_empty()), "a company has a domain");
            }
        }
    }
}
