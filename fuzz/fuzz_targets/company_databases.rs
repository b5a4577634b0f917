//! Databases that name organisations: MaxMind's and IPinfo's commercial ones, and the owner's lists, read and weighed.
#![no_main]

use firmsight_fuzz::with_file;
use firmsight_resolver::fuzzing;
use std::net::IpAddr;

const ADDRESSES: [[u8; 4]; 4] = [[0, 0, 0, 0], [8, 8, 8, 8], [198, 51, 100, 7], [255, 255, 255, 255]];

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let mut addresses = ADDRESSES.map(IpAddr::from).to_vec();
    addresses.extend(["::1", "2001:db8::1", "ffff::"].map(|text| text.parse::<IpAddr>().unwrap()));
    with_file(file, |path| match fuzzing::read_data_file(path, &addresses) {
        Ok(status) => assert_eq!(status.len(), 1),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
});
