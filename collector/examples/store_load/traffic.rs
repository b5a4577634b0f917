//! Made-up traffic of 5,000 companies over 400 days, the same each time it is made.

use beacon::{ClientId, Consent, EventKind};
use collector::{
    pipeline::verdicts::Resolve,
    site::Site,
    spool::record::{ClientAddress, SpooledBeacon, SpooledEvent},
    time::UnixMillis,
};
use compact_str::CompactString;
use firmsight_resolver::{
    Asn, Company, CompanyId, Confidence, EvidenceList, Location, NameAnswer, NetworkKind, Source, Verdict,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// How many days there are.
pub(crate) const DAYS: u64 = 400;
/// How many companies there are.
pub(crate) const COMPANIES: u64 = 5_000;
/// 2025-09-28 00:00 UTC; the last of the days is 2026-11-01.
pub(crate) const START: i64 = 1_759_017_600_000;
const DAY: i64 = 86_400_000;
const FIRST_ADDRESS: u32 = 0x0b00_0000;

pub(crate) fn site() -> Site {
    Site {
        timezone: "Europe/Berlin".to_owned(),
        identify: true,
        ..Site::new("shop".parse().unwrap(), "Shop", ["shop.example"])
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to below `end`, all alike.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// 0 to below `end`, small ones more often: half of them lie in the first eighth.
    pub(crate) fn skewed(&mut self, end: u64) -> u64 {
        let part = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((part * part * part) * end as f64) as u64
    }
}

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
];
const LANGUAGES: [&str; 4] = ["en-US", "de-DE", "fr-FR", "en-GB"];
const COUNTRIES: [&str; 12] = ["DE", "US", "FR", "GB", "NL", "AT", "CH", "SE", "IT", "ES", "PL", "DK"];
const INDUSTRIES: [&str; 8] =
    ["Finance", "Manufacturing", "Retail", "Technology", "Education", "Logistics", "Healthcare", "Real Estate"];

/// Beacons of one day.
pub(crate) struct Traffic;

impl Traffic {
    /// About so many pageviews in visits of 1 to some 20 pages, sorted by time.
    pub(crate) fn of_day(day: u64, pageviews: u64) -> Vec<SpooledBeacon> {
        let mut random = Random::seeded(day.wrapping_mul(0x1234_5678_9abc_def1));
        let midnight = START + day as i64 * DAY;
        let mut beacons = Vec::new();
        while (beacons.len() as u64) < pageviews {
            let company = random.skewed(COMPANIES);
            // Working hours, mostly: two draws have a peak in the middle.
            let second = 6 * 3600 + (random.below(7 * 3600) + random.below(7 * 3600)) as i64;
            let people = 1 + COMPANIES / (company + 50) / 4;
            let person = random.below(people) ^ (day / 30);
            let client = ClientId { random: company << 20 | person, created_ms: (START + company as i64) as u64 };
            let agent = AGENTS[((company + person) % AGENTS.len() as u64) as usize];
            let mut at = midnight + second * 1000 + random.below(1000) as i64;
            let mut pages = 1;
            while random.below(4) != 0 && pages < 20 {
                pages += 1;
            }
            let (referrer, query) = entrance(&mut random);
            for page in 0..pages {
                let (path, title) = page_of(&mut random);
                let query = if page == 0 { query.as_str() } else { "" };
                let delay = 60 + random.below(200) as i64;
                let address = ClientAddress::Ip(IpAddr::V4(Ipv4Addr::from_bits(FIRST_ADDRESS + company as u32)));
                let id = (u128::from(random.next()) << 64 | u128::from(random.next())).to_be_bytes();
                let id = uuid::Builder::from_random_bytes(id).into_uuid();
                let event = SpooledEvent {
                    url: format!("https://shop.example{path}{query}").into(),
                    referrer: if page == 0 { referrer.clone().into() } else { CompactString::default() },
                    title: title.into(),
                    ..SpooledEvent::new(id, UnixMillis(at), EventKind::Pageview)
                };
                let received = UnixMillis(at + delay);
                beacons.push(SpooledBeacon {
                    user_agent: agent.into(),
                    language: LANGUAGES[(company % LANGUAGES.len() as u64) as usize].into(),
                    client: Some(client),
                    sent: Some(UnixMillis(at)),
                    ..SpooledBeacon::new("shop".parse().unwrap(), address, received, Consent::Granted, vec![event])
                });
                at += 3_000 + random.below(90_000) as i64;
            }
        }
        beacons.sort_by_key(|beacon| beacon.received);
        beacons
    }
}

fn entrance(random: &mut Random) -> (String, String) {
    match random.below(10) {
        0..=3 => (String::new(), String::new()),
        4..=6 => ("https://www.google.com/".to_owned(), String::new()),
        7 => ("https://www.linkedin.com/".to_owned(), String::new()),
        8 => {
            let campaign = random.skewed(30);
            (
                "https://www.google.com/".to_owned(),
                format!(
                    "?utm_source=google&utm_medium=cpc&utm_campaign=campaign-{campaign}&utm_term=term-{}",
                    campaign % 7
                ),
            )
        }
        _ => (format!("https://partner{}.example/blog", random.skewed(50)), String::new()),
    }
}

fn page_of(random: &mut Random) -> (String, String) {
    match random.skewed(400) {
        0 => ("/".to_owned(), "Shop: machines for everyone".to_owned()),
        1 => ("/pricing".to_owned(), "Prices".to_owned()),
        2 => ("/contact".to_owned(), "Talk to us".to_owned()),
        number if number < 100 => (format!("/products/machine-{number}"), format!("Machine {number} | Shop")),
        number => (format!("/blog/2026/article-{number}"), format!("How to choose a machine, part {number} | Shop")),
    }
}

/// Knows the made-up companies by their addresses.
pub(crate) struct Companies;

/// A made-up company's domain.
pub(crate) fn domain(company: u64) -> String {
    format!("company-{company}.example")
}

impl Resolve for Companies {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        let IpAddr::V4(ip) = ip else { unreachable!("only IPv4 is made") };
        let number = u64::from(ip.to_bits() - FIRST_ADDRESS);
        let domain = domain(number);
        let country = COUNTRIES[(number % COUNTRIES.len() as u64) as usize];
        Arc::new(Verdict {
            ip: Some(IpAddr::V4(ip)),
            kind: NetworkKind::Business,
            company: Some(Company {
                id: CompanyId::of_domain(&domain),
                name: format!("Company {number}").into(),
                domain: Some(domain.into()),
                found_by: None,
                industry: Some(INDUSTRIES[(number % INDUSTRIES.len() as u64) as usize].into()),
                source: Source::Asn,
                confidence: Confidence::new(0.8),
            }),
            location: Arc::new(Location {
                country_code: country.to_owned(),
                region: format!("Region {}", number % 60),
                city: format!("City {}", number % 400),
            }),
            asn: Some(Arc::new(Asn {
                number: 64_512 + number as u32 % 3_000,
                name: String::new(),
                domain: String::new(),
            })),
            ptr: NameAnswer::NotAsked,
            is_final: true,
            evidence: EvidenceList::default(),
            left_out: None,
        })
    }

    async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        self.local(ip)
    }

    fn judge_name(&self, _: &str) -> Arc<Verdict> {
        unreachable!("no names are made")
    }
}
