//! A segment's format: bytes in, bytes out, no files.
//!
//! ```text
//! header  magic (8) ‖ version u16 ‖ segment id (16) ‖ data key sealed under the master key (60)
//! frame   mark (4) ‖ counter u32 ‖ length u32, top bit: last frame ‖ sealed batch (length bytes)
//! ```
//! Integers are little-endian. The data key is random per segment, and is sealed with magic, version and id as context.
//! A batch is any number of encoded [`Record`]s end to end, sealed with AES-256-GCM: the nonce is the frame's counter,
//! which never repeats under one data key because a segment has one writer and is never appended to after a restart; the
//! associated data are segment id and frame header. So every byte of a frame is authenticated, with its place.
//!
//! The mark lets a reader find the next frame behind damage, wherever the damage is: one bad frame costs that frame.
//! What does not verify at the *end* of a segment without a last frame is what a crash interrupted: it was never
//! acknowledged. (A flipped bit in the very last frame of such a segment looks the same; nothing in the file can tell.)

use super::record::{DropCount, Record, SpooledBeacon};
use crate::sealing::{self, KEY_BYTES, MasterKey, SEAL_BYTES, SealingError, TAG_BYTES};
use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, Payload},
};
use std::ops::Range;
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"fs-spool";
/// Raised whenever the header, the frames or [`Record`]'s encoding change, a new code included (`codes`). Every version from 1 on
/// is read; one whose records have other fields needs a reader of its own.
pub(super) const VERSION: u16 = 2;
pub(super) const VERSION_AT: usize = MAGIC.len();
const ID_AT: usize = VERSION_AT + size_of::<u16>();
const CONTEXT_BYTES: usize = ID_AT + size_of::<Uuid>();
/// Where the sealed data key stands in a segment; zeros there destroy all it holds.
pub(super) const SEALED_KEY: Range<usize> = CONTEXT_BYTES..CONTEXT_BYTES + KEY_BYTES + SEAL_BYTES;
pub(super) const HEADER_BYTES: usize = SEALED_KEY.end;

pub(super) const MARK: [u8; 4] = [0xf5, b'F', b'R', b'M'];
const FRAME_HEADER_BYTES: usize = MARK.len() + 4 + 4;
const LAST: u32 = 1 << 31;
/// What a frame adds to its batch, in bytes.
pub(super) const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + TAG_BYTES;

/// A segment's identity and data key.
pub(super) struct SegmentKey {
    id: Uuid,
    cipher: Aes256Gcm,
}

impl std::fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentKey({})", self.id)
    }
}

/// Why a file can't be opened as a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    /// A crash came before anything was written; nothing in it was ever acknowledged.
    #[error("it was created and never written")]
    NeverWritten,
    /// Its removal was interrupted.
    #[error("its data key was destroyed: it was stored and about to be removed")]
    KeyDestroyed,
    #[error("its header is cut short: {0} bytes of {HEADER_BYTES}")]
    Truncated(usize),
    #[error("it is no spool segment")]
    NotASegment,
    #[error("a newer version of firmsight wrote it (format {0}; this one reads up to {VERSION})")]
    Newer(u16),
    #[error("its data key does not open: it was written under another master key, or its header was damaged")]
    KeyRefused,
}

impl SegmentKey {
    /// A new segment's key and header.
    pub(super) fn create(id: Uuid, master: &MasterKey) -> Result<(Self, Vec<u8>), SealingError> {
        let key = sealing::random_key()?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(id.as_bytes());
        let sealed = master.seal(&header, &key);
        header.extend_from_slice(&sealed);
        Ok((Self { id, cipher: sealing::cipher(&key) }, header))
    }

