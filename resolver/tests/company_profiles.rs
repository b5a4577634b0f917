//! Company profiles made of several sources, and verdicts that name a company by its main domain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{
    CompanyId, Databases, OwnerRules, ProfileInputs, ProfileLookup, Profiles, ProfilesError, ProfilesReport, Resolver,
    Settings, Source, build_profiles, explain,
};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

#[path = "mmdb_writer/mod.rs"]
mod mmdb;

const IDENTIFIER: &str = "5299000ACME000000001";
const REGISTER: &str = "\"LEI\",\"Entity.LegalName\",\"Entity.HeadquartersAddress.FirstAddressLine\",\"Entity.HeadquartersAddress.City\",\"Entity.HeadquartersAddress.Region\",\"Entity.HeadquartersAddress.Country\",\"Entity.HeadquartersAddress.PostalCode\"\n\
    \"5299000ACME000000001\",\"Acme Aktiengesellschaft\",\"Registerweg 1\",\"Berlin\",\"DE-BE\",\"DE\",\"10115\"\n\
    \"5299000GLOBEX0000001\",\"Globex AG\",\"\",\"Bonn\",\"\",\"DE\",\"\"\n";
const RELATIONSHIPS: &str = "\"Relationship.StartNode.NodeID\",\"Relationship.EndNode.NodeID\",\"Relationship.RelationshipType\",\"Relationship.RelationshipStatus\"\n\
    \"5299000ACME000000001\",\"5299000GLOBEX0000001\",\"IS_DIRECTLY_CONSOLIDATED_BY\",\"ACTIVE\"\n";

/// An organisation as Wikidata's dump has it, with these websites.
fn entity(number: u32, name: &str, websites: &[&str]) -> serde_json::Value {
    let text = |property: &str, value: &str| {
        json!({"mainsnak": {"snaktype": "value", "property": property, "datavalue": {"value": value, "type": "string"}},
            "type": "statement", "rank": "normal"})
    };
    let industry = json!([{"mainsnak": {"snaktype": "value", "property": "P452", "datavalue":
        {"value": {"entity-type": "item", "numeric-id": 7, "id": "Q7"}, "type": "wikibase-entityid"}}, "rank": "normal"}]);
    let websites: Vec<_> = websites.iter().map(|website| text("P856", website)).collect();
    json!({"type": "item", "id": format!("Q{number}"), "labels": {"en": {"language": "en", "value": name}}, "descriptions": [],
        "claims": {"P856": websites, "P452": industry}, "sitelinks": []})
}

fn dump(entities: &[serde_json::Value]) -> String {
    let lines: Vec<String> = entities.iter().map(ToString::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// A folder of inputs and the profile file that is made of them.
struct Build {
    folder: tempfile::TempDir,
    inputs: ProfileInputs,
}

impl Build {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), inputs: ProfileInputs::default() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("company-profiles")
    }

    fn run(&self) -> Result<ProfilesReport, ProfilesError> {
        let open = |path: &Path| Ok(Box::new(BufReader::new(File::open(path)?)) as Box<dyn BufRead>);
        build_profiles(&self.inputs, &self.output(), 1_790_000_000, &open, &mut |_, _| {})
    }

    fn profiles(&self) -> Profiles {
        self.run().unwrap();
        Profiles::open(&self.output()).unwrap()
    }

    /// A resolver that judges names, with the profiles and these rules of the owner's.
    fn resolver(&self, rules: &str) -> Resolver {
        let rules = OwnerRules::read(&[], Some(&self.file("rules", rules))).unwrap();
        let databases = Databases::none().with_owner_rules(rules).with_profiles(self.profiles());
        Resolver::new(databases, Settings { dns: false, ..Settings::default() }).unwrap()
    }
}

