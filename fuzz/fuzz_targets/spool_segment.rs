//! Segments of the spool, as a disk gives them back.
//!
//! Random bytes never pass the seal, so the input is sealed as the writer does it: batches of records, separated by
//! three bytes of 0xff. Its first three bytes damage the file: where, and with what.
#![no_main]

use collector::{
    sealing::MasterKey,
    spool::{fuzzing, record::Record},
};

fn batches(input: &[u8]) -> Vec<&[u8]> {
    let mut rest = input;
    let mut found = Vec::new();
    while let Some(at) = rest.windows(3).position(|window| window == [0xff; 3]) {
        found.push(&rest[..at]);
        rest = &rest[at + 3..];
    }
    found.push(rest);
    found
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let key = MasterKey::from_bytes([7; 32]);
    assert_eq!(fuzzing::read_segment(input, &key), None, "what was never sealed opened");
    let Some((&[high, low, damage], input)) = input.split_first_chunk::<3>() else { return };

    let mut file = fuzzing::seal_segment(&batches(input), &key).expect("randomness");
    let whole = fuzzing::read_segment(&file, &key).expect("an undamaged header opens");

    let encoded: Vec<Vec<u8>> = whole.iter().map(|record| fuzzing::encode(record).expect("a record")).collect();
    let again: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    let again = fuzzing::seal_segment(&again, &key).expect("randomness");
    assert_eq!(fuzzing::read_segment(&again, &key).as_ref(), Some(&whole), "records change when written again");

    let at = usize::from(u16::from_be_bytes([high, low])) % file.len();
    match damage {
        0 => file.truncate(at),
        mask => file[at] ^= mask,
    }
    let saved: Vec<Record> = fuzzing::read_segment(&file, &key).unwrap_or_default();
    let mut rest = whole.iter();
    assert!(saved.iter().all(|record| rest.any(|own| own == record)), "damage made records or mixed them up");
});
