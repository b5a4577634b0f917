//! Batches that a command brings: parts of an access log, or one visitor's wish to be forgotten. They
//! go through the same pipeline as beacons, and share its rebuilder, but are counted apart: what the
//! counters balance is what came through the door.

use super::{
    ServeError,
    command::{Imported, ImportedCompany},
    counted_before,
};
use crate::{
    control::Control,
    counters::Counters,
    import::Batch,
    pipeline::{
        Pipeline,
        verdicts::{Resolve, judge},
    },
    site::SiteId,
    spool::record::{ClientAddress, SpooledBeacon},
    store::{Store, StoreError},
    time::UnixMillis,
};
use beacon::{ClientId, Consent};
use clickhouse::Row;
use firmsight_resolver::{CompanyId, Resolver, Verdict};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use uuid::{Builder, Uuid};

/// ClickHouse refuses a parameter over 100 KB; an id takes 39 bytes.
pub(super) const MAX_IN_STATEMENT: usize = 2_000;
/// How many addresses of a batch are looked up at once, and how long that may take; the rest get their local verdicts.
const RESOLVED_AT_ONCE: usize = 256;
const RESOLVE_DEADLINE: Duration = Duration::from_secs(30);

/// How long a batch is tried again while the store is away.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
pub(super) struct CommandBatches<'a> {
    pub(super) store: &'a Store,
    pub(super) pipeline: &'a Pipeline<Resolver, Control>,
    pub(super) resolver: &'a Resolver,
    /// The key under which imported lines get their ids.
    pub(super) import_key: [u8; 32],
}

