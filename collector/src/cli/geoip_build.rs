//! `firmsight geoip build`: the owner's lists of networks and organisations become one mapped file.

use super::{CliError, arguments::GeoipBuild};
use crate::import::input::decompressed;
use firmsight_resolver::network_lists::{BuildOptions, BuildProgress, BuildReport, ListForm, ListInput, build};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Every MaxMind DB file has this near its end.
const MMDB_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The format's specification: metadata is in the last 128 KiB.
const MMDB_METADATA_BYTES: u64 = 128 << 10;

/// Makes the file; gives what is printed.
pub(super) fn run(arguments: &GeoipBuild) -> Result<String, CliError> {
    let bar = progress_bar(&arguments.inputs)?;
    let inputs = arguments.inputs.iter().map(|path| input(path, &bar)).collect::<Result<Vec<_>, _>>()?;
    let built_at = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let description = arguments.description.clone().unwrap_or_else(|| {
        let names: Vec<_> =
            arguments.inputs.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
        format!("Organisations behind networks, built of {}", names.join(", "))
    });
    let options = BuildOptions {
        output: &arguments.output,
        built_at,
        description: &description,
        entries_in_memory: BuildOptions::ENTRIES_IN_MEMORY,
    };
    let mut is_reading = true;
    let report = build(inputs, &options, &mut |progress| match progress {
        BuildProgress::Rows(rows) => bar.set_message(format!("{rows} rows")),
        BuildProgress::Networks(done, of) => {
            if std::mem::take(&mut is_reading) {
                bar.reset();
                bar.set_length(of);
                style(&bar, "{bar:30} {percent:>3} %  {human_pos}/{human_len} networks  {eta} left");
            }
            bar.set_position(done);
        }
        BuildProgress::Checking => {
            style(&bar, "{spinner} reading the file back");
            bar.tick();
        }
    });
    bar.finish_and_clear();
    Ok(text(&report?, &arguments.output))
}

fn text(report: &BuildReport, output: &Path) -> String {
    let BuildReport { rows, networks, repeated, records, nodes, left_out, problems } = report;
    let mut text = format!(
        "{}: {networks} networks of {rows} rows, {records} organisation records, {nodes} nodes; read back and found right\n",
        output.display()
    );
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String can't fail.
        let written = writeln!(text, "{arguments}");
        debug_assert!(written.is_ok());
    };
    if *repeated > 0 {
        line(format_args!("{repeated} networks were named more than once: the first counts"));
    }
    if *left_out > 0 {
        line(format_args!("{left_out} rows were left out:"));
        problems.iter().for_each(|problem| line(format_args!("  {problem}")));
        if *left_out > problems.len() as u64 {
            line(format_args!("  …"));
        }
    }
    line(format_args!("name it in [resolver].lists to have it used"));
    text
}

fn input<'a>(path: &'a Path, bar: &ProgressBar) -> Result<ListInput<'a>, CliError> {
    let read = |source| CliError::Read { path: path.to_owned(), source };
    if path.as_os_str() == "-" {
        let mut text = decompressed(bar.wrap_read(io::stdin())).map_err(CliError::Input)?;
        let form = text_form(&mut *text).map_err(CliError::Input)?;
        return Ok(ListInput { path, form, text });
    }
    let mut file = File::open(path).map_err(read)?;
    if is_mmdb(&mut file).map_err(read)? {
        return Ok(ListInput { path, form: ListForm::Mmdb, text: Box::new(io::empty()) });
    }
    let mut text = decompressed(bar.wrap_read(file)).map_err(read)?;
    let form = text_form(&mut *text).map_err(read)?;
    Ok(ListInput { path, form, text })
}

fn is_mmdb(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MMDB_METADATA_BYTES)))?;
    let mut end = Vec::new();
    file.by_ref().take(MMDB_METADATA_BYTES).read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(end.windows(MMDB_MARKER.len()).any(|window| window == MMDB_MARKER))
}

fn text_form(text: &mut dyn BufRead) -> io::Result<ListForm> {
    let start = text.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    Ok(if start.trim_ascii_start().starts_with(b"{") { ListForm::Ndjson } else { ListForm::Csv })
}

/// Bytes of the inputs as they are on disk; nothing where stderr is no terminal.
fn progress_bar(inputs: &[PathBuf]) -> Result<ProgressBar, CliError> {
    let mut total = 0;
    for path in inputs.iter().filter(|path| path.as_os_str() != "-") {
        total += std::fs::metadata(path).map_err(|source| CliError::Read { path: path.clone(), source })?.len();
    }
    let bar = ProgressBar::new(total);
    style(&bar, "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}");
    Ok(bar)
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
