//! Commercial databases: each kind is known by its metadata, every record type is read, and what it says is weighed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{DatabaseKind, Databases, LeftOut, NetworkKind, OwnerRules, Resolver, Settings, Source};
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

#[path = "mmdb_writer/mod.rs"]
mod mmdb_writer;

fn test_database(name: &str) -> PathBuf {
    let path = geoip_data::test_data_folder().unwrap().join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which fetches it", path.display());
    path
}

fn resolver(databases: Databases) -> Resolver {
    Resolver::new(databases, Settings { dns: false, ..Settings::default() }).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn has(resolver: &Resolver, address: &str, source: Source, kind: NetworkKind) -> bool {
    resolver.local(ip(address)).evidence.iter().any(|said| said.source == source && said.kind == Some(kind))
}

#[test]
fn maxminds_databases_are_known_by_their_metadata() {
    for (name, kind) in [
        ("one.mmdb", DatabaseKind::Anonymizers),
        ("two.mmdb", DatabaseKind::Anonymizers),
        ("three.mmdb", DatabaseKind::ConnectionTypes),
        ("four.mmdb", DatabaseKind::Domains),
        ("five.mmdb", DatabaseKind::Enterprise),
        ("six.mmdb", DatabaseKind::Enterprise),
        ("seven.mmdb", DatabaseKind::Isp),
    ] {
        let databases = Databases::open(&[test_database(name)]).unwrap();
        let kinds: Vec<_> = databases.status().iter().map(|status| status.kind).collect();
        assert_eq!(kinds, [kind], "{name}");
    }
}

#[test]
fn the_isp_database_names_customers_but_never_the_provider() {
    let resolver = resolver(Databases::open(&[test_database("seven.mmdb")]).unwrap());
    let facts = &resolver.network_facts(ip("1.128.0.1"))[0];
    assert_eq!(
        (facts.organization.as_str(), facts.isp.as_str(), facts.asn),
        ("Telstra Internet", "Telstra Internet", Some(1221))
    );
    let verdict = resolver.local(ip("1.128.0.1"));
    assert_eq!(verdict.company, None);
    assert_eq!(verdict.asn.as_ref().unwrap().number, 1221);
}

#[test]
fn every_kind_of_maxminds_records_speaks_for_its_network_kind() {
    let files = ["one.mmdb", "three.mmdb", "five.mmdb", "six.mmdb"].map(test_database);
    let resolver = resolver(Databases::open(&files).unwrap());
    for (address, kind) in [
        // Anonymous IP: a Tor exit node; an anonymous VPN; a hosting provider.
        ("1.124.213.1", NetworkKind::Anonymizer),
        ("1.2.0.1", NetworkKind::Anonymizer),
        ("71.160.223.1", NetworkKind::Hosting),
        // Connection Type.
        ("80.214.0.1", NetworkKind::Mobile),
        ("201.243.200.1", NetworkKind::Business),
        ("214.78.120.1", NetworkKind::Residential),
        // Enterprise: user types.
        ("1.9.127.107", NetworkKind::Business),
        ("66.92.181.240", NetworkKind::Government),
        ("67.43.156.1", NetworkKind::Crawler),
        ("214.214.214.214", NetworkKind::Hosting),
        ("214.214.214.216", NetworkKind::Residential),
    ] {
        assert!(
            has(&resolver, address, Source::CommercialDatabase, kind),
            "{address}: {:?}",
            resolver.local(ip(address)).evidence
        );
    }
    assert!(resolver.local(ip("1.124.213.1")).is_final, "a Tor exit node is nobody's office");
    let company = |address| resolver.local(ip(address)).company.as_ref().map(|company| company.name.to_string());
    assert_eq!(company("66.92.181.240").as_deref(), Some("Vikco Insurance"), "the customer, not Speakeasy");
    assert_eq!(company("64.17.254.217"), None, "Towerstream is the provider of its business customers");
}

#[test]
fn what_the_door_says_is_what_the_verdict_says() {
    let files: Vec<PathBuf> = ["one", "two", "three", "four", "five", "six", "seven"]
        .map(|name| test_database(&format!("{name}.mmdb")))
        .into();
    let resolver = resolver(Databases::open(&files).unwrap());
    for first in 1..224u8 {
        for second in [0, 64, 128, 200] {
            let address = IpAddr::from([first, second, 1, 1]);
            let (door, verdict) = (resolver.door(address), resolver.local(address));
            assert_eq!((door.kind, door.is_final), (verdict.kind, verdict.is_final), "{address}");
        }
    }
}

#[test]
fn ipinfos_files_are_read_in_their_standard_and_free_forms() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (database_type, record, kind, network, company)) in [
        (
            "ipinfo standard_company.mmdb",
            r#"{"name":"Acme Widgets, Inc.","domain":"acme-widgets.com","type":"business","asn":"AS64500","as_name":"Carrier Ltd","as_domain":"carrier.net","as_type":"isp","country":"US"}"#,
            DatabaseKind::Companies,
            NetworkKind::Business,
            Some("acme-widgets.com"),
        ),
        (
            "ipinfo generic_company_free_sample.mmdb",
            r#"{"name":"Carrier Ltd","domain":"carrier.net","type":"isp","asn":64500,"as_type":"isp"}"#,
            DatabaseKind::Companies,
            NetworkKind::Residential,
            None,
        ),
        (
            "ipinfo standard_asn.mmdb",
            r#"{"asn":"AS64500","domain":"hoster.net","name":"Hoster Ltd","route":"5.0.0.0/8","type":"hosting","country":"DE"}"#,
            DatabaseKind::OperatorTypes,
            NetworkKind::Hosting,
            None,
        ),
        (
            "ipinfo standard_privacy.mmdb",
            r#"{"hosting":"","proxy":"","relay":"","service":"Example VPN","tor":"","vpn":"true"}"#,
            DatabaseKind::Anonymizers,
            NetworkKind::Anonymizer,
            None,
        ),
        (
            "ipinfo ipinfo_core.mmdb",
            r#"{"asn":"AS64500","as_name":"Phones Ltd","as_domain":"phones.net","as_type":"isp","city":"Berlin","country_code":"DE","is_hosting":false,"is_mobile":true,"is_satellite":false}"#,
            DatabaseKind::Companies,
            NetworkKind::Mobile,
            None,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{number}.bin"));
        fs::write(&path, mmdb_writer::database(database_type, &serde_json::from_str(record).unwrap())).unwrap();
        let resolver = resolver(Databases::open(&[path]).unwrap());
        assert_eq!(resolver.database_status()[0].kind, kind, "{database_type}");
        let verdict = resolver.local(ip("5.1.2.3"));
        assert_eq!(verdict.kind, network, "{database_type}: {:?}", verdict.evidence);
        let found = verdict.company.as_ref().and_then(|company| company.domain.as_deref());
        assert_eq!(found, company, "{database_type}");
    }
}

