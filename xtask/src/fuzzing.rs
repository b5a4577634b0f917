//! The fuzz targets, each for a bounded time; `fuzz/README.md` says how to go on with what they find.

use crate::{debian, error::Error, machine};
use std::{env, fs, process::Command};

const SECONDS: &str = "FIRMSIGHT_FUZZ_SECONDS";
const DEFAULT_SECONDS: u64 = 60;

/// Runs every target for `FIRMSIGHT_FUZZ_SECONDS` (60), or says what is missing.
pub(crate) fn run() -> Result<(), Error> {
    let seconds = match env::var(SECONDS) {
        Ok(text) => text.parse().map_err(|_| Error::Other(format!("{SECONDS}={text} is no number of seconds")))?,
        Err(_) => DEFAULT_SECONDS,
    };
    ensure_tools()?;
    let targets = machine::output(nightly_fuzz("list").arg("--fuzz-dir").arg("fuzz"))?;
    for target in targets.lines() {
        let folder = |kind: &str| machine::root().join("fuzz").join(kind).join(target);
        let found = folder("corpus");
        fs::create_dir_all(&found).map_err(Error::file(&found))?;
        eprintln!("fuzzing {target} for {seconds} s");
        machine::run(
            nightly_fuzz("run")
                .args(["--fuzz-dir", "fuzz", target])
                .args([found, folder("corpus-seeds")])
                .args(["--", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"])
                .arg(format!("-max_total_time={seconds}")),
        )?;
    }
    Ok(())
}

fn ensure_tools() -> Result<(), Error> {
    let mut missing = Vec::new();
    let has_nightly = debian::has("rustup") && machine::output(rustup_nightly().args(["cargo", "--version"])).is_ok();
    if !has_nightly {
        missing.push("nightly Rust (`rustup toolchain install nightly`)");
    }
    if !debian::has("cargo-fuzz") {
        missing.push("cargo-fuzz (`cargo install --locked cargo-fuzz`)");
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(format!("fuzzing needs {}", missing.join(" and ")))) }
}

/// Through rustup: the cargo that runs this task is stable and takes no `+nightly`.
fn rustup_nightly() -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(machine::root()).args(["run", "nightly"]);
    command
}

fn nightly_fuzz(task: &str) -> Command {
    let mut command = rustup_nightly();
    command.args(["cargo", "fuzz", task]);
    command
}
