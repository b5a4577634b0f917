//! Migrations: the numbered files of `/migrations`, run once each and in order.
//!
//! ClickHouse has no transaction around a file, so each statement must do nothing when it is repeated (`IF NOT EXISTS`): a file
//! is recorded after its last statement, and one that broke off runs again from its first. Two collectors
//! that start at once on one database are safe for the same reason.
//!
//! What a released file does never changes, because a database that ran it will not run it again: its SHA-256 is recorded
//! and compared at every start.
//!
//! On a cluster each statement becomes those that `cluster` makes of it.

use super::{Store, StoreError, statements::statements};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A numbered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub number: u32,
    /// Its file's name without the ending, which starts with the number in four digits.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

impl Migration {
    /// SHA-256 of the file, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        Sha256::digest(self.sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration { number: $number, name: $name, sql: include_str!(concat!("../../../migrations/", $name, ".sql")) }
    };
}

/// All migrations, in order.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_events"),
    migration!(2, "0002_visits"),
    migration!(3, "0003_company_days"),
    migration!(4, "0004_drops"),
    migration!(5, "0005_control"),
    migration!(6, "0006_forgotten"),
    migration!(7, "0007_companies"),
    migration!(8, "0008_site_objects"),
    migration!(12, "0012_audit"),
    migration!(13, "0013_api_usage"),
    migration!(14, "0014_users"),
    migration!(30, "0030_objections"),
    migration!(50, "0050_events_compression"),
    migration!(51, "0051_company_paths"),
    migration!(52, "0052_settled_months"),
    migration!(70, "0070_set_aside"),
    migration!(71, "0071_master_key"),
    migration!(85, "0085_people"),
];

/// A migration as the database remembers it.
#[derive(Row, Serialize, Deserialize)]
struct Applied {
    number: u32,
    name: String,
    sha256: String,
}

