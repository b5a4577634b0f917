//! `cargo xtask bench insert`: events into an embedded ClickHouse, by how many an insert has.

use super::{machine_line, reports::store_load};
use crate::{error::Error, machine};
use std::{fs, process::Command};

pub(super) fn run() -> Result<(), Error> {
    let program = store_load()?;
    let folder = machine::target().join("bench-insert");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    println!("\n{}\n", machine_line()?);
    machine::run(Command::new(&program).arg("insert").arg(&folder))
}
