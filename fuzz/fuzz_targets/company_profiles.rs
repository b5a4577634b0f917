//! Sources of company profiles, chosen by the first byte: a profile file, Wikidata, GLEIF's two files, the owner's.
#![no_main]

use firmsight_fuzz::{choice, with_file};
use firmsight_resolver::fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (source, rest) = choice(bytes);
    with_file(rest, |path| fuzzing::read_profiles(source, path, rest));
});
