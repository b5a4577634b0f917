//! What is written to standard error while a command runs.

use super::{CliError, traces::Traces};
use crate::{
    config::{Log, LogFormat, LogLevel},
    serve::reload::SetLogLevel,
};
use std::io::{self, IsTerminal};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Starts logging: a server says what it does, a command speaks only when something is wrong. Gives what sets the level later.
pub(super) fn start(log: &Log, is_server: bool, traces: Option<&Traces>) -> Result<SetLogLevel, CliError> {
    let filter = if is_server { log.level.filter() } else { EnvFilter::new("error") };
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces.map(Traces::layer));
    registry.try_init().map_err(|error| CliError::Log(error.to_string()))?;
    Ok(Box::new(move |level: &LogLevel| handle.reload(level.filter()).map_err(|error| error.to_string())))
}
