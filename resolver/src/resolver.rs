//! The resolver: asks every signal, then decides.

use crate::{
    Asn, DatabaseStatus, Databases, Evidence, LeftOut, Location, NameAnswer, NetworkFacts, NetworkKind, Profile,
    ProfileLookup, ResolverError, RuleAction, Source, Statement, Verdict,
    decision::{Case, Scores},
    mmdb::Facts,
    names::{self, registrable_part},
    rules::Rules,
    signals::{
        asn::{self, Operator, OperatorCache, System},
        company_database::{self, Door},
        ptr_name::{self, Announcer, PtrName},
    },
    verdict_cache::{NameState, VerdictCache},
};
#[cfg(feature = "dns")]
use crate::{DnsStatistics, dns::ReverseDns};
use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How many places are remembered, some 200 bytes each.
const MAX_PLACES: usize = 131_072;
/// How long a verdict with an answer of DNS is given again before DNS's own cache is asked: its shortest time.
#[cfg(feature = "dns")]
const NAMED_VERDICT: Duration = Duration::from_secs(5 * 60);

/// How a resolver works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Ask reverse DNS at all; without the crate's feature `dns` nobody is asked.
    pub dns: bool,
    /// Name servers to ask; empty means the system's. Where that names none either, verdicts have no names.
    pub nameservers: Vec<SocketAddr>,
    /// The longest that one address may keep DNS busy, its forward confirmation included.
    pub ptr_timeout: Duration,
    /// How many addresses are asked for at once; others wait.
    pub dns_concurrency: usize,
    /// How many questions a second one name server gets; 0 means any number.
    pub dns_queries_per_second: u32,
    /// How many addresses' names are kept in memory.
    pub cache_entries: usize,
    /// How many verdicts are kept in memory; 0 keeps none.
    pub verdict_cache_entries: usize,
    /// How much memory they may take, about, in bytes.
    pub verdict_cache_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dns: true,
            nameservers: Vec::new(),
            ptr_timeout: Duration::from_secs(2),
            dns_concurrency: 256,
            dns_queries_per_second: 1_000,
            cache_entries: 200_000,
            verdict_cache_entries: 200_000,
            // Some 20,000 visitors': whoever comes back does so within minutes, and making one anew takes a microsecond.
            verdict_cache_bytes: 8 << 20,
        }
    }
}

/// Judges addresses. Cheap to clone; every clone shares databases and cache.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    data: ArcSwap<Data>,
    /// How often the data was replaced.
    generation: AtomicU64,
    #[cfg(feature = "dns")]
    dns: Option<Arc<ReverseDns>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// Data files and rules, with all that was made from them: what replaces one replaces the other.
struct Data {
    databases: Databases,
    rules: Rules,
    operators: OperatorCache,
    /// By database, record and the network's country, in one number.
    places: Cache<u64, Arc<Location>>,
    verdicts: VerdictCache,
}

/// The little that decides at the door whether an event goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorVerdict {
    /// As in [`Verdict::kind`].
    pub kind: NetworkKind,
    /// As in [`Verdict::is_final`].
    pub is_final: bool,
    /// As in [`Verdict::left_out`], by rules on networks.
    pub left_out: Option<LeftOut>,
}

