//! How a command gets its work done: by the server that runs on the data directory, or, where none
//! runs, by itself under the directory's lock.

use super::CliError;
use crate::{
    config::Config,
    serve::{
        command::{Answer, Command},
        control_socket::{self, CallError},
        engine::{OwnEngine, Tables},
        lock::{Attempt, DataDirectoryLock},
    },
};
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a server that starts or stops, or another command, may keep the directory.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// The way to an engine.
pub(super) enum Access {
    /// A server runs on this data directory.
    Running(PathBuf),
    /// This process has the directory.
    Own(Box<OwnEngine>),
}

impl Access {
    pub(super) async fn open(config: &Config, tables: Tables) -> Result<Self, CliError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match control_socket::connect(&config.data_dir).await {
                Ok(_) => return Ok(Self::Running(config.data_dir.clone())),
                Err(CallError::NobodyListens) => {}
                Err(error) => return Err(error.into()),
            }
            let attempt = DataDirectoryLock::try_take(&config.data_dir)
                .map_err(|source| CliError::DataDirectory { path: config.data_dir.clone(), source })?;
            match attempt {
                Attempt::Taken(lock) => return Ok(Self::Own(Box::new(OwnEngine::open(config, lock, tables).await?))),
                Attempt::HeldBy(holder) if Instant::now() >= give_up => {
                    return Err(CliError::InUse { path: config.data_dir.clone(), holder });
                }
                Attempt::HeldBy(_) => sleep(PAUSE).await,
            }
        }
    }

    pub(super) async fn execute(&self, command: Command) -> Result<Answer, CliError> {
        match self {
            Self::Running(data_dir) => Ok(control_socket::call(data_dir, &command).await?),
            Self::Own(own) => own.execute(command).await.map_err(CliError::Refused),
        }
    }

    /// Stops what was started for this command.
    pub(super) async fn close(self) {
        match self {
            Self::Running(_) => {}
            Self::Own(own) => own.close().await,
        }
    }
}
