//! Configuration: a TOML file and, after a NUL byte, environment variables, one `NAME=VALUE` a line.
#![no_main]

use collector::config::load;
use firmsight_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (file, environment) = text.split_once('\0').unwrap_or((text, ""));
    let environment = environment.lines().filter_map(|line| line.split_once('='));
    let environment: Vec<_> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    with_file(file.as_bytes(), |path| match load(Some(path), environment) {
        Ok(config) => drop(config.spool_folder()),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
});
