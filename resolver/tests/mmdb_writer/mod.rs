//! A MaxMind DB writer, small enough for tests: one record for every address.

#![allow(dead_code, reason = "each test uses what it needs")]

use serde_json::Value;

fn control(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    let (size_bits, extra) = match size {
        0..29 => (u8::try_from(size).unwrap(), Vec::new()),
        29..285 => (29, vec![u8::try_from(size - 29).unwrap()]),
        _ => (30, u16::try_from(size - 285).unwrap().to_be_bytes().to_vec()),
    };
    if kind < 8 {
        bytes.push(kind << 5 | size_bits);
    } else {
        bytes.extend([size_bits, kind - 7]);
    }
    bytes.extend(extra);
}

pub(crate) fn value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.bytes());
        }
        Value::Number(number) => {
            // The format has a type for every width and readers insist on them: 16, 32 and 64 bits.
            let number = number.as_u64().unwrap();
            let (kind, width) = match number {
                0..300 => (5, 2),
                300..1_000_000 => (6, 4),
                _ => (9, 8),
            };
            control(kind, width, bytes);
            bytes.extend(&number.to_be_bytes()[8 - width..]);
        }
        Value::Bool(flag) => control(14, usize::from(*flag), bytes),
        Value::Array(items) => {
            control(11, items.len(), bytes);
            items.iter().for_each(|item| self::value(item, bytes));
        }
        Value::Object(fields) => {
            control(7, fields.len(), bytes);
            for (name, field) in fields {
                self::value(&Value::String(name.clone()), bytes);
                self::value(field, bytes);
            }
        }
        Value::Null => panic!("a MaxMind DB has no null"),
    }
}

/// A file that says `record` of every address of an IP version.
pub(crate) fn file(record: &Value, ip_version: u16) -> Vec<u8> {
    // One node, both of whose records point at the first byte of the data section.
    file_with_tree(&[[17, 17]], record, ip_version)
}

/// A file with this search tree, of fewer than 65,536 nodes.
pub(crate) fn file_with_tree(nodes: &[[u16; 2]], record: &Value, ip_version: u16) -> Vec<u8> {
    file_of_type("Test", nodes, record, ip_version)
}

/// A file that says `record` of every address and has a publisher's `database_type`.
pub(crate) fn database(database_type: &str, record: &Value) -> Vec<u8> {
    file_of_type(database_type, &[[17, 17]], record, 6)
}

fn file_of_type(database_type: &str, nodes: &[[u16; 2]], record: &Value, ip_version: u16) -> Vec<u8> {
    // Records have 24 bits.
    let mut bytes: Vec<u8> =
        nodes.iter().flatten().flat_map(|record| [&[0][..], &record.to_be_bytes()].concat()).collect();
    bytes.extend([0; 16]);
    value(record, &mut bytes);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = serde_json::json!({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_790_000_000,
        "database_type": database_type, "description": {}, "ip_version": ip_version, "languages": [],
        "record_size": 24,
    });
    let Value::Object(fields) = metadata else { unreachable!() };
    control(7, fields.len() + 1, &mut bytes);
    for (name, field) in fields {
        value(&Value::String(name), &mut bytes);
        value(&field, &mut bytes);
    }
    // The one small number of 32 bits.
    value(&Value::String("node_count".to_owned()), &mut bytes);
    control(6, 4, &mut bytes);
    bytes.extend(u32::try_from(nodes.len()).unwrap().to_be_bytes());
    bytes
}
