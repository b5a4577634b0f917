//! What one verdict costs, in time: `cargo bench -p firmsight-resolver --bench verdicts`.
//!
//! `door` and `local` judge random public IPv4 addresses, so that every look-up meets another network and another part of
//! the files: the worst case for memory caches. The files are warm: each address was judged once before. `cached` is the
//! same address coming again. `name` reads host names of every sort, `name_with_address` where their address is known.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark has nobody to answer to")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firmsight_resolver::{Databases, NameAnswer, Resolver, Settings};
use std::{hint::black_box, net::IpAddr};

/// Addresses that a test walks through, again and again.
const ADDRESSES: usize = 100_000;

/// Names as they are met: pools that spell addresses, organisations' hosts, providers' machines, clouds, odd ones.
const NAMES: [&str; 16] = [
    "p5483a1b2.dip0.t-ipconnect.de",
    "host-84-131.dsl.example-provider.net",
    "c-73-158-22-9.hsd1.ca.comcast.net",
    "nat-pool-muc-t.redhat.com",
    "mail.example-manufacturing.com",
    "ec2-54-210-11-7.compute-1.amazonaws.com",
    "cust-203-0-113-80.static.provider.example.com",
    "vpn-gw1.hq.example-bank.co.uk",
    "177-20-33-80.user.example.net.br",
    "ae-4.r21.frnkge13.de.bb.gin.ntt.net",
    "wlan-staff-17.campus.example-university.edu",
    "smtp-out2.example.org",
    "2.0.f.5.a.b.1.0.8.b.d.0.1.0.0.2.rev.example.fr",
    "adsl-75-11-9-200.dsl.snantx.sbcglobal.net",
    "h1839204.stratoserver.net",
    "unused.example.gov",
];

fn random_addresses() -> Vec<IpAddr> {
    let mut state = 1u64;
    let mut addresses = Vec::with_capacity(ADDRESSES);
    while addresses.len() < ADDRESSES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [first, second, third, fourth, ..] = state.to_be_bytes();
        if (1..224).contains(&first) && !matches!(first, 10 | 127) {
            addresses.push(IpAddr::from([first, second, third, fourth]));
        }
    }
    addresses
}

fn verdicts(criterion: &mut Criterion) {
    let settings = Settings { dns: false, ..Settings::default() };
    let databases = Databases::open_default().unwrap();
    databases.prepare();
    let resolver = Resolver::new(databases, settings).unwrap();
    let addresses = random_addresses();
    for address in &addresses {
        black_box(resolver.judge(Some(*address), NameAnswer::NotAsked));
    }
    let mut next = addresses.iter().cycle();
    let mut names = NAMES.iter().cycle();
    let mut group = criterion.benchmark_group("verdict");
    group.throughput(Throughput::Elements(1));
    group.bench_function("door", |bencher| bencher.iter(|| resolver.door(*next.next().unwrap())));
    group.bench_function("local", |bencher| {
        bencher.iter(|| resolver.judge(Some(*next.next().unwrap()), NameAnswer::NotAsked));
    });
    let mut again = addresses.iter().take(10_000).cycle();
    for address in again.by_ref().take(10_000) {
        black_box(resolver.local(*address));
    }
    group.bench_function("cached", |bencher| bencher.iter(|| resolver.local(*again.next().unwrap())));
    group.bench_function("name", |bencher| {
        bencher.iter(|| resolver.judge_named(None, black_box(names.next().unwrap())));
    });
    group.bench_function("name_with_address", |bencher| {
        bencher.iter(|| resolver.judge_named(next.next().copied(), black_box(names.next().unwrap())));
    });
    group.finish();
}

criterion_group!(benches, verdicts);
criterion_main!(benches);
