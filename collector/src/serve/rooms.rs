//! The rooms of a collector, opened from its configuration and introduced to each other.

use super::{
    ServeError, admin_listener,
    backup::S3Keys,
    control_socket::{self, ControlSocket},
    data_files::{DataFiles, DataUpdates},
    engine::Engine,
    name_servers::NameServers,
    reload::{self, Reload},
    setup,
    store_keeper::{StoreKeeper, StoreState, StoreWorker},
    watchers::{PublicWatcher, ReportsResolver, ResolverWatcher, StoreWatcher},
    workers::{
        AuditWorker, CommandSocket, ControlRefresh, PipelineWorker, Post, RetentionWorker, UsageWorker, Worker, Workers,
    },
};
use crate::{
    admin::{AdminServices, AdminSettings, Audit, AuditWriter, Usage},
    config::{Config, SpoolSync},
    control::{Control, ControlError, random_name, token_sha256},
    counters::Counters,
    dashboard,
    ingest::{PublicService, client_address::ProxyTrust},
    leadfeeder::ExportWorker,
    metrics::MetricsSource,
    pipeline::Pipeline,
    sealing::MasterKey,
    spool::{self, Spool},
    store::Store,
    time::UnixMillis,
};
use firmsight_resolver::Resolver;
use std::sync::{Arc, atomic::AtomicBool};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

/// Everything that is opened once and shared.
pub(super) struct Rooms {
    pub(super) spool: Spool,
    data_files: Arc<DataFiles>,
    name_servers: Arc<NameServers>,
    pub(super) state: watch::Receiver<StoreState>,
    store: Store,
    resolver: Resolver,
    master_key: MasterKey,
    counters: Arc<Counters>,
    control: Control,
    pipeline: Arc<Pipeline<Resolver, Control>>,
    audit: Audit,
    usage: Arc<Usage>,
    /// The secret part of this process's first-run link.
    first_run: String,
    /// Whether the store answered the last regular question.
    store_answers: Arc<AtomicBool>,
}

/// What each worker alone has.
pub(super) struct Belongings {
    keeper: StoreKeeper,
    audit_writer: AuditWriter,
}

/// The workers, by when they stop.
pub(super) struct Posts {
    /// Those that stop together once the spool is empty or the shutdown's deadline has passed.
    pub(super) work: Workers,
    /// Ends by itself when the spool is closed and empty.
    pub(super) pipeline: Arc<Post>,
    /// Stops ClickHouse, after all others.
    pub(super) store: Arc<Post>,
}

impl Posts {
    /// All of them, for `/readyz` and `/metrics`.
    fn all(&self) -> Workers {
        self.work.with([&self.pipeline, &self.store])
    }
}

impl Rooms {
    /// Opens everything but the listeners; ClickHouse is not asked anything yet.
    pub(super) fn open(config: &Config) -> Result<(Self, Belongings), ServeError> {
        let resolver = setup::serving_resolver(config)?;
        let keeper = StoreKeeper::new(config)?;
        let store = keeper.store();
        let master_key = MasterKey::load_or_create(&config.key_file())?;
        let counters = Arc::new(Counters::default());
        let spool = open_spool(config, &master_key, &counters)?;
        let control = Control::open(store.clone(), master_key.clone(), config.snapshot_file());
        let pipeline = Pipeline::new(
            setup::pipeline(config),
            store.clone(),
            Arc::new(resolver.clone()),
            Arc::new(control.clone()),
            control.snapshot(),
            Arc::clone(&counters),
        )
        .with_profiles(Arc::new(resolver.clone()));
        let (audit, audit_writer) = Audit::new(store.clone());
        let rooms = Self {
            spool,
            data_files: Arc::new(DataFiles::new(config, resolver.clone())),
            name_servers: Arc::new(NameServers::new(config, resolver.clone())),
            state: keeper.watch(),
            store,
            resolver,
            master_key,
            counters,
            control,
            pipeline: Arc::new(pipeline),
            audit,
            usage: Arc::default(),
            first_run: random_name().map_err(ControlError::from)?,
            store_answers: Arc::new(AtomicBool::new(true)),
        };
        Ok((rooms, Belongings { keeper, audit_writer }))
    }

    /// The public side.
    pub(super) fn public(&self, config: &Config) -> Result<PublicService<Spool>, ServeError> {
        Ok(PublicService::new(
            setup::ingest(config)?,
            self.control.snapshot(),
            Arc::clone(&self.counters),
            self.spool.clone(),
            Arc::new(self.resolver.clone()),
            Arc::new(UnixMillis::now),
        ))
    }

    /// What carries out commands.
    pub(super) fn engine(&self, config: &Config, configuration: Option<reload::Source>) -> Arc<Engine> {
        let (data_files, name_servers) = (Arc::clone(&self.data_files), Arc::clone(&self.name_servers));
        Arc::new(Engine {
            store: self.store.clone(),
            control: self.control.clone(),
            resolver: self.resolver.clone(),
            pipeline: Arc::clone(&self.pipeline),
            state: self.state.clone(),
            audit: Some(self.audit.clone()),
            s3_keys: S3Keys::of(config),
            reload: Some(Reload::new(configuration, config, data_files, name_servers)),
        })
    }

