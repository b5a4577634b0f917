//! Taking new configuration while the server runs: on SIGHUP and for `firmsight reload`.
//!
//! The file and the environment are read again as at the start. What [`Changes`] calls taken is handed to those who use it; the
//! rest is named and stays as it was until a restart, so that what runs is never half of one configuration and half of another.
//! A configuration that can't be read changes nothing.

use super::{data_files::DataFiles, name_servers::NameServers};
use crate::config::{self, Changes, Config, ConfigError, LogLevel};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the configuration again, from where it was read at the start.
pub type ReadAgain = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;
/// Sets what is logged from now on.
pub type SetLogLevel = Box<dyn Fn(&LogLevel) -> Result<(), String> + Send + Sync>;

/// How the `serve` command reads its configuration again. A collector inside another program has none: its configuration is
/// that program's.
pub struct Source {
    /// Reads it.
    pub read_again: ReadAgain,
    /// Sets the log level.
    pub set_log_level: SetLogLevel,
}

/// See the module.
pub(super) struct Reload {
    source: Option<Source>,
    /// What counts now: the keys that were taken as they are, the others as at the start.
    in_use: Mutex<Config>,
    data_files: Arc<DataFiles>,
    name_servers: Arc<NameServers>,
}

impl Reload {
    pub(super) fn new(
        source: Option<Source>,
        config: &Config,
        data_files: Arc<DataFiles>,
        name_servers: Arc<NameServers>,
    ) -> Self {
        Self { source, in_use: Mutex::new(config.clone()), data_files, name_servers }
    }

    /// Takes what can be taken; opens data files that changed and reads the system's name servers in any case.
    ///
    /// # Errors
    /// One sentence: why the configuration can't be used. Nothing was taken then.
    pub(super) async fn run(&self) -> Result<Changes, String> {
        let changes = match &self.source {
            None => Changes::default(),
            Some(source) => self.take(source)?,
        };
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.name_servers.take(&in_use);
        Arc::clone(&self.data_files).look_aside(true).await;
        Ok(changes)
    }

    fn take(&self, source: &Source) -> Result<Changes, String> {
        let new = (source.read_again)().map_err(|error| error.to_string())?;
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = Changes::between(&in_use, &new);
        if in_use.log.level != new.log.level {
            (source.set_log_level)(&new.log.level)?;
            in_use.log.level = new.log.level.clone();
        }
        in_use.geoip = new.geoip;
        // What needs a restart stays as it is here, so that it is named again each time.
        in_use.resolver = config::Resolver {
            nameservers: new.resolver.nameservers,
            databases: new.resolver.databases,
            lists: new.resolver.lists,
            rules: new.resolver.rules,
            rules_file: new.resolver.rules_file,
            company_profiles: new.resolver.company_profiles,
            ..in_use.resolver.clone()
        };
        let is_about_data = |key: &String| key.starts_with("resolver.") || key == "geoip.sources";
        self.data_files.take(&in_use, changes.taken.iter().any(is_about_data));
        Ok(changes)
    }
}
