//! What carries commands out: the store and everything that writes to it. A running server has one;
//! a command without a server makes one for itself.

use super::{
    ServeError, backup,
    batches::CommandBatches,
    command::{Answer, Command, ListedKey, ListedPerson, SiteChange},
    control_socket::Execute,
    lock::DataDirectoryLock,
    reload::Reload,
    setup,
    store_keeper::{StoreKeeper, StoreState, stop_server},
    visitor_export,
};
use crate::{
    admin::{Audit, AuditRow, audit, usage},
    config::{Changes, Config},
    control::{Control, ControlError},
    counters::Counters,
    pipeline::Pipeline,
    sealing::MasterKey,
    site::SiteId,
    store::Store,
    time::UnixMillis,
};
use clickhouse_embedded::Server;
use firmsight_resolver::Resolver;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

/// How long a command waits for a store that is starting.
const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) control: Control,
    pub(super) resolver: Resolver,
    pub(super) pipeline: Arc<Pipeline<Resolver, Control>>,
    pub(super) state: watch::Receiver<StoreState>,
    /// A server's queue of audit records; a command without a server stores its own.
    pub(super) audit: Option<Audit>,
    pub(super) s3_keys: backup::S3Keys,
    /// A server's way to its configuration.
    pub(super) reload: Option<Reload>,
}

impl Execute for Engine {
    async fn execute(self: Arc<Self>, command: Command) -> Result<Answer, String> {
        if matches!(command, Command::Reload) {
            // It needs no store, and may be what brings the store back.
            return self.reload().await.map(Answer::Reloaded);
        }
        let mut state = self.state.clone();
        let is_ready = async { state.wait_for(|state| *state == StoreState::Ready).await.is_ok() };
        if !timeout(STORE_PATIENCE, is_ready).await.unwrap_or(false) {
            return Err(match &*self.state.borrow() {
                StoreState::Away(Some(problem)) => problem.clone(),
                _ => "the store is still starting; try again in a moment".to_owned(),
            });
        }
        self.carry_out_on_record(command).await.map_err(|error| error.to_string())
    }
}

impl Engine {
    /// Reads the configuration again and takes what can be taken.
    pub(super) async fn reload(&self) -> Result<Changes, String> {
        match &self.reload {
            Some(reload) => reload.run().await,
            None => Err("no server runs on this data directory: the next start reads the configuration".to_owned()),
        }
    }

    /// Carries a command out and records it where it is a change; what can't be recorded is not done.
    async fn carry_out_on_record(&self, command: Command) -> Result<Answer, ServeError> {
        let Some((action, name, site, object)) = command.audited() else { return self.carry_out(command).await };
        let row = AuditRow::new((Uuid::nil(), "command line"), action, name, site, &object, UnixMillis::now());
        let place = self.audit.as_ref().map(Audit::reserve).transpose()?;
        let outcome = self.carry_out(command).await;
        // Whether it was done is unknown where the store did not answer: that is recorded too.
        let was_refused =
            matches!(&outcome, Err(ServeError::Control(error)) if !matches!(error, ControlError::Store(_)));
        match place {
            _ if was_refused => {}
            Some(place) => place.record(row),
            None => audit::write(&self.store, &row.id.to_string(), std::slice::from_ref(&row)).await?,
        }
        outcome
    }

    async fn carry_out(&self, command: Command) -> Result<Answer, ServeError> {
        let now = UnixMillis::now();
        match command {
            Command::AddSite(site) => {
                self.control.add_site(site, now).await?;
                Ok(Answer::Done)
            }
            Command::SetSite(id, change) => self.set_site(id, change, now).await,
            Command::ListSites => {
                Ok(Answer::Sites(self.control.list_sites().iter().map(|site| (**site).clone()).collect()))
            }
            Command::RemoveSite { id, purge } => {
                match self.control.remove_site(&id, now).await {
                    // Removed before, and told to go now.
                    Err(ControlError::NoSuchSite(_)) if purge => {}
                    removed => removed?,
                }
                if purge {
                    self.control.purge_site(&id).await?;
                }
                Ok(Answer::Done)
            }
            Command::CreateKey(key) => {
                let (_, token) = self.control.create_key(key, now).await?;
                Ok(Answer::Token(token.as_str().to_owned()))
            }
            Command::ListKeys => self.list_keys().await,
            Command::RevokeKey(id_or_name) => {
                self.control.revoke_key(&id_or_name, now).await?;
                Ok(Answer::Done)
            }
            Command::InvitePerson(person) => {
                let (_, token) = self.control.invite_person(person, now).await?;
                Ok(Answer::Token(token))
            }
            Command::ListPeople => {
                let people = self.control.list_people();
                let listed = people.iter().map(|person| ListedPerson {
                    email: person.email.clone(),
                    name: person.name.clone(),
                    role: person.role,
                    sites: person.sites.clone(),
                    can_sign_in: person.can_sign_in(),
                    created_at: person.created_at,
                });
                Ok(Answer::People(listed.collect()))
            }
            Command::ResetPerson(email) => Ok(Answer::Token(self.control.reset_person(&email, now).await?)),
            Command::RemovePerson(email) => {
                self.control.remove_person(&email, now).await?;
                Ok(Answer::Done)
            }
            Command::Migrate { cluster, .. } if cluster != self.store.cluster_name() => {
                Err(ServeError::OtherCluster(self.store.cluster_name()))
            }
            Command::Migrate { dry_run, .. } => self.migrate(dry_run).await,
            Command::BackUp(place) => {
                Ok(Answer::BackedUp(backup::back_up(&self.store, &self.s3_keys, &place, now).await?))
            }
            Command::Reload => self.reload().await.map(Answer::Reloaded).map_err(ServeError::Reload),
            Command::Restore(_) if self.audit.is_some() => Err(ServeError::RestoreWhileServing),
            Command::Restore(place) => self.restore(&place, now).await,
            Command::EraseVisitor { site, visitor } => {
                self.batches().erase(site, visitor, now).await?;
                Ok(Answer::Done)
            }
            Command::ExportVisitor { site, visitor, from } => {
                let key = self.control.visitor_key();
                Ok(Answer::Lines(visitor_export::lines(&self.store, &key, (&site, visitor), from).await?))
            }
            Command::Object(objection) => {
                self.control.object(objection, now).await?;
                Ok(Answer::Done)
            }
            Command::TakeObjectionBack(objection) => {
                self.control.take_objection_back(&objection, now).await?;
                Ok(Answer::Done)
            }
            Command::CountVisits { site, visits } => {
                Ok(Answer::Visits(self.batches().count_visits(&site, &visits).await?))
            }
            Command::Import { batch, names } => Ok(Answer::Imported(self.batches().import(batch, names).await?)),
        }
    }

