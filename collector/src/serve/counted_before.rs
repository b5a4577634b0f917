//! Pageviews of a log that the tracker counted already: they would count twice.
//!
//! A log and a tracker share no id. A pageview counts as the tracker's when the tracker stored one of the same page and the same
//! company in the same minute or a neighbouring one: the server logs the request, the browser reports once the page is there.
//! Who gave no consent was not stored, so that a log adds what the tracker could not count. An imported event is told by its
//! time of receipt, which is the log's own time to the millisecond, and by having neither a client id nor a consent.

use crate::{
    site::SiteId,
    spool::record::{ClientAddress, SpooledBeacon},
    store::{Store, StoreError},
};
use firmsight_resolver::Verdict;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use url::Url;

const MINUTE_MS: i64 = 60_000;

/// Minute since 1970, path and company.
type Counted = HashSet<(i64, String, u64)>;

/// Takes out of a batch what the tracker counted; gives how many pageviews that were.
pub(super) async fn take_out(
    store: &Store,
    verdicts: &HashMap<ClientAddress, Arc<Verdict>>,
    beacons: &mut Vec<SpooledBeacon>,
) -> Result<u64, StoreError> {
    let times = beacons.iter().map(|beacon| beacon.received.0);
    let (Some(site), Some(first), Some(last)) =
        (beacons.first().map(|beacon| beacon.site.clone()), times.clone().min(), times.max())
    else {
        return Ok(0);
    };
    let span = (first - 2 * MINUTE_MS, last + 2 * MINUTE_MS);
    if !has_tracker_events(store, &site, span).await? {
        return Ok(0);
    }
    let companies: HashSet<u64> = verdicts.values().filter_map(|verdict| company(verdict)).collect();
    if companies.is_empty() {
        return Ok(0);
    }
    let counted = counted(store, &site, span, &companies).await?;
    let before = beacons.len();
    beacons.retain(|beacon| !is_counted(beacon, verdicts, &counted));
    Ok((before - beacons.len()) as u64)
}

fn company(verdict: &Verdict) -> Option<u64> {
    verdict.company.as_ref().map(|company| company.id.0)
}

fn is_counted(beacon: &SpooledBeacon, verdicts: &HashMap<ClientAddress, Arc<Verdict>>, counted: &Counted) -> bool {
    let Some(company) = verdicts.get(&beacon.address).and_then(|verdict| company(verdict)) else { return false };
    let minute = beacon.received.0.div_euclid(MINUTE_MS);
    let Some(url) = beacon.events.first().and_then(|event| Url::parse(&event.url).ok()) else { return false };
    (minute - 1..=minute + 1).any(|minute| counted.contains(&(minute, url.path().to_owned(), company)))
}

async fn has_tracker_events(store: &Store, site: &SiteId, (first, last): (i64, i64)) -> Result<bool, StoreError> {
    let sql = "SELECT count() FROM (
                   SELECT 1 FROM events
                   WHERE site = {site:String} AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64})
                       AND fromUnixTimestamp64Milli({last:Int64}) AND type = 'pageview'
                       AND (at != received_at OR has_client OR consent != 'not-required')
                   LIMIT 1)";
    let query = store.client().query(sql).param("site", site.as_str()).param("first", first).param("last", last);
    Ok(store.in_time(query.fetch_one::<u64>()).await? > 0)
}

async fn counted(
    store: &Store,
    site: &SiteId,
    (first, last): (i64, i64),
    companies: &HashSet<u64>,
) -> Result<Counted, StoreError> {
    let sql = "SELECT DISTINCT toInt64(intDiv(toUnixTimestamp64Milli(event_time), 60000)), splitByChar('#', path)[1],
                   company_id
               FROM events FINAL
               WHERE site = {site:String} AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64})
                   AND fromUnixTimestamp64Milli({last:Int64}) AND type = 'pageview'
                       AND (at != received_at OR has_client OR consent != 'not-required')
                   AND company_id IN {companies:Array(UInt64)}";
    let mut counted = Counted::new();
    let companies: Vec<u64> = companies.iter().copied().collect();
    for companies in companies.chunks(super::batches::MAX_IN_STATEMENT) {
        let query = store.client().query(sql).param("site", site.as_str()).param("first", first).param("last", last);
        counted.extend(store.in_time(query.param("companies", companies).fetch_all::<(i64, String, u64)>()).await?);
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::fixtures, time::UnixMillis};

    #[test]
    fn a_pageview_is_the_trackers_by_page_company_and_minute() {
        let mut beacon = fixtures::beacon("shop", 10 * MINUTE_MS + 59_000);
        beacon.events[0].url = "https://shop.example/a?b=c".into();
        let verdict = fixtures::company_verdict("acme.example");
        let company = company(&verdict).unwrap();
        let verdicts = HashMap::from([(beacon.address.clone(), Arc::new(verdict))]);
        let is_counted_beside = |minute: i64, path: &str, company: u64| {
            is_counted(&beacon, &verdicts, &Counted::from([(minute, path.to_owned(), company)]))
        };
        for (minute, path, other, expected) in [
            (10, "/a", 0, true),
            (11, "/a", 0, true),
            (9, "/a", 0, true),
            (12, "/a", 0, false),
            (10, "/b", 0, false),
            (10, "/a", 1, false),
        ] {
            assert_eq!(is_counted_beside(minute, path, company ^ other), expected, "{minute} {path}");
        }
        assert_eq!(beacon.received, UnixMillis(10 * MINUTE_MS + 59_000));
    }
}
