//! The data section and the metadata of a MaxMind DB file (MaxMind DB File Format Specification 2.0).

use super::NetworkRow;
use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, BufWriter, Write},
    path::Path,
};

/// Between tree and data.
pub(super) const SEPARATOR: [u8; 16] = [0; 16];
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// How many records are remembered so that an equal one is not written again; 32 bytes each at most, twice that while the
/// table grows.
const REMEMBERED_RECORDS: usize = 1 << 20;

const STRING: u8 = 2;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;

/// Records on disk, each behind the other.
pub(super) struct DataSection {
    file: BufWriter<File>,
    length: u64,
    records: u64,
    /// Where a record is, by two independent hashes of it.
    known: HashMap<(u64, u64), u32>,
    hashers: [RandomState; 2],
    bytes: Vec<u8>,
}

impl DataSection {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?),
            length: 0,
            records: 0,
            known: HashMap::new(),
            hashers: [RandomState::new(), RandomState::new()],
            bytes: Vec::new(),
        })
    }

    /// Where the row's record is; none when the section is full.
    pub(super) fn add(&mut self, row: &NetworkRow) -> io::Result<Option<u32>> {
        self.bytes.clear();
        let fields = [("domain", &row.domain), ("kind", &row.kind), ("name", &row.name)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        control(MAP, fields.clone().count(), &mut self.bytes);
        for (name, value) in fields {
            string(name, &mut self.bytes);
            string(value, &mut self.bytes);
        }
        let [first, second] = &self.hashers;
        let key = (first.hash_one(&self.bytes), second.hash_one(&self.bytes));
        if let Some(offset) = self.known.get(&key) {
            return Ok(Some(*offset));
        }
        let Ok(offset) = u32::try_from(self.length) else { return Ok(None) };
        self.file.write_all(&self.bytes)?;
        self.length += self.bytes.len() as u64;
        self.records += 1;
        if self.known.len() >= REMEMBERED_RECORDS {
            self.known.clear();
        }
        self.known.insert(key, offset);
        Ok(Some(offset))
    }

    pub(super) const fn len(&self) -> u64 {
        self.length
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn into_file(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// What follows the data: the marker and a map.
pub(super) fn metadata(nodes: u64, built_at: u64, database_type: &str, description: &str) -> Vec<u8> {
    let mut bytes = METADATA_MARKER.to_vec();
    control(MAP, 9, &mut bytes);
    let mut number = |name: &str, kind: u8, value: u64| {
        string(name, &mut bytes);
        let digits = value.to_be_bytes();
        let digits = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
        control(kind, digits.len(), &mut bytes);
        bytes.extend(digits);
    };
    number("binary_format_major_version", UINT16, 2);
    number("binary_format_minor_version", UINT16, 0);
    number("build_epoch", UINT64, built_at);
    number("ip_version", UINT16, 6);
    number("node_count", UINT32, nodes);
    number("record_size", UINT16, 32);
    string("database_type", &mut bytes);
    string(database_type, &mut bytes);
    string("description", &mut bytes);
    control(MAP, 1, &mut bytes);
    string("en", &mut bytes);
    string(description, &mut bytes);
    string("languages", &mut bytes);
    control(ARRAY, 1, &mut bytes);
    string("en", &mut bytes);
    bytes
}

fn string(text: &str, bytes: &mut Vec<u8>) {
    control(STRING, text.len(), bytes);
    bytes.extend(text.as_bytes());
}

/// The control byte of a field, the second byte of the later types, and what of the size does not fit in.
fn control(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    // Rows hold no text longer than this; a description that does is no concern of the format.
    let size = size.min(0xff_ffff);
    let (bits, more) = match size {
        0..29 => (size as u8, 0),
        29..285 => (29, 1),
        285..65_821 => (30, 2),
        _ => (31, 3),
    };
    if kind <= 7 {
        bytes.push(kind << 5 | bits);
    } else {
        bytes.extend([bits, kind - 7]);
    }
    let rest = size - [0, 29, 285, 65_821][more];
    bytes.extend(&(rest as u32).to_be_bytes()[4 - more..]);
}