impl Resolver {
    /// Compiles the rules and, with `settings.dns`, sets up the DNS client. A thread of its own then walks the network
    /// databases for what each operator announces; verdicts that need this in the first second wait for it.
    ///
    /// # Errors
    /// When a rule file is malformed or the DNS client can't start.
    pub fn new(databases: Databases, settings: Settings) -> Result<Self, ResolverError> {
        #[cfg(feature = "dns")]
        let dns = if settings.dns { Some(Arc::new(ReverseDns::new(&settings)?)) } else { None };
        let data = Arc::new(Data::new(databases, &settings)?);
        let walked = Arc::clone(&data);
        // Without the thread the first address that needs a footprint walks the databases itself.
        drop(thread::Builder::new().name("footprints".to_owned()).spawn(move || walked.databases.prepare()));
        let generation = AtomicU64::new(0);
        let inner = Inner {
            settings,
            data: ArcSwap::new(data),
            generation,
            #[cfg(feature = "dns")]
            dns,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Puts other data files in the place of those behind this resolver and all its clones, and lets go of every verdict
    /// that was remembered. Verdicts under way end with the data they began with; reverse DNS goes on. Walks the network
    /// databases first, so that no verdict waits for that; on a thread that may be kept busy for that long.
    ///
    /// # Errors
    /// When a rule file is malformed; then the former data stays.
    pub fn replace(&self, databases: Databases) -> Result<(), ResolverError> {
        let data = Data::new(databases, &self.inner.settings)?;
        data.databases.prepare();
        self.inner.data.store(Arc::new(data));
        self.inner.generation.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How often [`Self::replace`] gave this resolver other data: what was made from verdicts of an earlier generation
    /// may be out of date.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Relaxed)
    }

    /// Asks these name servers from now on, in every clone, or the system's where none is named; gives the addresses that are asked.
    /// None at all leaves verdicts without names, marked as [`NameAnswer::Skipped`]. Without reverse DNS nothing changes.
    ///
    /// # Errors
    /// When the DNS client can't be set up for one of them; then the former ones stay.
    #[cfg(feature = "dns")]
    pub fn use_name_servers(&self, named: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolverError> {
        self.inner.dns.as_ref().map_or_else(|| Ok(Vec::new()), |dns| dns.use_servers(named))
    }

    /// What reverse DNS did so far; `None` when it is off.
    #[must_use]
    #[cfg(feature = "dns")]
    pub fn dns_statistics(&self) -> Option<DnsStatistics> {
        self.inner.dns.as_ref().map(|dns| dns.statistics())
    }

    /// How many verdicts are remembered, and how much memory belongs to them, about, in bytes.
    #[must_use]
    pub fn verdict_cache_size(&self) -> (usize, u64) {
        self.inner.data.load().verdicts.size()
    }

    /// The data files behind this resolver now.
    #[must_use]
    pub fn database_status(&self) -> Vec<DatabaseStatus> {
        self.inner.data.load().databases.status()
    }

    /// What each database that names organisations says of an address, as it stands there; verdicts weigh it.
    #[must_use]
    pub fn network_facts(&self, ip: IpAddr) -> Vec<NetworkFacts> {
        self.inner.data.load().databases.network_facts(ip)
    }

    /// Kind and finality of [`Self::local`], for addresses that may never come again: nothing is remembered but their
    /// operator, and nothing is allocated for an operator that was seen before.
    #[must_use]
    pub fn door(&self, ip: IpAddr) -> DoorVerdict {
        self.inner.data.load().door(ip.to_canonical())
    }

    /// What can be said of an address without asking DNS: given again if it was said before, else judged and remembered.
    #[must_use]
    pub fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        let ip = ip.to_canonical();
        let data = self.inner.data.load();
        if let Some(known) = data.verdicts.get(ip, NameState::NotAsked, None) {
            return known;
        }
        let verdict = Arc::new(data.judge(Some(ip), NameAnswer::NotAsked));
        data.verdicts.put(ip, NameState::NotAsked, &verdict, None);
        verdict
    }

    /// What can be said of an address, reverse DNS included. Never fails: what DNS does not say in time is marked
    /// [`NameAnswer::Failed`], what it was not asked because it is down [`NameAnswer::Skipped`], and the rest decides.
    /// Must run on a tokio runtime with time and I/O.
    #[cfg(feature = "dns")]
    pub async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        let ip = ip.to_canonical();
        let Some(dns) = &self.inner.dns else { return self.local(ip) };
        let data = self.inner.data.load_full();
        if let Some(known) = data.verdicts.get(ip, NameState::Answered, Some(std::time::Instant::now())) {
            return known;
        }
        if data.door(ip).is_final {
            return self.local(ip);
        }
        let answer = dns.name(ip).await;
        let is_answer = !matches!(answer, NameAnswer::Failed | NameAnswer::Skipped);
        let verdict = Arc::new(data.judge(Some(ip), answer));
        // A failure is remembered, for a shorter time, where the next question would be asked.
        if is_answer {
            data.verdicts.put(ip, NameState::Answered, &verdict, Some(std::time::Instant::now() + NAMED_VERDICT));
        }
        verdict
    }

    /// Judges an address and what reverse DNS said of it, remembering nothing but the operator and the place.
    #[must_use]
    pub fn judge(&self, ip: Option<IpAddr>, name: NameAnswer) -> Verdict {
        self.inner.data.load().judge(ip.map(|ip| ip.to_canonical()), name)
    }

    /// Judges a host name as if it were the confirmed reverse DNS name of the address, or of an unknown one.
    #[must_use]
    pub fn judge_named(&self, ip: Option<IpAddr>, name: &str) -> Verdict {
        self.judge(ip, names::clean(name).map_or(NameAnswer::None, NameAnswer::Confirmed))
    }

    /// Judges an autonomous system by itself. The first call walks the network databases, which takes seconds.
    #[must_use]
    pub fn judge_asn(&self, number: u32) -> Verdict {
        let data = self.inner.data.load();
        let Data { databases, rules, .. } = &**data;
        let mut case = Case::default();
        let mut asn = None;
        if let Some((name, domain)) = databases.autonomous_system(number) {
            let footprint = &|| databases.footprint(number);
            let system = System { number: Some(number), name, domain, country: "", footprint };
            let operator = asn::judge(system, databases.knowledge(rules));
            operator.add_to(&mut case);
            asn = operator.asn;
        }
        let decision = case.decide(rules, databases.profiles.as_ref());
        Verdict {
            ip: None,
            kind: decision.kind,
            company: decision.company,
            location: Arc::default(),
            asn,
            ptr: NameAnswer::NotAsked,
            is_final: decision.is_final,
            evidence: decision.evidence,
            left_out: None,
        }
    }
}

/// From the data behind the resolver now.
impl ProfileLookup for Resolver {
    fn profile(&self, domain: &str) -> Option<Profile> {
        self.inner.data.load().databases.profiles.as_ref()?.profile(domain)
    }
}

impl Data {
    fn new(databases: Databases, settings: &Settings) -> Result<Self, ResolverError> {
        Ok(Self {
            databases,
            rules: Rules::compile()?,
            operators: OperatorCache::default(),
            places: Cache::new(MAX_PLACES),
            verdicts: VerdictCache::new(settings.verdict_cache_entries, settings.verdict_cache_bytes),
        })
    }

