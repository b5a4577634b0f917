//! Builds the tracker's files into the binary: whatever `cargo xtask tracker` left in `target/tracker`
//! (or in `FIRMSIGHT_TRACKER_FOLDER`). With none the binary builds too and says so when asked.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    const FOLDER: &str = "FIRMSIGHT_TRACKER_FOLDER";
    println!("cargo::rerun-if-env-changed={FOLDER}");
    println!("cargo::rerun-if-changed=build.rs");
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let usual = manifest.join("../target/tracker");
    let folder = env::var_os(FOLDER).map_or(usual, PathBuf::from);
    // A path that doesn't exist would make cargo run this script, and build the collector, every time.
    fs::create_dir_all(&folder)?;
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "js" || extension == "wasm"));
    files.sort();
    let mut table = String::from("pub(super) const FILES: &[super::File] = &[\n");
    for path in files {
        let path = fs::canonicalize(path)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a tracker file's name is not UTF-8")?;
        writeln!(
            table,
            "    ({name:?}, include_bytes!({:?})),",
            path.to_str().ok_or("the folder's path is not UTF-8")?
        )?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("tracker_files.rs"), table)?;
    Ok(())
}
