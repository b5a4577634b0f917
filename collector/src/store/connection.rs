//! The client and what it connects to.

use super::{Cluster, StoreError, migrate::quote};
use arc_swap::ArcSwap;
use clickhouse::{Client, Compression, query::Query};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};
use url::{Host, Url};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the 3 seconds after which ClickHouse closes an idle connection by default.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of one call, in either direction.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the server may work on a report, in seconds.
const MAX_READING_SECONDS: &str = "30";

/// Where ClickHouse is and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// URL of the HTTP interface, such as `http://127.0.0.1:8123`.
    pub url: String,
    /// User; empty for the server's default user.
    pub user: String,
    /// The user's password; empty for none.
    pub password: String,
    /// Database; made by [`Store::migrate`] when missing.
    pub database: String,
    /// A header sent with every request, name and value.
    pub header: Option<(String, String)>,
}

/// Without password and header value.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).field("database", &self.database).finish_non_exhaustive()
    }
}

/// The store. Clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    client: Arc<ArcSwap<Client>>,
    cluster: Option<Arc<Cluster>>,
}

impl Store {
    /// A store at these settings. Nothing is sent yet: ClickHouse may be away.
    #[must_use]
    pub fn connect(settings: &Settings) -> Self {
        Self { client: Arc::new(ArcSwap::from_pointee(client(settings))), cluster: None }
    }

    /// The same store, whose tables are on a cluster. Say so before it is cloned.
    #[must_use]
    pub fn on_cluster(self, cluster: Cluster) -> Self {
        let client = cluster.set_up(self.client());
        Self { client: Arc::new(ArcSwap::from_pointee(client)), cluster: Some(Arc::new(cluster)) }
    }

    /// The database's name.
    pub(crate) fn database_name(&self) -> String {
        self.client().database().unwrap_or("default").to_owned()
    }

    /// The database's name, quoted for a statement.
    pub(crate) fn database(&self) -> String {
        quote(&self.database_name())
    }

    /// ` ON CLUSTER …` where the tables are on one.
    pub(crate) fn on_cluster_clause(&self) -> String {
        self.cluster().map(Cluster::on_cluster).unwrap_or_default()
    }

    /// The cluster's name; empty where there is none.
    pub(crate) fn cluster_name(&self) -> String {
        self.cluster().map(|cluster| cluster.name().to_owned()).unwrap_or_default()
    }

    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_deref()
    }

    /// The table, as a statement names it that changes or deletes stored rows; on a cluster that is not the one that
    /// is read.
    pub(crate) fn stored(&self, table: &str) -> String {
        self.cluster().map_or_else(|| table.to_owned(), |cluster| cluster.stored(table))
    }

    /// The table that holds rows on the node that is asked.
    pub(crate) fn local(&self, table: &str) -> String {
        if self.cluster.is_some() { Cluster::local(table) } else { table.to_owned() }
    }

    /// Turns this store and all its clones to other settings: an embedded server that was started again has another port
    /// and another secret.
    pub fn reconnect(&self, settings: &Settings) {
        let client = client(settings);
        let client = match self.cluster() {
            Some(cluster) => cluster.set_up(client),
            None => client,
        };
        self.client.store(Arc::new(client));
    }

    /// Closes idle connections, in this handle and its clones: a server that is told to stop waits seconds for them.
    /// Later calls fail until [`Self::reconnect`].
    pub fn hang_up(&self) {
        self.client.store(Arc::new(Client::default()));
    }

    /// The client, for queries. Run them through [`Store::in_time`], and take a new one for each.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::clone(&self.client.load())
    }

    /// A query that only reads, and not for ever. Values travel as its parameters, never in the text.
    pub(crate) fn reading(&self, sql: &str) -> Query {
        let query = self.client().query(sql).with_setting("readonly", "2");
        query.with_setting("max_execution_time", MAX_READING_SECONDS)
    }

    /// Runs a call of the `clickhouse` crate under the store's time limit (120 seconds) and sorts its failure.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn in_time<T>(&self, call: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, StoreError> {
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::TimedOut(CALL_TIMEOUT)),
        }
    }

    /// Asks the server's version and refuses one that is too old.
    ///
    /// # Errors
    /// [`StoreError::TooOld`], [`StoreError::NoVersion`], or the call's failure.
    pub async fn version(&self) -> Result<Version, StoreError> {
        // Asked without a database, because that may not be there yet.
        let client = self.client().with_database("system");
        let text: String = self.in_time(client.query_raw("SELECT version()").fetch_one()).await?;
        let found = text.parse().map_err(|()| StoreError::NoVersion(text.chars().take(80).collect()))?;
        if found < Version::OLDEST { Err(StoreError::TooOld { found }) } else { Ok(found) }
    }
}

/// A ClickHouse version: year and month of its feature release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The year, two digits.
    pub year: u16,
    /// Number within the year.
    pub number: u16,
}

impl Version {
    /// The oldest version that Firmsight works with, a long-term release.
    pub const OLDEST: Self = Self { year: 24, number: 8 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.year, self.number)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(year)), Some(Ok(number))) => Ok(Self { year, number }),
            _ => Err(()),
        }
    }
}

fn client(settings: &Settings) -> Client {
    let mut connector = HttpConnector::new();
    // Small inserts wait 40 ms for an acknowledgement otherwise.
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let mut builder = HttpClient::builder(TokioExecutor::new());
    builder.pool_idle_timeout(POOL_IDLE_TIMEOUT);
    let is_https = settings.url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let client = if is_https {
        match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(tls) => {
                connector.enforce_http(false);
                Client::with_http_client(builder.build(tls.https_only().enable_http1().wrap_connector(connector)))
            }
            // This connector refuses https, so that nothing is ever sent in clear instead.
            Err(error) => {
                tracing::error!(%error, "the system has no root certificates, so ClickHouse's certificate cannot be checked: install ca-certificates");
                Client::with_http_client(builder.build(connector))
            }
        }
    } else {
        Client::with_http_client(builder.build(connector))
    };
    let mut client = client.with_url(&settings.url).with_database(&settings.database);
    if !settings.user.is_empty() {
        client = client.with_user(&settings.user);
    }
    if !settings.password.is_empty() {
        client = client.with_password(&settings.password);
    }
    if let Some((name, value)) = &settings.header {
        client = client.with_header(name, value);
    }
    if is_on_this_machine(&settings.url) {
        client = client.with_compression(Compression::None);
    }
    client
}

/// Whether what is sent stays in this machine's memory, where packing it costs more than moving it.
fn is_on_this_machine(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_machine_is_packed() {
        for (url, expected) in [
            ("http://127.0.0.1:8123", true),
            ("http://127.8.0.1", true),
            ("http://[::1]:8123/", true),
            ("http://localhost:8123", true),
            ("https://clickhouse.example.com", false),
            ("http://10.0.0.5:8123", false),
            ("http://localhost.example.com", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_on_this_machine(url), expected, "{url}");
        }
    }

    #[test]
    fn versions_are_ordered_by_year_and_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("24.8.1.1") >= Version::OLDEST);
        assert!(version("24.10") > version("24.9.9"));
        assert!(version("23.12.1") < Version::OLDEST);
        assert!("ClickHouse".parse::<Version>().is_err());
    }
}
