//! Whole requests to the public side: pixel query, tracker query, beacon and opt-out form with their headers.
//!
//! The first byte chooses the kind of request. Lines follow: query, Referer, Origin, Cookie, User-Agent,
//! Accept-Language, Host; what remains is the body.
#![no_main]

#[path = "../../collector/tests/public_support/mod.rs"]
mod public_support;

use bytes::Bytes;
use collector::ingest::Peer;
use firmsight_fuzz::choice;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use public_support::{COMPANY, Setup};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

const KINDS: &[(&str, &str)] =
    &[("GET", "/lfa.gif"), ("POST", "/lfa"), ("POST", "/lfa/privacy"), ("GET", "/lfa/privacy"), ("GET", "/lfa.js")];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (kind, input) = choice(input);
    let (method, path) = KINDS[kind % KINDS.len()];
    let mut parts = input.splitn(8, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let address = [path.as_bytes(), b"?", next()].concat();
    let mut request = Request::builder().method(method).uri(&address[..]).extension(Peer(COMPANY.parse().unwrap()));
    for name in
        [header::REFERER, header::ORIGIN, header::COOKIE, header::USER_AGENT, header::ACCEPT_LANGUAGE, header::HOST]
    {
        if let Ok(value) = HeaderValue::from_bytes(next()) {
            request = request.header(name, value);
        }
    }
    // An address that hyper would refuse never reaches the service.
    let Ok(request) = request.body(Full::new(Bytes::copy_from_slice(next()))) else { return };
    let setup = Setup::new();
    let answer = RUNTIME.with(|runtime| runtime.block_on(setup.send(request)));
    assert!(!answer.status.is_server_error() || answer.status == 503, "{}", answer.status);
    setup.balance();
});
