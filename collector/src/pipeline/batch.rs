//! From a batch of beacons to rows and drop counts: every event ends in one of the two.

use super::{
    Pipeline, PipelineError, VisitorKeys,
    device::{self, Device},
    forget::{Forgotten, forgotten_until},
    rebuild::BaseKey,
    rows::{VisitorKey, event_time, first_64_bits, rows_of, visitor_of_client, visitor_of_day},
    steps::{Case, decide},
    verdicts::{Resolve, judge},
};
use crate::{
    counters::DropReason,
    objection::Objections,
    site::{Site, SiteId},
    spool::record::{ClientAddress, DropCount, SpooledBeacon},
    store::{DropRow, EventRow},
    time::{UnixMillis, UtcDay},
};
use beacon::EventKind;
use compact_str::CompactString;
use firmsight_resolver::{Company, NetworkKind, Verdict};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Events by site, UTC day of receipt and reason.
type Dropped = BTreeMap<(SiteId, UtcDay, DropReason), u64>;

/// What was found out about a beacon of which events are kept.
#[derive(Debug)]
struct Decided {
    device: Arc<Device>,
    site: Arc<Site>,
    visitor: VisitorKey,
    verdict: Arc<Verdict>,
}

/// A batch that is decided: what is left is to store it.
///
/// Rows are made as they are sent, each time they are: 40 columns are more than the beacon they are made of.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The spool segment's id, or the import batch's.
    pub(super) id: Uuid,
    /// Beacons with the events of them that are kept, at least one each, and without their user agents: the longest text,
    /// nowhere stored. Empty again once they are stored, because a round may hold many batches.
    kept: Vec<SpooledBeacon>,
    /// One for each of `kept`.
    decided: Vec<Decided>,
    /// The keys of what is kept, until the visits around them were rebuilt.
    pub(super) keys: HashSet<BaseKey>,
    /// What is not.
    pub(super) dropped: Dropped,
    /// What was dropped at the door, and counted there.
    pub(super) dropped_before: Vec<DropCount>,
    /// Who is to be forgotten, until the round knows.
    pub(super) forgotten: Vec<Forgotten>,
    /// How many rows are stored, once they are.
    pub(super) stored: Option<u64>,
    /// Whether the visits around its rows were rebuilt.
    pub(super) has_visits: bool,
    /// ClickHouse refused all of its rows; the end of the round decides whether they are at fault.
    pub(super) is_refused: bool,
}

impl Batch {
    /// How many rows it makes.
    pub(super) fn len(&self) -> usize {
        self.kept.iter().map(|beacon| beacon.events.len()).sum()
    }

    /// What is kept as rows, always in the same order.
    pub(super) fn rows(&self) -> impl Iterator<Item = EventRow> + Send {
        self.kept.iter().zip(&self.decided).flat_map(|(beacon, decided)| {
            rows_of(beacon, &decided.site, decided.visitor, &decided.verdict, &decided.device)
        })
    }

    /// The insert token: the batch's id, and which of its events are kept, because after a restart other
    /// verdicts may keep others.
    pub(super) fn token(&self) -> String {
        let mut hash = Sha256::new();
        for event in self.kept.iter().flat_map(|beacon| &beacon.events) {
            hash.update(event.id.as_bytes());
        }
        format!("{}-{:016x}", self.id, first_64_bits(&hash.finalize()))
    }

    /// The rows are in the store.
    pub(super) fn inserted(&mut self) {
        self.stored = Some(self.len() as u64);
        self.kept = Vec::new();
        self.decided = Vec::new();
    }

    /// Takes rows out, because ClickHouse refuses them.
    pub(super) fn give_up(&mut self, positions: &BTreeSet<usize>) {
        if positions.is_empty() {
            return;
        }
        let mut position = 0;
        for beacon in &mut self.kept {
            let (site, received) = (&beacon.site, beacon.received);
            beacon.events.retain(|event| {
                let given_up = positions.contains(&position);
                position += 1;
                if given_up {
                    self.keys.remove(&BaseKey::new(site, received, event));
                    *self.dropped.entry((site.clone(), received.day(), DropReason::Unstorable)).or_default() += 1;
                }
                !given_up
            });
        }
    }

