//! Data files while the server runs: seen when they change, put to use when they are sound.
//!
//! Every few seconds the configured files are looked at by name: size, time and inode, nothing else. Files that changed
//! are opened once they look the same twice, so that a copy in progress is left alone; a SIGHUP opens them at once. They
//! are copied and checked as a whole, and only then take the place of those in use: a refusal is said once, shown in
//! `/metrics`, and leaves everything as it was. Nothing is polled beneath that: an `inotify` watch would have to follow
//! folders that don't exist yet, and files on a network don't tell.

use super::{
    setup,
    workers::{Running, Worker},
};
use crate::{
    config::{Config, UpdateInterval},
    data_files::{Outcome, Source, Updater},
    metrics::{Metric, Sample},
    time::UnixMillis,
};
use arc_swap::ArcSwap;
use firmsight_resolver::{DatabaseStatus, Resolver};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often old data is warned of.
const REMINDER: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is seen whether an update is due.
const UPDATE_CHECK: Duration = Duration::from_secs(60 * 60);
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A file's outside: when this is the same, the content is taken to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    length: u64,
    modified: (i64, i64),
    inode: (u64, u64),
}

/// What was seen of the files.
#[derive(Debug, Default)]
struct Seen {
    in_use: Vec<Stamp>,
    last: Vec<Stamp>,
    refused: Option<Vec<Stamp>>,
}

impl Seen {
    /// Whether files that look like this should be opened.
    fn wants(&mut self, now: &[Stamp], at_once: bool) -> bool {
        let is_settled = at_once || self.last == now;
        self.last = now.to_vec();
        is_settled && self.in_use != now && self.refused.as_deref() != Some(now)
    }
}

/// The files behind a resolver.
pub(super) struct DataFiles {
    /// What of it names files and sources may change while the server runs.
    config: ArcSwap<Config>,
    resolver: Resolver,
    seen: Mutex<Seen>,
    /// By file: its name and when its content was made, in seconds since 1970.
    built: Mutex<Vec<(String, u64)>>,
    replaced: AtomicU64,
}

impl DataFiles {
    /// The files that the resolver was opened with a moment ago.
    pub(super) fn new(config: &Config, resolver: Resolver) -> Self {
        let stamps = stamps(config).unwrap_or_default();
        let seen = Seen { in_use: stamps.clone(), last: stamps, refused: None };
        let built = Mutex::new(built(&resolver));
        Self {
            config: ArcSwap::from_pointee(config.clone()),
            resolver,
            seen: Mutex::new(seen),
            built,
            replaced: AtomicU64::new(0),
        }
    }

    /// Goes by this configuration from the next look on; `anew` has that look open the files even where they didn't change.
    pub(super) fn take(&self, config: &Config, anew: bool) {
        self.config.store(Arc::new(config.clone()));
        if anew {
            let mut seen = lock(&self.seen);
            // Files are never like this: a list of them is not empty, or nothing need be opened.
            seen.in_use = vec![Stamp { path: PathBuf::new(), length: 0, modified: (0, 0), inode: (0, 0) }];
            seen.refused = None;
        }
    }

    /// Looks at the files and opens those that changed. Takes as long as reading them.
    pub(super) fn look(&self, at_once: bool) {
        let config = self.config.load();
        let stamps = match stamps(&config) {
            Ok(stamps) => stamps,
            Err(error) => {
                let mut seen = lock(&self.seen);
                if seen.refused.replace(Vec::new()) != Some(Vec::new()) {
                    tracing::error!(%error, "data files are missing; those in use stay in use");
                }
                return;
            }
        };
        if !lock(&self.seen).wants(&stamps, at_once) {
            return;
        }
        let replaced = setup::private_databases(&config)
            .and_then(|databases| self.resolver.replace(databases).map_err(Into::into));
        let mut seen = lock(&self.seen);
        match replaced {
            Ok(()) => {
                seen.in_use = stamps;
                seen.refused = None;
                *lock(&self.built) = built(&self.resolver);
                self.replaced.fetch_add(1, Ordering::Relaxed);
                tracing::info!("new data files are in use");
                self.warn_of_old();
            }
            Err(error) => {
                tracing::error!(%error, "a new data file is refused; those in use stay in use");
                seen.refused = Some(stamps);
            }
        }
    }

    /// Says which files are older than they should be.
    fn warn_of_old(&self) {
        let now = seconds(SystemTime::now());
        for (file, built) in lock(&self.built).iter() {
            let age = Duration::from_secs(now.saturating_sub(*built));
            if age > self.config.load().geoip.max_age.get() {
                let days = age.as_secs() / 86_400;
                tracing::warn!(file, days, "a data file is old; fetch a newer one with `firmsight geoip update`");
            }
        }
    }

