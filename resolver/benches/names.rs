//! What a name costs that is in the cache of reverse DNS: `cargo bench -p firmsight-resolver --bench names`.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firmsight_resolver::fuzzing::Names;
use std::{hint::black_box, net::Ipv4Addr, time::Instant};

/// As many as are remembered by default.
const ADDRESSES: u32 = 200_000;

fn names(criterion: &mut Criterion) {
    let mut names = Names::of(ADDRESSES);
    let now = Instant::now();
    let mut next = 0u32;
    let mut group = criterion.benchmark_group("reverse DNS");
    group.throughput(Throughput::Elements(1));
    group.bench_function("cached name", |bencher| {
        bencher.iter(|| {
            // Steps through all of them in an order that no memory cache foresees.
            next = (next + 104_729) % ADDRESSES;
            black_box(names.get(Ipv4Addr::from(next).into(), now))
        });
    });
    group.finish();
}

criterion_group!(benches, names);
criterion_main!(benches);
