//! `cargo xtask build`: everything fetched, the tracker built, `target/release/firmsight` ready to run.

use crate::{data, error::Error, machine, tracker};
use std::path::PathBuf;

pub(crate) fn run() -> Result<(), Error> {
    set_up()?;
    machine::run(machine::cargo().args(["build", "--release", "--package", "collector"]))?;
    eprintln!("built {}", binary().display());
    Ok(())
}

/// What every other task stands on: data files, the embedded ClickHouse, the tracker's files.
pub(crate) fn set_up() -> Result<(), Error> {
    data::run()?;
    tracker::run()
}

/// The release binary.
pub(crate) fn binary() -> PathBuf {
    machine::target().join("release").join("firmsight")
}
