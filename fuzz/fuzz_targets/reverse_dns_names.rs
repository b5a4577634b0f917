//! Names from reverse DNS, which whoever holds an address block writes freely.
//!
//! The first four bytes are the address that the name belongs to.
#![no_main]

use firmsight_resolver::{Databases, Resolver, Settings, explain, to_json};
use std::{net::IpAddr, sync::LazyLock};

static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| {
    let settings = Settings { dns: false, ..Settings::default() };
    Resolver::new(Databases::none(), settings).expect("our own rules compile")
});

libfuzzer_sys::fuzz_target!(|input: ([u8; 4], &str)| {
    let (address, name) = input;
    for ip in [None, Some(IpAddr::from(address))] {
        let verdict = RESOLVER.judge_named(ip, name);
        let shown = to_json("", &verdict).to_string();
        assert!(!explain(&verdict).is_empty());
        let shouted = RESOLVER.judge_named(ip, &name.to_ascii_uppercase());
        assert_eq!(to_json("", &shouted).to_string(), shown, "letter case changed the verdict");
    }
});
