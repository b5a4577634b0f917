//! What a power cut leaves of an acknowledged event: the preloaded library of `power-cut` knows what was on disk, and takes
//! the rest away between a kill and the next start.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod load;
mod support;

use binary::{Firmsight, wait_for};
use load::{Senders, assert_stored_once};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds the library to preload; cargo knows when there is nothing to do.
fn library() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_firmsight")).parent().unwrap().parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "power-cut", "--features", "preload", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the library to preload can't be built: {built}");
    target.join("debug").join("libpower_cut.so")
}

/// Three cuts; twenty in the long run, which sets `FIRMSIGHT_LONG_TESTS`.
#[test]
fn a_power_cut_under_load_loses_and_doubles_no_acknowledged_event() {
    let rounds = if std::env::var_os("FIRMSIGHT_LONG_TESTS").is_some() { 20 } else { 3 };
    let mut firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let data = firmsight.data_dir();
    let spool = data.join("spool");
    let journal = firmsight.folder().join("power-cut");
    fs::create_dir(&journal).unwrap();
    firmsight.set_server_environment("LD_PRELOAD", library());
    firmsight.set_server_environment(power_cut::ROOT_VARIABLE, &data);
    firmsight.set_server_environment(power_cut::JOURNAL_VARIABLE, &journal);

    let mut acknowledged = HashSet::new();
    let mut lost_names = 0;
    let mut lost_bytes = 0;
    for round in 0..rounds {
        let server = firmsight.serve();
        let senders = Senders::start(server.public, round, 4);
        senders.wait_until_acknowledged(40 + 60 * (round % 10));
        // Every other time ClickHouse is in the middle of something too.
        if round % 2 == 1 {
            wait_for("something is stored", || server.metric("firmsight_events_stored_total") > 0);
        }
        fs::write(journal.join(power_cut::FREEZE_FILE), "").unwrap();
        wait_for("the server is about to sync", || journal.join(power_cut::frozen_file(server.pid())).exists());
        server.kill_with_clickhouse();
        acknowledged.extend(senders.stop());
        let lost =
            power_cut::cut(&data, &journal, |folder| folder == spool, |unsynced| rand::random_range(0..=unsynced))
                .unwrap();
        println!("cut {round}: {} names, {} bytes lost", lost.names, lost.bytes);
        lost_names += lost.names;
        lost_bytes += lost.bytes;
    }
    assert!(lost_names + usize::try_from(lost_bytes).unwrap() > 0, "a cut that takes nothing away shows nothing");

    let server = firmsight.serve();
    server.wait_until_nothing_is_in_flight();
    server.terminate();
    assert_stored_once(&firmsight, &acknowledged);
}
