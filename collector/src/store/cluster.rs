//! Tables on a cluster: what a migration's statements, written for one node, become there.
//!
//! # Design (reasons in docs/decisions/0013-cluster.md)
//! - **A site lives on one shard.** What belongs to a site is sharded by it, so that everything that counting rests on stays
//!   true within one node: the first arrival of an event wins, visits are rebuilt from their visitor's events, a company's
//!   days from its visits. Such a table `t` is a `Distributed` one over replicated `t_local`.
//! - **Control data is everywhere.** Every other table is one replicated table over all nodes of the cluster, whatever their
//!   shard: small, read at every collector's node, written through Keeper.
//! - Subqueries run where their site is (`distributed_product_mode = 'local'`), a query about one site asks its shard
//!   alone, and an insert is answered when the shards have it, on most of their replicas.
//!
//! Our migrations are the only text that is ever given: [`Cluster::statements`] knows the few forms they have and refuses
//! any other, and a test sends all of them through it.

use super::{Migration, StoreError, statements::statements};
use clickhouse::Client;

/// Tables that hold what belongs to a site; each has a column `site`.
const SHARDED: [&str; 6] = ["events", "visits", "company_days", "company_activity", "companies", "drops"];

/// A cluster as ClickHouse's `remote_servers` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    name: String,
    has_keeper: bool,
}

