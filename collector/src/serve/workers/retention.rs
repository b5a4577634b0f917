//! Enforces the retention policy at the start and every hour.

use super::{Running, Worker};
use crate::{
    metrics::{Metric, Sample},
    retention::{Class, Policy, Refusal, enforce},
    store::Store,
    time::UnixMillis,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Removed sites become due by the day, and TTLs are ClickHouse's own affair.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// See the module.
pub(in crate::serve) struct RetentionWorker {
    store: Store,
    policy: Policy,
    /// What was refused the last time, which is not said again.
    refused: Mutex<Vec<Refusal>>,
}

impl RetentionWorker {
    pub(in crate::serve) const fn new(store: Store, policy: Policy) -> Self {
        Self { store, policy, refused: Mutex::new(Vec::new()) }
    }

    async fn enforce(&self) {
        let enforced = match enforce(&self.store, &self.policy, UnixMillis::now()).await {
            Ok(enforced) => enforced,
            Err(error) => {
                tracing::warn!(%error, "the retention policy can't be enforced now; it is tried again in an hour");
                return;
            }
        };
        for change in enforced.changes {
            tracing::info!(change, "retention changed a table");
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |refusal: &Refusal| {
            refused
                .iter()
                .any(|known| (known.class, known.table, &known.site) == (refusal.class, refusal.table, &refusal.site))
        };
        for Refusal { class, table, site, expired, total } in
            enforced.refused.iter().filter(|refusal| !is_known(refusal))
        {
            tracing::warn!(
                class = class.as_str(),
                table,
                site,
                expired,
                total,
                "retention would delete more than half of a table at once and leaves it as it is; \
                 set [retention].allow_large_deletions if that is meant"
            );
        }
        *refused = enforced.refused;
    }
}

impl Worker for RetentionWorker {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let work = async {
                loop {
                    ticks.tick().await;
                    self.enforce().await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        })
    }

    fn samples(&self) -> Vec<Sample> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = |class: Class| Sample {
            metric: Metric::RetentionRefused,
            label: Some(("class", class.as_str().to_owned())),
            value: u64::from(refused.iter().any(|refusal| refusal.class == class)),
        };
        Class::ALL.into_iter().map(sample).collect()
    }
}
