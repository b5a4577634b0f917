//! Lists of networks made into one file: what it answers is what the lists say, whatever their size, form and overlaps.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::network_lists::{BuildError, BuildOptions, BuildReport, ListForm, ListInput, build};
use maxminddb::Reader;
use proptest::prelude::*;
use serde::Deserialize;
use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Record {
    name: String,
    domain: String,
    kind: String,
}

struct Built {
    report: BuildReport,
    reader: Reader<Vec<u8>>,
}

impl Built {
    fn at(&self, ip: &str) -> Option<Record> {
        self.of(ip.parse().unwrap())
    }

    fn of(&self, ip: IpAddr) -> Option<Record> {
        self.reader.lookup(ip).unwrap().decode().unwrap()
    }

    fn name(&self, ip: &str) -> Option<String> {
        self.at(ip).map(|record| record.name)
    }
}

fn build_in(folder: &Path, inputs: &[(ListForm, &str)], entries_in_memory: usize) -> Result<Built, BuildError> {
    let inputs = inputs
        .iter()
        .map(|(form, text)| ListInput { path: Path::new("list"), form: *form, text: Box::new(text.as_bytes()) })
        .collect();
    let output = folder.join("out.mmdb");
    let options = BuildOptions { output: &output, built_at: 1_790_000_000, description: "test", entries_in_memory };
    let report = build(inputs, &options, &mut |_| {})?;
    let reader = Reader::from_source(fs::read(&output).unwrap()).unwrap();
    reader.verify().unwrap();
    Ok(Built { report, reader })
}

fn built(inputs: &[(ListForm, &str)]) -> Result<Built, BuildError> {
    build_in(tempfile::tempdir().unwrap().path(), inputs, 1000)
}

fn csv(text: &str) -> Built {
    built(&[(ListForm::Csv, text)]).unwrap()
}

#[test]
fn columns_are_known_by_the_names_that_publishers_use() {
    for text in [
        "network,organization,domain\n5.1.2.0/24,Acme Ltd,acme.com\n",
        "Network;Company Name;Website\r\n5.1.2.0/24;Acme Ltd;https://www.acme.com/about\r\n",
        "start_ip\tend_ip\torg\tdomain\n5.1.2.0\t5.1.2.255\tAcme Ltd\tACME.com\n",
        "ip_from,ip_to,isp,domain\n83952128,83952383,Acme Ltd,mail.acme.com\n",
        "\u{feff}\"cidr\",\"name\",\"domain\"\n\"5.1.2.0/24\",\"Acme Ltd\",\"acme.com\"\n".replace('"', "").as_str(),
        "network,as_organization,as_domain\n# a remark\n5.1.2.0-5.1.2.255,Acme Ltd,acme.com\n",
    ] {
        let found = csv(text);
        assert_eq!(found.report.left_out, 0, "{text}: {:?}", found.report.problems);
        let record = found.at("5.1.2.77").unwrap();
        assert_eq!((record.name.as_str(), record.domain.as_str()), ("Acme Ltd", "acme.com"), "{text}");
        assert_eq!(found.at("5.1.3.0"), None, "{text}");
        assert_eq!(found.at("5.1.1.255"), None, "{text}");
    }
}

#[test]
fn json_lines_may_nest_the_company() {
    let text = r#"{"network":"5.1.2.0/24","company":{"name":"Acme Ltd","domain":"acme.com","type":"business"}}
{"start":"2a02:100::","end":"2a02:101:ffff:ffff:ffff:ffff:ffff:ffff","organisation":"Beta","website":"http://beta.example.org"}
"#;
    let found = built(&[(ListForm::Ndjson, text)]).unwrap();
    let record = found.at("5.1.2.3").unwrap();
    assert_eq!(
        (record.name.as_str(), record.domain.as_str(), record.kind.as_str()),
        ("Acme Ltd", "acme.com", "business")
    );
    assert_eq!(found.at("2a02:101::1").unwrap().domain, "example.org");
}

#[test]
fn the_narrower_network_wins_and_of_equal_ones_the_list_named_first() {
    let first = "network,name\n5.0.0.0/8,Carrier\n5.1.2.0/24,Acme\n5.1.2.128/25,Acme Labs\n5.1.2.7,One Desk\n";
    let second = "network,name\n5.1.2.0/24,Somebody Else\n5.9.0.0/16,Beta\n";
    let found = built(&[(ListForm::Csv, first), (ListForm::Csv, second)]).unwrap();
    for (ip, name) in [
        ("5.0.0.1", "Carrier"),
        ("5.1.2.6", "Acme"),
        ("5.1.2.7", "One Desk"),
        ("5.1.2.8", "Acme"),
        ("5.1.2.200", "Acme Labs"),
        ("5.1.3.0", "Carrier"),
        ("5.9.1.1", "Beta"),
        ("5.255.255.255", "Carrier"),
    ] {
        assert_eq!(found.name(ip).as_deref(), Some(name), "{ip}");
    }
    assert_eq!(found.at("6.0.0.0"), None);
    assert_eq!(found.report.repeated, 1);
}

