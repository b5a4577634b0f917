//! What the resolver allocates where it must not. One test alone in its program: the allocator counts for all threads.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{Databases, NameAnswer, Resolver, Settings};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::IpAddr,
    pin::pin,
    task::{Context, Waker},
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell of the calling thread.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the calling thread allocates while it does something.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn a_verdict_that_was_given_before_and_the_door_allocate_nothing() {
    let folder = geoip_data::data_folder().unwrap();
    assert!(
        folder.join("ipinfo_lite.mmdb").exists(),
        "data files are missing: run `cargo xtask test`, which fetches them"
    );
    let settings = Settings { dns: false, ..Settings::default() };
    let resolver = Resolver::new(Databases::open_default().unwrap(), settings).unwrap();
    let addresses: Vec<IpAddr> =
        ["17.1.2.3", "84.131.161.178", "8.8.8.8", "2a00:1450::1", "10.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec();
    let ask = || {
        for ip in &addresses {
            std::hint::black_box((resolver.door(*ip), resolver.local(*ip)));
        }
        for ip in &addresses {
            // Polled by hand: a runtime puts a future of this size into a box, in programs built for debugging.
            let mut verdict = pin!(resolver.resolve(*ip));
            assert!(verdict.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    };
    // The second round already finds everything; what is lazy in the libraries has happened by then too.
    assert!(allocations(ask) > 0, "the counter counts");
    ask();
    assert_eq!(allocations(ask), 0);
    // A verdict on a known network allocates a little: the verdict's own lists, no sentence and no name.
    let fresh = allocations(|| {
        std::hint::black_box(resolver.judge(Some("17.1.2.4".parse().unwrap()), NameAnswer::NotAsked));
    });
    assert!(fresh <= 2, "{fresh} allocations");
}
