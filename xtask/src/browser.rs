//! The tracker's tests in a real Chromium, run by node's test runner.

use crate::{error::Error, machine};
use std::{path::PathBuf, process::Command};

fn folder() -> PathBuf {
    machine::root().join("tracker-wasm").join("tests").join("browser")
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command
}

/// Against a small recording collector that serves the tracker's files as the real one does.
pub(crate) fn with_recorder() -> Result<(), Error> {
    machine::run(npm().args(["ci", "--silent", "--no-audit", "--no-fund"]))?;
    machine::run(npm().args(["test", "--silent"]))
}

/// Against `firmsight serve` as the tests before built it, from the page to the reports API.
pub(crate) fn with_collector() -> Result<(), Error> {
    let binary = machine::target().join("debug").join("firmsight");
    machine::run(npm().env("FIRMSIGHT_BINARY", binary).args(["run", "--silent", "test:collector"]))
}
