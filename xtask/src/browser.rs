//! The tracker's tests in a real Chromium, run by node's test runner.

use crate::{error::Error, machine, npm_package};
use std::{path::PathBuf, process::Command};

fn folder() -> PathBuf {
    machine::root().join("tracker-wasm").join("tests").join("browser")
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command
}

/// What the tests need from npm.
pub(crate) fn install() -> Result<(), Error> {
    machine::run(npm().args(["ci", "--silent", "--no-audit", "--no-fund"]))
}

/// A program of that folder, run by node.
pub(crate) fn node(program: &str) -> Command {
    let mut command = Command::new("node");
    command.current_dir(folder()).arg(program);
    command
}

/// Against a small recording collector that serves the tracker's files as the real one does.
pub(crate) fn with_recorder() -> Result<(), Error> {
    install()?;
    machine::run(npm().args(["test", "--silent"]))
}

/// The npm package, and what site owners copy from `examples/`.
pub(crate) fn examples() -> Result<(), Error> {
    npm_package::run()?;
    // Next.js brings large optional binaries, of which its types need none. Where a registry has them for some systems only, a
    // lock file lists those alone, which `npm ci` refuses; `install` takes from the lock what it lists, hashes included.
    machine::run(npm_of_examples().args([
        "install",
        "--no-save",
        "--omit=optional",
        "--ignore-scripts",
        "--silent",
        "--no-audit",
        "--no-fund",
    ]))?;
    machine::run(npm_of_examples().args(["test", "--silent"]))
}

fn npm_of_examples() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(machine::root().join("tracker-wasm").join("tests").join("examples"));
    command
}

/// Against `firmsight serve` as the tests before built it, from the page to the reports API.
pub(crate) fn with_collector() -> Result<(), Error> {
    let binary = machine::target().join("debug").join("firmsight");
    machine::run(npm().env("FIRMSIGHT_BINARY", binary).args(["run", "--silent", "test:collector"]))
}

/// A thousand scripted sessions, whose pageviews must all be stored, each once; sixty are in every run.
pub(crate) fn sessions() -> Result<(), Error> {
    let binary = machine::target().join("debug").join("firmsight");
    let tests = ["run", "--silent", "test:sessions"];
    machine::run(npm().env("FIRMSIGHT_BINARY", binary).env("FIRMSIGHT_SESSIONS", "1000").args(tests))
}
