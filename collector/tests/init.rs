//! `firmsight init`: what it writes, says and keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::Firmsight;
use std::fs;

#[test]
fn an_installation_begins_with_one_command_and_a_second_one_keeps_it() {
    let mut firmsight = Firmsight::new();
    firmsight.unset("DATA_DIR");
    let file = firmsight.folder().join("etc/firmsight.toml").display().to_string();
    let data = firmsight.data_dir().display().to_string();
    let init = [
        "init",
        "--config",
        &file,
        "--data-dir",
        &data,
        "--host",
        "www.shop.example",
        "shop.example",
        "--proxy",
        "nginx",
        "--public-url",
        "https://stats.shop.example",
        "--reports-url",
        "https://reports.shop.example",
    ];
    let said = firmsight.ok(&init);
    for part in [
        "<script async src=\"https://stats.shop.example/lfa.js\" data-site=\"shop-example\"></script>",
        "server_name stats.shop.example reports.shop.example;",
        "access_log off;",
        "key create",
        "doctor",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains(&format!("data_dir = {data:?}")) && written.contains("[\"loopback\"]"), "{written}");
    let sites = firmsight.ok(&["site", "list", "--config", &file]);
    assert!(sites.starts_with("shop-example\twww.shop.example\twww.shop.example shop.example\t"), "{sites}");

    fs::write(&file, format!("{written}\n[visits]\ntimeout = \"20m\"\n")).unwrap();
    let output = firmsight.run(&init);
    let kept = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && kept.matches("stays as it is").count() == 2, "{kept}");
    assert!(fs::read_to_string(&file).unwrap().contains("20m"));
    assert!(firmsight.ok(&["config", "check", "--config", &file]).contains("in order"));
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let firmsight = Firmsight::new();
    for (arguments, flag) in [
        (&["init"][..], "--host"),
        (&["init", "--host", "a.example"], "--proxy"),
        (&["init", "--host", "a.example", "--proxy", "caddy"], "--public-url"),
    ] {
        let output = firmsight.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(flag), "{said}");
    }
    assert!(!firmsight.data_dir().exists());
}
