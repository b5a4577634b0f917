//! Lists of networks and organisations: the first byte chooses CSV or NDJSON. What is built must read back.
#![no_main]

use firmsight_fuzz::choice;
use firmsight_resolver::network_lists::{BuildError, BuildOptions, ListForm, ListInput, build};
use std::{cell::RefCell, path::Path};
use tempfile::TempDir;

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(tempfile::tempdir().unwrap());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (form, text) = choice(bytes);
    let form = if form.is_multiple_of(2) { ListForm::Csv } else { ListForm::Ndjson };
    FOLDER.with_borrow(|folder| {
        let output = folder.path().join("out.mmdb");
        let options = BuildOptions { output: &output, built_at: 0, description: "fuzz", entries_in_memory: 16 };
        let input = ListInput { path: Path::new("list"), form, text: Box::new(text) };
        match build(vec![input], &options, &mut |_| {}) {
            Ok(report) => assert!(report.networks > 0 && report.left_out <= report.rows),
            Err(BuildError::ReadBack(problem)) => panic!("{problem}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
});