    fn door(&self, ip: IpAddr) -> DoorVerdict {
        let mut scores = Scores::default();
        let mut is_final = false;
        let rule = self.databases.owner_rules.of_address(ip);
        let left_out = rule.and_then(RuleAction::left_out);
        if let Some(rule) = rule {
            rule.tell("", &mut Door { scores: &mut scores, is_final: &mut is_final });
        } else if self.rules.special_purpose.statement(ip).is_some() {
            return DoorVerdict { kind: NetworkKind::Reserved, is_final: true, left_out };
        }
        for (meaning, _) in self.databases.ranges.iter().filter_map(|table| table.meaning(ip)) {
            scores.add(meaning.kind, meaning.weight);
            is_final |= meaning.is_final;
        }
        for database in &self.databases.companies {
            if let Some(record) = database.look_up(ip) {
                let mut door = Door { scores: &mut scores, is_final: &mut is_final };
                company_database::judge(database.kind, &record, &self.databases.domain_map, &self.rules, &mut door);
            }
        }
        self.operator(ip).score(&mut scores);
        let kind = scores.winner(self.rules.weights.least_score);
        DoorVerdict { kind, is_final: is_final || left_out.is_some(), left_out }
    }

    fn judge(&self, ip: Option<IpAddr>, name: NameAnswer) -> Verdict {
        let mut case = Case::default();
        let mut location = None;
        let mut asn = None;
        let mut is_access = false;
        let owner_rules = &self.databases.owner_rules;
        let rule = ip.and_then(|ip| owner_rules.of_address(ip));
        let mut left_out = rule.and_then(RuleAction::left_out);
        if let Some(rule) = rule {
            rule.tell("the network", &mut case);
        }
        let reserved = ip.filter(|_| rule.is_none()).and_then(|ip| self.rules.special_purpose.evidence(ip));
        let is_reserved = reserved.is_some();
        if let Some(evidence) = reserved {
            case.add_final(evidence);
        } else if let Some(ip) = ip {
            for (evidence, is_final) in self.databases.ranges.iter().filter_map(|table| table.evidence(ip)) {
                if is_final {
                    case.add_final(evidence);
                } else {
                    case.add(evidence);
                }
            }
            let operator = self.operator(ip);
            operator.add_to(&mut case);
            is_access = operator.is_access(self.rules.weights.least_score);
            location = Some(self.location(ip, &operator.country));
            asn.clone_from(&operator.asn);
            for database in &self.databases.companies {
                let Some(record) = database.look_up(ip) else { continue };
                company_database::judge(database.kind, &record, &self.databases.domain_map, &self.rules, &mut case);
                if asn.is_none() {
                    asn = record.asn.map(|number| {
                        let (name, domain) = (record.as_name.to_owned(), record.as_domain.to_owned());
                        Arc::new(Asn { number, name, domain })
                    });
                }
            }
        }
        // A rule on a network is the narrower one: rules on domains are asked where there is none.
        if rule.is_none() && !owner_rules.is_empty() {
            let of_name = match &name {
                NameAnswer::Confirmed(host) => registrable_part(host).and_then(|domain| owner_rules.of_domain(domain)),
                _ => None,
            };
            let of_operator = || owner_rules.of_domain(registrable_part(&asn.as_ref()?.domain)?);
            if let Some(rule) = of_name {
                rule.tell("the domain of its name", &mut case);
                left_out = rule.left_out();
            } else if let Some(rule) = of_operator() {
                rule.tell("the domain of its operator", &mut case);
                left_out = rule.left_out();
            }
        }
        if let NameAnswer::Confirmed(host) | NameAnswer::Unconfirmed(host) = &name
            && !is_reserved
        {
            let is_confirmed = matches!(name, NameAnswer::Confirmed(_));
            let announced_by = Announcer::of(host, asn.as_ref().map_or("", |asn| asn.domain.as_str()), is_access);
            let name = PtrName { host, is_confirmed, ip, announced_by };
            ptr_name::judge(name, &self.databases.domain_map, &self.rules, &mut case);
        }
        let silence = match name {
            NameAnswer::Failed => Some("reverse DNS did not answer; judged without a name"),
            NameAnswer::Skipped => Some("reverse DNS is down and was not asked; judged without a name"),
            _ => None,
        };
        if let Some(silence) = silence {
            let statement = Statement::fixed(silence);
            case.add(Evidence { source: Source::Ptr, statement, kind: None, weight: 0.0 });
        }
        let decision = case.decide(&self.rules, self.databases.profiles.as_ref());
        if left_out.is_none()
            && let Some(domain) = decision.company.as_ref().and_then(|company| company.domain.as_deref())
        {
            left_out = owner_rules.of_domain(domain).and_then(RuleAction::left_out);
        }
        Verdict {
            ip,
            kind: decision.kind,
            company: decision.company,
            location: location.unwrap_or_default(),
            asn,
            ptr: name,
            is_final: decision.is_final || left_out.is_some(),
            evidence: decision.evidence,
            left_out,
        }
    }

