//! The words of `/metrics` and `/readyz`: every metric there is, and what rooms say of themselves.

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $variant:ident = $kind:ident $name:literal $help:literal,)*) => {
        /// Every metric there is: no name is spelled anywhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric { $($(#[$meta])* #[doc = $help] $variant,)* }

        impl Metric {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the exposition.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How it moves.
            pub(crate) const fn kind(self) -> MetricKind {
                match self { $(Self::$variant => MetricKind::$kind,)* }
            }

            /// What it is, in a sentence.
            pub(crate) const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

metrics! {
    EventsReceived = Counter "firmsight_events_received_total" "Events decoded from beacons since the start.",
    EventsRecovered = Counter "firmsight_events_recovered_total" "Events found in the spool at the start.",
    EventsStored = Counter "firmsight_events_stored_total" "Events written to ClickHouse since the start.",
    EventsDropped = Counter "firmsight_events_dropped_total" "Events accepted and deliberately not kept, by reason.",
    EventsRejected = Counter "firmsight_events_rejected_total" "Events refused with an error status, by rule.",
    EventsInFlight = Gauge "firmsight_events_in_flight" "Events accepted and neither stored nor dropped yet.",
    UndecodableBeacons = Counter "firmsight_undecodable_beacons_total" "Requests refused before their events could be counted, by rule.",
    LostBeacons = Counter "firmsight_lost_beacons_total" "Beacons that browsers say they gave up after failing to deliver them.",
    SpoolBytes = Gauge "firmsight_spool_bytes" "Bytes of the spool's files.",
    SpoolMaxBytes = Gauge "firmsight_spool_max_bytes" "Bytes at which the spool is full and beacons get 503.",
    SpoolSegments = Gauge "firmsight_spool_segments" "Segments of the spool, the one that is being written included.",
    SpoolEvents = Gauge "firmsight_spool_events" "Events in the spool that wait for the store.",
    SpoolOldestAge = Gauge "firmsight_spool_oldest_age_seconds" "Age of the spool's oldest segment; 0 when it is empty.",
    SpoolDamaged = Counter "firmsight_spool_damaged_total" "Spool files found damaged since the start, at the start included.",
    SpoolDamagedRemoved = Counter "firmsight_spool_damaged_removed_total" "Damaged spool files removed because those kept took more room than the spool may.",
    SpoolNewer = Gauge "firmsight_spool_newer_segments" "Segments that a newer version wrote and that only it or a later one can store.",
    StoreUp = Gauge "firmsight_store_up" "1 when ClickHouse answered when last asked and its tables are up to date, else 0.",
    StoreFailures = Counter "firmsight_store_failures_total" "Attempts to store that failed and are repeated.",
    WorkerUp = Gauge "firmsight_worker_up" "0 while a background worker that ended unexpectedly waits to be started again, else 1, by worker.",
    WorkerRestarts = Counter "firmsight_worker_restarts_total" "How often a background worker ended unexpectedly and was started again, by worker.",
    SetAside = Gauge "firmsight_set_aside" "Visitors and companies' days that could not be counted and wait for a retry of their own.",
    SetAsideTotal = Counter "firmsight_set_aside_total" "Visitors and companies' days set aside since the start.",
    SetAsidePushedOut = Counter "firmsight_set_aside_pushed_out_total" "Of these, given up because too many waited.",
    RetentionRefused = Gauge "firmsight_retention_refused" "1 while a retention period is not in force because it would delete more than half of a table at once, else 0, by class.",
    AuditWaiting = Gauge "firmsight_audit_waiting" "Audit records that wait for the store.",
    AuditRefused = Counter "firmsight_audit_refused_total" "Requests refused because the audit log could not take their record.",
    UntrustedForwardingHeaders = Counter "firmsight_untrusted_forwarding_headers_total"
        "Requests from local peers with forwarding headers that were not believed; is trusted_proxies in section public set?",
    DnsAddresses = Counter "firmsight_dns_addresses_total"
        "Addresses whose name was wanted, by how the answer came: asked, failed, cached, stale, shared, skipped.",
    DnsQueries = Counter "firmsight_dns_queries_total"
        "Datagrams sent to name servers.",
    DnsIgnored = Counter "firmsight_dns_ignored_datagrams_total"
        "Datagrams from name servers that answered no question of ours.",
    DnsCacheEntries = Gauge "firmsight_dns_cache_entries"
        "Addresses whose name is remembered, in memory only.",
    DnsServersDown = Gauge "firmsight_dns_servers_down"
        "Name servers that are left alone because they do not answer.",
    DataFilesReplaced = Counter "firmsight_data_files_replaced_total"
        "How often new data files came into use since the start.",
    DataFilesRefused = Gauge "firmsight_data_files_refused"
        "1 while a new data file is refused and the former ones stay in use, else 0; the log says why.",
    DataFileAge = Gauge "firmsight_data_file_age_seconds"
        "Age of a data file's content, by file.",
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which metric.
    pub metric: Metric,
    /// The label's name and value, where the metric has one.
    pub label: Option<(&'static str, String)>,
    /// The value now.
    pub value: u64,
}

impl Sample {
    /// A value without a label.
    #[must_use]
    pub const fn new(metric: Metric, value: u64) -> Self {
        Self { metric, label: None, value }
    }
}

/// A room that has values to show.
pub trait MetricsSource: Send + Sync {
    /// Its values now; must not block.
    fn samples(&self) -> Vec<Sample>;
}

/// Something that must be well before the collector is ready, such as a spool that can be written.
pub trait ReadinessCheck: Send + Sync {
    /// What is wrong now, as a sentence for the owner; must not block.
    fn problem(&self) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_counters_end_in_total() {
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(
                name.starts_with("firmsight_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind() == MetricKind::Counter, "{name}");
        }
    }

    #[test]
    fn the_manual_describes_exactly_these_metrics() {
        let manual = include_str!("../../docs/metrics.md");
        let described: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `firmsight_")).collect();
        let there: Vec<String> = Metric::ALL
            .iter()
            .map(|metric| {
                let kind = if metric.kind() == MetricKind::Counter { "counter" } else { "gauge" };
                format!("| `{}` | {kind} | {} |", metric.name(), metric.help())
            })
            .collect();
        assert_eq!(described, there);
    }

    #[test]
    fn the_dashboard_shows_every_metric_and_no_other() {
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../examples/grafana/firmsight.json")).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        let asked: String = targets.map(|target| target["expr"].as_str().unwrap().to_owned() + " ").collect();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let shown: std::collections::BTreeSet<&str> =
            asked.split(|c| !is_part(c)).filter(|word| word.starts_with("firmsight_")).collect();
        let there: std::collections::BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(shown, there);
    }
}
