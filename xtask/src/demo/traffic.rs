//! Visitors for the demo: beacons as the tracker writes them, over HTTP, from addresses in the networks of well-known
//! companies, consumer access providers and data centres. The collector gets no hint which is which.

use crate::{error::Error, machine};
use serde_json::{Value, json};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// What was sent.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) visits: u32,
    pub(super) visits_not_from_companies: u32,
    pub(super) beacons: u32,
    pub(super) events: u32,
}

struct Network {
    first: Ipv4Addr,
    prefix: u32,
    is_company: bool,
}

const PAGES: &[(&str, &str)] = &[
    ("/", "Example shop"),
    ("/products.html", "Products"),
    ("/pricing.html", "Pricing"),
    ("/contact.html", "Contact"),
];

const REFERRERS: &[&str] = &[
    "",
    "https://www.google.com/",
    "https://www.linkedin.com/",
    "https://duckduckgo.com/",
    "https://news.example.org/best-shops",
];

const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
];

const DAY_MS: u64 = 86_400_000;

pub(super) fn send(collector: SocketAddr, shop: SocketAddr, site: &str, visits: u32) -> Result<Sent, Error> {
    let networks = networks()?;
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let now = now_ms();
    let mut choice = Choice(now | 1);
    let mut sent = Sent::default();
    let bar = indicatif::ProgressBar::new(visits.into());
    for _ in 0..visits {
        let network = &networks[choice.below(networks.len())];
        let address = address_in(network, choice.next());
        let browser = BROWSERS[choice.below(BROWSERS.len())];
        for beacon in visit(&mut choice, shop, site, now) {
            let answered = agent
                .post(format!("http://{collector}/lfa"))
                .header("User-Agent", browser)
                .header("Content-Type", "text/plain;charset=UTF-8")
                .header("Origin", format!("http://{shop}"))
                .header("X-Forwarded-For", address.to_string())
                .send(beacon.to_string())
                .map_err(|error| Error::Other(format!("the collector: {error}")))?;
            if answered.status() != 204 {
                return Err(Error::Other(format!("the collector refused a beacon: {}", answered.status())));
            }
            sent.beacons += 1;
            sent.events += beacon["events"].as_array().map_or(0, |events| u32::try_from(events.len()).unwrap_or(0));
        }
        sent.visits += 1;
        sent.visits_not_from_companies += u32::from(!network.is_company);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(sent)
}

/// One visit somewhere in the last six days: pages with some seconds on each, one beacon a page.
fn visit(choice: &mut Choice, shop: SocketAddr, site: &str, now: u64) -> Vec<Value> {
    let start = now - choice.next() % (6 * DAY_MS);
    let client = format!("LF1.1.{:016x}.{:013}", choice.next(), start);
    let mut referrer = REFERRERS[choice.below(REFERRERS.len())].to_owned();
    let mut at = start;
    (0..=choice.below(PAGES.len()))
        .map(|step| {
            let (path, title) = PAGES[(step + choice.below(2)) % PAGES.len()];
            let campaign = if step == 0 && choice.below(5) == 0 {
                "?utm_source=newsletter&utm_medium=email&utm_campaign=autumn"
            } else {
                ""
            };
            let url = format!("http://{shop}{path}{campaign}");
            let page = random_id(choice);
            let visible_ms = 4_000 + choice.below(90_000) as u64;
            let beacon = json!({
                "v": 1, "site": site, "consent": "granted", "sent": now, "client": client,
                "events": [
                    {"id": page, "at": at, "type": "pageview", "url": url, "referrer": referrer, "title": title},
                    {"id": random_id(choice), "at": at + visible_ms, "type": "engagement", "url": url, "page": page,
                     "visible_ms": visible_ms, "scroll": choice.below(101)},
                ],
            });
            at = (at + visible_ms + 500).min(now);
            referrer = url;
            beacon
        })
        .collect()
}

fn random_id(choice: &mut Choice) -> Uuid {
    uuid::Builder::from_u128(u128::from(choice.next()) << 64 | u128::from(choice.next()))
        .with_version(uuid::Version::Random)
        .into_uuid()
}

fn networks() -> Result<Vec<Network>, Error> {
    let path = machine::root().join("examples").join("demo-site").join("networks.tsv");
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let (network, whose) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
            let (first, prefix) = network.split_once('/').unwrap_or((network, "32"));
            match (first.parse(), prefix.parse()) {
                (Ok(first), Ok(prefix @ 8..=32)) => Ok(Network { first, prefix, is_company: whose == "company" }),
                _ => Err(Error::Other(format!("{}: not a network: {line}", path.display()))),
            }
        })
        .collect()
}

fn address_in(network: &Network, random: u64) -> IpAddr {
    let hosts = 1u64 << (32 - network.prefix);
    let host = u32::try_from(random % hosts).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::from(u32::from(network.first) | host))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// Small repeatable randomness (xorshift64*): enough to choose pages and addresses.
struct Choice(u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
