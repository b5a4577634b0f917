//! `cargo xtask tracker`: builds the tracker's files into `target/tracker`.
//!
//! The core becomes wasm, and by wasm2js JavaScript for pages whose Content-Security-Policy forbids wasm; the shell is
//! minified. Beside them stand the parts that the shell fetches when a page needs them: `shell/parts`, and an adapter
//! for each consent manager, `shell/consent`, whose source is named by the global that gives the manager away and whose
//! built file by its number, since lists of ad blockers know the managers' names. All but the shell carry one hash of their
//! contents in their names, which the shell knows, so that they can be cached for ever.

use crate::{debian, error::Error, machine};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "wasm32-unknown-unknown";
/// The stack comes first in memory: a small one gives everything behind it a short address. The core needs less than
/// half of it.
const STACK: &str = "link-arg=-zstack-size=6144";
/// What Debian's Rust for browsers is in.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const SHELL: &str = "lfa.js";
/// How terser compresses: nothing that changes what correct code does.
const TERSER: &str = "ecma=2020,passes=3,toplevel,unsafe_arrows,keep_fargs=false,pure_getters";
/// Chromium compiles a script that begins with this at once, off the main thread, and not each function when it is first called.
const EAGER: &str = "//# allFunctionsCalledOnLoad\n";
/// Where the shell names the core; replaced by the hash.
const CORE_PLACE: &str = "%CORE%";
/// Where the shell names the consent managers that there are adapters for.
const MANAGERS_PLACE: &str = "%MANAGERS%";
/// The parts' folders in `tracker-wasm/shell`.
const PARTS: &str = "parts";
const ADAPTERS: &str = "consent";
/// What the collector replaces when it serves the shell.
const SETTINGS_PLACE: &str = "\"%FIRMSIGHT%\"";
/// Largest transfers that are allowed, brotli, in KiB of 1,024 bytes: what every page fetches, shell and wasm.
const MOST_BASE: usize = 6 * 1024;
/// A page with one consent manager that counts: shell, wasm, an adapter, and the part `page`. The others are fetched when
/// somebody points at a link or a form, when a beacon failed, in frames, or in debug mode.
const MOST_PAGE: usize = 7 * 1024 + 256;
/// The same where wasm is forbidden, so that the core is JavaScript.
const MOST_STRICT_PAGE: usize = 9 * 1024;
/// The part that every page fetches once it counts.
const COUNTING: &str = "page";
/// Most consent managers: the core has 32 bits for sources of consent, two of which are taken.
const MOST_ADAPTERS: usize = 30;
/// Largest adapter of a consent manager, brotli.
const MOST_ADAPTER: usize = 512;

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
    // A test holds the sizes. Whoever has another compiler gets a few bytes more or less, and a tracker all the same.
    if let Err(too_large) = built.check_sizes() {
        eprintln!("tracker: warning: {too_large}");
    }
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
    cargo.args(["--", "-C", STACK]);
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
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    pub(crate) fn ready() -> Result<Self, Error> {
        let folder = machine::root().join("tracker-wasm");
        let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|file| file.modified()).ok();
        let installed = modified("node_modules/.package-lock.json");
        if installed.is_none() || installed < modified("package-lock.json") {
            eprintln!("tracker: fetching esbuild, terser and binaryen from npm");
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

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("node_modules/.bin").join(name));
        command.current_dir(&self.folder);
        command
    }

    /// A script made short by esbuild.
    pub(crate) fn minified(&self, script: &Path) -> Result<String, Error> {
        machine::output(
            self.command("esbuild").args(["--minify", "--target=es2020", "--log-level=warning"]).arg(script),
        )
    }

    /// A file of the shell, with what it imports if it is a module: bundled by esbuild, made short by terser, which takes
    /// two percent more off.
    fn shortest(&self, script: &Path, is_module: bool) -> Result<String, Error> {
        let work = tempfile::tempdir().map_err(Error::file(env::temp_dir()))?;
        let bundled = work.path().join("bundled.js");
        let mut esbuild = self.command("esbuild");
        esbuild.args(["--minify", "--target=es2020", "--log-level=warning"]).arg(script);
        if is_module {
            esbuild.args(["--bundle", "--format=esm"]);
        }
        fs::write(&bundled, machine::output(&mut esbuild)?).map_err(Error::file(&bundled))?;
        let mut terser = self.command("terser");
        terser.arg(&bundled).args(["--ecma", "2020", "--mangle", "--compress", TERSER]);
        if is_module {
            terser.arg("--module");
        }
        machine::output(&mut terser)
    }

    /// The modules of a folder in `shell`, each with what it imports, by name.
    fn modules(&self, folder: &str) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let folder = self.folder.join("shell").join(folder);
        let mut modules = BTreeMap::new();
        for file in fs::read_dir(&folder).map_err(Error::file(&folder))?.flatten() {
            let path = file.path();
            if let (Some(name), Some("js")) = (path.file_stem(), path.extension().and_then(|ending| ending.to_str())) {
                let name = name.to_string_lossy().into_owned();
                modules.insert(name, self.shortest(&path, true)?.into_bytes());
            }
        }
        Ok(modules)
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
            .args(["-Oz", "--converge", "--reorder-functions", "--all-features", "--disable-tail-call"])
            .args(strip)
            .arg(wasm)
            .arg("-o")
            .arg(&small),
    )?;
    machine::run(tools.command("wasm2js").args(["-Oz", "--all-features"]).arg(&small).arg("-o").arg(&script))?;
    let wasm = fs::read(&small).map_err(Error::file(&small))?;
    let script = tools.minified(&script)?.into_bytes();
    let adapters = tools.modules(ADAPTERS)?;
    if adapters.len() > MOST_ADAPTERS {
        return Err(Error::Other(format!("{} consent managers, the core tells {MOST_ADAPTERS} apart", adapters.len())));
    }
    let mut parts = tools.modules(PARTS)?;
    if let Some(counting) = parts.get_mut(COUNTING) {
        counting.splice(..0, EAGER.bytes());
    }
    let shell = EAGER.to_owned() + &tools.shortest(&tools.folder.join("shell").join(SHELL), false)?;
    for place in [CORE_PLACE, MANAGERS_PLACE, SETTINGS_PLACE] {
        let found = shell.matches(place).count();
        if found != 1 {
            return Err(Error::Other(format!(
                "the shell must hold {place} once, but minified it does so {found} times"
            )));
        }
    }
    let mut hash = Sha256::new();
    for content in [&wasm, &script].into_iter().chain(adapters.values()).chain(parts.values()) {
        hash.update(content);
    }
    let hash = hexadecimal(&hash.finalize())[..12].to_owned();
    let managers = adapters.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let shell = shell.replace(CORE_PLACE, &hash).replace(MANAGERS_PLACE, &managers).into_bytes();
    Ok(Built { hash, shell, wasm, script, adapters, parts })
}

