//! `firmsight geoip`: which data files there are, where they come from, and newer ones.

use super::{CliError, print};
use crate::{
    config::Config,
    data_files::{Outcome, Source, UpdateError},
    serve::{data_files::built_at, setup},
    time::UnixMillis,
};
use firmsight_resolver::{DatabaseStatus, Databases, Profiles};
use std::{fmt::Write as _, path::Path};

const SECONDS_A_DAY: u64 = 86_400;

/// What is known of a file.
struct File {
    status: Result<DatabaseStatus, String>,
    path: String,
    built_at: u64,
    age_days: u64,
    is_old: bool,
    origin: Option<Origin>,
}

/// Where a file comes from.
struct Origin {
    name: String,
    licence: &'static str,
    attribution: &'static str,
}

/// Prints a paragraph a file, then what their licences ask to show; or one JSON object a file.
pub(super) fn status(config: &Config, json: bool) -> Result<(), CliError> {
    let now = u64::try_from(UnixMillis::now().0 / 1000).unwrap_or_default();
    let files: Vec<File> = setup::database_files(config)?.iter().map(|path| look_at(path, config, now)).collect();
    if json {
        return print(&files.iter().map(|file| as_json(file).to_string() + "\n").collect::<String>());
    }
    let mut text = String::new();
    for file in &files {
        describe(&mut text, file);
    }
    let mut attributions: Vec<_> = files.iter().filter_map(|file| Some(file.origin.as_ref()?.attribution)).collect();
    attributions.retain(|attribution| !attribution.is_empty());
    attributions.sort_unstable();
    attributions.dedup();
    let credits = profiles(&mut text, config)?;
    if !attributions.is_empty() || !credits.is_empty() {
        line(&mut text, "\nShow this where you show the data:");
        for attribution in attributions {
            line(&mut text, &format!("  {attribution}"));
        }
        for credit in credits {
            line(&mut text, &format!("  {credit}"));
        }
    }
    print(&text)
}

/// Describes the company profiles, where there are any; gives what to show where they are shown.
fn profiles(text: &mut String, config: &Config) -> Result<Vec<String>, CliError> {
    let path = config.company_profiles();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let profiles = Profiles::open(&path).map_err(setup::SetupError::from)?;
    let status = profiles.status();
    let built = day(status.built_at).unwrap_or_else(|| "date unknown".to_owned());
    line(text, &format!("{}\n  company-profiles, of {built}, {} records", path.display(), status.companies));
    for source in &status.sources {
        let licence = if source.licence.is_empty() { String::new() } else { format!("; licence {}", source.licence) };
        line(text, &format!("  {} companies from {}{licence}", source.companies, source.name));
    }
    Ok(status.sources.iter().map(|source| source.attribution.clone()).filter(|text| !text.is_empty()).collect())
}

/// The data files for `doctor`: name, age in days, whether that is old, and what is wrong with it.
pub(super) fn ages(config: &Config) -> Vec<(String, u64, bool, Option<String>)> {
    let now = u64::try_from(UnixMillis::now().0 / 1000).unwrap_or_default();
    let files = setup::database_files(config).unwrap_or_default();
    let looked_at = files.iter().map(|path| look_at(path, config, now));
    looked_at.map(|file| (file.path, file.age_days, file.is_old, file.status.err())).collect()
}

fn look_at(path: &Path, config: &Config, now: u64) -> File {
    // Each by itself, so that one broken file hides no other.
    let opened = Databases::open(std::slice::from_ref(&path.to_owned()));
    let status = match opened {
        Ok(databases) => databases.status().into_iter().next().ok_or_else(|| "it holds nothing".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let built_at = status.as_ref().map_or(0, built_at);
    let age = now.saturating_sub(built_at);
    File {
        path: path.display().to_string(),
        built_at,
        age_days: age / SECONDS_A_DAY,
        is_old: status.is_ok() && age > config.geoip.max_age.get().as_secs(),
        origin: origin(path, config),
        status,
    }
}

fn origin(path: &Path, config: &Config) -> Option<Origin> {
    let is_fetched = |source: &&Source| path == config.geoip_folder().join(source.file_name());
    if let Some(source) = config.geoip.sources.iter().find(is_fetched) {
        let (licence, attribution) = source.licence();
        return Some(Origin { name: source.to_string(), licence, attribution });
    }
    let name = path.file_name()?;
    let holds =
        |package: &&geoip_data::Package| package.files.iter().any(|(_, file)| std::ffi::OsStr::new(file) == name);
    let package = geoip_data::PACKAGES.iter().find(holds)?;
    Some(Origin {
        name: format!("{} {}", package.name, package.version),
        licence: package.licence,
        attribution: package.attribution,
    })
}

fn day(seconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    (seconds > 0).then(|| time.strftime("%Y-%m-%d").to_string())
}

fn describe(text: &mut String, file: &File) {
    line(text, &file.path);
    match &file.status {
        Ok(status) => {
            let built = day(file.built_at).unwrap_or_else(|| "date unknown".to_owned());
            let records = status.records.map(|records| format!(", {records} records")).unwrap_or_default();
            line(text, &format!("  {}, of {built}, {} days old{records}", status.kind, file.age_days));
            if file.is_old {
                line(
                    text,
                    "  old: fetch a newer one with `firmsight geoip update` (sources: [geoip] in the configuration)",
                );
            }
        }
        Err(problem) => {
            line(text, &format!("  can't be used: {problem}"));
            line(text, "  a running server goes on with the file that it had");
        }
    }
    if let Some(Origin { name, licence, .. }) = &file.origin {
        line(text, &format!("  from {name}; licence {licence}"));
    }
}

fn as_json(file: &File) -> serde_json::Value {
    let status = file.status.as_ref().ok();
    let origin = file.origin.as_ref();
    serde_json::json!({
        "file": file.path,
        "kind": status.map(|status| status.kind.as_str()),
        "built": day(file.built_at),
        "age_days": status.map(|_| file.age_days),
        "is_old": file.is_old,
        "records": status.and_then(|status| status.records),
        "problem": file.status.as_ref().err(),
        "source": origin.map(|origin| &origin.name),
        "licence": origin.map(|origin| origin.licence),
        "attribution": origin.map(|origin| origin.attribution),
    })
}

/// Fetches what is newer and says so, a line a source.
pub(super) async fn update(config: &Config) -> Result<(), CliError> {
    let sources = &config.geoip.sources;
    if sources.is_empty() {
        return Err(CliError::Refused(
            "no source is named: list some in [geoip].sources, such as [\"dbip-city-lite\"] (docs/resolver.md says which there \
             are)"
                .to_owned(),
        ));
    }
    let refused = |error: UpdateError| CliError::Refused(error.to_string());
    let updater = setup::updater(config).map_err(refused)?;
    let outcomes = updater.update(sources, UnixMillis::now()).await.map_err(refused)?;
    let (mut text, mut problems) = (String::new(), Vec::new());
    for (source, outcome) in outcomes {
        match outcome {
            Ok(Outcome::Replaced { bytes, url }) => {
                line(&mut text, &format!("{source}: {bytes} bytes from {url}"));
                let (licence, attribution) = source.licence();
                let show = if attribution.is_empty() { String::new() } else { format!("; show: {attribution}") };
                line(&mut text, &format!("  licence {licence}{show}"));
            }
            Ok(Outcome::Unchanged) => line(&mut text, &format!("{source}: nothing newer")),
            Err(error) => problems.push(format!("{source}: {error}")),
        }
    }
    print(&text)?;
    if problems.is_empty() { Ok(()) } else { Err(CliError::Refused(problems.join("; "))) }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}