#[test]
fn the_owner_wins_over_the_register_and_the_register_over_the_encyclopaedia() {
    let mut build = Build::new();
    let mut acme = entity(1, "Acme Widgets", &["https://acme.com/", "https://www.acme.de/"]);
    acme["claims"]["P1278"] = json!([{"mainsnak": {"datavalue": {"value": IDENTIFIER}}, "rank": "normal"}]);
    let beta = entity(2, "Beta Works", &["https://beta.org/"]);
    let industry = json!({"type": "item", "id": "Q7", "labels": {"en": {"language": "en", "value": "widget industry"}}, "claims": []});
    build.inputs.wikidata = Some(build.file("wikidata.json", dump(&[acme, beta, industry])));
    build.inputs.gleif = Some(build.file("lei2.csv", REGISTER));
    build.inputs.gleif_relationships = Some(build.file("rr.csv", RELATIONSHIPS));
    let owner = "domain,other_domains,name,employees\nacme.com,acme.fr,Acme as we call it,201-500\nours.net,,Ours,\n,,Nobody,\n";
    build.inputs.owner = vec![build.file("ours.csv", owner)];
    let report = build.run().unwrap();
    assert_eq!((report.status.companies, report.status.domains, report.entities), (3, 5, 5));
    assert_eq!(report.left_out, 1);
    assert!(report.problems[0].contains("line 4: no domain"), "{:?}", report.problems);
    let profiles = Profiles::open(&build.output()).unwrap();
    let acme = profiles.profile("acme.de").unwrap();
    assert_eq!(acme.domains().collect::<Vec<_>>(), ["acme.com", "acme.fr", "acme.de"]);
    assert_eq!((acme.name.as_str(), acme.legal_name.as_str()), ("Acme as we call it", "Acme Aktiengesellschaft"));
    assert_eq!((acme.address.street.as_str(), acme.address.country_code.as_str()), ("Registerweg 1", "DE"));
    assert_eq!(acme.industries, ["widget industry"]);
    assert_eq!(acme.parent.unwrap().name, "Globex");
    assert_eq!(acme.sources.len(), 3);
    assert_eq!(profiles.profile("beta.org").unwrap().name, "Beta Works");
    assert_eq!(profiles.profile("ours.net").unwrap().name, "Ours");
}

#[test]
fn files_without_a_company_make_no_file() {
    let mut build = Build::new();
    assert!(matches!(build.run(), Err(ProfilesError::Empty)));
    build.inputs.wikidata = Some(build.file("wikidata.json", "[\n]\n"));
    let error = build.run().unwrap_err().to_string();
    assert!(error.contains("no organisation with a website"), "{error}");
    build.inputs.wikidata = Some(build.folder.path().join("nowhere"));
    assert!(matches!(build.run(), Err(ProfilesError::Input { .. })));
    assert!(!build.output().exists());
}

#[test]
fn a_main_domain_stays_the_main_one_when_a_source_changes_its_order() {
    let mut build = Build::new();
    let websites = ["https://acme.de/", "https://acme.com/"];
    build.inputs.wikidata = Some(build.file("1.json", dump(&[entity(1, "Acme", &websites[..1])])));
    assert_eq!(build.profiles().profile("acme.de").unwrap().domain, "acme.de");
    // Another domain comes, then goes first, then the first one is gone.
    for (websites, expected) in [
        (&["https://acme.de/", "https://acme.com/"][..], "acme.de"),
        (&["https://acme.com/", "https://acme.de/"], "acme.de"),
        (&["https://acme.com/", "https://acme.fr/"], "acme.com"),
        (&["https://acme.fr/", "https://acme.de/", "https://acme.com/"], "acme.com"),
    ] {
        build.inputs.wikidata = Some(build.file("2.json", dump(&[entity(1, "Acme", websites)])));
        assert_eq!(build.profiles().profile("acme.com").map(|profile| profile.domain).as_deref(), Some(expected));
    }
    // The owner's word counts more.
    build.inputs.owner = vec![build.file("ours.csv", "domain,other_domains\nacme.fr,acme.com\n")];
    assert_eq!(build.profiles().profile("acme.de").unwrap().domain, "acme.fr");
}

#[test]
fn an_operators_other_domains_are_its_companys_unless_another_has_them() {
    let networks = geoip_data::data_folder().unwrap().join("ipinfo_lite.mmdb");
    assert!(networks.exists(), "{} is missing: run `cargo xtask test`, which fetches it", networks.display());
    let mut build = Build::new();
    build.inputs.networks = vec![networks];
    let alone = build.profiles();
    let several: Vec<_> = alone.iter().filter(|profile| !profile.other_domains.is_empty()).collect();
    assert!(several.len() > 20 && several.len() == alone.iter().count(), "{} operators", several.len());
    let label = |domain: &String| domain.split('.').next().unwrap_or_default().to_owned();
    assert!(several.iter().all(|profile| profile.domains().all(|domain| label(domain) == label(&profile.domain))));

    // Equinix announces networks of one registered name under equinix.com and equinix.com.br.
    assert_eq!(alone.profile("equinix.com.br").unwrap().domain, "equinix.com");
    let known = |websites: &[&str]| entity(1, "Equinix", websites);
    build.inputs.wikidata = Some(build.file("1.json", dump(&[known(&["https://equinix.com/"])])));
    let joined = build.profiles().profile("equinix.com.br").unwrap();
    assert_eq!((joined.domain.as_str(), joined.name.as_str(), joined.sources.len()), ("equinix.com", "Equinix", 2));
    let stranger = entity(2, "Equinix do Brasil", &["https://equinix.com.br/"]);
    build.inputs.wikidata = Some(build.file("2.json", dump(&[known(&["https://equinix.com/"]), stranger])));
    let apart = build.profiles();
    assert_eq!(apart.profile("equinix.com").unwrap().other_domains, [""; 0]);
    assert_eq!(apart.profile("equinix.com.br").unwrap().name, "Equinix do Brasil");
}