/// What pages fetch, in words, and the contents of the files that this is.
pub(crate) type Weighed = (String, Vec<Vec<u8>>);

/// For the table of `cargo xtask bench tracker`.
pub(crate) fn weighed() -> Result<Vec<Weighed>, Error> {
    let Built { shell, wasm, script, adapters, parts, .. } = Built::read(&folder())?;
    let mut all = vec![
        ("base, before any consent".to_owned(), vec![shell.clone(), wasm.clone()]),
        ("base under a strict CSP".to_owned(), vec![shell.clone(), script.clone()]),
    ];
    if let (Some((name, adapter)), Some(counting)) =
        (adapters.iter().max_by_key(|(_, content)| brotli(content)), parts.get(COUNTING))
    {
        let with = |core| vec![shell.clone(), core, adapter.clone(), counting.clone()];
        all.push((format!("page with one consent manager ({name}, the largest adapter) that counts"), with(wasm)));
        all.push(("the same under a strict CSP".to_owned(), with(script)));
    }
    all.extend(parts.into_iter().map(|(name, content)| (format!("part `{name}` alone"), vec![content])));
    all.extend(adapters.into_iter().map(|(name, content)| (format!("adapter {name} alone"), vec![content])));
    Ok(all)
}

/// The tracker's files.
struct Built {
    hash: String,
    shell: Vec<u8>,
    wasm: Vec<u8>,
    script: Vec<u8>,
    /// By the consent manager's global.
    adapters: BTreeMap<String, Vec<u8>>,
    /// By name.
    parts: BTreeMap<String, Vec<u8>>,
}