    /// The operator of an address's network, remembered by its record.
    fn operator(&self, ip: IpAddr) -> Arc<Operator> {
        self.operators.get(self.databases.operator(ip).get(), || {
            let Facts { asn, as_name, as_domain, network_country, .. } = self.databases.facts(ip);
            let footprint = &|| asn.and_then(|number| self.databases.footprint(number));
            let system = System { number: asn, name: as_name, domain: as_domain, country: network_country, footprint };
            asn::judge(system, self.databases.knowledge(&self.rules))
        })
    }

    /// Where an address is, remembered by its record.
    fn location(&self, ip: IpAddr, network_country: &Arc<str>) -> Arc<Location> {
        let Some((database, place)) = self.databases.place(ip) else {
            return Arc::new(Location { country_code: network_country.to_string(), ..Location::default() });
        };
        let make = || Arc::new(place.location(network_country));
        let Some(key) = place_key(database, place.offset, network_country) else { return make() };
        if let Some(known) = self.places.get(&key) {
            return known;
        }
        let made = make();
        self.places.insert(key, Arc::clone(&made));
        made
    }
}

/// A number that no other place has, by 8 bits of database, 40 of record and 16 of country (ISO 3166-1 alpha-2 or none).
fn place_key(database: usize, offset: usize, country: &str) -> Option<u64> {
    let database = u64::from(u8::try_from(database).ok()?);
    let offset = u64::try_from(offset).ok().filter(|offset| offset >> 40 == 0)?;
    let country = match country.as_bytes() {
        [] => 0,
        [first, second] => u64::from(u16::from_be_bytes([*first, *second])),
        _ => return None,
    };
    Some(database << 56 | offset << 16 | country)
}
