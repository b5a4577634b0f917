//! Datagrams of name servers.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| firmsight_resolver::fuzzing::read_dns_answer(datagram));