    /// What was dropped, at the door or here, as rows.
    pub(super) fn drop_rows(&self, version: u64) -> Vec<DropRow> {
        let mut all: BTreeMap<(&SiteId, UtcDay, DropReason), u64> = BTreeMap::new();
        for ((site, day, reason), events) in &self.dropped {
            *all.entry((site, *day, *reason)).or_default() += events;
        }
        for drops in &self.dropped_before {
            *all.entry((&drops.site, drops.day, drops.reason)).or_default() += drops.events;
        }
        all.into_iter()
            .map(|((site, day, reason), events)| DropRow {
                site: site.to_string(),
                day: u16::try_from(day.0.max(0)).unwrap_or(u16::MAX),
                reason: reason.as_str().to_owned(),
                batch: self.id,
                events,
                version,
            })
            .collect()
    }
}

/// Whether somebody's objection covers a beacon: that of a network or a visitor, which the door knows as well, or that of a
/// company, which is known only now.
fn objects(objections: &Objections, beacon: &SpooledBeacon, company: Option<&Company>) -> bool {
    let address = match beacon.address {
        ClientAddress::Ip(address) => Some(address),
        ClientAddress::HostName(_) => None,
    };
    // A company may have objected by a domain that was joined to another since.
    let mut domains = company.into_iter().flat_map(|company| [&company.domain, &company.found_by]).flatten();
    objections.cover(address, beacon.client) || domains.any(|domain| objections.cover_company(domain))
}

impl<R: Resolve, K: VisitorKeys> Pipeline<R, K> {
    /// Decides every event of a batch.
    pub(super) async fn prepare(
        &self,
        id: Uuid,
        mut beacons: Vec<SpooledBeacon>,
        dropped_before: Vec<DropCount>,
    ) -> Result<Batch, PipelineError> {
        let snapshot = self.snapshot.load_full();
        if !snapshot.loaded {
            return Err(PipelineError::SitesNotLoaded);
        }
        let addresses = beacons.iter().map(|beacon| beacon.address.clone()).collect();
        let verdicts =
            judge(&self.resolver, addresses, self.settings.resolve_at_once, self.settings.resolve_deadline).await;
        let visitors = self.visitors(&beacons).await?;
        let forgets = forgets(&beacons, &visitors);
        let forgotten = self.forgotten(&beacons, &visitors, &forgets).await?;

        let now = UnixMillis::now();
        let mut batch = Batch { id, dropped_before, ..Batch::default() };
        let mut devices: HashMap<CompactString, Arc<Device>> = HashMap::new();
        let mut visitors = visitors.into_iter();
        beacons.retain_mut(|beacon| {
            let Some(visitor) = visitors.next() else { return false };
            let site = snapshot.sites.get(&beacon.site);
            let verdict = verdicts.get(&beacon.address);
            let objects = objects(&snapshot.objections, beacon, verdict.and_then(|verdict| verdict.company.as_ref()));
            let forgotten_until = forgotten.get(&(beacon.site.to_string(), visitor.0)).copied();
            let mut events = std::mem::take(&mut beacon.events);
            events.retain(|event| {
                let key = BaseKey::new(&beacon.site, beacon.received, event);
                let case = Case {
                    site: site.map(AsRef::as_ref),
                    beacon,
                    event,
                    event_time: event_time(beacon, event),
                    network: verdict.map_or(NetworkKind::Unknown, |verdict| verdict.kind),
                    keep: &self.settings.keep,
                    left_out: verdict.and_then(|verdict| verdict.left_out),
                    objects,
                    forgotten_until,
                    is_repeated: batch.keys.contains(&key),
                };
                let reason = decide(&case).or(verdict.is_none().then_some(DropReason::Unknown));
                let reason = reason.or_else(|| {
                    let allowance = self.allowance.as_ref()?;
                    let fits = allowance.take(&beacon.site, visitor, event, now);
                    (!fits).then_some(DropReason::VisitorLimit)
                });
                match reason {
                    Some(reason) => {
                        let day = beacon.received.day();
                        *batch.dropped.entry((beacon.site.clone(), day, reason)).or_default() += 1;
                    }
                    None => {
                        batch.keys.insert(key);
                    }
                }
                reason.is_none()
            });
            let (Some(site), Some(verdict), false) = (site, verdict, events.is_empty()) else { return false };
            beacon.events = events;
            let user_agent = std::mem::take(&mut beacon.user_agent);
            let device = devices.entry(user_agent).or_insert_with_key(|user_agent| Arc::new(device::read(user_agent)));
            batch.decided.push(Decided {
                device: Arc::clone(device),
                site: Arc::clone(site),
                visitor,
                verdict: Arc::clone(verdict),
            });
            true
        });
        batch.kept = beacons;
        batch.forgotten =
            forgets.into_iter().map(|((site, visitor), until)| Forgotten { site, visitor, until }).collect();
        Ok(batch)
    }

