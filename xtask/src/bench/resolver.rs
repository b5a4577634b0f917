//! `cargo xtask bench resolver`: what verdicts and names cost, by criterion, as a table.

use super::machine_line;
use crate::{data, error::Error, machine};
use std::fs;

/// Folder of a measurement below criterion's own, and what it is.
const MEASURED: &[(&str, &str)] = &[
    ("verdict/cached", "a verdict that was given before"),
    ("verdict/door", "only the kind of network, as the door asks for it, uncached"),
    ("verdict/local", "a whole verdict without DNS, uncached"),
    ("verdict/name", "a host name through the rules"),
    ("verdict/name_with_address", "a host name on a known address"),
    ("reverse DNS/cached name", "a name from the cache of names"),
];

pub(super) fn run() -> Result<(), Error> {
    data::run()?;
    let arguments = ["bench", "--package", "firmsight-resolver", "--bench", "verdicts", "--bench", "names", "--locked"];
    machine::run(machine::cargo().args(arguments))?;
    println!("\n{}\n", machine_line()?);
    println!("| what | µs | a second | of a cached verdict |\n|---|---|---|---|");
    let cached = nanoseconds(MEASURED[0].0)?;
    for (folder, what) in MEASURED {
        let each = nanoseconds(folder)?;
        println!("| {what} | {:.3} | {:.0} | {:.1} × |", each / 1e3, 1e9 / each, each / cached);
    }
    Ok(())
}

/// The mean that criterion wrote down.
fn nanoseconds(measured: &str) -> Result<f64, Error> {
    let file = machine::target().join("criterion").join(measured);
    let file = file.join("new").join("estimates.json");
    let text = fs::read_to_string(&file).map_err(Error::file(&file))?;
    let estimates: serde_json::Value = serde_json::from_str(&text).map_err(|error| Error::Other(error.to_string()))?;
    estimates["mean"]["point_estimate"]
        .as_f64()
        .ok_or_else(|| Error::Other(format!("{} holds no mean", file.display())))
}
