//! Which commands make a data directory, where the configuration is found, and whose files they are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::Firmsight;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

const ADD: &[&str] = &["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"];

#[test]
fn a_command_in_the_wrong_folder_names_it_and_makes_nothing() {
    let firmsight = Firmsight::new();
    let before = fs::read_dir(firmsight.folder()).unwrap().count();
    for command in [
        &["site", "list"][..],
        &["key", "list"],
        &["backup", "--to", "/tmp/backups"],
        &["restore", "--from", "/tmp/backups/one"],
        &["migrate"],
        &["import", "--site", "shop", "-"],
        &["geoip", "update"],
        &["privacy", "export", "--site", "shop", "--visitor", "LF1.1.0123456789abcdef.1700000000000"],
    ] {
        let refusal = firmsight.fails(command);
        for part in ["no data in", &firmsight.data_dir().display().to_string(), "--config", "firmsight init"] {
            assert!(refusal.contains(part), "{command:?}: {refusal:?} lacks {part:?}");
        }
    }
    assert_eq!(fs::read_dir(firmsight.folder()).unwrap().count(), before);
    // A folder that is there for another reason is no installation either.
    fs::create_dir(firmsight.data_dir()).unwrap();
    assert!(firmsight.fails(&["backup", "--to", "/tmp/backups"]).contains("no data in"));
}

#[test]
fn adding_a_site_begins_an_installation_only_while_there_is_no_configuration_file() {
    let firmsight = Firmsight::new();
    let file = firmsight.folder().join("firmsight.toml");
    fs::write(&file, "[visits]\ntimeout = \"20m\"\n").unwrap();
    let refusal = firmsight.fails(ADD);
    assert!(refusal.contains("no data in") && refusal.contains("firmsight.toml was read"), "{refusal}");
    fs::remove_file(&file).unwrap();
    let output = firmsight.run(ADD);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("new directory"), "{said}");
    assert!(firmsight.ok(&["site", "list"]).starts_with("shop\t"));
    for entry in ["master.key", "lock", "clickhouse"] {
        let mode = fs::metadata(firmsight.data_dir().join(entry)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry} is for its owner alone, not {mode:o}");
    }
}

#[test]
fn a_time_zone_that_only_c_libraries_understand_does_not_keep_clickhouse_from_starting() {
    let mut firmsight = Firmsight::new();
    firmsight.set_variable("TZ", "CET-1CEST");
    firmsight.ok(ADD);
}

#[test]
fn the_file_that_is_found_first_counts() {
    let mut firmsight = Firmsight::new();
    let user_folder = firmsight.folder().join("user");
    firmsight.set_variable("XDG_CONFIG_HOME", &user_folder.display().to_string());
    let named = firmsight.folder().join("named.toml");
    let user = user_folder.join("firmsight/firmsight.toml");
    let here = firmsight.folder().join("firmsight.toml");
    fs::create_dir_all(user.parent().unwrap()).unwrap();
    // Each is refused by a key of its own, so that a refusal says which was read.
    let is_read = |firmsight: &Firmsight, file: &Path| {
        let refusal = firmsight.fails(&["config", "check"]);
        let name = file.strip_prefix(firmsight.folder()).unwrap().display().to_string();
        assert!(refusal.contains(&name), "{refusal:?} is not about {name}");
    };
    fs::write(&user, "user = 1").unwrap();
    is_read(&firmsight, &user);
    fs::write(&here, "here = 1").unwrap();
    is_read(&firmsight, &here);
    fs::write(&named, "named = 1").unwrap();
    firmsight.set("CONFIG", &named.display().to_string());
    is_read(&firmsight, &named);
    firmsight.set("CONFIG", "/nowhere/firmsight.toml");
    assert!(firmsight.fails(&["config", "check"]).contains("/nowhere/firmsight.toml"));
    firmsight.set("CONFIG", "");
    assert!(firmsight.ok(&["config", "check"]).contains("in order"));
}

/// Needs root, which CI has; another user can't give files away, and then there is nothing to keep.
#[test]
fn root_works_as_the_owner_of_the_data_directory() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let firmsight = Firmsight::new();
    let owner = 65_534;
    let folder = firmsight.data_dir();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(firmsight.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(&folder, Some(owner), Some(owner)).unwrap();
    // Where the embedded ClickHouse lies in root's own folders the command fails, after it took the lock as the owner.
    let output = firmsight.run(ADD);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("working as") && said.contains(&folder.display().to_string()), "{said}");
    let owners: Vec<u32> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().uid()).collect();
    assert!(!owners.is_empty() && owners.iter().all(|user| *user == owner), "{owners:?}");
}