fn with_list(folder: &Path, name: &str, text: &str, rules: &str) -> Resolver {
    let list = folder.join(name);
    fs::write(&list, text).unwrap();
    let rules_file = folder.join("rules.txt");
    fs::write(&rules_file, rules).unwrap();
    let rules = OwnerRules::read(&[], Some(&rules_file)).unwrap();
    resolver(Databases::open(&[list, test_database("seven.mmdb")]).unwrap().with_owner_rules(rules))
}

#[test]
fn the_owners_rules_come_before_the_owners_lists_and_these_before_bought_data() {
    let folder = tempfile::tempdir().unwrap();
    let list = "network,organization,domain\n1.128.0.0/24,Acme Ltd,acme.com\n1.128.1.0/24,Beta GmbH,beta.de\n";
    let rules = "1.128.1.0/28 company gamma.org Gamma\n1.128.2.0/24 own-office\n1.128.3.0/24 ignore\nbeta.de ignore\n10.0.0.0/8 company hq.com Head Office\n";
    for (name, list) in [
        ("list.csv", list.to_owned()),
        (
            "list.ndjson",
            r#"{"network":"1.128.0.0/24","organization":"Acme Ltd","domain":"acme.com"}
{"network":"1.128.1.0/24","organization":"Beta GmbH","domain":"beta.de"}"#
                .to_owned(),
        ),
    ] {
        let resolver = with_list(folder.path(), name, &list, rules);
        let kinds: Vec<_> = resolver.database_status().iter().map(|status| status.kind).collect();
        assert_eq!(kinds, [DatabaseKind::OwnList, DatabaseKind::Isp]);
        for (address, company, left_out) in [
            ("1.128.0.9", Some(("acme.com", "Acme")), None),
            ("1.128.1.1", Some(("gamma.org", "Gamma")), None),
            ("1.128.1.99", Some(("beta.de", "Beta")), Some(LeftOut::Ignored)),
            ("1.128.2.1", None, Some(LeftOut::OwnOffice)),
            ("1.128.3.1", None, Some(LeftOut::Ignored)),
            ("10.1.2.3", Some(("hq.com", "Head Office")), None),
            ("1.128.9.1", None, None),
        ] {
            let verdict = resolver.local(ip(address));
            let found = verdict.company.as_ref().map(|company| (company.domain.as_deref().unwrap(), &*company.name));
            assert_eq!((found, verdict.left_out), (company, left_out), "{address}: {:?}", verdict.evidence);
            if company.is_some() {
                assert_eq!(verdict.company.as_ref().unwrap().source, Source::OwnRule);
            }
        }
    }
    // A name in the domain of a rule, on a network that no rule knows.
    let resolver = with_list(
        folder.path(),
        "list.csv",
        list,
        "partner-of-ours.com company partner-of-ours.com Partner\nnot-for-us.com ignore\n",
    );
    assert_eq!(
        &*resolver.judge_named(Some(ip("1.129.0.1")), "dyn-1-129-0-1.partner-of-ours.com").company.unwrap().name,
        "Partner"
    );
    assert_eq!(resolver.judge_named(Some(ip("1.129.0.1")), "gw.not-for-us.com").left_out, Some(LeftOut::Ignored));
}

#[test]
fn a_list_with_a_bad_row_is_refused_by_file_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.csv");
    fs::write(&list, "network,organization\n5.1.2.0/24,Acme\n5.1.2.0/44,Beta\n").unwrap();
    let error = Databases::open(&[list]).unwrap_err().to_string();
    assert!(error.contains("list.csv, line 3") && error.contains("5.1.2.0/44"), "{error}");
}
