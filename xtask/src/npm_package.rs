//! `cargo xtask tracker --npm`: the npm package `@firmsight/tracker`, made of `tracker-wasm/npm` and the built tracker. Nothing
//! is published; `npm publish target/npm/tracker` would.

use crate::{error::Error, machine, tracker};
use std::{fs, path::PathBuf};

/// Where the sources say which version this is.
const VERSION_PLACE: &str = "%VERSION%";
const SOURCES: &[&str] = &["package.json", "index.js", "index.d.ts", "README.md"];
const LICENCES: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE"];

/// Where the package lands.
fn folder() -> PathBuf {
    machine::target().join("npm").join("tracker")
}

/// Builds the tracker and puts the package together anew.
pub(crate) fn run() -> Result<(), Error> {
    tracker::run()?;
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    let files = folder.join("files");
    fs::create_dir_all(&files).map_err(Error::file(&files))?;
    let sources = machine::root().join("tracker-wasm").join("npm");
    for name in SOURCES {
        let source = sources.join(name);
        let text = fs::read_to_string(&source).map_err(Error::file(&source))?;
        let text = text.replace(VERSION_PLACE, env!("CARGO_PKG_VERSION"));
        fs::write(folder.join(name), text).map_err(Error::file(&folder))?;
    }
    for name in LICENCES {
        fs::copy(machine::root().join(name), folder.join(name)).map_err(Error::file(&folder))?;
    }
    let built = tracker::folder();
    for file in fs::read_dir(&built).map_err(Error::file(&built))?.flatten() {
        // As the collector serves them: `core.<hash>.wasm` stands beside the script as `lfa.<hash>.wasm`.
        let name = file.file_name().to_string_lossy().replacen("core.", "lfa.", 1);
        if name.starts_with("lfa.") {
            fs::copy(file.path(), files.join(name)).map_err(Error::file(&files))?;
        }
    }
    eprintln!("npm package: {}", folder.display());
    Ok(())
}