    async fn set_site(&self, id: SiteId, change: SiteChange, now: UnixMillis) -> Result<Answer, ServeError> {
        let sites = self.control.list_sites();
        let site = sites.iter().find(|site| site.id == id).ok_or(ControlError::NoSuchSite(id))?;
        self.control.set_site(change.applied_to(site), now).await?;
        Ok(Answer::Done)
    }

    async fn list_keys(&self) -> Result<Answer, ServeError> {
        let keys = self.control.list_keys();
        let last_used = usage::last_used(&self.store).await?;
        let listed = keys.iter().map(|key| ListedKey {
            id: key.id,
            name: key.name.clone(),
            sites: key.sites.clone(),
            role: key.role,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: last_used.get(&key.id).copied(),
        });
        Ok(Answer::Keys(listed.collect()))
    }

    async fn migrate(&self, dry_run: bool) -> Result<Answer, ServeError> {
        let migrations = if dry_run { self.store.pending_migrations().await? } else { self.store.migrate().await? };
        let names = migrations.iter().map(|migration| format!("{:04}_{}", migration.number, migration.name));
        Ok(Answer::Migrations(names.collect()))
    }

    async fn restore(&self, place: &backup::Place, now: UnixMillis) -> Result<Answer, ServeError> {
        backup::restore(&self.store, &self.s3_keys, place).await?;
        self.store.make_day_keys().await?;
        self.store.migrate().await?;
        self.control.refresh(now).await?;
        self.pipeline.count_newest_again().await?;
        Ok(Answer::Done)
    }

    fn batches(&self) -> CommandBatches<'_> {
        CommandBatches {
            store: &self.store,
            pipeline: &self.pipeline,
            resolver: &self.resolver,
            import_key: self.control.import_key(),
        }
    }
}

/// What a command of its own engine finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// The tables of this version, and control data from them.
    UpToDate,
    /// Whatever there is: for commands that make or bring the tables.
    AsTheyAre,
}

/// The engine of one command: the store is started for it and stopped after it.
pub(crate) struct OwnEngine {
    engine: Arc<Engine>,
    server: Option<Server>,
    _lock: DataDirectoryLock,
}

impl OwnEngine {
    /// Opens everything a command needs; the data directory's lock is ours.
    pub(crate) async fn open(config: &Config, lock: DataDirectoryLock, tables: Tables) -> Result<Self, ServeError> {
        let keeper = StoreKeeper::new(config)?;
        let master_key = MasterKey::load_or_create(&config.key_file())?;
        let control = Control::open(keeper.store(), master_key, config.snapshot_file());
        let resolver = setup::resolver(config, true)?;
        let pipeline = Arc::new(
            Pipeline::new(
                setup::pipeline(config),
                keeper.store(),
                Arc::new(resolver.clone()),
                Arc::new(control.clone()),
                control.snapshot(),
                Arc::new(Counters::default()),
            )
            .with_profiles(Arc::new(resolver.clone())),
        );
        let server = keeper.start().await?;
        let engine = async {
            if tables == Tables::UpToDate {
                keeper.store().migrate().await?;
                control.check_master_key(UnixMillis::now()).await?;
                control.seal_objections(UnixMillis::now()).await?;
                control.refresh(UnixMillis::now()).await?;
            }
            let state = keeper.ready();
            Ok(Engine {
                store: keeper.store(),
                control: control.clone(),
                resolver,
                pipeline,
                state,
                audit: None,
                s3_keys: backup::S3Keys::of(config),
                reload: None,
            })
        };
        match engine.await {
            Ok(engine) => Ok(Self { engine: Arc::new(engine), server, _lock: lock }),
            Err(error) => {
                stop_server(server).await;
                Err(error)
            }
        }
    }

    /// Carries a command out; the text is one sentence for the person who gave it.
    pub(crate) async fn execute(&self, command: Command) -> Result<Answer, String> {
        Arc::clone(&self.engine).execute(command).await
    }

    /// Stops what was started.
    pub(crate) async fn close(self) {
        self.engine.store.hang_up();
        stop_server(self.server).await;
    }
}
