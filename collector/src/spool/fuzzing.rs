//! Segments as bytes, for `fuzz/`: no part of the library's interface.

use super::{record::Record, segment::SegmentKey};
use crate::sealing::{MasterKey, SealingError};
use uuid::Uuid;

/// A finished segment's file with these batches, one frame each.
///
/// # Errors
/// When there is no randomness for its key.
pub fn seal_segment(batches: &[&[u8]], master: &MasterKey) -> Result<Vec<u8>, SealingError> {
    let (key, mut file) = SegmentKey::create(Uuid::nil(), master)?;
    for (counter, batch) in (0..).zip(batches) {
        let last = counter as usize + 1 == batches.len();
        file.extend(key.seal_frame(counter, last, batch).unwrap_or_default());
    }
    Ok(file)
}

/// What a segment's file holds, beacons before drops; `None` when its header does not open.
#[must_use]
pub fn read_segment(file: &[u8], master: &MasterKey) -> Option<Vec<Record>> {
    let contents = SegmentKey::open(file, master).ok()?.read(file);
    let beacons = contents.beacons.into_iter().map(Record::Beacon);
    Some(beacons.chain(contents.drops.into_iter().map(Record::Drops)).collect())
}

/// A record's bytes in a batch; `None` where it can't be stored.
#[must_use]
pub fn encode(record: &Record) -> Option<Vec<u8>> {
    record.encode().ok()
}
