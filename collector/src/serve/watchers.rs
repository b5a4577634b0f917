//! What the admin side asks of the other rooms: values for `/metrics`, problems for `/readyz`.

use super::store_keeper::StoreState;
use crate::{
    ingest::PublicService,
    metrics::{Metric, MetricsSource, Sample},
    reports::ResolveForReports,
    spool::Spool,
};
use firmsight_resolver::{Profile, ProfileLookup, Resolver, Verdict};
use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

/// Whether the store answers.
pub(super) struct StoreWatcher {
    pub(super) state: watch::Receiver<StoreState>,
    /// What became of the last regular question.
    pub(super) answers: Arc<AtomicBool>,
}

impl MetricsSource for StoreWatcher {
    fn samples(&self) -> Vec<Sample> {
        let is_up = *self.state.borrow() == StoreState::Ready && self.answers.load(Ordering::Relaxed);
        vec![Sample::new(Metric::StoreUp, u64::from(is_up))]
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

/// What reverse DNS does; nothing where it is off.
pub(super) struct ResolverWatcher(pub(super) Resolver);

impl MetricsSource for ResolverWatcher {
    fn samples(&self) -> Vec<Sample> {
        let Some(dns) = self.0.dns_statistics() else { return Vec::new() };
        let answered = dns.asked.saturating_sub(dns.failed);
        let by_outcome = [
            ("asked", answered),
            ("failed", dns.failed),
            ("cached", dns.cached),
            ("stale", dns.stale),
            ("shared", dns.shared),
            ("skipped", dns.skipped),
        ];
        let addresses = by_outcome.map(|(outcome, value)| Sample {
            metric: Metric::DnsAddresses,
            label: Some(("outcome", outcome.to_owned())),
            value,
        });
        let gauge = |metric, value: usize| Sample::new(metric, u64::try_from(value).unwrap_or(u64::MAX));
        let mut samples = addresses.to_vec();
        samples.extend([
            Sample::new(Metric::DnsQueries, dns.queries),
            Sample::new(Metric::DnsIgnored, dns.ignored),
            gauge(Metric::DnsCacheEntries, dns.cache_entries),
            gauge(Metric::DnsServersDown, dns.servers_down),
        ]);
        samples
    }
}

/// The resolver for `/companies?ip=`, and what is known of the companies it names.
pub(super) struct ReportsResolver(pub(super) Resolver);

impl ResolveForReports for ReportsResolver {
    fn verdict(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Arc<Verdict>> + Send + '_>> {
        Box::pin(self.0.resolve(address))
    }

    fn profile(&self, domain: &str) -> Option<Profile> {
        self.0.profile(domain)
    }

    fn verdict_on_name(&self, name: &str) -> Verdict {
        self.0.judge_named(None, name)
    }
}