    /// Looks every few seconds until stopped.
    async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminders = interval(REMINDER);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = reminders.tick() => self.warn_of_old(),
                _ = looks.tick() => Arc::clone(&self).look_aside(false).await,
            }
        }
    }

    /// Looks on a thread where that disturbs nobody.
    pub(super) async fn look_aside(self: Arc<Self>, at_once: bool) {
        if let Err(error) = tokio::task::spawn_blocking(move || self.look(at_once)).await {
            tracing::error!(%error, "looking at the data files ended in an unforeseen way");
        }
    }
}

impl Worker for DataFiles {
    fn name(&self) -> &'static str {
        "data-files"
    }

    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(self.watch(stop))
    }

    fn samples(&self) -> Vec<Sample> {
        let now = seconds(SystemTime::now());
        let mut samples = vec![
            Sample::new(Metric::DataFilesReplaced, self.replaced.load(Ordering::Relaxed)),
            Sample::new(Metric::DataFilesRefused, u64::from(lock(&self.seen).refused.is_some())),
        ];
        samples.extend(lock(&self.built).iter().map(|(file, built)| Sample {
            metric: Metric::DataFileAge,
            label: Some(("file", file.clone())),
            value: now.saturating_sub(*built),
        }));
        samples
    }
}

/// Fetches newer data files, as the configuration of the moment says.
pub(super) struct DataUpdates(pub(super) Arc<DataFiles>);

impl DataUpdates {
    async fn fetch_what_is_due(&self) {
        let config = self.0.config.load_full();
        let after = match config.geoip.update {
            UpdateInterval::Off => return,
            UpdateInterval::Daily => DAY_MILLIS,
            UpdateInterval::Weekly => 7 * DAY_MILLIS,
        };
        let updater = match setup::updater(&config) {
            Ok(updater) => updater,
            Err(error) => return tracing::error!(%error, "data files can't be updated"),
        };
        let due = updater.due(&config.geoip.sources, UnixMillis::now(), after);
        if !due.is_empty() {
            update(&updater, &due).await;
        }
    }
}

impl Worker for DataUpdates {
    fn name(&self) -> &'static str {
        "data-updates"
    }

    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let mut checks = interval(UPDATE_CHECK);
            checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let fetch = async {
                loop {
                    checks.tick().await;
                    self.fetch_what_is_due().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = fetch => {}
            }
        })
    }
}

async fn update(updater: &Updater, due: &[Source]) {
    match updater.update(due, UnixMillis::now()).await {
        Ok(outcomes) => {
            for (source, outcome) in outcomes {
                match outcome {
                    Ok(Outcome::Replaced { bytes, .. }) => tracing::info!(%source, bytes, "fetched a newer data file"),
                    Ok(Outcome::Unchanged) => tracing::debug!(%source, "no newer data file"),
                    Err(error) => tracing::warn!(%source, %error, "a data file can't be updated"),
                }
            }
        }
        Err(error) => tracing::warn!(%error, "data files can't be updated"),
    }
}

