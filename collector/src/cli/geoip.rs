//! `firmsight geoip`: which data files there are, and where they come from.

use super::CliError;
use crate::{config::Config, serve::setup};
use std::fmt::Write as _;

/// One paragraph a file, then what their licences ask to show.
pub(super) fn status(config: &Config) -> Result<String, CliError> {
    let databases = setup::databases(config)?;
    let mut text = String::new();
    let mut attributions = Vec::new();
    for status in databases.status() {
        let built = status
            .build_epoch
            .and_then(|seconds| jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok())
            .map_or_else(|| "date unknown".to_owned(), |time| format!("of {}", time.strftime("%Y-%m-%d")));
        let records = status.records.map(|records| format!(", {records} records")).unwrap_or_default();
        line(&mut text, &format!("{}\n  {}, {built}{records}", status.file.display(), status.kind));
        let name = status.file.file_name().unwrap_or_default();
        let package = geoip_data::PACKAGES
            .iter()
            .find(|package| package.files.iter().any(|(_, file)| std::ffi::OsStr::new(file) == name));
        if let Some(package) = package {
            line(&mut text, &format!("  from {} {}; licence {}", package.name, package.version, package.licence));
            if !package.attribution.is_empty() && !attributions.contains(&package.attribution) {
                attributions.push(package.attribution);
            }
        }
    }
    if !attributions.is_empty() {
        line(&mut text, "\nShow this where you show the data:");
        for attribution in attributions {
            line(&mut text, &format!("  {attribution}"));
        }
    }
    Ok(text)
}

fn line(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}