    /// Each beacon's visitor.
    async fn visitors(&self, beacons: &[SpooledBeacon]) -> Result<Vec<VisitorKey>, PipelineError> {
        let visitor_key = self.keys.visitor_key();
        let mut day_keys: HashMap<UtcDay, [u8; 32]> = HashMap::new();
        let mut visitors = Vec::with_capacity(beacons.len());
        for beacon in beacons {
            if let Some(client) = beacon.client {
                visitors.push(visitor_of_client(&visitor_key, &beacon.site, client));
                continue;
            }
            let day = beacon.received.day();
            let day_key = match day_keys.get(&day) {
                Some(key) => *key,
                None => {
                    let key = self.keys.day_key(day, UnixMillis::now()).await?;
                    *day_keys.entry(day).or_insert(key)
                }
            };
            visitors.push(visitor_of_day(&day_key, &beacon.site, &beacon.address, &beacon.user_agent));
        }
        Ok(visitors)
    }

    /// Until when visitors of this batch are forgotten, by tombstones and by its own forget events.
    async fn forgotten(
        &self,
        beacons: &[SpooledBeacon],
        visitors: &[VisitorKey],
        forgets: &BTreeMap<(String, u64), UnixMillis>,
    ) -> Result<HashMap<(String, u64), UnixMillis>, PipelineError> {
        let known = beacons.iter().zip(visitors).filter(|(beacon, _)| beacon.client.is_some());
        let mut until = forgotten_until(&self.store, &known.map(|(_, visitor)| visitor.0).collect()).await?;
        for (visitor, time) in forgets {
            let known = until.entry(visitor.clone()).or_insert(*time);
            *known = (*time).max(*known);
        }
        Ok(until)
    }
}

/// The latest forget event of each visitor with a client id; possession of the id is the proof.
fn forgets(beacons: &[SpooledBeacon], visitors: &[VisitorKey]) -> BTreeMap<(String, u64), UnixMillis> {
    let mut found: BTreeMap<(String, u64), UnixMillis> = BTreeMap::new();
    for (beacon, visitor) in beacons.iter().zip(visitors).filter(|(beacon, _)| beacon.client.is_some()) {
        for event in beacon.events.iter().filter(|event| event.kind == EventKind::Forget) {
            let time = event_time(beacon, event);
            let known = found.entry((beacon.site.to_string(), visitor.0)).or_insert(time);
            *known = time.max(*known);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        objection::Objection,
        pipeline::fixtures::{beacon, company_verdict},
    };

    #[test]
    fn an_objection_covers_a_company_by_its_main_domain_and_by_the_one_it_was_found_by() {
        let mut company = company_verdict("acme.com").company.unwrap();
        company.found_by = Some("acme.de".into());
        let visit = beacon("shop", 0);
        for (domain, expected) in [("acme.com", true), ("acme.de", true), ("acme.fr", false)] {
            let noted = Objections::of([Objection::of_domain(domain).unwrap()]);
            assert_eq!(objects(&noted, &visit, Some(&company)), expected, "{domain}");
            assert!(!objects(&noted, &visit, None));
        }
    }
}
