//! Backup and restore through ClickHouse's own BACKUP and RESTORE.
//!
//! # Design
//! - **What is in it**: the whole database but the day keys. Those are to be gone 48 hours after they were made, and a copy
//!   would outlive that. The master key is no table and not in it either: whoever has the backup alone can't reopen what it seals.
//! - **While the collector works.** ClickHouse takes each table as it is at one moment, but not all at the same one: a visit
//!   may be in the backup without its last event, or the other way round. So a restore counts again what was stored in the
//!   backup's last hour, which is what a rebuild does anyway.
//! - **Into an empty database alone.** A restore adds no rows to tables that have some, because nobody could tell
//!   afterwards which of two rows with one key was meant.

use super::ServeError;
use crate::{
    config::Config,
    store::{Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, str::FromStr, time::Duration};
use tokio::time::sleep;
use uuid::Uuid;

/// Between two looks at how far ClickHouse has come.
const PAUSE: Duration = Duration::from_millis(200);

/// Where backups are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A folder on ClickHouse's machine, absolute.
    Folder(PathBuf),
    /// An address of an S3-like service: `https://…`, `http://…` or `s3://…`.
    S3(String),
    /// A disk of ClickHouse's configuration, and a path on it.
    Disk(String, String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if ["https://", "http://", "s3://"].iter().any(|scheme| text.starts_with(scheme)) {
            Ok(Self::S3(text.trim_end_matches('/').to_owned()))
        } else if let Some(disk) = text.strip_prefix("disk:") {
            let (disk, path) = disk.split_once('/').unwrap_or((disk, ""));
            Ok(Self::Disk(disk.to_owned(), path.trim_end_matches('/').to_owned()))
        } else if text.is_empty() {
            Err("a folder, an S3 address or disk:NAME/PATH".to_owned())
        } else {
            std::path::absolute(text).map(Self::Folder).map_err(|error| error.to_string())
        }
    }
}

impl Place {
    /// A place in this one.
    fn below(&self, name: &str) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.join(name)),
            Self::S3(address) => Self::S3(format!("{address}/{name}")),
            Self::Disk(disk, path) if path.is_empty() => Self::Disk(disk.clone(), name.to_owned()),
            Self::Disk(disk, path) => Self::Disk(disk.clone(), format!("{path}/{name}")),
        }
    }

    /// As ClickHouse is told.
    fn sql(&self, keys: &S3Keys) -> String {
        match self {
            Self::Folder(folder) => format!("File({})", literal(&folder.display().to_string())),
            Self::Disk(disk, path) => format!("Disk({}, {})", literal(disk), literal(path)),
            Self::S3(address) if keys.access_key_id.is_empty() => format!("S3({})", literal(address)),
            Self::S3(address) => format!(
                "S3({}, {}, {})",
                literal(address),
                literal(&keys.access_key_id),
                literal(&keys.secret_access_key)
            ),
        }
    }
}

/// As it is typed.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::S3(address) => f.write_str(address),
            Self::Disk(disk, path) => write!(f, "disk:{disk}/{path}"),
        }
    }
}

/// With what an S3-like service lets in; without an id ClickHouse looks in its own environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct S3Keys {
    access_key_id: String,
    secret_access_key: String,
}

impl S3Keys {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            access_key_id: config.backup.s3_access_key_id.clone(),
            secret_access_key: config.backup.s3_secret_access_key.clone(),
        }
    }
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Where it is: what `restore --from` takes.
    pub place: Place,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Makes a backup with a name of its own in this place.
pub(super) async fn back_up(
    store: &Store,
    keys: &S3Keys,
    place: &Place,
    now: crate::time::UnixMillis,
) -> Result<BackedUp, ServeError> {
    let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let place = place.below(&format!("firmsight-{}", time.strftime("%Y%m%dT%H%M%SZ")));
    let database = store.database();
    let sql = format!(
        "BACKUP DATABASE {database}{} EXCEPT TABLE {database}.day_keys TO {}",
        store.on_cluster_clause(),
        place.sql(keys)
    );
    let bytes = run_to_its_end(store, &sql, keys).await?;
    Ok(BackedUp { place, bytes })
}

