//! Sharding on real engines: two embedded ones with a port each, under two collectors. Replication can't run on them: its
//! statements are read by the real parser here, and docs/cluster.md says what nobody has seen work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod failing_proxy;
mod support;

use binary::{APPLE, Firmsight, pageview, post_beacon, wait_for};
use clickhouse_embedded::{ClusterNode, Server, start};
use collector::{
    control::Control,
    retention::{Policy, enforce},
    sealing::MasterKey,
    store::{Cluster, MIGRATIONS, Store},
    time::UnixMillis,
};
use failing_proxy::Proxy;
use std::{collections::HashSet, net::TcpListener};
use tokio::runtime::Runtime;
use uuid::Uuid;

const CLUSTER: &str = "trial";
const DATABASE: &str = "firmsight";

/// Two shards of one node each.
struct Shards {
    ports: Vec<u16>,
    folder: tempfile::TempDir,
}

impl Shards {
    fn new() -> Self {
        // Both are held until both are known, so that they differ.
        let held: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        Self { ports, folder: tempfile::tempdir().unwrap() }
    }

    async fn start(&self, shard: usize) -> Server {
        let node = ClusterNode { cluster: CLUSTER.into(), tcp_port: self.ports[shard], shards: self.ports.clone() };
        let folder = self.folder.path().join(shard.to_string());
        start(clickhouse_embedded::Settings { cluster_node: Some(node), ..support::server_settings(&folder) })
            .await
            .unwrap()
    }
}

fn trial() -> Cluster {
    Cluster::new(CLUSTER).unwrap().without_keeper()
}

fn store(node: &Server) -> Store {
    Store::connect(&support::settings(node, DATABASE)).on_cluster(trial())
}

async fn number(store: &Store, sql: &str) -> u64 {
    store.in_time(store.client().query_raw(sql).fetch_one()).await.unwrap()
}

#[tokio::test]
async fn every_statement_of_a_cluster_is_understood_by_the_real_parser() {
    let store = support::empty_store().await;
    let client = store.client().with_database("system");
    let cluster = Cluster::new("main").unwrap();
    let mut replicated = 0;
    for migration in MIGRATIONS {
        for statement in cluster.migration(migration, DATABASE).unwrap() {
            let explained = client.query_raw(&format!("EXPLAIN AST {statement}")).fetch_all::<String>().await;
            // INSERT has no EXPLAIN AST of its own here; it runs on one node in every other test.
            if !statement.starts_with("INSERT") {
                let tree = explained.unwrap_or_else(|error| panic!("{statement}: {error}")).join("\n");
                replicated += usize::from(tree.contains("Replicated"));
            }
        }
    }
    assert!(replicated > 10, "{replicated} tables");
}

