//! Reads control data again and again, so that this collector sees what others changed.

use super::{Running, Worker};
use crate::{control::Control, serve::store_keeper::StoreState, spool::Spool, time::UnixMillis};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Another collector's change is in force here after this time.
const PERIOD: Duration = Duration::from_secs(5);

/// See the module.
pub(in crate::serve) struct ControlRefresh {
    pub(in crate::serve) control: Control,
    pub(in crate::serve) spool: Spool,
    pub(in crate::serve) store: watch::Receiver<StoreState>,
    /// Whether the store answered the last time.
    pub(in crate::serve) store_answers: Arc<AtomicBool>,
}

impl Worker for ControlRefresh {
    fn name(&self) -> &'static str {
        "control-refresh"
    }

    // Sites known from the copy on disk count while the store is away.
    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => self.refresh().await,
                }
            }
        })
    }
}

impl ControlRefresh {
    async fn refresh(&self) {
        self.spool.share_between_sites(self.control.snapshot().load().sites.len() > 1);
        if *self.store.borrow() != StoreState::Ready {
            return;
        }
        let refreshed = self.control.refresh(UnixMillis::now()).await;
        self.store_answers.store(refreshed.is_ok(), Ordering::Relaxed);
        if let Err(error) = refreshed {
            tracing::warn!(%error, "can't read sites and keys; the last known ones count");
        }
    }
}
