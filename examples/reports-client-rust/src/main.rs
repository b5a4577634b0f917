//! Which companies came in a month, from where, and who is behind an address.
//!
//! Usage: `reports-client ADDRESS KEY SITE FIRST-DAY LAST-DAY`

#![forbid(unsafe_code)]

use reports_client::{Reports, summary};
use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, key, site, first, last] = arguments.as_slice() else {
        eprintln!("usage: reports-client ADDRESS KEY SITE FIRST-DAY LAST-DAY");
        return ExitCode::from(2);
    };
    let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else {
        eprintln!("days are written as 2026-11-30");
        return ExitCode::from(2);
    };
    match summary::write(&Reports::new(address, key), site, first, last, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
