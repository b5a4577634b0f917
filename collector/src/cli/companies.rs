//! `firmsight companies`: the file of company profiles.

use super::{
    CliError,
    arguments::{CompaniesBuild, CompaniesShow},
};
use crate::{config::Config, import::input::decompressed, serve::setup};
use firmsight_resolver::{ProfileInputs, ProfileLookup, Profiles, build_profiles};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

/// The bar is told of every so many entities.
const ENTITIES_A_TICK: u64 = 1024;

/// Makes the file; gives what is printed.
pub(super) fn build(config: &Config, arguments: CompaniesBuild) -> Result<String, CliError> {
    let CompaniesBuild { wikidata, wikidata_extract, listed, gleif, gleif_relationships, owner, operators, output } =
        arguments;
    let output = output.unwrap_or_else(|| config.company_profiles());
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| CliError::DataDirectory { path: folder.to_owned(), source })?;
    }
    let files = if operators || listed { setup::database_files(config)? } else { Vec::new() };
    let is_listed = |path: &&PathBuf| path.file_name().is_some_and(|name| name == geoip_data::LISTED_COMPANIES);
    let listed = match files.iter().find(is_listed) {
        _ if !listed => None,
        Some(path) => Some(path.clone()),
        None => return Err(CliError::NoListedCompanies),
    };
    let networks = if operators { files } else { Vec::new() };
    let inputs = ProfileInputs {
        wikidata,
        wikidata_extracts: wikidata_extract,
        listed,
        gleif,
        gleif_relationships,
        owner,
        networks,
    };
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    let open = |path: &Path| -> io::Result<Box<dyn BufRead>> {
        let file = File::open(path)?;
        bar.reset();
        bar.set_length(file.metadata()?.len());
        decompressed(bar.wrap_read(file))
    };
    let built_at = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let report = build_profiles(&inputs, &output, built_at, &open, &mut |what, entities| {
        if entities.is_multiple_of(ENTITIES_A_TICK) {
            bar.set_message(if entities == 0 { what.to_owned() } else { format!("{what}, {entities} entities") });
        }
    });
    bar.finish_and_clear();
    let report = report?;
    let mut text = format!(
        "{}: {} companies under {} domains\n",
        output.display(),
        report.status.companies,
        report.status.domains
    );
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String can't fail.
        let written = writeln!(text, "{arguments}");
        debug_assert!(written.is_ok());
    };
    for source in &report.status.sources {
        let licence = if source.licence.is_empty() { String::new() } else { format!(", licence {}", source.licence) };
        line(format_args!("  {}: {} companies{licence}", source.name, source.companies));
    }
    if !report.ignored.is_empty() {
        line(format_args!("columns that mean nothing here: {}", report.ignored.join(", ")));
    }
    if report.left_out > 0 {
        line(format_args!("{} rows were left out:", report.left_out));
        report.problems.iter().for_each(|problem| line(format_args!("  {problem}")));
        if report.left_out > report.problems.len() as u64 {
            line(format_args!("  …"));
        }
    }
    Ok(text)
}

/// The profile of a domain's company, as one JSON object.
pub(super) fn show(config: &Config, arguments: &CompaniesShow) -> Result<String, CliError> {
    let profiles = Profiles::open(&config.company_profiles()).map_err(setup::SetupError::from)?;
    let domain = firmsight_resolver::registrable_domain(&arguments.domain);
    let profile = domain.as_deref().and_then(|domain| profiles.profile(domain));
    let profile = profile.ok_or_else(|| CliError::NoProfile(arguments.domain.clone()))?;
    Ok(format!("{}\n", serde_json::json!(profile)))
}