fn stamps(config: &Config) -> Result<Vec<Stamp>, setup::SetupError> {
    let files = setup::database_files(config)?
        .into_iter()
        .chain(setup::rules_file(config).map(Path::to_owned))
        .chain(setup::profiles_file(config));
    files.map(|path| stamp(&path).map_err(|source| setup::SetupError::Read { path, source })).collect()
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok(Stamp {
        path: path.to_owned(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        inode: (metadata.dev(), metadata.ino()),
    })
}

fn built(resolver: &Resolver) -> Vec<(String, u64)> {
    resolver.database_status().iter().map(|status| (file_name(&status.file), built_at(status))).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// When a file's content was made: as it says itself, else when it was last written. In seconds since 1970.
pub(crate) fn built_at(status: &DatabaseStatus) -> u64 {
    let written = || fs::metadata(&status.file).and_then(|metadata| metadata.modified()).map_or(0, seconds);
    status.build_epoch.unwrap_or_else(written)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use firmsight_resolver::{Profile, ProfileFileWriter, ProfileLookup};

    fn stamps(times: &[i64]) -> Vec<Stamp> {
        let stamp = |time: &i64| Stamp { path: "a".into(), length: 1, modified: (*time, 0), inode: (1, 1) };
        times.iter().map(stamp).collect()
    }

    #[test]
    fn files_are_opened_when_they_changed_and_settled_and_a_refused_one_only_once() {
        let mut seen = Seen { in_use: stamps(&[1]), last: stamps(&[1]), refused: None };
        for (what, now, at_once, expected) in [
            ("the same", 1, false, false),
            ("the same, and a signal", 1, true, false),
            ("changed", 2, false, false),
            ("still being written", 3, false, false),
            ("settled", 3, false, true),
            ("changed, and a signal", 4, true, true),
        ] {
            assert_eq!(seen.wants(&stamps(&[now]), at_once), expected, "{what}");
        }
        seen.refused = Some(stamps(&[4]));
        assert!(!seen.wants(&stamps(&[4]), true));
        assert!(seen.wants(&stamps(&[5]), true));
    }

    /// A configuration with one crawler list, and the list.
    fn with_list(folder: &Path) -> (Config, PathBuf) {
        let list = folder.join("crawlers.json");
        fs::write(&list, crawlers("198.51.0.0/16")).unwrap();
        let text = format!(
            "data_dir = {:?}\n[resolver]\ndns = false\ndatabases = []\nlists = [{list:?}]\n",
            folder.join("data")
        );
        let file = folder.join("firmsight.toml");
        fs::write(&file, text).unwrap();
        (config::load(Some(&file), []).unwrap(), list)
    }

    fn crawlers(network: &str) -> String {
        format!("{{\"sources\":{{\"a\":{{\"label\":\"A\",\"ipv4\":[\"{network}\"]}}}}}}")
    }

    #[test]
    fn a_running_server_takes_a_sound_file_and_refuses_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let (config, list) = with_list(folder.path());
        let resolver = setup::serving_resolver(&config).unwrap();
        let files = DataFiles::new(&config, resolver.clone());
        let value = |metric| files.samples().iter().find(|sample| sample.metric == metric).map(|sample| sample.value);
        let is_crawler = |ip: &str| resolver.local(ip.parse().unwrap()).kind.as_str() == "crawler";
        assert!(is_crawler("198.51.7.1") && !is_crawler("5.5.0.1"));
        fs::write(&list, "{\"sources\":{\"a\":{\"lab").unwrap();
        files.look(true);
        assert!(is_crawler("198.51.7.1") && !is_crawler("5.5.0.1"));
        assert_eq!((value(Metric::DataFilesRefused), value(Metric::DataFilesReplaced)), (Some(1), Some(0)));
        fs::write(&list, crawlers("5.5.0.0/16")).unwrap();
        files.look(false);
        assert!(!is_crawler("5.5.0.1"), "it may still be written");
        files.look(false);
        assert!(!is_crawler("198.51.7.1") && is_crawler("5.5.0.1"));
        assert_eq!((value(Metric::DataFilesRefused), value(Metric::DataFilesReplaced)), (Some(0), Some(1)));
        assert!(value(Metric::DataFileAge).is_some());
        assert_eq!(resolver.generation(), 1);
        fs::remove_file(&list).unwrap();
        files.look(true);
        assert!(is_crawler("5.5.0.1"));
        assert_eq!(value(Metric::DataFilesRefused), Some(1));
    }

    #[test]
    fn a_running_server_takes_new_company_profiles_and_refuses_damaged_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (config, _) = with_list(folder.path());
        let path = config.company_profiles();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let resolver = setup::serving_resolver(&config).unwrap();
        let files = DataFiles::new(&config, resolver.clone());
        let write = |domain: &str, other: &str| {
            let mut writer = ProfileFileWriter::create(&path).unwrap();
            let (domain, other_domains) = (domain.to_owned(), vec![other.to_owned()]);
            writer.add(&Profile { domain, other_domains, ..Profile::default() }).unwrap();
            writer.finish(0, Vec::new()).unwrap();
            files.look(true);
        };
        let named = || resolver.judge_named(None, "nat-pool-muc-t.acme.de").company.unwrap().domain.unwrap();
        assert_eq!(&*named(), "acme.de");
        write("acme.com", "acme.de");
        assert_eq!(&*named(), "acme.com");
        assert!(resolver.profile("acme.de").is_some());
        // Shortened in place, as by a careless copy: the private copy answers on.
        fs::write(&path, b"FIRMPROF and nothing").unwrap();
        files.look(true);
        assert_eq!(&*named(), "acme.com");
        write("acme.net", "acme.de");
        assert_eq!(&*named(), "acme.net");
        fs::remove_file(&path).unwrap();
        files.look(true);
        assert_eq!(&*named(), "acme.de", "without a file nothing is joined");
    }
}
