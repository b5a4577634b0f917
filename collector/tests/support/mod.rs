//! A migrated database on the real engine, for integration tests: `mod support;` and `support::store().await`.
//!
//! Each test binary starts one embedded ClickHouse, which dies with it; each call makes a database of its own.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use clickhouse_embedded::{Engine, Server, Settings, start};
use collector::store::{Settings as StoreSettings, Store};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::sync::OnceCell;

/// A store with a fresh, migrated database.
pub(crate) async fn store() -> Store {
    let store = empty_store().await;
    store.migrate().await.unwrap();
    store
}

/// A store whose database isn't there yet.
pub(crate) async fn empty_store() -> Store {
    Store::connect(&settings(server().await, &format!("test_{}", uuid::Uuid::new_v4().simple())))
}

/// How to reach an embedded server.
pub(crate) fn settings(server: &Server, database: &str) -> StoreSettings {
    let (name, value) = server.secret_header();
    StoreSettings {
        url: server.url().to_owned(),
        user: String::new(),
        password: String::new(),
        database: database.to_owned(),
        header: Some((name.to_owned(), value.to_owned())),
    }
}

/// A store that nobody answers for.
pub(crate) fn store_away() -> Store {
    Store::connect(&settings_away())
}

/// How to reach nobody: nothing listens on port 1.
pub(crate) fn settings_away() -> StoreSettings {
    StoreSettings {
        url: "http://127.0.0.1:1".to_owned(),
        user: String::new(),
        password: String::new(),
        database: "away".to_owned(),
        header: None,
    }
}

/// How to start a server of a test's own in this folder.
pub(crate) fn server_settings(folder: &Path) -> Settings {
    Settings { program: env!("CARGO_BIN_EXE_firmsight").into(), ..Settings::new(folder, Engine::Library(library())) }
}

/// The embedded ClickHouse's library.
pub(crate) fn library() -> PathBuf {
    let library = geoip_data::clickhouse_library().filter(|path| path.is_file());
    library.expect("this test needs libchdb.so: run it through `cargo xtask test`, which fetches it")
}

/// This binary's server.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(async || {
            let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
            remove_folders_of_dead_processes(parent);
            let folder = parent.join(format!("clickhouse-{}", std::process::id()));
            start(server_settings(&folder)).await.unwrap()
        })
        .await
}

/// Statics are not dropped, so a test binary leaves its folder to the next one.
fn remove_folders_of_dead_processes(parent: &Path) {
    for entry in fs::read_dir(parent).unwrap().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("clickhouse-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test binary may remove it at the same time.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}
