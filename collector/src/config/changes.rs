//! What differs between the configuration in use and the one on disk, and which of it a running server takes.

use super::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Keys, or sections with all their keys, that a running server takes; every other one needs a restart. What stands here is
/// handed on by `serve/reload.rs`.
const TAKEN_WHILE_RUNNING: &[&str] = &[
    "geoip",
    "log.level",
    "resolver.company_profiles",
    "resolver.databases",
    "resolver.lists",
    "resolver.nameservers",
    "resolver.rules",
    "resolver.rules_file",
];

/// Keys that differ, each with its section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// What a running server takes.
    pub taken: Vec<String>,
    /// What counts from the next start on.
    pub after_restart: Vec<String>,
}

impl Changes {
    /// Compares key by key.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let (old, new) = (table(old), table(new));
        let mut changed = BTreeSet::new();
        differences(&old, &new, "", &mut changed);
        let (taken, after_restart) = changed.into_iter().partition(|key| is_taken(key));
        Self { taken, after_restart }
    }
}

/// A configuration was read from such a table, so that it can be written as one.
fn table(config: &Config) -> toml::Table {
    toml::Table::try_from(config).unwrap_or_default()
}

fn is_taken(key: &str) -> bool {
    TAKEN_WHILE_RUNNING
        .iter()
        .any(|taken| key.strip_prefix(taken).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn differences(old: &toml::Table, new: &toml::Table, prefix: &str, into: &mut BTreeSet<String>) {
    for key in old.keys().chain(new.keys()) {
        let name = format!("{prefix}{key}");
        match (old.get(key), new.get(key)) {
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                differences(old, new, &format!("{name}."), into);
            }
            (old, new) if old != new => {
                into.insert(name);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_or_waits_for_a_restart_key_by_key() {
        let old = Config::default();
        assert_eq!(Changes::between(&old, &old), Changes::default());
        let mut new = old.clone();
        new.log.level = "debug".parse().unwrap();
        new.geoip.urls.dbip = "https://mirror.example".to_owned();
        new.public.listen.set_port(9090);
        new.spool.segment_age = "3s".parse().unwrap();
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.taken, ["geoip.urls.dbip", "log.level"]);
        assert_eq!(changes.after_restart, ["public.listen", "spool.segment_age"]);
    }

    #[test]
    fn every_key_that_is_taken_exists() {
        let known = table(&Config::default());
        for key in TAKEN_WHILE_RUNNING {
            let is_known = match key.split_once('.') {
                Some((section, name)) => known[section].get(name).is_some(),
                None => known.contains_key(*key),
            };
            assert!(is_known, "{key}");
        }
    }
}