    /// The table of workers. `closing` tells the pipeline that the spool is about to be closed, `failure` is told when the
    /// store will never come.
    pub(super) fn posts(
        &self,
        config: &Config,
        belongings: Belongings,
        engine: &Arc<Engine>,
        closing: CancellationToken,
        failure: watch::Sender<Option<Arc<ServeError>>>,
    ) -> Result<Posts, ServeError> {
        let Belongings { keeper, audit_writer } = belongings;
        let socket = ControlSocket::bind(&config.data_dir)
            .map_err(|source| ServeError::ControlSocket { path: control_socket::path(&config.data_dir), source })?;
        let work: Vec<Arc<dyn Worker>> = vec![
            Arc::new(CommandSocket::new(config.data_dir.clone(), socket, Arc::clone(engine))),
            Arc::new(self.control_refresh()),
            Arc::clone(&self.data_files) as Arc<dyn Worker>,
            Arc::new(DataUpdates(Arc::clone(&self.data_files))),
            Arc::clone(&self.name_servers) as Arc<dyn Worker>,
            Arc::new(AuditWorker(Mutex::new(audit_writer))),
            Arc::new(self.export_worker(config)),
            Arc::new(RetentionWorker::new(self.store.clone(), config.retention.clone())),
            Arc::new(UsageWorker { usage: Arc::clone(&self.usage), store: self.store.clone() }),
        ];
        let (pipeline, spool) = (Arc::clone(&self.pipeline), self.spool.clone());
        let control = self.control.clone();
        Ok(Posts {
            work: Workers::new(work.into_iter().map(Post::new).collect()),
            pipeline: Post::new(Arc::new(PipelineWorker { pipeline, spool, closing })),
            store: Post::new(Arc::new(StoreWorker { keeper, control, failure })),
        })
    }

    fn control_refresh(&self) -> ControlRefresh {
        ControlRefresh {
            control: self.control.clone(),
            spool: self.spool.clone(),
            store: self.state.clone(),
            store_answers: Arc::clone(&self.store_answers),
        }
    }

    fn export_worker(&self, config: &Config) -> ExportWorker {
        ExportWorker {
            store: self.store.clone(),
            control: self.control.clone(),
            snapshot: self.control.snapshot(),
            base_url: config.admin.base_url.as_str().to_owned(),
            clock: UnixMillis::now,
        }
    }

    /// The owner's side.
    pub(super) fn admin(
        &self,
        config: &Config,
        public: &PublicService<Spool>,
        posts: &Posts,
    ) -> Result<axum::Router, ServeError> {
        let workers = Arc::new(posts.all());
        let programs = admin_listener::router(AdminServices {
            store: self.store.clone(),
            snapshot: self.control.snapshot(),
            control: self.control.clone(),
            audit: self.audit.clone(),
            usage: Arc::clone(&self.usage),
            counters: Arc::clone(&self.counters),
            resolver: Arc::new(ReportsResolver(self.resolver.clone())),
            metrics: vec![
                Arc::new(self.store_watcher()) as Arc<dyn MetricsSource>,
                Arc::new(PublicWatcher { service: public.clone() }),
                Arc::new(ResolverWatcher(self.resolver.clone())),
                Arc::new(self.audit.clone()),
                Arc::clone(&workers) as Arc<dyn MetricsSource>,
            ],
            readiness: vec![workers],
            settings: self.admin_settings(config)?,
            clock: UnixMillis::now,
        });
        Ok(self.screens(config)?.fallback_service(programs))
    }

    /// What people see of it.
    fn screens(&self, config: &Config) -> Result<axum::Router, ServeError> {
        let public = setup::ingest(config)?;
        Ok(dashboard::router(dashboard::State {
            store: self.store.clone(),
            snapshot: self.control.snapshot(),
            control: self.control.clone(),
            audit: self.audit.clone(),
            base_url: config.admin.base_url.as_str().to_owned(),
            script_path: config.tracker.script_path.as_str().to_owned(),
            session_key: self.master_key.derive(b"firmsight sessions"),
            first_run: token_sha256(&self.first_run),
            proxies: ProxyTrust { networks: public.trusted_proxies, header: public.client_ip_header },
            allowed_networks: setup::admin_allow(config)?,
            clock: UnixMillis::now,
        }))
    }

    /// The link by which the first person makes themselves admin.
    pub(super) fn first_run_link(&self, config: &Config) -> String {
        format!("{}/first-run/{}", config.admin.base_url.as_str().trim_end_matches('/'), self.first_run)
    }

    fn admin_settings(&self, config: &Config) -> Result<AdminSettings, ServeError> {
        Ok(AdminSettings {
            base_url: config.admin.base_url.as_str().to_owned(),
            script_path: config.tracker.script_path.as_str().to_owned(),
            public_url: config.public.base_url.get().map(str::to_owned),
            requests_per_minute: config.limits.api_requests_per_minute,
            metrics_needs_key: !config.admin.listen.ip().is_loopback(),
            pseudonym_key: self.master_key.derive(b"firmsight client id pseudonyms"),
            allowed_networks: setup::admin_allow(config)?,
        })
    }

    fn store_watcher(&self) -> StoreWatcher {
        StoreWatcher { state: self.state.clone(), answers: Arc::clone(&self.store_answers) }
    }
}

fn open_spool(config: &Config, master_key: &MasterKey, counters: &Counters) -> Result<Spool, ServeError> {
    let settings = spool::Settings {
        folder: config.spool_folder(),
        max_bytes: config.spool.max_bytes.get(),
        segment_bytes: config.spool.segment_bytes.get(),
        segment_age: config.spool.segment_age.get(),
        sync: match config.spool.sync {
            SpoolSync::Always => spool::Sync::Always,
            SpoolSync::Interval => spool::Sync::Interval(config.spool.sync_interval.get()),
        },
    };
    let (spool, recovery) = Spool::open(settings, master_key)?;
    counters.recover(recovery.events);
    if recovery.damaged.is_empty() && recovery.newer.is_empty() {
        tracing::info!("{recovery}");
    } else {
        tracing::error!("{recovery}");
    }
    Ok(spool)
}
