//! Whose work is in the release, under which licence, and what to show where their data is shown.

use crate::{error::Error, machine};
use std::{collections::BTreeSet, fmt::Write as _};

/// The text of THIRD-PARTY.txt.
pub(super) fn notices() -> Result<String, Error> {
    let mut text = String::from("Data files and libraries in this release\n\n");
    for package in geoip_data::PACKAGES.iter().chain([&geoip_data::CLICKHOUSE]) {
        let files: Vec<&str> = package.files.iter().map(|(_, name)| *name).collect();
        line(&mut text, &format!("{} {}: {}", package.name, package.version, package.content));
        line(&mut text, &format!("  files: {}", files.join(", ")));
        line(&mut text, &format!("  licence: {}", package.licence));
        if !package.attribution.is_empty() {
            line(&mut text, &format!("  show where you show the data: {}", package.attribution));
        }
    }
    line(&mut text, "\nRust crates in the program, and their licences\n");
    for crate_line in crates()? {
        line(&mut text, &crate_line);
    }
    Ok(text)
}

fn line(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}

/// Every crate that the lock file has for this platform, our own ones apart.
fn crates() -> Result<BTreeSet<String>, Error> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let described = machine::output(machine::cargo().args(arguments))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&described).map_err(|error| Error::Other(format!("cargo metadata: {error}")))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let text = |package: &serde_json::Value, key: &str| package[key].as_str().unwrap_or("not named").to_owned();
    Ok(packages
        .filter(|package| !package["source"].is_null())
        .map(|package| format!("{} {}: {}", text(package, "name"), text(package, "version"), text(package, "license")))
        .collect())
}
