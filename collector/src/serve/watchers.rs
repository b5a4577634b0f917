//! What the admin side asks of the other rooms: values for `/metrics`, problems for `/readyz`.

use crate::{
    ingest::PublicService,
    reports::{Metric, MetricsSource, ReadinessCheck, ResolveForReports, Sample},
    spool::Spool,
};
use firmsight_resolver::{Resolver, Verdict};
use std::{future::Future, net::IpAddr, pin::Pin};

/// The spool's values and problems.
pub(super) struct SpoolWatcher {
    pub(super) spool: Spool,
    pub(super) max_bytes: u64,
}

impl MetricsSource for SpoolWatcher {
    fn samples(&self) -> Vec<Sample> {
        let status = self.spool.status();
        vec![
            Sample::new(Metric::SpoolBytes, status.bytes),
            Sample::new(Metric::SpoolMaxBytes, self.max_bytes),
            Sample::new(Metric::SpoolSegments, status.segments),
        ]
    }
}

impl ReadinessCheck for SpoolWatcher {
    fn problem(&self) -> Option<String> {
        let status = self.spool.status();
        match status.last_sync_error {
            Some(error) => Some(format!("the spool can't be written: {error}")),
            None if status.bytes >= self.max_bytes => {
                Some("the spool is full: ClickHouse has been away for long".to_owned())
            }
            None => None,
        }
    }
}

/// What the public side noticed.
pub(super) struct PublicWatcher {
    pub(super) service: PublicService<Spool>,
}

impl MetricsSource for PublicWatcher {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample::new(Metric::UntrustedForwardingHeaders, self.service.untrusted_proxy_requests())]
    }
}

/// The resolver for `/companies?ip=`.
pub(super) struct ReportsResolver(pub(super) Resolver);

impl ResolveForReports for ReportsResolver {
    fn verdict(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Verdict> + Send + '_>> {
        Box::pin(self.0.resolve(address))
    }
}