#[tokio::test]
async fn tables_of_one_node_and_of_a_cluster_are_not_mixed_up() {
    let store = support::store().await;
    let error = store.clone().on_cluster(trial()).migrate().await.unwrap_err();
    assert!(error.to_string().contains("one node's") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn retention_reaches_what_each_shard_stores() {
    let shards = Shards::new();
    let nodes = [shards.start(0).await, shards.start(1).await];
    for node in &nodes {
        store(node).migrate().await.unwrap();
    }
    let stores = nodes.each_ref().map(store);
    let sql = "INSERT INTO events (site, at, event_id, event_time, received_at, stored_at, visitor, version)
               SELECT concat('shop-', toString(number % 6)), now(), generateUUIDv4(), now(), now(),
                   now() - toIntervalMonth(intDiv(number, 6)) - toIntervalDay(1), number, 1 FROM numbers(120)";
    stores[0].in_time(stores[0].client().query_raw(sql).execute()).await.unwrap();
    for store in &stores {
        assert!(number(store, "SELECT count() FROM events_local").await > 0, "each shard has sites");
        let enforced = enforce(store, &Policy::default(), UnixMillis::now()).await.unwrap();
        assert_eq!(enforced.refused, []);
        assert!(enforced.changes.iter().any(|change| change.contains("events_local")), "{:?}", enforced.changes);
        store.in_time(store.client().query_raw("OPTIMIZE TABLE events_local FINAL").execute()).await.unwrap();
    }
    for store in &stores {
        assert_eq!(number(store, "SELECT count() FROM events").await, 13 * 6);
    }
    for node in nodes {
        node.stop().await;
    }
}

/// Sites enough that each shard has some.
const SITES: usize = 6;

fn site(number: usize) -> String {
    format!("shop-{number}")
}

/// A beacon for a site, from a visitor of its own each time.
fn send(firmsight: std::net::SocketAddr, number: usize, client: usize) -> Uuid {
    let id = Uuid::new_v4();
    let client = format!("LF1.1.{client:016x}.1700000000000");
    let body = pageview(&site(number % SITES), id, &client, &format!("https://{}.example/", site(number % SITES)));
    let answer = post_beacon(firmsight, APPLE, &body).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    id
}

#[test]
fn a_shard_that_is_killed_and_brought_back_loses_and_doubles_nothing_of_two_collectors() {
    let runtime = Runtime::new().unwrap();
    let shards = Shards::new();
    let (first, mut second) = runtime.block_on(async { (shards.start(0).await, shards.start(1).await) });
    runtime.block_on(async {
        for node in [&first, &second] {
            store(node).migrate().await.unwrap();
        }
    });
    // The program makes tables with Keeper alone; here they are there before it comes, so that it has nothing to make.
    let proxy = Proxy::start(&runtime, &first);
    let mut collectors = [Firmsight::new(), Firmsight::new()];
    for collector in &mut collectors {
        collector.set("CLICKHOUSE__URL", &proxy.url());
        collector.set("CLICKHOUSE__CLUSTER", CLUSTER);
        std::fs::create_dir_all(collector.data_dir()).unwrap();
        std::fs::write(collector.data_dir().join("master.key"), [7; 32]).unwrap();
    }
    for number in 0..SITES {
        let (id, host) = (site(number), format!("{}.example", site(number)));
        collectors[0].ok(&["site", "add", "--id", &id, "--name", &id, "--host", &host]);
    }
    let servers = collectors.each_ref().map(Firmsight::serve);
    // What one was told, the other knows.
    wait_for("the second collector knows the sites", || collectors[1].ok(&["site", "list"]).lines().count() == SITES);

    // A key that one revokes, the other refuses.
    let token = collectors[0].ok(&["key", "create", "--name", "shared"]);
    let token = token.trim();
    let status = |server: &binary::Running| {
        binary::request(server.admin, "GET", "/accounts", &[("X-Api-Key", token)], b"").unwrap().status
    };
    wait_for("both take the key", || servers.iter().all(|server| status(server) == 200));
    collectors[1].ok(&["key", "revoke", "--id", "shared"]);
    assert_eq!(status(&servers[1]), 401);
    wait_for("the other refuses it as well", || status(&servers[0]) == 401);

    let mut acknowledged = HashSet::new();
    for number in 0..60 {
        acknowledged.insert(send(servers[number % 2].public, number, number / 12));
    }
    servers.iter().for_each(|server| server.wait_until_nothing_is_in_flight());
    runtime.block_on(async {
        for node in [&first, &second] {
            let here = number(&store(node), "SELECT uniqExact(site) FROM events_local").await;
            assert!(here > 0 && here < SITES as u64, "each shard has some of the sites, this one {here}");
        }
    });

    let pid = rustix::process::Pid::from_raw(second.pid().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    runtime.block_on(second.exited());
    // Each visitor comes by the other collector this time.
    for number in 0..60 {
        acknowledged.insert(send(servers[(number + 1) % 2].public, number, number / 12));
    }
    wait_for("the loss is noticed", || servers.iter().all(|s| s.metric("firmsight_store_failures_total") > 1));
    assert!(servers.iter().any(|server| server.metric("firmsight_events_in_flight") > 0), "they wait in the spools");

    second = runtime.block_on(shards.start(1));
    servers.iter().for_each(|server| server.wait_until_nothing_is_in_flight());
    for server in servers {
        server.terminate();
    }
    runtime.block_on(async {
        let store = store(&first);
        let ids = store.client().query_raw("SELECT toString(event_id) FROM events FINAL").fetch_all::<String>();
        let ids: Vec<Uuid> = ids.await.unwrap().iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(ids.len(), acknowledged.len(), "nothing lost, nothing twice");
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), acknowledged);
        for table in ["visits", "company_activity", "companies"] {
            let counted = number(&store, &format!("SELECT toUInt64(sum(pageviews)) FROM {table} FINAL")).await;
            assert_eq!(counted, acknowledged.len() as u64, "{table}");
        }
        // A company's visits to a site are on one node, and a visitor is the same one to both collectors.
        let apart = "SELECT count() FROM (SELECT site FROM visits GROUP BY site HAVING uniqExact(_shard_num) > 1)";
        assert_eq!(number(&store, apart).await, 0);
        let visitors = number(&store, "SELECT uniqExact(visitor) FROM visits FINAL").await;
        assert_eq!(visitors, 30, "5 clients on 6 sites");
        second.stop().await;
        first.stop().await;
    });
}

const MIDNIGHT: i64 = 4_000_060_800_000;

#[tokio::test]
async fn collectors_on_one_store_have_the_same_key_of_each_day_before_its_first_visitor() {
    let store = support::store().await;
    let folder = tempfile::tempdir().unwrap();
    let collectors =
        ["a", "b"].map(|name| Control::open(store.clone(), MasterKey::from_bytes([7; 32]), folder.path().join(name)));
    assert_eq!(UnixMillis(MIDNIGHT).day().0, UnixMillis(MIDNIGHT - 1).day().0 + 1);
    // Both start at once on an empty store, and again at once make the next day's key, each by its own clock.
    for now in [MIDNIGHT - 3_600_000, MIDNIGHT - 300_000] {
        let [a, b] = &collectors;
        let (made, other) = tokio::join!(a.refresh(UnixMillis(now)), b.refresh(UnixMillis(now + 700)));
        made.and(other).unwrap();
        // What they read 5 seconds later.
        a.refresh(UnixMillis(now + 5_000)).await.unwrap();
        b.refresh(UnixMillis(now + 5_000)).await.unwrap();
    }
    for (now, day) in [(MIDNIGHT - 1, MIDNIGHT - 1), (MIDNIGHT, MIDNIGHT)] {
        let mut keys = HashSet::new();
        for collector in &collectors {
            keys.insert(collector.day_key(UnixMillis(day).day(), UnixMillis(now)).await.unwrap());
        }
        assert_eq!(keys.len(), 1, "at {now}");
    }
    let made: u64 = number(&store, "SELECT uniqExact(day) FROM day_keys").await;
    assert_eq!(made, 2, "nobody had to make one when the day began");
}