const RECORD_TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations
(
    number UInt32,
    name String,
    sha256 String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1";

impl Store {
    /// Makes the database when it is missing, runs the migrations it lacks and returns them.
    ///
    /// # Errors
    /// [`StoreError::TooOld`], [`StoreError::MigrationChanged`], [`StoreError::DatabaseNewer`], [`StoreError::Migration`] or
    /// a call's failure.
    pub async fn migrate(&self) -> Result<Vec<Migration>, StoreError> {
        self.migrate_with(MIGRATIONS).await
    }

    /// The migrations that [`Store::migrate`] would run; changes nothing.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn pending_migrations(&self) -> Result<Vec<Migration>, StoreError> {
        self.version().await?;
        self.pending(MIGRATIONS).await
    }

    pub(super) async fn migrate_with(&self, migrations: &[Migration]) -> Result<Vec<Migration>, StoreError> {
        self.version().await?;
        self.check_topology().await?;
        let pending = self.pending(migrations).await?;
        // Where nothing is to be done nothing is sent: whoever may only read and write can start a collector.
        if pending.is_empty() {
            return Ok(pending);
        }
        self.make_database().await?;
        self.run_statement(RECORD_TABLE).await?;
        for migration in &pending {
            self.run(migration).await.map_err(|source| StoreError::Migration {
                name: migration.name.to_owned(),
                source: Box::new(source),
            })?;
            tracing::info!(name = migration.name, "migrated the database");
        }
        // Inserts remember a table's columns.
        self.client().clear_cached_metadata().await;
        Ok(pending)
    }

    async fn make_database(&self) -> Result<(), StoreError> {
        let client = self.client();
        let Some(name) = client.database() else { return Ok(()) };
        let sql = match self.cluster() {
            Some(cluster) => cluster.create_database(&quote(name)),
            None => format!("CREATE DATABASE IF NOT EXISTS {}", quote(name)),
        };
        // A client that names a missing database is refused even this.
        let client = client.clone().with_database("system");
        self.in_time(client.query_raw(&sql).execute()).await
    }

    async fn run(&self, migration: &Migration) -> Result<(), StoreError> {
        for statement in statements(migration.sql) {
            self.run_statement(statement).await?;
        }
        let record = Applied { number: migration.number, name: migration.name.to_owned(), sha256: migration.sha256() };
        self.insert("migrations", None, &[record]).await
    }

    /// Makes the table of day keys where a backup brought all the others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn make_day_keys(&self) -> Result<(), StoreError> {
        let all = MIGRATIONS.iter().flat_map(|migration| statements(migration.sql));
        for statement in all.filter(|statement| statement.contains("CREATE TABLE IF NOT EXISTS day_keys")) {
            self.run_statement(statement).await?;
        }
        Ok(())
    }

    async fn run_statement(&self, statement: &str) -> Result<(), StoreError> {
        let Some(cluster) = self.cluster() else {
            return self.in_time(self.client().query_raw(statement).execute()).await;
        };
        let client = self.client();
        for statement in cluster.statements(statement, client.database().unwrap_or("default"))? {
            self.in_time(client.query_raw(&statement).execute()).await?;
        }
        Ok(())
    }

    /// One node's tables don't become a cluster's by themselves, nor the other way round.
    async fn check_topology(&self) -> Result<(), StoreError> {
        let client = self.client().with_database("system");
        let sql = "SELECT engine FROM system.tables WHERE database = {database:String} AND name = 'events'";
        let query = client.query_raw(sql).param("database", self.database_name());
        let engine: Option<String> = self.in_time(query.fetch_optional()).await?;
        match engine.map(|engine| engine == "Distributed") {
            Some(is_on_cluster) if is_on_cluster != self.cluster().is_some() => {
                Err(StoreError::OtherTopology { is_on_cluster })
            }
            _ => Ok(()),
        }
    }

    /// Those not recorded yet, after comparing those that are.
    async fn pending(&self, migrations: &[Migration]) -> Result<Vec<Migration>, StoreError> {
        let applied = self.applied().await?;
        let known: BTreeMap<u32, &Migration> =
            migrations.iter().map(|migration| (migration.number, migration)).collect();
        for Applied { number, name, sha256 } in &applied {
            match known.get(number) {
                Some(migration) if migration.sha256() == *sha256 => {}
                Some(_) => return Err(StoreError::MigrationChanged(name.clone())),
                None => return Err(StoreError::DatabaseNewer(name.clone())),
            }
        }
        let is_applied = |migration: &&Migration| applied.iter().any(|record| record.number == migration.number);
        Ok(migrations.iter().filter(|migration| !is_applied(migration)).copied().collect())
    }

    async fn applied(&self) -> Result<Vec<Applied>, StoreError> {
        let client = self.client().with_database("system");
        let database = self.client().database().unwrap_or("default").to_owned();
        let recorded: u64 = self
            .in_time(
                client
                    .query_raw(
                        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migrations'",
                    )
                    .param("database", &database)
                    .fetch_one(),
            )
            .await?;
        if recorded == 0 {
            return Ok(Vec::new());
        }
        let sql = "SELECT number, name, sha256 FROM migrations FINAL ORDER BY number";
        self.in_time(self.client().query_raw(sql).fetch_all()).await
    }
}

/// A name in SQL (<https://clickhouse.com/docs/sql-reference/syntax#identifiers>).
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_file_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
        assert_eq!(listed, files);
        // Numbers may be left out, never used twice.
        assert!(MIGRATIONS.is_sorted_by(|one, next| one.number < next.number));
        for migration in MIGRATIONS {
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
        }
    }

    #[test]
    fn every_statement_can_be_repeated() {
        for migration in MIGRATIONS {
            for statement in statements(migration.sql) {
                // A copy into a replacing table keeps its versions, and the same codec or setting can be set again.
                let is_copy = statement.contains("INSERT INTO ") && statement.contains("version");
                let is_same = ["IF NOT EXISTS", "IF EXISTS", "MODIFY COLUMN", "MODIFY SETTING"];
                let can_repeat = is_copy || is_same.iter().any(|words| statement.contains(words));
                assert!(can_repeat, "{}: {statement}", migration.name);
            }
        }
    }
}
