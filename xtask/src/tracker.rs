//! `cargo xtask tracker`: builds the tracker's files into `target/tracker`.
//!
//! The core becomes wasm, and by wasm2js JavaScript for pages whose Content-Security-Policy forbids wasm; the shell is
//! minified. Both builds of the core carry one hash of their contents in their names, which the shell knows, so that
//! they can be cached for ever.

use crate::{debian, error::Error, machine};
use sha2::{Digest, Sha256};
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "wasm32-unknown-unknown";
/// What Debian's Rust for browsers is in.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const SHELL: &str = "lfa.js";
/// Where the shell names the core; replaced by the hash.
const CORE_PLACE: &str = "%CORE%";
/// What the collector replaces when it serves the shell.
const SETTINGS_PLACE: &str = "\"%FIRMSIGHT%\"";
/// Largest transfers that are allowed, brotli: shell and wasm together, shell and JavaScript together.
const MOST_WITH_WASM: usize = 6 * 1024;
const MOST_WITH_SCRIPT: usize = 9 * 1024;

/// Everything that the built files depend on, relative to the checkout.
const INPUTS: &[&str] = &[
    "Cargo.toml",
    "beacon/Cargo.toml",
    "beacon/src",
    "tracker-wasm/Cargo.toml",
    "tracker-wasm/package-lock.json",
    "tracker-wasm/shell",
    "tracker-wasm/src",
    "xtask/src/tracker.rs",
];

/// Where the files land.
pub(crate) fn folder() -> PathBuf {
    machine::target().join("tracker")
}

pub(crate) fn run() -> Result<(), Error> {
    let folder = folder();
    let stamp = folder.join(".inputs");
    let inputs = inputs()?;
    if fs::read_to_string(&stamp).is_ok_and(|built| built == inputs) && Built::read(&folder).is_ok() {
        eprintln!("tracker: up to date in {}", folder.display());
        return Ok(());
    }
    let wasm = compile()?;
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let built = assemble(&wasm)?;
    built.write(&folder)?;
    built.print_sizes();
    built.check_sizes()?;
    fs::write(&stamp, inputs).map_err(Error::file(&stamp))
}

/// One hash over everything the build reads.
fn inputs() -> Result<String, Error> {
    let mut hash = Sha256::new();
    for input in INPUTS {
        add_input(&mut hash, &machine::root().join(input))?;
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn add_input(hash: &mut Sha256, path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(Error::file(path))?;
        let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        return paths.iter().try_for_each(|path| add_input(hash, path));
    }
    let bytes = fs::read(path).map_err(Error::file(path))?;
    hash.update(bytes.len().to_le_bytes());
    hash.update(bytes);
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiles the core; gives where the wasm is.
fn compile() -> Result<PathBuf, Error> {
    let target = machine::target().join("wasm");
    let mut cargo = machine::cargo();
    // By itself: together with the others their features would turn the standard library on.
    cargo
        .args(["rustc", "--quiet", "--package", "tracker-wasm", "--lib", "--crate-type", "cdylib"])
        .args(["--profile", "tracker", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target);
    if !rustup_has_target() {
        with_debian_rust(&mut cargo)?;
    }
    eprintln!("tracker: compiling the core to wasm");
    machine::run(&mut cargo)?;
    Ok(target.join(TARGET).join("tracker").join("tracker_wasm.wasm"))
}

fn rustup_has_target() -> bool {
    machine::output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET])).is_ok_and(|folder| {
        fs::read_dir(folder)
            .is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

/// Debian's compiler brings the sources of `core` and `alloc`, which are built along; rustup's toolchain the linker.
fn with_debian_rust(cargo: &mut Command) -> Result<(), Error> {
    let fixes = format!(
        "no Rust for browsers: type `rustup target add {TARGET}`, or on Debian as root `apt-get install \
         --no-install-recommends {}`",
        DEBIAN_PACKAGES.join(" ")
    );
    let sources = || {
        machine::output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))
            .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/core"))
            .is_ok_and(|core| core.is_dir())
    };
    if !sources() {
        let rustup = Command::new("rustup").args(["target", "add", TARGET]).status();
        if rustup.is_ok_and(|status| status.success()) && rustup_has_target() {
            return Ok(());
        }
        debian::install(DEBIAN_PACKAGES).map_err(|_| Error::Missing(fixes.clone()))?;
        if !sources() {
            return Err(Error::Missing(fixes));
        }
    }
    let version = machine::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let sysroot = machine::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    cargo
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        .arg("-Zbuild-std=core,alloc");
    Ok(())
}

/// The tools from npm, pinned by `tracker-wasm/package-lock.json`; installed when they are missing or another version.
struct Tools {
    folder: PathBuf,
}

impl Tools {
    fn ready() -> Result<Self, Error> {
        let folder = machine::root().join("tracker-wasm");
        let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|file| file.modified()).ok();
        let installed = modified("node_modules/.package-lock.json");
        if installed.is_none() || installed < modified("package-lock.json") {
            eprintln!("tracker: fetching esbuild and binaryen from npm");
            machine::run(Command::new("npm").current_dir(&folder).args([
                "ci",
                "--ignore-scripts",
                "--silent",
                "--no-audit",
                "--no-fund",
            ]))?;
        }
        Ok(Self { folder })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("node_modules/.bin").join(name));
        command.current_dir(&self.folder);
        command
    }

    /// A script made short by esbuild.
    fn minified(&self, script: &Path) -> Result<String, Error> {
        machine::output(
            self.command("esbuild").args(["--minify", "--target=es2020", "--log-level=warning"]).arg(script),
        )
    }
}