#[test]
fn another_database_is_an_input_too() {
    let folder = tempfile::tempdir().unwrap();
    build_in(folder.path(), &[(ListForm::Csv, "network,name,domain\n5.1.2.0/24,Acme,acme.com\n2a02::/32,Beta,\n")], 10)
        .unwrap();
    let bought = folder.path().join("bought.mmdb");
    fs::rename(folder.path().join("out.mmdb"), &bought).unwrap();
    let output = folder.path().join("all.mmdb");
    let inputs = vec![
        ListInput {
            path: Path::new("ours"),
            form: ListForm::Csv,
            text: Box::new(&b"network,name\n5.1.2.0/25,Ours\n"[..]),
        },
        ListInput { path: &bought, form: ListForm::Mmdb, text: Box::new(std::io::empty()) },
    ];
    let options = BuildOptions { output: &output, built_at: 0, description: "", entries_in_memory: 10 };
    build(inputs, &options, &mut |_| {}).unwrap();
    let found =
        Built { report: BuildReport::default(), reader: Reader::from_source(fs::read(&output).unwrap()).unwrap() };
    for (ip, name) in [("5.1.2.1", "Ours"), ("5.1.2.129", "Acme"), ("2a02::1", "Beta")] {
        assert_eq!(found.name(ip).as_deref(), Some(name), "{ip}");
    }
}

#[test]
fn rows_that_say_nothing_usable_are_left_out_and_named() {
    let text = "network,name,domain\n5.1.2.0/24,Acme,\nnonsense,Beta,\n,Gamma,\n5.2.0.0/16,,\n0.0.0.0/0,World,\n::/64,Hole,\n\
                5.3.0.9-5.3.0.1,Backwards,\n5.4.0.0/16,,acme.com\n::ffff:5.5.0.0/112,Mapped,\n";
    let found = csv(text);
    assert_eq!((found.report.rows, found.report.left_out), (9, 6));
    for (line, part) in [
        (3, "nonsense"),
        (4, "no network"),
        (5, "neither a name nor a domain"),
        (6, "too wide"),
        (7, "too wide"),
        (8, "ends before"),
    ] {
        let problem = &found.report.problems[line - 3];
        assert!(problem.contains(&format!("line {line}:")) && problem.contains(part), "{problem}");
    }
    assert_eq!(found.at("5.4.1.1").unwrap().domain, "acme.com");
    assert_eq!(found.name("5.5.1.1").as_deref(), Some("Mapped"));
}

#[test]
fn what_is_no_list_is_refused_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    build_in(folder.path(), &[(ListForm::Csv, "network,name\n5.1.2.0/24,Acme\n")], 10).unwrap();
    let before = fs::read(folder.path().join("out.mmdb")).unwrap();
    for (form, text, part) in [
        (ListForm::Csv, "a,b,c\n1,2,3\n", "names no column `network`"),
        (ListForm::Csv, "network,remark\n5.1.2.0/24,x\n", "names no column `organization` or `domain`"),
        (ListForm::Csv, "", "names no column"),
        (ListForm::Csv, "network,name\n", "no row names a network"),
        (ListForm::Ndjson, "{\n[]\n", "not a JSON object"),
        (ListForm::Mmdb, "", "list: No such file"),
    ] {
        let error = build_in(folder.path(), &[(form, text)], 10).err().unwrap().to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    }
    assert_eq!(fs::read(folder.path().join("out.mmdb")).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files stay behind");
}

/// A network of a few bits in a small corner of either address space, so that many overlap.
fn network() -> impl Strategy<Value = (IpAddr, u8)> {
    prop_oneof![
        (any::<u8>(), 22u8..=32).prop_map(|(bits, prefix)| {
            let address = 0x0501_0200 | u32::from(bits);
            (IpAddr::from(Ipv4Addr::from(address & (u32::MAX << (32 - u32::from(prefix))))), prefix)
        }),
        (any::<u8>(), 118u8..=128).prop_map(|(bits, prefix)| {
            let address = 0x2a02 << 112 | u128::from(bits);
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (IpAddr::from(Ipv6Addr::from(address & mask)), prefix)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_address_leads_to_the_longest_prefix_that_was_read_first(
        networks in prop::collection::vec((network(), 0u8..5), 1..60),
        entries_in_memory in 1usize..80,
    ) {
        let mut text = "network,name\n".to_owned();
        let mut first: HashMap<(IpAddr, u8), u8> = HashMap::new();
        for ((ip, prefix), company) in &networks {
            text.push_str(&format!("{ip}/{prefix},Company {company}\n"));
            first.entry((*ip, *prefix)).or_insert(*company);
        }
        let folder = tempfile::tempdir().unwrap();
        let found = build_in(folder.path(), &[(ListForm::Csv, &text)], entries_in_memory).unwrap();
        for last in 0..=255u8 {
            let v4 = IpAddr::from([5, 1, 2, last]);
            let v6 = IpAddr::from(Ipv6Addr::from(0x2a02 << 112 | u128::from(last)));
            for ip in [v4, v6] {
                let holding = first.iter().filter(|((network, prefix), _)| {
                    ipnet::IpNet::new(*network, *prefix).unwrap().contains(&ip)
                });
                let expected = holding.max_by_key(|((_, prefix), _)| *prefix).map(|(_, company)| format!("Company {company}"));
                prop_assert_eq!(found.of(ip).map(|record| record.name), expected, "{}", ip);
            }
        }
    }
}