impl Cluster {
    /// A cluster with ClickHouse Keeper (or ZooKeeper) and the macros `shard` and `replica` on each node.
    ///
    /// # Errors
    /// [`StoreError::ClusterName`] for a name of other characters than letters, digits, `_`, `-` and `.`.
    pub fn new(name: &str) -> Result<Self, StoreError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(StoreError::ClusterName(name.chars().take(80).collect()));
        }
        Ok(Self { name: name.to_owned(), has_keeper: true })
    }

    /// The same without Keeper: shards of one node each, whose tables are made by migrating each node by itself. Control data
    /// is on each node's own. For trials of sharding where nothing can be replicated.
    #[doc(hidden)]
    #[must_use]
    pub fn without_keeper(self) -> Self {
        Self { has_keeper: false, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The statements that make this migration on the cluster, in a database of this name.
    ///
    /// # Errors
    /// [`StoreError::NotForClusters`] when a statement has a form that is not foreseen.
    pub fn migration(&self, migration: &Migration, database: &str) -> Result<Vec<String>, StoreError> {
        let translated = statements(migration.sql).into_iter().map(|statement| self.statements(statement, database));
        Ok(translated.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// The statement that makes the database.
    pub(super) fn create_database(&self, quoted: &str) -> String {
        format!("CREATE DATABASE IF NOT EXISTS {quoted}{}", self.on_cluster())
    }

    /// The table that holds rows on each node.
    pub(super) fn local(table: &str) -> String {
        if SHARDED.contains(&table) { format!("{table}_local") } else { table.to_owned() }
    }

    /// The table, as a statement names it that changes or deletes stored rows.
    pub(super) fn stored(&self, table: &str) -> String {
        if SHARDED.contains(&table) { format!("{table}_local{}", self.on_cluster()) } else { table.to_owned() }
    }

    /// What a statement for one node becomes.
    pub(super) fn statements(&self, statement: &str, database: &str) -> Result<Vec<String>, StoreError> {
        let refuse = || StoreError::NotForClusters(statement.chars().take(80).collect());
        let text = without_comments_before(statement);
        let on = self.on_cluster();
        let sync = if self.has_keeper { " SYNC" } else { "" };
        if let Some(rest) = text.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            let (table, rest) = name_of(rest).ok_or_else(refuse)?;
            let (columns, engine) = rest.split_once("\nENGINE = ").ok_or_else(refuse)?;
            let is_sharded = SHARDED.contains(&table);
            let engine = self.engine(engine, is_sharded).ok_or_else(refuse)?;
            let stored = if is_sharded { format!("{table}_local") } else { table.to_owned() };
            let mut made = vec![format!("CREATE TABLE IF NOT EXISTS {stored}{on}{columns}\nENGINE = {engine}")];
            if is_sharded {
                let (name, database) = (&self.name, database.replace('\\', "\\\\").replace('\'', "\\'"));
                made.push(format!(
                    "CREATE TABLE IF NOT EXISTS {table}{on} AS {stored} \
                     ENGINE = Distributed('{name}', '{database}', '{stored}', sipHash64(site))"
                ));
            }
            return Ok(made);
        }
        if let Some(rest) = text.strip_prefix("ALTER TABLE ") {
            let (table, actions) = name_of(rest).ok_or_else(refuse)?;
            let replicated = self.settings(actions.trim());
            if !SHARDED.contains(&table) {
                // It replicates itself to all nodes.
                return Ok(vec![format!("ALTER TABLE {table} {replicated}")]);
            }
            let mut made = vec![format!("ALTER TABLE {table}_local{on} {replicated}")];
            let is_shown = |action: &&str| {
                let word = |word: &str| action.starts_with(word);
                (word("ADD COLUMN") || word("DROP COLUMN") || word("MODIFY COLUMN")) && !is_codec_alone(action)
            };
            let shown: Vec<&str> = parts(actions).into_iter().filter(is_shown).collect();
            if !shown.is_empty() {
                made.push(format!("ALTER TABLE {table}{on} {}", shown.join(", ")));
            }
            return Ok(made);
        }
        if let Some(rest) = text.strip_prefix("DROP TABLE IF EXISTS ") {
            let (table, rest) = name_of(rest).unwrap_or((rest.trim(), ""));
            if !rest.trim().is_empty() {
                return Err(refuse());
            }
            let mut made = vec![format!("DROP TABLE IF EXISTS {table}{on}{sync}")];
            if SHARDED.contains(&table) {
                made.push(format!("DROP TABLE IF EXISTS {table}_local{on}{sync}"));
            }
            return Ok(made);
        }
        match text.starts_with("INSERT INTO ") {
            true if self.has_keeper => Ok(vec![text.to_owned()]),
            // The other nodes may not have the tables yet, and a trial starts with none.
            true => Ok(Vec::new()),
            false => Err(refuse()),
        }
    }

    /// The settings of everything that is asked of the cluster.
    pub(super) fn set_up(&self, client: Client) -> Client {
        let client = client
            .with_setting("distributed_product_mode", "local")
            .with_setting("optimize_skip_unused_shards", "1")
            .with_setting("distributed_foreground_insert", "1")
            // Reads follow writes to the same replica while it lives.
            .with_setting("load_balancing", "in_order");
        if !self.has_keeper {
            return client;
        }
        // Below the time limit of a call.
        client.with_setting("insert_quorum", "auto").with_setting("distributed_ddl_task_timeout", "100")
    }

    /// ` ON CLUSTER …`, where that can be.
    pub(super) fn on_cluster(&self) -> String {
        if self.has_keeper { format!(" ON CLUSTER '{}'", self.name) } else { String::new() }
    }

    /// An engine's clause and all that follows it.
    fn engine(&self, clause: &str, is_sharded: bool) -> Option<String> {
        let end = clause.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(clause.len());
        let (engine, rest) = clause.split_at(end);
        if !engine.ends_with("MergeTree") {
            return None;
        }
        let (arguments, rest) = match rest.strip_prefix('(') {
            Some(rest) => rest.split_once(')')?,
            None => ("", rest),
        };
        if !self.has_keeper {
            return Some(clause.to_owned());
        }
        let comma = if arguments.trim().is_empty() { "" } else { ", " };
        let (folder, replica) =
            if is_sharded { ("{shard}", "{replica}") } else { ("every-shard", "{shard}-{replica}") };
        let name = &self.name;
        Some(format!(
            "Replicated{engine}('/clickhouse/tables/{name}/{folder}/{{database}}/{{table}}', '{replica}'{comma}{arguments}){}",
            self.settings(rest)
        ))
    }

    /// A token is known for the same number of inserts, and for as long as a spool may wait.
    fn settings(&self, text: &str) -> String {
        if !self.has_keeper {
            return text.to_owned();
        }
        text.replace(
            "non_replicated_deduplication_window = ",
            "replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = ",
        )
    }
}

fn without_comments_before(statement: &str) -> &str {
    let mut text = statement.trim();
    while let Some(comment) = text.strip_prefix("--") {
        text = comment.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
    }
    text
}

/// A table's name and what follows it.
fn name_of(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c.is_ascii_whitespace())?;
    let (name, rest) = text.split_at(end);
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some((name, rest))
}

/// What stands between commas outside of parentheses.
fn parts(actions: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_i32, 0, Vec::new());
    for (at, character) in actions.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(actions.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(actions.get(start..));
    found.into_iter().map(str::trim).collect()
}

/// `MODIFY COLUMN name CODEC(…)`: how a column is stored is no business of a table that stores nothing.
fn is_codec_alone(action: &str) -> bool {
    action.starts_with("MODIFY COLUMN")
        && action.split_whitespace().find(|word| word.starts_with("CODEC(")).is_some_and(|codec| {
            let before = action.split(codec).next().unwrap_or_default();
            before.split_whitespace().filter(|word| !["IF", "EXISTS"].contains(word)).count() == 3
        })
}

#[cfg(test)]
mod tests {
    use super::super::MIGRATIONS;
    use super::*;

    fn cluster() -> Cluster {
        Cluster::new("main").unwrap()
    }

    #[test]
    fn names_that_could_break_out_of_a_statement_are_refused() {
        for name in ["", "a'b", "a b", "a;b", "ä", &"x".repeat(65)] {
            assert!(Cluster::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_table_of_sites_is_replicated_on_each_shard_and_shown_as_one() {
        let made = cluster()
            .statements(
                "-- about it\nCREATE TABLE IF NOT EXISTS visits\n(\n    site String, -- a comment (with one)\n    a UInt8\n)\n\
                 ENGINE = ReplacingMergeTree(version, is_deleted)\nORDER BY (site, a)\n\
                 SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1",
                "firm'sight",
            )
            .unwrap();
        assert_eq!(
            made,
            [
                "CREATE TABLE IF NOT EXISTS visits_local ON CLUSTER 'main'\n(\n    site String, -- a comment (with one)\n    a UInt8\n)\n\
                 ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/main/{shard}/{database}/{table}', '{replica}', version, is_deleted)\n\
                 ORDER BY (site, a)\nSETTINGS replicated_deduplication_window_seconds = 604800, \
                 replicated_deduplication_window = 10000, fsync_after_insert = 1",
                "CREATE TABLE IF NOT EXISTS visits ON CLUSTER 'main' AS visits_local \
                 ENGINE = Distributed('main', 'firm\\'sight', 'visits_local', sipHash64(site))",
            ]
        );
    }

    #[test]
    fn control_data_is_one_table_on_all_nodes() {
        let made = cluster()
            .statements("CREATE TABLE IF NOT EXISTS sites\n(\n    id String\n)\nENGINE = MergeTree\nORDER BY id", "f");
        assert_eq!(
            made.unwrap(),
            ["CREATE TABLE IF NOT EXISTS sites ON CLUSTER 'main'\n(\n    id String\n)\n\
              ENGINE = ReplicatedMergeTree('/clickhouse/tables/main/every-shard/{database}/{table}', '{shard}-{replica}')\nORDER BY id"]
        );
    }

    #[test]
    fn changes_reach_what_stores_and_what_shows() {
        let cluster = cluster();
        let made = |statement: &str| cluster.statements(statement, "f").unwrap();
        assert_eq!(
            made(
                "ALTER TABLE visits ADD COLUMN IF NOT EXISTS a UInt8 DEFAULT f(b, c), ADD INDEX i a TYPE minmax, MODIFY COLUMN b CODEC(T64, ZSTD(1))"
            ),
            [
                "ALTER TABLE visits_local ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS a UInt8 DEFAULT f(b, c), ADD INDEX i a TYPE minmax, MODIFY COLUMN b CODEC(T64, ZSTD(1))",
                "ALTER TABLE visits ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS a UInt8 DEFAULT f(b, c)",
            ]
        );
        assert_eq!(
            made("ALTER TABLE audit ADD COLUMN IF NOT EXISTS a UInt8"),
            ["ALTER TABLE audit ADD COLUMN IF NOT EXISTS a UInt8"]
        );
        assert_eq!(
            made("DROP TABLE IF EXISTS company_days"),
            [
                "DROP TABLE IF EXISTS company_days ON CLUSTER 'main' SYNC",
                "DROP TABLE IF EXISTS company_days_local ON CLUSTER 'main' SYNC"
            ]
        );
        assert!(cluster.statements("OPTIMIZE TABLE visits", "f").is_err());
        assert_eq!(cluster.stored("visits"), "visits_local ON CLUSTER 'main'");
        assert_eq!(cluster.stored("day_keys"), "day_keys");
    }

    #[test]
    fn every_migration_has_a_form_for_clusters() {
        for migration in MIGRATIONS {
            let made = cluster().migration(migration, "firmsight").unwrap();
            assert!(!made.is_empty(), "{}", migration.name);
            for statement in made {
                assert!(!statement.contains("non_replicated"), "{statement}");
            }
        }
    }
}