#[test]
fn a_company_found_by_any_of_its_domains_is_one_company() {
    let mut build = Build::new();
    let owner = "domain,other_domains,name\nacme.com,acme.de acme.co.uk,Acme Widgets\n";
    build.inputs.owner = vec![build.file("ours.csv", owner)];
    let resolver = build.resolver("");
    let company = |name: &str| resolver.judge_named(None, name).company.unwrap();
    let main = company("nat-pool-muc-t.acme.com");
    assert_eq!((main.id, main.found_by), (CompanyId::of_domain("acme.com"), None));
    for name in ["nat-pool-muc-t.acme.de", "gateway.london.acme.co.uk"] {
        let joined = company(name);
        assert_eq!((joined.id, joined.domain.as_deref()), (main.id, Some("acme.com")), "{name}");
        assert_eq!(&*joined.name, "Acme Widgets");
        assert!(name.ends_with(&**joined.found_by.as_ref().unwrap()));
    }
    let told = explain(&resolver.judge_named(None, "nat-pool-muc-t.acme.de"));
    assert!(told.contains("acme.de is another domain of acme.com's organisation"), "{told}");
    assert_eq!(company("nat-pool-muc-t.acme.fr").domain.as_deref(), Some("acme.fr"));
}

#[test]
fn a_rule_of_the_owner_keeps_two_domains_apart() {
    let mut build = Build::new();
    build.inputs.owner = vec![build.file("ours.csv", "domain,other_domains\nacme.com,acme.de\n")];
    let resolver = build.resolver("acme.de company acme.de Acme Deutschland\n");
    let company = resolver.judge_named(None, "nat-pool-muc-t.acme.de").company.unwrap();
    assert_eq!((company.id, company.source), (CompanyId::of_domain("acme.de"), Source::OwnRule));
    assert_eq!((&*company.name, company.found_by), ("Acme Deutschland", None));
}

#[test]
fn an_ignored_company_is_ignored_by_every_domain() {
    let mut build = Build::new();
    build.inputs.owner = vec![build.file("ours.csv", "domain,other_domains\nacme.com,acme.de\n")];
    let resolver = build.resolver("acme.com ignore\n");
    assert!(resolver.judge_named(None, "nat-pool-muc-t.acme.de").left_out.is_some());
}

#[test]
fn new_profiles_join_verdicts_that_were_remembered() {
    let mut build = Build::new();
    let record =
        json!({"asn": "AS64500", "as_name": "Acme Deutschland GmbH", "as_domain": "acme.de", "country_code": "DE"});
    let files = [
        build.file("networks.mmdb", mmdb::database("Test", &record)),
        build.file("map.csv", "base_reverse_dns,name,type\nacme.de,Acme Deutschland,Manufacturing\n"),
    ];
    let settings = Settings { dns: false, ..Settings::default() };
    let resolver = Resolver::new(Databases::open(&files).unwrap(), settings).unwrap();
    let address = "203.0.112.7".parse().unwrap();
    assert_eq!(resolver.local(address).company.as_ref().unwrap().domain.as_deref(), Some("acme.de"));
    build.inputs.owner = vec![build.file("ours.csv", "domain,other_domains\nacme.com,acme.de\n")];
    resolver.replace(Databases::open(&files).unwrap().with_profiles(build.profiles())).unwrap();
    let verdict = resolver.local(address);
    assert_eq!(verdict.company.as_ref().unwrap().domain.as_deref(), Some("acme.com"));
    assert_eq!(verdict.asn.as_ref().unwrap().domain, "acme.de", "who announces the address is as it was");
    assert_eq!(resolver.profile("acme.de").unwrap().domain, "acme.com");
}
