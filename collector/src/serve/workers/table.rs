//! The workers of other rooms, as the table wants them.

use super::{Running, Worker};
use crate::{
    admin::{AuditWriter, Usage},
    control::Control,
    leadfeeder::ExportWorker,
    metrics::{Metric, Sample},
    pipeline::Pipeline,
    serve::{control_socket::ControlSocket, engine::Engine},
    spool::Spool,
    store::Store,
};
use firmsight_resolver::Resolver;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

impl Worker for ExportWorker {
    fn name(&self) -> &'static str {
        "exports"
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move { Self::run(&self, stop).await })
    }
}

/// Stores audit records.
pub(in crate::serve) struct AuditWorker(pub(in crate::serve) Mutex<AuditWriter>);

impl Worker for AuditWorker {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move { self.0.lock().await.run(stop).await })
    }
}

/// Stores how often keys were used.
pub(in crate::serve) struct UsageWorker {
    pub(in crate::serve) usage: Arc<Usage>,
    pub(in crate::serve) store: Store,
}

impl Worker for UsageWorker {
    fn name(&self) -> &'static str {
        "usage"
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move { self.usage.run(&self.store, stop).await })
    }
}

/// Empties the spool. It ends by itself once the spool is closed and empty.
pub(in crate::serve) struct PipelineWorker {
    pub(in crate::serve) pipeline: Arc<Pipeline<Resolver, Control>>,
    pub(in crate::serve) spool: Spool,
    /// Cancelled when the spool is about to be closed.
    pub(in crate::serve) closing: CancellationToken,
}

impl Worker for PipelineWorker {
    fn name(&self) -> &'static str {
        "pipeline"
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move { self.pipeline.run(self.spool.clone(), stop).await })
    }

    fn is_done(&self) -> bool {
        self.closing.is_cancelled()
    }

    fn problem(&self) -> Option<String> {
        self.spool.check().err().map(|error| error.to_string())
    }

    fn samples(&self) -> Vec<Sample> {
        let status = self.spool.status();
        let set_aside = self.pipeline.set_aside_counts();
        vec![
            Sample::new(Metric::SetAside, set_aside.waiting),
            Sample::new(Metric::SetAsideTotal, set_aside.total),
            Sample::new(Metric::SetAsidePushedOut, set_aside.pushed_out),
            Sample::new(Metric::SpoolBytes, status.bytes),
            Sample::new(Metric::SpoolMaxBytes, self.spool.max_bytes()),
            Sample::new(Metric::SpoolSegments, status.segments),
            Sample::new(Metric::SpoolEvents, status.events_waiting),
            Sample::new(Metric::SpoolOldestAge, status.oldest_age.map_or(0, |age| age.as_secs())),
            Sample::new(Metric::SpoolDamaged, status.damaged),
            Sample::new(Metric::SpoolDamagedRemoved, status.damaged_removed),
            Sample::new(Metric::SpoolNewer, status.newer),
            Sample::new(Metric::StoreFailures, self.pipeline.failures()),
        ]
    }
}

/// Answers the command line.
pub(in crate::serve) struct CommandSocket {
    data_dir: PathBuf,
    engine: Arc<Engine>,
    /// Bound when the collector was opened; the first run takes it, so that the socket's file goes when that ends.
    bound: Mutex<Option<ControlSocket>>,
}

impl CommandSocket {
    pub(in crate::serve) fn new(data_dir: PathBuf, bound: ControlSocket, engine: Arc<Engine>) -> Self {
        Self { data_dir, engine, bound: Mutex::new(Some(bound)) }
    }
}

impl Worker for CommandSocket {
    fn name(&self) -> &'static str {
        "control-socket"
    }

    // A command itself waits for the store, and says so when it gives up.
    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let bound = self.bound.lock().await.take();
            match bound.map_or_else(|| ControlSocket::bind(&self.data_dir), Ok) {
                Ok(socket) => socket.serve(Arc::clone(&self.engine), stop.cancelled_owned()).await,
                Err(error) => tracing::error!(%error, "can't open the control socket again"),
            }
        })
    }
}
