//! From a policy to ClickHouse's TTLs, and away with what removed sites left.

use super::{Class, Keep, Policy, RULES, Rule, TABLES_OF_SITES};
use crate::{
    store::{Store, StoreError},
    time::UnixMillis,
};
use clickhouse::Row;
use serde::Deserialize;

/// A period that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class.
    pub class: Class,
    /// The table of which too much would go.
    pub table: &'static str,
    /// The site whose rows would go, where it is a removed one.
    pub site: Option<String>,
    /// Rows that would be deleted, or lose columns, at once.
    pub expired: u64,
    /// All rows of the table.
    pub total: u64,
}

/// What [`enforce`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// Statements that changed a table or deleted rows of it.
    pub changes: Vec<String>,
    /// What was left as it was.
    pub refused: Vec<Refusal>,
}

/// Rows that a change would touch at once, and all rows.
#[derive(Row, Deserialize)]
struct Reach {
    expired: u64,
    total: u64,
}

/// Brings the tables' TTLs in line with the policy and deletes what sites left that were removed long enough ago.
/// It changes nothing where that is so already; ClickHouse itself removes what has expired, mostly within hours.
///
/// # Errors
/// [`StoreError`]; the call may be repeated.
pub async fn enforce(store: &Store, policy: &Policy, now: UnixMillis) -> Result<Enforced, StoreError> {
    let mut enforced = Enforced::default();
    for rule in RULES {
        set_ttl(store, policy, rule, now, &mut enforced).await?;
    }
    delete_removed_sites(store, policy, now, &mut enforced).await?;
    Ok(enforced)
}

async fn set_ttl(
    store: &Store,
    policy: &Policy,
    rule: &Rule,
    now: UnixMillis,
    enforced: &mut Enforced,
) -> Result<(), StoreError> {
    let sql =
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}";
    let query = store.client().query(sql).param("name", store.local(rule.table));
    let definition: String = store.in_time(query.fetch_one()).await?;
    let ttl = period(policy, rule).interval().map(|interval| format!("TTL {} + {interval}", rule.since));
    let actions = actions(rule, ttl.as_deref(), &definition);
    if actions.is_empty() {
        return Ok(());
    }
    if let Some(interval) = period(policy, rule).interval() {
        let reach = reach(store, rule, &interval, now).await?;
        if is_too_much(&reach, policy) {
            let Reach { expired, total } = reach;
            enforced.refused.push(Refusal { class: rule.class, table: rule.table, site: None, expired, total });
            return Ok(());
        }
    }
    let statement = format!("ALTER TABLE {} {}", store.stored(rule.table), actions.join(", "));
    store.in_time(store.client().query_raw(&statement).execute()).await?;
    enforced.changes.push(statement);
    Ok(())
}

/// The period of a rule. Columns of rows that are gone by then need none.
fn period(policy: &Policy, rule: &Rule) -> Keep {
    let keep = policy.of(rule.class);
    let rows = RULES.iter().find(|other| other.table == rule.table && other.columns.is_empty());
    match rows.map(|rows| policy.of(rows.class)) {
        Some(rows) if !rule.columns.is_empty() && rows.shorter(keep) == rows => Keep::Forever,
        _ => keep,
    }
}

/// What an `ALTER TABLE` must do so that the definition says what the rule says. The definition is ClickHouse's own text.
fn actions(rule: &Rule, ttl: Option<&str>, definition: &str) -> Vec<String> {
    let (columns, engine) = definition.split_once(") ENGINE = ").unwrap_or((definition, ""));
    if rule.columns.is_empty() {
        return match ttl {
            Some(ttl) if engine.contains(ttl) => Vec::new(),
            Some(ttl) => vec![format!("MODIFY {ttl}")],
            None if engine.contains(" TTL ") => vec!["REMOVE TTL".to_owned()],
            None => Vec::new(),
        };
    }
    let action = |column: &&str| {
        let start = columns.find(&format!("`{column}` "))?;
        let defined = columns.get(start..)?.split(", `").next()?;
        match ttl {
            Some(ttl) if defined.contains(ttl) => None,
            Some(ttl) => Some(format!("MODIFY COLUMN {column} {ttl}")),
            None if defined.contains(" TTL ") => Some(format!("MODIFY COLUMN {column} REMOVE TTL")),
            None => None,
        }
    };
    rule.columns.iter().filter_map(action).collect()
}

