//! `firmsight doctor` and `firmsight status`: what works, what doesn't, and what to do first.
//!
//! `gather` finds the facts out, `checks` judges them; a check is a line in a table, with its test.

mod checks;
mod gather;

use super::{CliError, print};
use crate::{config::Config, serve::control_socket};
use checks::{CHECKS, Level};
use std::path::Path;

/// Prints a line a check; fails where something doesn't work.
pub(super) async fn run(config: &Config, file: Option<&Path>, json: bool) -> Result<(), CliError> {
    let facts = gather::facts(config, file).await;
    let (mut text, mut problems) = (String::new(), 0);
    for (name, check) in CHECKS {
        let Some(finding) = check(&facts) else { continue };
        problems += u64::from(finding.level == Level::Problem);
        let (level, says, action) = (finding.level.as_str(), finding.says, finding.action);
        if json {
            text +=
                &format!("{}\n", serde_json::json!({"check": name, "level": level, "says": says, "action": action}));
        } else {
            text += &format!("{level:<8} {name:<15} {says}\n");
            if !action.is_empty() {
                text += &format!("{:24} do: {action}\n", "");
            }
        }
    }
    print(&text)?;
    if problems > 0 { Err(CliError::Doctor(problems)) } else { Ok(()) }
}

/// Prints what runs here, in a few lines or as one JSON object.
pub(super) async fn status(config: &Config, file: Option<&Path>, json: bool) -> Result<(), CliError> {
    let is_running = control_socket::connect(&config.data_dir).await.is_ok();
    let metrics = if is_running { gather::metrics(config).await } else { None }.unwrap_or_default();
    let value = |name: &str| metrics.get(name).copied();
    let numbers = [
        ("events_stored", value("firmsight_events_stored_total")),
        ("events_in_flight", value("firmsight_events_in_flight")),
        ("spool_bytes", value("firmsight_spool_bytes")),
        ("clickhouse_up", value("firmsight_store_up")),
    ];
    let mut object = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": file.map(|file| file.display().to_string()),
        "data_dir": std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone()),
        "is_running": is_running,
        "public": config.public.listen.to_string(),
        "admin": config.admin.listen.to_string(),
    });
    for (name, value) in numbers {
        object[name] = value.into();
    }
    if json {
        return print(&format!("{object}\n"));
    }
    let lines = object.as_object().into_iter().flatten().map(|(name, value)| {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{:<17} {}\n", name.replace('_', " "), if value.is_null() { "not known" } else { &shown })
    });
    print(&lines.collect::<String>())
}
