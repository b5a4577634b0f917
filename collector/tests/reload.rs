//! New configuration for a running server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::{APPLE, Firmsight, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;

#[test]
fn a_running_server_takes_what_is_safe_and_names_what_needs_a_restart() {
    let mut firmsight = Firmsight::new();
    let file = firmsight.folder().join("firmsight.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    write("");
    firmsight.set("CONFIG", &file.display().to_string());
    let server = firmsight.serve();
    assert!(firmsight.ok(&["reload"]).contains("nothing changed"));

    write("[log]\nlevel = \"debug\"\n[visits]\ntimeout = \"20m\"\n[resolver]\nrules = [\"17.0.0.0/8 own-office\"]\n");
    let said = firmsight.ok(&["reload"]);
    assert_eq!(said, "in force: log.level, resolver.rules\nafter a restart: visits.timeout\n");
    wait_for("debug lines are written", || server.metric("firmsight_store_up") == 1 && server.log().contains("DEBUG"));
    assert_eq!(server.metric("firmsight_data_files_replaced_total"), 1, "the rule counts");
    assert_eq!(firmsight.ok(&["reload"]), "after a restart: visits.timeout\n", "it is named until then");

    write("[log]\nlevel = \"loud\"\n");
    let refusal = firmsight.fails(&["resolve", APPLE]);
    assert!(refusal.contains("log.level"), "{refusal}");
    let server_process = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(server_process, Signal::HUP).unwrap();
    wait_for("the refusal is in the log", || server.log().contains("the former one stays"));
    write("");
    kill_process(server_process, Signal::HUP).unwrap();
    wait_for("the log says what was taken", || server.log().contains("taken=\"log.level resolver.rules\""));
    server.terminate();
    assert!(firmsight.fails(&["reload"]).contains("no server is running"));
}