async fn reach(store: &Store, rule: &Rule, interval: &str, now: UnixMillis) -> Result<Reach, StoreError> {
    let sql = format!(
        "SELECT countIf({} + {interval} <= toDateTime({{now:Int64}})) AS expired, count() AS total FROM {}",
        rule.since, rule.table
    );
    store.in_time(store.client().query(&sql).param("now", now.0 / 1000).fetch_one()).await
}

const fn is_too_much(reach: &Reach, policy: &Policy) -> bool {
    reach.expired * 2 > reach.total && !policy.allow_large_deletions
}

/// Rows are deleted by mutations, which rewrite parts: afterwards they are nowhere on the disk.
async fn delete_removed_sites(
    store: &Store,
    policy: &Policy,
    now: UnixMillis,
    enforced: &mut Enforced,
) -> Result<(), StoreError> {
    let Some(kept) = policy.deleted_sites.at_least() else { return Ok(()) };
    let until = now.0.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX)).max(0);
    // A version of control data is the time of the change, in milliseconds.
    let sql = "SELECT id FROM sites GROUP BY id
               HAVING argMax(is_deleted, version) = 1 AND max(version) <= {until:Int64} ORDER BY id";
    let removed: Vec<String> = store.in_time(store.client().query(sql).param("until", until).fetch_all()).await?;
    for site in removed {
        for table in TABLES_OF_SITES {
            delete_site(store, policy, &site, table, enforced).await?;
        }
    }
    Ok(())
}

async fn delete_site(
    store: &Store,
    policy: &Policy,
    site: &str,
    table: &'static str,
    enforced: &mut Enforced,
) -> Result<(), StoreError> {
    let sql = format!("SELECT countIf(site = {{site:String}}) AS expired, count() AS total FROM {table}");
    let reach: Reach = store.in_time(store.client().query(&sql).param("site", site).fetch_one()).await?;
    if reach.expired == 0 {
        return Ok(());
    }
    if is_too_much(&reach, policy) {
        let (class, site, Reach { expired, total }) = (Class::DeletedSites, Some(site.to_owned()), reach);
        enforced.refused.push(Refusal { class, table, site, expired, total });
        return Ok(());
    }
    let statement = format!("ALTER TABLE {} DELETE WHERE site = {{site:String}}", store.stored(table));
    store.in_time(store.client().query(&statement).param("site", site).execute()).await?;
    enforced.changes.push(statement);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = "CREATE TABLE f.visits (`site` LowCardinality(String), `visitor` UInt64 TTL toDateTime(at) + toIntervalMonth(13), \
        `email` String CODEC(ZSTD(1)), `at` DateTime) ENGINE = MergeTree ORDER BY site TTL toDateTime(at) + toIntervalMonth(25) SETTINGS a = 1";

    #[test]
    fn a_table_is_altered_only_where_it_differs() {
        let rows = Rule { class: Class::Visits, table: "visits", columns: &[], since: "toDateTime(at)" };
        let ttl = |months: u16| format!("TTL toDateTime(at) + toIntervalMonth({months})");
        assert!(actions(&rows, Some(&ttl(25)), DEFINITION).is_empty());
        // The same period of a column is not the rows'.
        assert_eq!(actions(&rows, Some(&ttl(13)), DEFINITION), [format!("MODIFY {}", ttl(13))]);
        assert_eq!(actions(&rows, None, DEFINITION), ["REMOVE TTL"]);
        assert!(actions(&rows, None, "CREATE TABLE f.a (`b` UInt8) ENGINE = MergeTree ORDER BY b").is_empty());

        let columns = Rule { columns: &["visitor", "email"], class: Class::VisitorHashes, ..rows };
        assert_eq!(actions(&columns, Some(&ttl(13)), DEFINITION), [format!("MODIFY COLUMN email {}", ttl(13))]);
        assert_eq!(actions(&columns, None, DEFINITION), ["MODIFY COLUMN visitor REMOVE TTL"]);
    }

    #[test]
    fn columns_of_rows_that_go_first_need_no_period() {
        let events = RULES.iter().find(|rule| rule.table == "events" && !rule.columns.is_empty()).unwrap();
        let visits = RULES.iter().find(|rule| rule.table == "visits" && !rule.columns.is_empty()).unwrap();
        let policy = Policy::default();
        assert_eq!((period(&policy, events), period(&policy, visits)), (Keep::Forever, Keep::Months(13)));
        let longer = Policy { events: Keep::Forever, ..policy };
        assert_eq!(period(&longer, events), Keep::Months(13));
    }
}