/// Brings a backup into a database that is empty or not there. Migrate and count again afterwards.
pub(super) async fn restore(store: &Store, keys: &S3Keys, place: &Place) -> Result<(), ServeError> {
    // What a collector leaves that was started and never used.
    const OWN_TRACES: &str = "'migrations', 'audit', 'api_usage', 'day_keys'";
    let client = store.client().with_database("system");
    let sql = format!(
        "SELECT name FROM system.tables WHERE database = {{database:String}} AND total_rows > 0 AND name NOT IN ({OWN_TRACES}) \
         ORDER BY name LIMIT 1"
    );
    let query = client.query(&sql).param("database", store.database_name());
    if let Some(table) = store.in_time(query.fetch_optional::<String>()).await? {
        return Err(ServeError::NotEmpty { database: store.database_name(), table });
    }
    let (database, on) = (store.database(), store.on_cluster_clause());
    store.in_time(client.query_raw(&format!("DROP DATABASE IF EXISTS {database}{on} SYNC")).execute()).await?;
    run_to_its_end(store, &format!("RESTORE DATABASE {database}{on} FROM {}", place.sql(keys)), keys).await?;
    Ok(())
}

/// Starts a backup or restore and waits for its end, however long that takes; gives its size in bytes.
async fn run_to_its_end(store: &Store, sql: &str, keys: &S3Keys) -> Result<u64, ServeError> {
    let client = store.client().with_database("system");
    let id = Uuid::new_v4().to_string();
    let sql = format!("{sql} SETTINGS id = '{id}' ASYNC");
    store.in_time(client.query_raw(&sql).execute()).await.map_err(|error| without_secret(error, keys))?;
    loop {
        let query = client.query(
            "SELECT toString(status), error, total_size FROM system.backups WHERE id = {id:String} \
             ORDER BY start_time DESC LIMIT 1",
        );
        let found = store.in_time(query.param("id", &id).fetch_optional::<(String, String, u64)>()).await?;
        let Some((status, error, bytes)) = found else { return Err(ServeError::Backup("ClickHouse forgot it".into())) };
        match status.as_str() {
            "BACKUP_CREATED" | "RESTORED" => return Ok(bytes),
            "CREATING_BACKUP" | "RESTORING" => sleep(PAUSE).await,
            _ => return Err(ServeError::Backup(hide(&error, keys))),
        }
    }
}

fn without_secret(error: StoreError, keys: &S3Keys) -> ServeError {
    match error {
        StoreError::Refused(text) | StoreError::Failed(text) => ServeError::Backup(hide(&text, keys)),
        error => error.into(),
    }
}

/// One line of an error, without the secret that was sent.
fn hide(text: &str, keys: &S3Keys) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(", Stack trace").next().unwrap_or_default();
    if keys.secret_access_key.is_empty() { text.to_owned() } else { text.replace(&keys.secret_access_key, "[secret]") }
}

/// A string in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_to_clickhouse_as_they_were_meant() {
        let keys = S3Keys { access_key_id: "id".into(), secret_access_key: "se'cret".into() };
        for (typed, sql) in [
            ("/backups", "File('/backups/b')"),
            ("/it's", "File('/it\\'s/b')"),
            ("disk:far", "Disk('far', 'b')"),
            ("disk:far/a/b/", "Disk('far', 'a/b/b')"),
            ("https://s3.example/bucket/", "S3('https://s3.example/bucket/b', 'id', 'se\\'cret')"),
            ("s3://bucket/a", "S3('s3://bucket/a/b', 'id', 'se\\'cret')"),
        ] {
            let place: Place = typed.parse().unwrap();
            assert_eq!(place.below("b").sql(&keys), sql, "{typed}");
        }
        let place: Place = "s3://bucket".parse().unwrap();
        assert_eq!(place.sql(&S3Keys::default()), "S3('s3://bucket')");
        assert!("".parse::<Place>().is_err());
        let relative: Place = "backups".parse().unwrap();
        assert!(matches!(relative, Place::Folder(folder) if folder.is_absolute()));
        assert_eq!(hide("Code: 1. se'cret is wrong\nmore", &keys), "Code: 1. [secret] is wrong");
    }
}
