//! Report queries: a site's pageviews go through the pipeline into an embedded store, then the API is asked.

use super::machine_line;
use crate::{data, error::Error, machine};
use std::{path::PathBuf, process::Command};

/// Fills the store unless an earlier run did, asks, and prints the tables.
pub(super) fn run(pageviews: u64) -> Result<(), Error> {
    let program = store_load()?;
    let folder = machine::target().join("bench-reports").join(pageviews.to_string());
    machine::run(Command::new(&program).arg("generate").arg(&folder).arg(pageviews.to_string()))?;
    println!("\n{}\n", machine_line()?);
    machine::run(Command::new(&program).arg("measure").arg(&folder))
}

/// The program that loads a store of its own, built.
pub(super) fn store_load() -> Result<PathBuf, Error> {
    data::run()?;
    let arguments = ["build", "--release", "--package", "collector", "--example", "store_load", "--locked"];
    machine::run(machine::cargo().args(arguments))?;
    Ok(machine::target().join("release").join("examples").join("store_load"))
}