impl Built {
    /// Reads the files again; a part with a number is the adapter of that place in `shell/consent`.
    fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| fs::read(folder.join(name)).map_err(Error::file(folder.join(name)));
        let names = fs::read_dir(folder).map_err(Error::file(folder))?.flatten();
        let names: Vec<String> = names.filter_map(|file| file.file_name().into_string().ok()).collect();
        let hash = names
            .iter()
            .find_map(|name| name.strip_prefix("core.")?.strip_suffix(".wasm"))
            .ok_or_else(|| Error::Missing(format!("no core in {}", folder.display())))?;
        let sources = machine::root().join("tracker-wasm").join("shell").join(ADAPTERS);
        let sources = fs::read_dir(&sources).map_err(Error::file(&sources))?.flatten();
        let managers: BTreeSet<String> =
            sources.filter_map(|file| file.file_name().to_str()?.strip_suffix(".js").map(str::to_owned)).collect();
        let (mut adapters, mut parts) = (BTreeMap::new(), BTreeMap::new());
        for name in &names {
            let part = name.strip_prefix("core.").and_then(|name| name.strip_prefix(hash)?.strip_prefix('.'));
            let Some(part) = part.and_then(|name| name.strip_suffix(".js")) else { continue };
            match part.parse::<usize>() {
                Ok(number) => adapters.insert(managers.iter().nth(number).cloned().unwrap_or_default(), read(name)?),
                Err(_) => parts.insert(part.to_owned(), read(name)?),
            };
        }
        Ok(Self {
            shell: read(SHELL)?,
            wasm: read(&format!("core.{hash}.wasm"))?,
            script: read(&format!("core.{hash}.js"))?,
            adapters,
            parts,
            hash: hash.to_owned(),
        })
    }

    /// Names and contents.
    fn files(&self) -> Vec<(String, &[u8])> {
        let hash = &self.hash;
        let mut files = vec![
            (SHELL.to_owned(), &*self.shell),
            (format!("core.{hash}.wasm"), &*self.wasm),
            (format!("core.{hash}.js"), &*self.script),
        ];
        let adapters = self.adapters.values().enumerate();
        files.extend(adapters.map(|(number, content)| (format!("core.{hash}.{number}.js"), &**content)));
        files.extend(self.parts.iter().map(|(name, content)| (format!("core.{hash}.{name}.js"), &**content)));
        files
    }

    /// Writes the files and removes those of earlier builds.
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let files = self.files();
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
        let print = |name: &str, parts: &[&[u8]]| {
            let sum = |size: fn(&[u8]) -> usize| parts.iter().map(|part| size(part)).sum::<usize>();
            eprintln!("{name:<32}{:>8}{:>8}{:>8}", sum(<[u8]>::len), sum(gzip), sum(brotli));
        };
        print("shell", &[&self.shell]);
        print("core, wasm", &[&self.wasm]);
        print("core, JavaScript", &[&self.script]);
        print("page with wasm", &[&self.shell, &self.wasm]);
        print("page under a strict CSP", &[&self.shell, &self.script]);
        for (name, content) in &self.parts {
            print(&format!("part {name}"), &[content]);
        }
        for (name, content) in &self.adapters {
            print(&format!("adapter {name}"), &[content]);
        }
    }

    fn check_sizes(&self) -> Result<(), Error> {
        let base = brotli(&self.shell) + brotli(&self.wasm);
        let strict = brotli(&self.shell) + brotli(&self.script);
        let counting = self.parts.get(COUNTING).map_or(usize::MAX, |part| brotli(part));
        let adapters = || self.adapters.iter().map(|(name, content)| (name, brotli(content)));
        let largest = adapters().map(|(_, size)| size).max().unwrap_or_default();
        let more = largest.saturating_add(counting);
        let wholes = [
            ("the base".to_owned(), base, MOST_BASE),
            ("a page with one consent manager that counts".to_owned(), base.saturating_add(more), MOST_PAGE),
            ("the same under a strict CSP".to_owned(), strict.saturating_add(more), MOST_STRICT_PAGE),
        ];
        let adapters =
            adapters().map(|(name, size)| (format!("the adapter of the consent manager {name}"), size, MOST_ADAPTER));
        for (what, size, most) in wholes.into_iter().chain(adapters) {
            if size > most {
                return Err(Error::Other(format!("{what} takes {size} bytes in brotli, allowed are {most}")));
            }
        }
        Ok(())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_or(usize::MAX, |out| out.len())
}

pub(crate) fn brotli(bytes: &[u8]) -> usize {
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