/// Shrinks the core, makes its JavaScript build, names both and tells the shell.
fn assemble(wasm: &Path) -> Result<Built, Error> {
    let tools = Tools::ready()?;
    let work = tempfile::tempdir().map_err(Error::file(env::temp_dir()))?;
    let small = work.path().join("core.wasm");
    let script = work.path().join("core.js");
    let strip = ["--strip-debug", "--strip-producers", "--strip-target-features"];
    machine::run(
        tools
            .command("wasm-opt")
            .args(["-Oz", "--converge", "--all-features"])
            .args(strip)
            .arg(wasm)
            .arg("-o")
            .arg(&small),
    )?;
    machine::run(tools.command("wasm2js").args(["-Oz", "--all-features"]).arg(&small).arg("-o").arg(&script))?;
    let wasm = fs::read(&small).map_err(Error::file(&small))?;
    let script = tools.minified(&script)?.into_bytes();
    let mut hash = Sha256::new();
    hash.update(&wasm);
    hash.update(&script);
    let hash = hexadecimal(&hash.finalize())[..16].to_owned();
    let shell = tools.minified(&tools.folder.join("shell").join(SHELL))?;
    for place in [CORE_PLACE, SETTINGS_PLACE] {
        let found = shell.matches(place).count();
        if found != 1 {
            return Err(Error::Other(format!(
                "the shell must hold {place} once, but minified it does so {found} times"
            )));
        }
    }
    Ok(Built { hash: hash.clone(), shell: shell.replace(CORE_PLACE, &hash).into_bytes(), wasm, script })
}

/// The tracker's files.
struct Built {
    hash: String,
    shell: Vec<u8>,
    wasm: Vec<u8>,
    script: Vec<u8>,
}

impl Built {
    fn names(hash: &str) -> [String; 2] {
        [format!("core.{hash}.wasm"), format!("core.{hash}.js")]
    }

    fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| fs::read(folder.join(name)).map_err(Error::file(folder.join(name)));
        let names = fs::read_dir(folder).map_err(Error::file(folder))?.flatten().map(|file| file.file_name());
        let hash = names
            .filter_map(|name| Some(name.to_str()?.strip_prefix("core.")?.strip_suffix(".wasm")?.to_owned()))
            .next()
            .ok_or_else(|| Error::Missing(format!("no core in {}", folder.display())))?;
        let [wasm, script] = Self::names(&hash);
        Ok(Self { shell: read(SHELL)?, wasm: read(&wasm)?, script: read(&script)?, hash })
    }

    /// Writes the files and removes those of earlier builds.
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let [wasm, script] = Self::names(&self.hash);
        let files = [(SHELL, &self.shell), (&wasm, &self.wasm), (&script, &self.script)];
        for file in fs::read_dir(folder).map_err(Error::file(folder))?.flatten() {
            if !files.iter().any(|(name, _)| file.file_name() == **name) {
                fs::remove_file(file.path()).map_err(Error::file(file.path()))?;
            }
        }
        for (name, bytes) in files {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(Error::file(&path))?;
        }
        Ok(())
    }

    fn print_sizes(&self) {
        eprintln!("{:<32}{:>8}{:>8}{:>8}", "tracker, bytes", "raw", "gzip", "brotli");
        for (name, parts) in [
            ("shell", &[&self.shell][..]),
            ("core, wasm", &[&self.wasm]),
            ("core, JavaScript", &[&self.script]),
            ("page with wasm", &[&self.shell, &self.wasm]),
            ("page under a strict CSP", &[&self.shell, &self.script]),
        ] {
            let sum = |size: fn(&[u8]) -> usize| parts.iter().map(|part| size(part)).sum::<usize>();
            eprintln!("{name:<32}{:>8}{:>8}{:>8}", sum(<[u8]>::len), sum(gzip), sum(brotli));
        }
    }

    fn check_sizes(&self) -> Result<(), Error> {
        for (what, core, most) in [("wasm", &self.wasm, MOST_WITH_WASM), ("JavaScript", &self.script, MOST_WITH_SCRIPT)]
        {
            let size = brotli(&self.shell) + brotli(core);
            if size > most {
                return Err(Error::Other(format!(
                    "the tracker with {what} takes {size} bytes in brotli, allowed are {most}"
                )));
            }
        }
        Ok(())
    }
}

fn gzip(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_or(usize::MAX, |out| out.len())
}

fn brotli(bytes: &[u8]) -> usize {
    let mut out = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &*bytes, &mut out, &parameters).map_or(usize::MAX, |_| out.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_tracker_keeps_to_its_size() {
        let built = Built::read(&folder()).expect("no tracker in target/tracker: run `cargo xtask test`");
        built.check_sizes().unwrap();
    }
}