    /// Reads a segment's header.
    pub(super) fn open(bytes: &[u8], master: &MasterKey) -> Result<Self, HeaderError> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderError::NeverWritten);
        }
        let header = bytes.get(..HEADER_BYTES).ok_or(HeaderError::Truncated(bytes.len()))?;
        if !header.starts_with(&MAGIC) {
            return Err(HeaderError::NotASegment);
        }
        let version = u16::from_le_bytes([header[VERSION_AT], header[VERSION_AT + 1]]);
        match version {
            1..=VERSION => {}
            0 => return Err(HeaderError::NotASegment),
            _ => return Err(HeaderError::Newer(version)),
        }
        if header[SEALED_KEY].iter().all(|byte| *byte == 0) {
            return Err(HeaderError::KeyDestroyed);
        }
        let key = master
            .open(&header[..CONTEXT_BYTES], &header[SEALED_KEY])
            .ok()
            .and_then(|key| <[u8; KEY_BYTES]>::try_from(key).ok())
            .ok_or(HeaderError::KeyRefused)?;
        let id = Uuid::from_slice(&header[ID_AT..CONTEXT_BYTES]).map_err(|_| HeaderError::NotASegment)?;
        Ok(Self { id, cipher: sealing::cipher(&key) })
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Seals a batch of encoded records as the frame `counter`. The caller never repeats a counter.
    pub(super) fn seal_frame(&self, counter: u32, last: bool, batch: &[u8]) -> Result<Vec<u8>, FrameTooLong> {
        let length =
            u32::try_from(batch.len() + TAG_BYTES).ok().filter(|length| length & LAST == 0).ok_or(FrameTooLong)?;
        let mut frame = Vec::with_capacity(FRAME_OVERHEAD_BYTES + batch.len());
        frame.extend_from_slice(&MARK);
        frame.extend_from_slice(&counter.to_le_bytes());
        frame.extend_from_slice(&(length | if last { LAST } else { 0 }).to_le_bytes());
        let associated = self.associated_data(&frame);
        let payload = Payload { msg: batch, aad: &associated };
        let sealed = self.cipher.encrypt(&frame_nonce(counter), payload).map_err(|_| FrameTooLong)?;
        frame.extend_from_slice(&sealed);
        Ok(frame)
    }

    fn associated_data(&self, frame_header: &[u8]) -> Vec<u8> {
        [self.id.as_bytes(), frame_header].concat()
    }

    /// The frame that starts at `bytes[0]`, if a whole one that verifies does.
    fn open_frame(&self, bytes: &[u8]) -> Option<Frame> {
        let (header, rest) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
        if !header.starts_with(&MARK) {
            return None;
        }
        let counter = u32::from_le_bytes(header[4..8].try_into().ok()?);
        let flagged = u32::from_le_bytes(header[8..12].try_into().ok()?);
        let sealed = rest.get(..usize::try_from(flagged & !LAST).ok()?)?;
        let payload = Payload { msg: sealed, aad: &self.associated_data(header) };
        let batch = self.cipher.decrypt(&frame_nonce(counter), payload).ok()?;
        Some(Frame { counter, last: flagged & LAST != 0, batch, bytes: FRAME_HEADER_BYTES + sealed.len() })
    }

    /// Reads what verifies in a segment's file, each frame once and in order.
    pub(super) fn read(&self, bytes: &[u8]) -> Contents {
        let mut contents = Contents::default();
        let mut at = HEADER_BYTES.min(bytes.len());
        let mut expected = 0;
        let mut unverified: u64 = 0;
        while at < bytes.len() && !contents.finished {
            match self.open_frame(&bytes[at..]) {
                Some(frame) if frame.counter >= expected => {
                    contents.lost_frames += frame.counter - expected;
                    contents.lost_bytes += std::mem::take(&mut unverified);
                    contents.take_batch(&frame.batch);
                    contents.finished = frame.last;
                    expected = frame.counter.saturating_add(1);
                    at += frame.bytes;
                }
                _ => {
                    let skipped = next_mark(&bytes[at + 1..]).map_or(bytes.len() - at, |found| found + 1);
                    unverified += skipped as u64;
                    at += skipped;
                }
            }
        }
        contents.torn_bytes = unverified;
        contents
    }
}

/// A batch is over 2 GiB.
#[derive(Debug, thiserror::Error)]
#[error("a batch of 2 GiB or more can't be one frame")]
pub(super) struct FrameTooLong;

struct Frame {
    counter: u32,
    last: bool,
    batch: Vec<u8>,
    bytes: usize,
}

fn frame_nonce(counter: u32) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; sealing::NONCE_BYTES];
    nonce[8..].copy_from_slice(&counter.to_le_bytes());
    Nonce::from(nonce)
}

fn next_mark(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MARK.len()).position(|window| window == MARK)
}

/// What could be read from a segment.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) beacons: Vec<SpooledBeacon>,
    pub(super) drops: Vec<DropCount>,
    /// Whether the writer finished it, so that nothing may be missing.
    pub(super) finished: bool,
    /// Frames in the middle that do not verify.
    pub(super) lost_frames: u32,
    /// The bytes in their place.
    pub(super) lost_bytes: u64,
    /// Frames that verify and yet hold no records: a defect of the writer.
    pub(super) unreadable_frames: u32,
    /// Bytes at the end that do not verify.
    pub(super) torn_bytes: u64,
}

impl Contents {
    pub(super) fn events(&self) -> u64 {
        self.beacons.iter().map(|beacon| beacon.events.len() as u64).sum()
    }

    fn take_batch(&mut self, mut batch: &[u8]) {
        while !batch.is_empty() {
            match Record::decode(batch) {
                Ok((Record::Beacon(beacon), rest)) => {
                    self.beacons.push(beacon);
                    batch = rest;
                }
                Ok((Record::Drops(drops), rest)) => {
                    self.drops.push(drops);
                    batch = rest;
                }
                Err(_) => {
                    self.unreadable_frames += 1;
                    return;
                }
            }
        }
    }

    /// What is wrong with it, in words; a torn end is not damage, but what a crash leaves.
    pub(super) fn damage(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.lost_frames > 0 || self.lost_bytes > 0 {
            words.push(format!(
                "{} of its batches ({} bytes) do not verify and are lost; what stands before and after them was saved",
                self.lost_frames, self.lost_bytes
            ));
        }
        if self.unreadable_frames > 0 {
            words.push(format!(
                "{} of its batches verify but hold no records this version can read; they are lost",
                self.unreadable_frames
            ));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}
