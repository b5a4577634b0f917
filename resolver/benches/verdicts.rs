//! What one verdict costs, in CPU time: `cargo bench -p firmsight-resolver --bench verdicts`.
//!
//! Random public IPv4 addresses, so that every look-up meets another part of the files: the worst case for memory caches.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark has nobody to answer to")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firmsight_resolver::{Databases, Resolver, Settings};
use std::{hint::black_box, net::IpAddr};

/// Addresses that a test walks through, again and again.
const ADDRESSES: usize = 100_000;

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
    let resolver = Resolver::new(Databases::open_default().unwrap(), settings).unwrap();
    let addresses = random_addresses();
    for address in &addresses {
        black_box(resolver.door(*address));
    }
    let mut next = addresses.iter().cycle();
    let mut group = criterion.benchmark_group("verdict");
    group.throughput(Throughput::Elements(1));
    group.bench_function("door", |bencher| bencher.iter(|| resolver.door(*next.next().unwrap())));
    group.bench_function("local", |bencher| bencher.iter(|| resolver.local(*next.next().unwrap())));
    group.bench_function("name", |bencher| {
        bencher.iter(|| resolver.judge_named(None, black_box("host-84-131.dsl.example-provider.net")));
    });
    group.finish();
}

criterion_group!(benches, verdicts);
criterion_main!(benches);
