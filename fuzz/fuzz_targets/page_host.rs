//! The host of a page: of URLs, of Origin and Host headers.
#![no_main]

use collector::ingest::page_host::Host;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for host in [Host::of_url(text), Host::of_authority(text)].into_iter().flatten() {
        assert!(host.is(&host));
        if let Host::Name(name) = host {
            assert!(text.contains(name) && !name.contains(['/', '?', '#', '@', ':']) || !text.contains("://"));
            if let Some(domain) = host.registrable_domain() {
                assert!(name.to_ascii_lowercase().ends_with(&domain));
            }
        }
    }
});
