//! Name servers of the system, read again when `/etc/resolv.conf` changes: a machine that moves to another network, a VPN that
//! comes up, or a start before the network was there must not need a restart. None at all is a state, said once.

use super::workers::{Running, Worker};
use crate::config::Config;
use firmsight_resolver::Resolver;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const SYSTEM_FILE: &str = "/etc/resolv.conf";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// When the file was last changed, and its length; `None` while there is no file.
type Stamp = Option<(SystemTime, u64)>;

/// Keeps a resolver's name servers those of the configuration, or of the system.
pub(super) struct NameServers {
    resolver: Resolver,
    state: Mutex<State>,
}

struct State {
    /// As configured; empty means the system's.
    configured: Vec<SocketAddr>,
    /// What the system's file was like when it was last read.
    read: Stamp,
    in_use: Option<Vec<SocketAddr>>,
}

impl NameServers {
    /// Reads them and says what they are.
    pub(super) fn new(config: &Config, resolver: Resolver) -> Self {
        let state = State { configured: Vec::new(), read: None, in_use: None };
        let this = Self { resolver, state: Mutex::new(state) };
        this.take(config);
        this
    }

    /// Takes those of a configuration, and reads the system's file where that is meant.
    pub(super) fn take(&self, config: &Config) {
        if config.resolver.dns {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.configured = config.resolver.nameservers.iter().map(|server| server.get()).collect();
            self.read(&mut state);
        }
    }

    fn look(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.resolver.dns_statistics().is_some()
            && state.configured.is_empty()
            && stamp(Path::new(SYSTEM_FILE)) != state.read
        {
            self.read(&mut state);
        }
    }

    fn read(&self, state: &mut State) {
        state.read = stamp(Path::new(SYSTEM_FILE));
        match self.resolver.use_name_servers(&state.configured) {
            Ok(servers) if state.in_use.as_ref() == Some(&servers) => {}
            Ok(servers) => {
                if servers.is_empty() {
                    tracing::warn!(
                        "no name server: companies behind access providers are missed until {SYSTEM_FILE} or [resolver].nameservers \
                         names one"
                    );
                } else {
                    tracing::info!(?servers, "name servers");
                }
                state.in_use = Some(servers);
            }
            Err(error) => tracing::error!(%error, "new name servers can't be used; the former ones stay"),
        }
    }
}

impl Worker for NameServers {
    fn name(&self) -> &'static str {
        "name-servers"
    }

    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = looks.tick() => self.look(),
                }
            }
        })
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
