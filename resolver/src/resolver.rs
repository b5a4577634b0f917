//! The resolver: asks every signal, then decides.

use crate::{
    Asn, Databases, DnsStatistics, NameAnswer, NetworkKind, ResolverError, Verdict,
    decision::{Case, Scores},
    dns::ReverseDns,
    mmdb::Facts,
    names,
    rules::Rules,
    signals::{
        asn::{self, OperatorCache, OperatorJudgement, System},
        ptr_name,
    },
    verdict::Location,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

/// How a resolver works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Ask reverse DNS at all.
    pub dns: bool,
    /// Name servers to ask; empty means the system's.
    pub nameservers: Vec<SocketAddr>,
    /// The longest that one address may keep DNS busy, its forward confirmation included.
    pub ptr_timeout: Duration,
    /// How many addresses are asked for at once; others wait.
    pub dns_concurrency: usize,
    /// How many addresses' names are kept in memory.
    pub cache_entries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dns: true,
            nameservers: Vec::new(),
            ptr_timeout: Duration::from_secs(2),
            dns_concurrency: 256,
            cache_entries: 200_000,
        }
    }
}

/// Judges addresses. Cheap to clone; every clone shares databases and cache.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    databases: Databases,
    rules: Rules,
    operators: OperatorCache,
    dns: Option<ReverseDns>,
}

/// The little that decides at the door whether an event goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorVerdict {
    /// As in [`Verdict::kind`].
    pub kind: NetworkKind,
    /// As in [`Verdict::is_final`].
    pub is_final: bool,
}

impl Resolver {
    /// Compiles the rules and, with `settings.dns`, sets up the DNS client. A thread of its own then walks the network
    /// databases for what each operator announces; verdicts that need this in the first second wait for it.
    ///
    /// # Errors
    /// When a rule file is malformed or the DNS client can't start.
    pub fn new(databases: Databases, settings: Settings) -> Result<Self, ResolverError> {
        let dns = if settings.dns { Some(ReverseDns::new(&settings)?) } else { None };
        let rules = Rules::compile()?;
        let inner = Arc::new(Inner { databases, rules, operators: OperatorCache::default(), dns });
        let walker = Arc::clone(&inner);
        // Without the thread the first address that needs a footprint walks the databases itself.
        drop(thread::Builder::new().name("footprints".to_owned()).spawn(move || walker.databases.footprint(0)));
        Ok(Self { inner })
    }

    /// What reverse DNS did so far; `None` when it is off.
    #[must_use]
    pub fn dns_statistics(&self) -> Option<DnsStatistics> {
        self.inner.dns.as_ref().map(ReverseDns::statistics)
    }

