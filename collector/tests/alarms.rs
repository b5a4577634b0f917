//! The alarm rules that owners copy: each fires when it should, and is about a metric that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_alarm_fires_when_it_should_and_a_sound_installation_is_quiet() {
    let output = Command::new("promtool")
        .args(["test", "rules", "firmsight.test.yaml"])
        .current_dir(root().join("examples/prometheus"))
        .output()
        .expect("promtool is not installed: `cargo xtask test` installs what tests need");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn alarms_are_about_metrics_that_there_are() {
    let rules = fs::read_to_string(root().join("examples/prometheus/firmsight.rules.yaml")).unwrap();
    let documented = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let is_of_a_name = |character: char| character.is_ascii_lowercase() || character == '_';
    let names: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .flat_map(|expression| expression.split(|character| !is_of_a_name(character)))
        .filter(|name| name.starts_with("firmsight_"))
        .collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("| `{name}` |")), "{name} is in no line of docs/metrics.md");
    }
}
