//! Reading the configuration: file, then environment, each key checked by itself so that an error
//! names where it was written, which key it is and what is allowed.

use super::{Config, consistency, location::FILE_VARIABLE};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Every environment variable that starts with this is an override, but the one that names the file.
const ENVIRONMENT_PREFIX: &str = "FIRMSIGHT_";
/// A key this similar to a known one is offered as what was meant (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.75;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// Where it was written.
        origin: Origin,
        /// The key with its section.
        key: String,
        /// The nearest match, or which keys there are.
        hint: String,
    },
    /// A value that its key does not allow.
    #[error("{origin}: `{key}`: {problem}")]
    Value {
        /// Where it was written.
        origin: Origin,
        /// The key with its section.
        key: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// Keys that contradict each other, or a size that nothing fits into.
    #[error("configuration: {0}")]
    Contradiction(String),
}

/// Reads the file, where one is given, and then what the environment overrides. Relative paths are
/// meant from the file's folder, without a file from the current one.
///
/// # Errors
/// When the file can't be read or is no TOML, on unknown keys and on values that are not allowed.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let known = toml::Table::try_from(Config::default())
        .map_err(|error| ConfigError::Syntax { path: "defaults".into(), problem: error.to_string() })?;
    let mut merged = toml::Table::new();
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            problem: error.to_string().trim().to_owned(),
        })?;
        let origin = Origin::File(path.to_owned());
        let mut written = Vec::new();
        leaves(table, &known, &mut Vec::new(), &origin, &mut written)?;
        for (key, value) in written {
            set(&mut merged, &key, value.clone(), &origin).map_err(|error| at_line(error, &text, &key, &value))?;
        }
    }
    let is_override = |name: &str| name.starts_with(ENVIRONMENT_PREFIX) && name != FILE_VARIABLE;
    let mut overrides: Vec<_> = environment.into_iter().filter(|(name, _)| is_override(name)).collect();
    overrides.sort();
    for (name, text) in overrides {
        let key: Vec<String> = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().split("__").map(str::to_owned).collect();
        let origin = Origin::Environment(name);
        check_known(&key, &known, &origin)?;
        let current = look_up(&known, &key);
        set(&mut merged, &key, environment_value(&text, current), &origin)?;
    }
    let mut config: Config = merged.try_into().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: "configuration".into(),
        problem: error.message().to_owned(),
    })?;
    if let Some(contradiction) = consistency::contradiction(&config) {
        return Err(ConfigError::Contradiction(contradiction));
    }
    let base = file.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    config.anchor(base.unwrap_or(Path::new("")));
    Ok(config)
}

/// Says in which line of the file the first entry of a list is that is not allowed there.
fn at_line(error: ConfigError, text: &str, key: &[String], value: &toml::Value) -> ConfigError {
    let is_refused = |entry: &&toml::Value| {
        let mut alone = toml::Table::new();
        insert(&mut alone, key, toml::Value::Array(vec![(*entry).clone()]));
        alone.try_into::<Config>().is_err()
    };
    let entry = value.as_array().and_then(|entries| entries.iter().find(is_refused)).and_then(toml::Value::as_str);
    let line = entry.and_then(|entry| text.lines().position(|line| line.contains(entry)));
    match (error, line) {
        (ConfigError::Value { origin, key, problem }, Some(line)) => {
            ConfigError::Value { origin, key, problem: format!("line {}: {problem}", line + 1) }
        }
        (error, _) => error,
    }
}

/// A value from the environment: TOML where it reads as the kind the key has, else text, so that
/// neither `8080` as a password nor `["loopback"]` as a list needs special quoting.
fn environment_value(text: &str, default: Option<&toml::Value>) -> toml::Value {
    let as_toml = format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    match (as_toml, default) {
        (Some(value), Some(default)) if value.same_type(default) => value,
        (Some(value), Some(default)) if !default.is_str() => value,
        _ => toml::Value::String(text.to_owned()),
    }
}

/// Every value of a table with its key's path; unknown keys are refused on the way.
fn leaves(
    table: toml::Table,
    known: &toml::Table,
    path: &mut Vec<String>,
    origin: &Origin,
    into: &mut Vec<(Vec<String>, toml::Value)>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        path.push(key);
        check_known(path, known, origin)?;
        match (value, look_up(known, path)) {
            (toml::Value::Table(inner), Some(toml::Value::Table(_))) => leaves(inner, known, path, origin, into)?,
            (value, _) => into.push((path.clone(), value)),
        }
        path.pop();
    }
    Ok(())
}

fn look_up<'a>(table: &'a toml::Table, path: &[String]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { look_up(value.as_table()?, rest) }
}

