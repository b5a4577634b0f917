//! The Python packages that tests run: an API fuzzer and a JSON:API client, pinned with hashes, in an environment of their
//! own in the user's cache.

use crate::{debian, error::Error, machine};
use sha2::{Digest, Sha256};
use std::{fs, path::Path, process::Command};

/// Makes the environment, unless it is there and current.
pub(crate) fn set_up() -> Result<(), Error> {
    let requirements = machine::root().join("collector").join("tests").join("python").join("requirements.txt");
    let wanted = fs::read(&requirements).map_err(Error::file(&requirements))?;
    let wanted: String = Sha256::digest(&wanted).iter().map(|byte| format!("{byte:02x}")).collect();
    let cache = geoip_data::cache_folder().ok_or_else(|| Error::Missing("set HOME or XDG_CACHE_HOME".to_owned()))?;
    let folder = cache.join("python");
    let stamp = folder.join("requirements.sha256");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    make(&folder)?;
    eprintln!("installing the Python packages of {}", requirements.display());
    machine::output(
        Command::new(folder.join("bin").join("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"])
            .args(["--only-binary", ":all:", "--requirement"])
            .arg(&requirements),
    )?;
    fs::write(&stamp, wanted).map_err(Error::file(&stamp))
}

fn make(folder: &Path) -> Result<(), Error> {
    let venv = || machine::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    if venv().is_err() {
        // Debian ships Python without it.
        debian::install(&["python3-venv"])?;
        venv()?;
    }
    Ok(())
}
