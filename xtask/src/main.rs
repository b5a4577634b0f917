//! Everything a person runs on a checkout: `cargo xtask demo`, `cargo xtask test` and the steps they are made of.
#![forbid(unsafe_code)]

mod bench;
mod browser;
mod build;
mod data;
mod debian;
mod demo;
mod dist;
mod error;
mod eval;
mod eval_databases;
mod fuzzing;
mod machine;
mod npm_package;
mod python;
mod test;
mod tidy;
mod tracker;

use clap::{Parser, Subcommand};
use error::Error;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything a person runs on a Firmsight checkout")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up everything, start the collector, an example site and a traffic generator.
    Demo(demo::Arguments),
    /// Set up everything and run all tests.
    Test(test::Arguments),
    /// Fetch and build all that is needed and leave target/release/firmsight ready to run.
    Build,
    /// Make the release: a folder, an archive and a Debian package in target/dist.
    Dist(dist::Arguments),
    /// Measure and print tables.
    Bench(bench::Arguments),
    /// Judge the resolver on labelled cases.
    Eval(eval::Arguments),
    /// Fetch the data files and the embedded ClickHouse into the user's cache folder.
    Data,
    /// Check the rules of the house that no compiler holds, such as the order of rooms in ARCHITECTURE.md.
    Tidy(tidy::Arguments),
    /// Build the tracker into target/tracker.
    Tracker {
        /// Make the npm package @firmsight/tracker of it, in target/npm/tracker.
        #[arg(long)]
        npm: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Error> {
    match task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Build => build::run(),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Eval(arguments) => eval::run(&arguments),
        Task::Data => data::run(),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Tracker { npm: false } => tracker::run(),
        Task::Tracker { npm: true } => npm_package::run(),
    }
}