fn check_known(path: &[String], known: &toml::Table, origin: &Origin) -> Result<(), ConfigError> {
    if look_up(known, path).is_some() {
        return Ok(());
    }
    let key = path.join(".");
    let mut all = Vec::new();
    names(known, "", &mut all);
    let nearest = all
        .iter()
        .map(|name| (strsim::jaro_winkler(&key, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= SIMILAR);
    let siblings = match path.split_last() {
        Some((_, section)) if !section.is_empty() => look_up(known, section).and_then(toml::Value::as_table),
        _ => None,
    }
    .unwrap_or(known);
    let allowed = siblings.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let hint = match nearest {
        Some((_, name)) => format!("did you mean `{name}`? Allowed here: {allowed}"),
        None => format!("allowed here: {allowed}"),
    };
    Err(ConfigError::UnknownKey { origin: origin.clone(), key, hint })
}

fn names(table: &toml::Table, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in table {
        into.push(format!("{prefix}{key}"));
        if let toml::Value::Table(inner) = value {
            names(inner, &format!("{prefix}{key}."), into);
        }
    }
}

/// Sets one key, after trying it alone: a configuration of only this key must be readable.
fn set(merged: &mut toml::Table, path: &[String], value: toml::Value, origin: &Origin) -> Result<(), ConfigError> {
    let mut alone = toml::Table::new();
    insert(&mut alone, path, value.clone());
    if let Err(error) = alone.try_into::<Config>() {
        let problem = error.message().lines().next().unwrap_or_default().to_owned();
        return Err(ConfigError::Value { origin: origin.clone(), key: path.join("."), problem });
    }
    insert(merged, path, value);
    Ok(())
}

fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Span, TrustedProxy};

    fn from_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firmsight.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some(&path), environment).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_at_all_gives_the_defaults() {
        assert_eq!(load(None, []).unwrap(), Config::default());
    }

    #[test]
    fn refusals_name_file_key_and_what_is_allowed() {
        for (text, parts) in [
            ("[public]\nlisen = 1", &["firmsight.toml", "`public.lisen`", "did you mean `public.listen`?"][..]),
            ("[publik]\nlisten = 1", &["`publik`", "`public`"]),
            ("datadir = 1", &["`datadir`", "`data_dir`"]),
            ("[visits]\ntimeout = 30", &["`visits.timeout`", "firmsight.toml"]),
            ("[visits]\ntimeout = \"30\"", &["`visits.timeout`", "\"30m\""]),
            ("[public]\nlisten = \"8080\"", &["`public.listen`"]),
            ("[public]\ntrusted_proxies = [\"nginx\"]", &["`public.trusted_proxies`", "loopback"]),
            ("[resolver]\naccess_networks = \"keep\"", &["`resolver.access_networks`", "`ask-dns`", "`drop`"]),
            ("[resolver]\nkeep = [\"firms\"]", &["`resolver.keep`", "`business`"]),
            ("[spool]\nsync = \"never\"", &["`spool.sync`", "`always`", "`interval`"]),
            ("[limits]\napi_requests_per_minute = -1", &["`limits.api_requests_per_minute`"]),
            (
                "[resolver]\nrules = [\n\"5.0.0.0/8 ignore\",\n\"acme firm\"]",
                &["`resolver.rules`", "line 4", "acme firm", "neither"],
            ),
            ("public = 3", &["`public`"]),
            ("[visits", &["not valid TOML"]),
            ("[tracker]\nscript_path = \"/lfa\"", &["must differ"]),
            ("[public]\nlisten = \"localhost:8081\"", &["public.listen", "admin.listen", "port 8081"]),
            ("[public]\nlisten = \"example.com:8080\"", &["`public.listen`", "localhost:8080"]),
            ("[public]\nbase_url = \"stats.example.com\"", &["`public.base_url`", "https://stats.example.com"]),
            ("[public]\nbase_url = 'https://a.example/?\"'", &["public.base_url", "without quotes"]),
            ("[spool]\nmax_bytes = \"1KiB\"", &["spool.max_bytes", "too small", "16 KiB"]),
            ("[spool]\nmax_bytes = \"4MiB\"", &["spool.segment_bytes", "more than spool.max_bytes"]),
            ("[spool]\nsegment_bytes = \"300MiB\"", &["spool.segment_bytes", "at most 256 MiB"]),
            ("[clickhouse]\nembedded_memory = \"1MiB\"", &["clickhouse.embedded_memory", "too small"]),
            ("[limits]\npublic_connections = 0", &["limits.public_connections"]),
        ] {
            let error = from_text(text, &[]).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{text:?}: {error:?} does not contain {part:?}");
            }
        }
    }

    #[test]
    fn environment_variables_override_the_file() {
        let config = from_text(
            "[visits]\ntimeout = \"10m\"",
            &[
                ("FIRMSIGHT_VISITS__TIMEOUT", "45m"),
                ("FIRMSIGHT_PUBLIC__LISTEN", "127.0.0.1:0"),
                ("FIRMSIGHT_PUBLIC__TRUSTED_PROXIES", "[\"loopback\"]"),
                ("FIRMSIGHT_CLICKHOUSE__PASSWORD", "8080"),
                ("FIRMSIGHT_RESOLVER__DNS", "false"),
                ("FIRMSIGHT_DATA_DIR", "/srv/firmsight"),
                ("FIRMSIGHT_CONFIG", "/elsewhere/firmsight.toml"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(config.visits.timeout, Span::seconds(45 * 60));
        assert_eq!(config.public.listen.port(), 0);
        assert_eq!(config.public.trusted_proxies, [TrustedProxy::Loopback]);
        assert_eq!(config.clickhouse.password, "8080");
        assert!(!config.resolver.dns);
        assert_eq!(config.data_dir, Path::new("/srv/firmsight"));
    }

    #[test]
    fn environment_variables_that_are_unknown_or_wrong_are_refused() {
        for (name, value, parts) in [
            ("FIRMSIGHT_VISITS__TIMOUT", "1m", &["FIRMSIGHT_VISITS__TIMOUT", "`visits.timeout`"][..]),
            ("FIRMSIGHT_RESOLVER__DNS", "maybe", &["FIRMSIGHT_RESOLVER__DNS", "`resolver.dns`", "boolean"]),
        ] {
            let error = from_text("", &[(name, value)]).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error:?} does not contain {part:?}");
            }
        }
    }

    #[test]
    fn relative_paths_are_meant_from_the_files_folder() {
        let config = from_text("[secrets]\nkey_file = \"keys/master\"", &[]).unwrap();
        assert!(config.data_dir.is_absolute() && config.secrets.key_file.is_absolute());
        assert!(config.key_file().ends_with("keys/master"));
    }
}