    /// The data files behind this resolver.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.inner.databases
    }

    /// Kind and finality of [`Self::local`], several times as fast: nothing is put into words, and nothing is allocated
    /// for a network that was seen before.
    #[must_use]
    pub fn door(&self, ip: IpAddr) -> DoorVerdict {
        let Inner { databases, rules, .. } = &*self.inner;
        let ip = ip.to_canonical();
        if rules.special_purpose.statement(ip).is_some() {
            return DoorVerdict { kind: NetworkKind::Reserved, is_final: true };
        }
        let mut scores = Scores::default();
        let mut is_final = false;
        for (meaning, _) in databases.ranges.iter().filter_map(|table| table.meaning(ip)) {
            scores.add(meaning.kind, meaning.weight);
            is_final |= meaning.is_final;
        }
        self.operator(databases.operator(ip).get(), || databases.facts(ip)).score(&mut scores);
        DoorVerdict { kind: scores.winner(), is_final }
    }

    /// What can be said of an address without asking DNS.
    #[must_use]
    pub fn local(&self, ip: IpAddr) -> Verdict {
        self.judge(Some(ip), NameAnswer::NotAsked)
    }

    /// What can be said of an address, reverse DNS included. Never fails: what DNS does not say in time is marked
    /// [`NameAnswer::Failed`] and the rest decides. Must run on a tokio runtime with time and I/O.
    pub async fn resolve(&self, ip: IpAddr) -> Verdict {
        let local = self.local(ip);
        let Some(dns) = self.inner.dns.as_ref().filter(|_| !local.is_final) else { return local };
        match dns.name(ip.to_canonical()).await {
            answer @ (NameAnswer::Confirmed(_) | NameAnswer::Unconfirmed(_)) => self.judge(Some(ip), answer),
            answer => Verdict { ptr: answer, ..local },
        }
    }

    /// Judges a host name as if it were the confirmed reverse DNS name of the address, or of an unknown one.
    #[must_use]
    pub fn judge_named(&self, ip: Option<IpAddr>, name: &str) -> Verdict {
        let answer = names::clean(name).map_or(NameAnswer::None, NameAnswer::Confirmed);
        self.judge(ip, answer)
    }

    /// Judges an autonomous system by itself. The first call walks the network databases, which takes seconds.
    #[must_use]
    pub fn judge_asn(&self, number: u32) -> Verdict {
        let mut case = Case::default();
        let known = self.inner.databases.autonomous_system(number);
        if let Some((name, domain)) = known {
            let Inner { databases, rules, .. } = &*self.inner;
            let footprint = &|| databases.footprint(number);
            asn::judge(System { name, domain, footprint }, &databases.domain_map, rules).add_to(&mut case);
        }
        let asn = known.map(|(name, domain)| Asn { number, name: name.to_owned(), domain: domain.to_owned() });
        verdict(None, case, Location::default(), asn, NameAnswer::NotAsked)
    }

    fn judge(&self, ip: Option<IpAddr>, name: NameAnswer) -> Verdict {
        let Inner { databases, rules, .. } = &*self.inner;
        let ip = ip.map(|ip| ip.to_canonical());
        let mut case = Case::default();
        if let Some(evidence) = ip.and_then(|ip| rules.special_purpose.evidence(ip)) {
            case.add_final(evidence);
            return verdict(ip, case, Location::default(), None, name);
        }
        if let Some(ip) = ip {
            for (evidence, is_final) in databases.ranges.iter().filter_map(|table| table.evidence(ip)) {
                if is_final {
                    case.add_final(evidence);
                } else {
                    case.add(evidence);
                }
            }
        }
        let facts = ip.map_or_else(Facts::default, |ip| databases.facts(ip));
        self.operator(facts.operator.get(), || facts).add_to(&mut case);
        match &name {
            NameAnswer::Confirmed(name) => ptr_name::judge(name, true, ip, &databases.domain_map, rules, &mut case),
            NameAnswer::Unconfirmed(name) => ptr_name::judge(name, false, ip, &databases.domain_map, rules, &mut case),
            NameAnswer::NotAsked | NameAnswer::None | NameAnswer::Failed => {}
        }
        let asn =
            facts.asn.map(|number| Asn { number, name: facts.as_name.to_owned(), domain: facts.as_domain.to_owned() });
        verdict(ip, case, facts.location(), asn, name)
    }

    /// What the operator says of everyone in its network: remembered under `key`, else from the facts.
    fn operator<'a>(&self, key: Option<u64>, facts: impl FnOnce() -> Facts<'a>) -> Arc<OperatorJudgement> {
        self.inner.operators.get(key, || {
            let facts = facts();
            let Inner { databases, rules, .. } = &*self.inner;
            let footprint = &|| facts.asn.and_then(|number| databases.footprint(number));
            let system = System { name: facts.as_name, domain: facts.as_domain, footprint };
            asn::judge(system, &databases.domain_map, rules)
        })
    }
}

fn verdict(ip: Option<IpAddr>, case: Case, location: Location, asn: Option<Asn>, ptr: NameAnswer) -> Verdict {
    let decision = case.decide();
    Verdict {
        ip,
        kind: decision.kind,
        company: decision.company,
        location,
        asn,
        ptr,
        is_final: decision.is_final,
        evidence: decision.evidence,
    }
}
