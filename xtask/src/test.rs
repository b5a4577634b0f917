//! `cargo xtask test`: all set-up, then every check that decides what lands.

use crate::{browser, build, data, debian, error::Error, fuzzing, machine, python, tidy};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run the checks that take long as well: dependency audit, long kill runs, fuzzing.
    #[arg(long)]
    long: bool,
}

/// One named step of the run.
struct Step {
    name: &'static str,
    run: fn() -> Result<(), Error>,
}

const STEPS: &[Step] = &[
    Step { name: "programs for tests", run: || debian::ensure(debian::FOR_TESTS) },
    Step { name: "Python packages for tests", run: python::set_up },
    Step { name: "data, embedded ClickHouse, tracker", run: build::set_up },
    Step { name: "data for tests", run: data::for_tests },
    Step { name: "rules of the house", run: tidy::check_this },
    Step { name: "formatting", run: || cargo(&["fmt", "--all", "--check"]) },
    Step {
        name: "lints",
        run: || cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    },
    Step {
        name: "the resolver without DNS",
        run: || {
            cargo(&[
                "clippy",
                "--package",
                "firmsight-resolver",
                "--no-default-features",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ])
        },
    },
    Step { name: "documentation", run: documentation },
    Step { name: "unit, property, golden and integration tests", run: || cargo(&["test", "--workspace", "--locked"]) },
    Step { name: "browser tests against a recording collector", run: browser::with_recorder },
    Step { name: "npm package and examples in a browser", run: browser::examples },
    Step { name: "browser tests against the real collector", run: browser::with_collector },
];

const LONG_STEPS: &[Step] = &[
    Step { name: "dependencies, licences", run: dependencies },
    Step {
        name: "a hundred kills and twenty power cuts under load",
        run: || {
            machine::run(machine::cargo().env("FIRMSIGHT_LONG_TESTS", "1").args([
                "test",
                "--package",
                "collector",
                "under_load",
            ]))
        },
    },
    Step {
        name: "ten minutes of an API fuzzer",
        run: || {
            machine::run(machine::cargo().env("FIRMSIGHT_LONG_TESTS", "1").args([
                "test",
                "--package",
                "collector",
                "--test",
                "reports_contract",
                "an_api_fuzzer",
            ]))
        },
    },
    Step { name: "a thousand browser sessions against the real collector", run: browser::sessions },
    Step { name: "fuzzing", run: fuzzing::run },
];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let started = Instant::now();
    let mut times = Vec::new();
    let long: &[Step] = if arguments.long { LONG_STEPS } else { &[] };
    for step in STEPS.iter().chain(long) {
        eprintln!("\n== {} ==", step.name);
        let step_started = Instant::now();
        (step.run)()?;
        times.push((step.name, step_started.elapsed()));
    }
    eprintln!();
    for (name, time) in times {
        eprintln!("{:>8}  {name}", shown(time));
    }
    eprintln!("{:>8}  all passed", shown(started.elapsed()));
    Ok(())
}

fn shown(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn cargo(arguments: &[&str]) -> Result<(), Error> {
    machine::run(machine::cargo().args(arguments))
}

fn documentation() -> Result<(), Error> {
    machine::run(machine::cargo().env("RUSTDOCFLAGS", "--deny warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
        "--document-private-items",
    ]))
}

/// Licences, duplicates and sources by deny.toml; advisories where their database can be had, which is said where it can't.
fn dependencies() -> Result<(), Error> {
    if !debian::has("cargo-deny") {
        machine::run(machine::cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    let deny = || {
        let mut command = Command::new("cargo-deny");
        command.current_dir(machine::root());
        command
    };
    machine::run(deny().args(["check", "bans", "licenses", "sources"]))?;
    if machine::output(deny().args(["fetch", "db"])).is_ok() {
        return machine::run(deny().args(["check", "--disable-fetch", "advisories"]));
    }
    eprintln!(
        "advisories were NOT checked: no advisory database can be had from here. Before a release, on a machine that reaches \
         github.com: cargo deny check advisories"
    );
    Ok(())
}
