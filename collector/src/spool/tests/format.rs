//! The file format: what old versions wrote stays readable, and damage costs no more than what it touched.

use super::*;
use proptest::prelude::*;
use segment::SegmentKey;

/// A segment of version 1 under the key 07…07, with events 1 and 2 in a frame each and a drop count in the last frame.
/// A change that can't read it needs a new version number and a reader for this one.
const VERSION_1: &[u8] = include_bytes!("segment-v1.bin");

#[test]
fn a_segment_of_version_1_is_still_readable() {
    let contents = SegmentKey::open(VERSION_1, &master()).unwrap().read(VERSION_1);
    let beacons = contents.beacons.iter().cloned().map(Record::Beacon).collect::<Vec<_>>();
    assert_eq!(beacons, [beacon(1), beacon(2)]);
    assert_eq!(contents.drops, [drop_count(20_000, 3)]);
    assert!(contents.finished && contents.damage().is_none());
}

#[test]
fn records_are_encoded_as_version_1_says() {
    let hex =
        |record: &Record| -> String { record.encode().unwrap().iter().map(|byte| format!("{byte:02x}")).collect() };
    assert_eq!(hex(&Record::Drops(drop_count(20_000, 3))), "010473686f70c0b8020203");
    assert_eq!(
        hex(&beacon(1)),
        "0080a0abfef9620473686f70010a3139322e302e322e37370b4d6f7a696c6c612f352e300564652d444500000001100000000000\
         000000000000000000000180a0abfef962001468747470733a2f2f6578616d706c652e636f6d2f0005537461727400dc0b280000"
    );
}

/// A segment with these many records in each frame, and where each frame ends.
fn segment_of(frames: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (key, mut bytes) = SegmentKey::create(Uuid::from_u128(1), &master()).unwrap();
    let (mut ends, mut number) = (Vec::new(), 0);
    for (counter, records) in frames.iter().enumerate() {
        let mut batch = Vec::new();
        for _ in 0..*records {
            batch.extend(beacon(number).encode().unwrap());
            number += 1;
        }
        let last = counter + 1 == frames.len();
        bytes.extend(key.seal_frame(u32::try_from(counter).unwrap(), last, &batch).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// The events of frames that are not in `without`.
fn expected(frames: &[u8], without: &[usize]) -> Vec<u64> {
    let mut number = 0;
    let mut expected = Vec::new();
    for (frame, records) in frames.iter().enumerate() {
        let events = number..number + u64::from(*records);
        number = events.end;
        if !without.contains(&frame) {
            expected.extend(events);
        }
    }
    expected
}

fn events(contents: &segment::Contents) -> Vec<u64> {
    let events = contents.beacons.iter().flat_map(|beacon| &beacon.events);
    events.map(|event| u64::try_from(event.id.as_u128()).unwrap()).collect()
}

proptest! {
    #[test]
    fn flipped_bits_cost_the_frames_they_are_in_and_no_other(
        frames in prop::collection::vec(1..4u8, 1..8),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..6),
    ) {
        let (mut bytes, ends) = segment_of(&frames);
        let key = SegmentKey::open(&bytes, &master()).unwrap();
        let whole = bytes.clone();
        let body = bytes.len() - segment::HEADER_BYTES;
        for (at, bit) in flips {
            bytes[segment::HEADER_BYTES + at.index(body)] ^= 1 << bit;
        }
        let hit: Vec<usize> = (0..ends.len())
            .filter(|frame| {
                let start = if *frame == 0 { segment::HEADER_BYTES } else { ends[*frame - 1] };
                bytes[start..ends[*frame]] != whole[start..ends[*frame]]
            })
            .collect();
        let contents = key.read(&bytes);
        prop_assert_eq!(events(&contents), expected(&frames, &hit));
        let before_the_end = hit.iter().any(|frame| frame + 1 < frames.len() && !(*frame..frames.len()).all(|later| hit.contains(&later)));
        prop_assert_eq!(contents.damage().is_some(), before_the_end);
        prop_assert_eq!(contents.finished, !hit.contains(&(frames.len() - 1)));
    }

    #[test]
    fn a_cut_leaves_every_frame_before_it(
        frames in prop::collection::vec(1..4u8, 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, ends) = segment_of(&frames);
        let key = SegmentKey::open(&bytes, &master()).unwrap();
        let length = segment::HEADER_BYTES + cut.index(bytes.len() - segment::HEADER_BYTES);
        let lost: Vec<usize> = (0..ends.len()).filter(|frame| ends[*frame] > length).collect();
        let contents = key.read(&bytes[..length]);
        prop_assert_eq!(events(&contents), expected(&frames, &lost));
        prop_assert_eq!(contents.damage(), None);
    }

    #[test]
    fn any_bytes_behind_a_header_are_read_without_a_panic_and_hold_nothing(
        garbage in prop::collection::vec(prop_oneof![any::<u8>().prop_map(|byte| vec![byte]), Just(segment::MARK.to_vec())], 0..200),
    ) {
        let (key, mut bytes) = SegmentKey::create(Uuid::from_u128(1), &master()).unwrap();
        bytes.extend(garbage.concat());
        let contents = key.read(&bytes);
        prop_assert!(contents.beacons.is_empty() && contents.drops.is_empty());
    }

    #[test]
    fn any_bytes_are_refused_as_a_header(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SegmentKey::open(&bytes, &master()).is_err());
    }
}
