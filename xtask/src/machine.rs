//! The machine a task runs on: folders, programs, running a command.

use crate::error::Error;
use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// The checkout's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Cargo's target folder of this checkout.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a command with its output shown; a failure names the command.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let shown = shown(command);
    let status = command.status().map_err(|source| not_started(command, source))?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: shown, status: status.to_string() }) }
}

/// Runs a command and gives what it printed; a failure names the command.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let shown = shown(command);
    let output = command.output().map_err(|source| not_started(command, source))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let why = String::from_utf8_lossy(&output.stderr);
        Err(Error::Failed { command: shown, status: format!("{}: {}", output.status, why.trim()) })
    }
}

/// Starts one of our own programs.
pub(crate) fn start(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
        hint: "run `cargo xtask build`".to_owned(),
    })
}

/// The same command, asked to end (SIGTERM) as soon as this process is gone, however that came: a signal to this process alone must not
/// leave servers behind. util-linux's `setpriv` does it, without which the command stays as it is.
pub(crate) fn ended_with_us(command: &Command) -> Command {
    let mut tied = match crate::debian::has("setpriv") {
        true => {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program());
            setpriv
        }
        false => Command::new(command.get_program()),
    };
    tied.args(command.get_args());
    tied
}

/// Asks a program to end (SIGTERM, so that it closes in order) and waits until it has.
pub(crate) fn end(child: &mut Child, what: &str) {
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    if asked.is_err() && child.kill().is_err() {
        return;
    }
    if let Err(error) = child.wait() {
        eprintln!("{what}: {error}");
    }
}

fn not_started(command: &Command, source: io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    Error::Start { program, source, hint: "is it installed and on PATH?".to_owned() }
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Cargo, in the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo said of this program to it. The build script of `ring` asks for such words, so that all that stands on `ring` would
    // be compiled once more whenever cargo is called from here and by hand in turns.
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes())) {
            command.env_remove(name);
        }
    }
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        // The collector's build script looks for the tracker beside the checkout unless it is told.
        command.env("FIRMSIGHT_TRACKER_FOLDER", target().join("tracker"));
    }
    command
}