impl CommandBatches<'_> {
    /// Stores a part of a log and says what became of it.
    pub(super) async fn import(
        &self,
        batch: Batch,
        names: Option<HashMap<IpAddr, String>>,
    ) -> Result<Imported, ServeError> {
        let batch = self.patiently(|| self.under_key(batch.clone())).await?;
        let resolver = Arc::new(NamedResolver { resolver: self.resolver.clone(), names });
        self.patiently(|| self.attempt_import(batch.clone(), Arc::clone(&resolver))).await
    }

    /// The batch with ids that say nothing of the lines they are of: the command's are plain hashes, by which whoever reads
    /// an id could try addresses. Events that an earlier version stored under the plain ids keep these, so that importing a
    /// file again counts nothing twice.
    async fn under_key(&self, mut batch: Batch) -> Result<Batch, ServeError> {
        let Some(site) = batch.beacons.first().map(|beacon| beacon.site.clone()) else { return Ok(batch) };
        let plain: Vec<Uuid> = batch.beacons.iter().flat_map(|beacon| &beacon.events).map(|event| event.id).collect();
        let times = batch.beacons.iter().map(|beacon| beacon.received.0);
        let Some(span) = times.clone().min().zip(times.max()) else { return Ok(batch) };
        let mut stored = HashSet::new();
        for events in plain.chunks(MAX_IN_STATEMENT) {
            stored.extend(self.stored_events(&site, events, span).await?);
        }
        for event in batch.beacons.iter_mut().flat_map(|beacon| &mut beacon.events) {
            if !stored.contains(&event.id) {
                event.id = keyed_id(&self.import_key, &site, event.id);
            }
        }
        batch.id = keyed_id(&self.import_key, &site, batch.id);
        Ok(batch)
    }

    /// Which of these events are stored.
    async fn stored_events(
        &self,
        site: &SiteId,
        events: &[Uuid],
        (first, last): (i64, i64),
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT event_id FROM events
                   WHERE site = {site:String} AND at BETWEEN fromUnixTimestamp64Milli({first:Int64})
                       AND fromUnixTimestamp64Milli({last:Int64}) AND event_id IN {events:Array(UUID)}";
        let query = self.store.client().query(sql).param("site", site.as_str()).param("first", first);
        let found =
            self.store.in_time(query.param("last", last).param("events", events).fetch_all::<StoredEvent>()).await?;
        Ok(found.into_iter().map(|found| found.event_id).collect())
    }

    async fn attempt_import(&self, batch: Batch, resolver: Arc<NamedResolver>) -> Result<Imported, ServeError> {
        let Batch { id, mut beacons, drops } = batch;
        let addresses = beacons.iter().map(|beacon| beacon.address.clone()).collect();
        let verdicts = judge(&resolver, addresses, RESOLVED_AT_ONCE, RESOLVE_DEADLINE).await;
        let resolver = Arc::new(JudgedResolver { verdicts, resolver });
        let already_counted = counted_before::take_out(self.store, &resolver.verdicts, &mut beacons).await?;
        let site = beacons.first().map(|beacon| beacon.site.clone());
        let events = beacons.iter().map(|beacon| beacon.events.len() as u64).sum();
        // Most pageviews are of no company: what is asked of the store is about the others.
        let of_companies = beacons.iter().filter(|beacon| resolver.has_company(&beacon.address));
        let of_companies: Vec<_> = of_companies.flat_map(|beacon| &beacon.events).map(|event| event.id).collect();
        let times = beacons.iter().map(|beacon| beacon.received.0);
        let span = times.clone().min().zip(times.max());
        let counters = Arc::new(Counters::default());
        counters.receive(events);
        let processed = self.pipeline.sharing_rebuilder(resolver, counters).process(id, beacons, drops).await?;
        let mut imported = Imported {
            kept: processed.stored,
            already_counted,
            dropped: processed.dropped.iter().map(|(reason, events)| (reason.as_str().to_owned(), *events)).collect(),
            ..Imported::default()
        };
        if let (Some(site), Some(span), true) = (site, span, processed.stored > 0) {
            for events in of_companies.chunks(MAX_IN_STATEMENT) {
                imported.companies.extend(self.companies(&site, events, span).await?);
                imported.visits.extend(self.visits(&site, events, span).await?);
            }
        }
        Ok(imported)
    }

    /// Erases what is stored of a visitor, as if the visitor's own browser had asked.
    pub(super) async fn erase(&self, site: SiteId, visitor: ClientId, now: UnixMillis) -> Result<(), ServeError> {
        let nowhere = Ipv4Addr::UNSPECIFIED.into();
        let forget = SpooledBeacon::forget(site, visitor, nowhere, Consent::Granted, now);
        let batch = Uuid::new_v4();
        self.patiently(|| async {
            let counters = Arc::new(Counters::default());
            counters.receive(1);
            let pipeline = self.pipeline.sharing_rebuilder(Arc::new(self.resolver.clone()), counters);
            pipeline.process(batch, vec![forget.clone()], Vec::new()).await?;
            Ok(())
        })
        .await
    }

    /// How many of these visits reports have: those of a company. A later batch may have joined two into one, under either's id.
    pub(super) async fn count_visits(&self, site: &SiteId, visits: &[u64]) -> Result<u64, ServeError> {
        self.patiently(|| async {
            let mut count = 0;
            for visits in visits.chunks(MAX_IN_STATEMENT) {
                let sql = "SELECT count() FROM visits FINAL WHERE site = {site:String} AND company_id != 0
                           AND visit_id IN {visits:Array(UInt64)}";
                let query = self.store.client().query(sql).param("site", site.as_str()).param("visits", visits);
                count += self.store.in_time(query.fetch_one::<u64>()).await?;
            }
            Ok(count)
        })
        .await
    }

    /// Repeats what failed for the store's sake as the pipeline does with a segment, but not for ever: a person waits.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, ServeError>
    where
        F: Future<Output = Result<T, ServeError>>,
    {
        let give_up = Instant::now() + PATIENCE;
        let mut backoff = self.pipeline.backoff();
        loop {
            match attempt().await {
                Err(error) if !error.is_lasting() && Instant::now() < give_up => {
                    let wait = self.pipeline.note_failure(&mut backoff);
                    tracing::warn!(%error, wait_ms = wait.as_millis(), "a command's batch failed and is tried again");
                    sleep(wait).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn companies(
        &self,
        site: &SiteId,
        events: &[Uuid],
        (first, last): (i64, i64),
    ) -> Result<Vec<ImportedCompany>, StoreError> {
        let sql = "SELECT company_id, any(company_name), any(company_domain), count() FROM events FINAL
                   WHERE site = {site:String} AND at BETWEEN fromUnixTimestamp64Milli({first:Int64})
                       AND fromUnixTimestamp64Milli({last:Int64})
                       AND event_id IN {events:Array(UUID)} AND company_id != 0
                   GROUP BY company_id";
        let query = self.store.client().query(sql).param("site", site.as_str()).param("first", first);
        let query = query.param("last", last).param("events", events);
        let rows = self.store.in_time(query.fetch_all::<(u64, String, String, u64)>()).await?;
        Ok(rows
            .into_iter()
            .map(|(id, name, domain, pageviews)| ImportedCompany {
                id: CompanyId(id).to_string(),
                name,
                domain,
                pageviews,
            })
            .collect())
    }

    /// Visits around the batch's events, of the visitors of these events.
    async fn visits(&self, site: &SiteId, events: &[Uuid], (first, last): (i64, i64)) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT visit_id FROM visits FINAL
                   WHERE site = {site:String} AND started_at <= fromUnixTimestamp64Milli({last:Int64})
                       AND ended_at >= fromUnixTimestamp64Milli({first:Int64})
                       AND visitor IN (
                           SELECT visitor FROM events
                           WHERE site = {site:String} AND at BETWEEN fromUnixTimestamp64Milli({first:Int64})
                               AND fromUnixTimestamp64Milli({last:Int64}) AND event_id IN {events:Array(UUID)}
                       )";
        let query = self.store.client().query(sql).param("site", site.as_str()).param("first", first);
        self.store.in_time(query.param("last", last).param("events", events).fetch_all::<u64>()).await
    }
}

#[derive(Row, Deserialize)]
struct StoredEvent {
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
}

/// An id in place of another, the same each time, from which nobody without the key can tell the other one.
fn keyed_id(key: &[u8; 32], site: &SiteId, id: Uuid) -> Uuid {
    // HMAC itself pads a key with zeros to the block of the hash (RFC 2104).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mac = Hmac::<Sha256>::new(&block.into()).chain_update(id.as_bytes()).chain_update(site.as_str());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// What was found out about a batch's addresses, once: the pipeline keeps what the summary counts.
struct JudgedResolver {
    verdicts: HashMap<ClientAddress, Arc<Verdict>>,
    resolver: Arc<NamedResolver>,
}

impl JudgedResolver {
    fn has_company(&self, address: &ClientAddress) -> bool {
        self.verdicts.get(address).is_some_and(|verdict| verdict.company.is_some())
    }
}

impl Resolve for JudgedResolver {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        self.resolver.local(ip)
    }

    async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        let judged = self.verdicts.get(&ClientAddress::Ip(ip)).cloned();
        judged.unwrap_or_else(|| self.resolver.local(ip))
    }

    fn judge_name(&self, host: &str) -> Arc<Verdict> {
        let judged = self.verdicts.get(&ClientAddress::HostName(host.to_owned())).cloned();
        judged.unwrap_or_else(|| self.resolver.judge_name(host))
    }
}

/// The resolver, with a person's list of names in place of reverse DNS where there is one.
struct NamedResolver {
    resolver: Resolver,
    names: Option<HashMap<IpAddr, String>>,
}

impl Resolve for NamedResolver {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        self.resolver.local(ip)
    }

    async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        match &self.names {
            None => self.resolver.resolve(ip).await,
            Some(names) => match names.get(&ip.to_canonical()) {
                Some(name) => Arc::new(self.resolver.judge_named(Some(ip), name)),
                None => self.resolver.local(ip),
            },
        }
    }

    fn judge_name(&self, host: &str) -> Arc<Verdict> {
        Arc::new(self.resolver.judge_named(None, host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::visits::visit_id;

    #[test]
    fn nobody_without_the_key_finds_the_address_of_an_imported_line_by_trying_all_of_a_network() {
        let site: SiteId = "shop".parse().unwrap();
        let line = |address: u16| {
            let [third, fourth] = address.to_be_bytes();
            format!("192.0.{third}.{fourth} - - [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 2326")
        };
        let plain = |address| Uuid::new_v5(&Uuid::NAMESPACE_URL, line(address).as_bytes());
        let key = [7; 32];
        let stored = keyed_id(&key, &site, plain(513));
        assert_eq!(stored, keyed_id(&key, &site, plain(513)), "importing again gives the same id");
        // What an attacker can compute from a line, and as a visit's id from that.
        for address in 0..=u16::MAX {
            let guess = plain(address);
            assert_ne!(guess, stored);
            assert_ne!(keyed_id(&[0; 32], &site, guess), stored);
            assert_ne!(visit_id(guess), visit_id(stored));
        }
    }
}
