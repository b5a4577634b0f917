//! Judging a batch's addresses, bounded in time and in how many are asked for at once.

use crate::spool::record::ClientAddress;
use firmsight_resolver::{Resolver, Verdict};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// What the pipeline asks of a resolver.
pub trait Resolve: Send + Sync + 'static {
    /// What can be said of an address at once, without asking DNS.
    fn local(&self, ip: IpAddr) -> Arc<Verdict>;
    /// What can be said of an address, reverse DNS included.
    fn resolve(&self, ip: IpAddr) -> impl Future<Output = Arc<Verdict>> + Send;
    /// Judges a host name as if it were the confirmed reverse DNS name of an unknown address.
    fn judge_name(&self, host: &str) -> Arc<Verdict>;
}

impl Resolve for Resolver {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        Self::local(self, ip)
    }

    async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        Self::resolve(self, ip).await
    }

    fn judge_name(&self, host: &str) -> Arc<Verdict> {
        Arc::new(self.judge_named(None, host))
    }
}

/// Judges each address once. What is not answered within the deadline gets its local verdict, so that a
/// dead DNS can't stop the pipeline.
pub async fn judge<R: Resolve>(
    resolver: &Arc<R>,
    addresses: HashSet<ClientAddress>,
    at_once: usize,
    deadline: Duration,
) -> HashMap<ClientAddress, Arc<Verdict>> {
    let deadline = Instant::now() + deadline;
    let mut verdicts = HashMap::with_capacity(addresses.len());
    let mut waiting = Vec::new();
    for address in addresses {
        match address {
            ClientAddress::Ip(ip) => waiting.push(ip),
            ClientAddress::HostName(ref name) => {
                let verdict = resolver.judge_name(name);
                verdicts.insert(address, verdict);
            }
        }
    }
    let mut asked = waiting.iter();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < at_once.max(1)
            && let Some(&ip) = asked.next()
        {
            let resolver = Arc::clone(resolver);
            tasks.spawn(async move { (ip, resolver.resolve(ip).await) });
        }
        match tokio::time::timeout_at(deadline, tasks.join_next()).await {
            Ok(Some(Ok((ip, verdict)))) => {
                verdicts.insert(ClientAddress::Ip(ip), verdict);
            }
            Ok(Some(Err(error))) => tracing::error!(%error, "a look-up broke off; the local verdict is used"),
            Ok(None) => break,
            Err(_) => {
                let unanswered = waiting.len().saturating_sub(verdicts.len());
                tracing::warn!(unanswered, "reverse DNS did not answer in time; local verdicts are used");
                break;
            }
        }
    }
    for ip in waiting {
        verdicts.entry(ClientAddress::Ip(ip)).or_insert_with(|| resolver.local(ip));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixtures;
    use firmsight_resolver::NetworkKind;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers for even addresses, never for odd ones, and notes how many were asked for at once.
    #[derive(Default)]
    struct HalfDead {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Resolve for HalfDead {
        fn local(&self, _: IpAddr) -> Arc<Verdict> {
            Arc::new(fixtures::verdict(NetworkKind::Residential))
        }

        async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if ip.to_string().ends_with(['1', '3', '5', '7', '9']) {
                std::future::pending::<()>().await;
            }
            self.now.fetch_sub(1, Ordering::Relaxed);
            Arc::new(fixtures::company_verdict("acme.example"))
        }

        fn judge_name(&self, _: &str) -> Arc<Verdict> {
            Arc::new(fixtures::verdict(NetworkKind::Education))
        }
    }

    fn addresses(last: u8) -> HashSet<ClientAddress> {
        let ips = (0..=last).map(|last| ClientAddress::Ip(IpAddr::from([192, 0, 2, last])));
        ips.chain([ClientAddress::HostName("a.example".to_owned())]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_dns_does_not_answer_in_time_gets_its_local_verdict() {
        let resolver = Arc::new(HalfDead::default());
        let verdicts = judge(&resolver, addresses(9), 20, Duration::from_secs(10)).await;
        let count = |kind| verdicts.values().filter(|verdict| verdict.kind == kind).count();
        assert_eq!((verdicts.len(), count(NetworkKind::Business)), (11, 5));
        assert_eq!((count(NetworkKind::Residential), count(NetworkKind::Education)), (5, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_asked_for_at_once_than_allowed() {
        let resolver = Arc::new(HalfDead::default());
        let verdicts = judge(&resolver, addresses(99), 7, Duration::from_secs(1)).await;
        assert_eq!(verdicts.len(), 101);
        assert_eq!(resolver.most.load(Ordering::Relaxed), 7);
    }
}
