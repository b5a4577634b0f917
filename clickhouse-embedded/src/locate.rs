//! Finding the engine.

use crate::{Engine, Error};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Finds the engine: what the configuration names, else a `clickhouse` binary on `PATH`, else `libchdb.so`
/// beside the running program, else the first of `libraries` that exists.
///
/// A configured path that ends in `.so` is a library, any other a binary.
///
/// # Errors
/// [`Error::NotFound`] names every path tried; a configured path that doesn't exist is not replaced by another.
pub fn locate(configured: Option<&Path>, libraries: &[PathBuf]) -> Result<Engine, Error> {
    if let Some(path) = configured {
        return if !path.is_file() {
            Err(Error::NotFound { looked_for: vec![path.to_owned()] })
        } else if path.extension().is_some_and(|extension| extension == "so") {
            Ok(Engine::Library(path.to_owned()))
        } else {
            Ok(Engine::Binary(path.to_owned()))
        };
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    let binaries = env::split_paths(&on_path).map(|folder| Engine::Binary(folder.join("clickhouse")));
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join("libchdb.so"));
    let candidates: Vec<Engine> =
        binaries.chain(beside.into_iter().chain(libraries.iter().cloned()).map(Engine::Library)).collect();
    candidates.iter().find(|engine| engine.path().is_file()).cloned().ok_or_else(|| Error::NotFound {
        looked_for: candidates.iter().map(|engine| engine.path().to_owned()).collect(),
    })
}
