//! What one beacon costs at the door, in CPU time: `cargo bench -p collector --bench ingest`.
//!
//! The sink keeps nothing and the judge knows one answer, so that what is measured is ingest itself:
//! decoding, the table of steps, the record, the answer. Socket and disk are `cargo xtask bench ingest`'s.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark has nobody to answer to")]

use arc_swap::ArcSwap;
use beacon::Beacon;
use bytes::Bytes;
use collector::{
    counters::Counters,
    ingest::{EventSink, LocalJudge, LocalJudgement, Peer, PublicService, Settings},
    site::Site,
    snapshot::Snapshot,
    spool::{
        AppendError,
        record::{DropCount, Record},
    },
    time::UnixMillis,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use firmsight_resolver::NetworkKind;
use http::Request;
use http_body_util::Full;
use std::{hint::black_box, net::IpAddr, sync::Arc};
use tower::ServiceExt;

struct Nowhere;

impl EventSink for Nowhere {
    async fn append(&self, record: &Record) -> Result<(), AppendError> {
        black_box(record);
        Ok(())
    }

    fn note_drops(&self, _: DropCount) {}

    fn check(&self) -> Result<(), AppendError> {
        Ok(())
    }
}

struct Anywhere;

impl LocalJudge for Anywhere {
    fn judge(&self, _: IpAddr) -> LocalJudgement {
        LocalJudgement { kind: NetworkKind::Business, is_final: false, left_out: None }
    }
}

const BEACON: &str = concat!(
    r#"{"v":1,"site":"acme","consent":"granted","sent":1800000001000,"client":"LF1.1.0123456789abcdef.1700000000000","#,
    r#""events":[{"id":"00000000-0000-4000-8000-000000000001","at":1800000000000,"type":"pageview","#,
    r#""url":"https://www.example.com/products/industrial-pumps?utm_source=newsletter&utm_medium=email","#,
    r#""referrer":"https://www.example.org/search?q=pumps","title":"Industrial pumps - Example"},"#,
    r#"{"id":"00000000-0000-4000-8000-000000000002","at":1800000000900,"type":"engagement","#,
    r#""url":"https://www.example.com/products/industrial-pumps","page":"00000000-0000-4000-8000-000000000001","visible_ms":850}]}"#
);

fn service() -> PublicService<Nowhere> {
    let site = Site::new("acme".parse().unwrap(), "Acme", ["www.example.com"]);
    let sites = [(site.id.clone(), Arc::new(site))].into();
    PublicService::new(
        Settings { beacons_per_address_per_minute: u32::MAX, ..Settings::default() },
        Arc::new(ArcSwap::from_pointee(Snapshot { sites, loaded: true, ..Snapshot::default() })),
        Arc::new(Counters::default()),
        Nowhere,
        Arc::new(Anywhere),
        Arc::new(UnixMillis::now),
    )
}

fn request() -> Request<Full<Bytes>> {
    Request::post("/lfa")
        .header("host", "www.example.com")
        .header("origin", "https://www.example.com")
        .header("content-type", "text/plain;charset=UTF-8")
        .header("accept-language", "de-DE,de;q=0.9,en;q=0.8")
        .header(
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        )
        .extension(Peer("203.0.113.7:50000".parse().unwrap()))
        .body(Full::new(Bytes::from_static(BEACON.as_bytes())))
        .unwrap()
}

fn ingest(criterion: &mut Criterion) {
    criterion.bench_function("decode a beacon of two events", |bencher| {
        bencher.iter(|| black_box(Beacon::decode(black_box(BEACON.as_bytes())).unwrap()).events.len());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = service();
    criterion.bench_function("a beacon of two events through the service", |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                let answer = runtime.block_on(service.clone().oneshot(request)).unwrap();
                assert_eq!(answer.status(), 204);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, ingest);
criterion_main!(benches);
