//! One event of a beacon, written as JSON.

use crate::bytes::{push, push_byte, push_json, push_number};
use alloc::vec::Vec;

/// Hexadecimal digits of randomness that an event id takes.
pub(crate) const ID_DIGITS: usize = 32;

/// A random UUID (RFC 9562, section 5.4) from 32 hexadecimal digits.
pub(crate) fn id(random: &[u8]) -> &'static [u8] {
    let mut id = Vec::new();
    for &digit in random {
        if matches!(id.len(), 8 | 13 | 18 | 23) {
            push_byte(&mut id, b'-');
        }
        let digit = match id.len() {
            14 => b'4',
            19 => *b"89ab".get(usize::from(digit & 3)).unwrap_or(&b'8'),
            _ => digit,
        };
        push_byte(&mut id, digit);
    }
    id.leak()
}

/// An event while it is written.
pub(crate) struct Event(Vec<u8>);

impl Event {
    pub(crate) fn new(id: &[u8], at: &[u8], kind: &[u8], url: &[u8]) -> Self {
        let mut event = Self(Vec::new());
        push(&mut event.0, b"{\"id\":");
        push_json(&mut event.0, id);
        event.json(b"at", at);
        event.text(b"type", kind);
        event.text(b"url", url);
        event
    }

    /// Adds a key whose value is JSON already.
    #[inline(never)]
    pub(crate) fn json(&mut self, key: &[u8], json: &[u8]) {
        self.key(key);
        push(&mut self.0, json);
    }

    pub(crate) fn number(&mut self, key: &[u8], number: u32) {
        self.key(key);
        push_number(&mut self.0, number);
    }

    /// Adds a text, unless it is empty.
    #[inline(never)]
    pub(crate) fn text(&mut self, key: &[u8], text: &[u8]) {
        if !text.is_empty() {
            self.key(key);
            push_json(&mut self.0, text);
        }
    }

    fn key(&mut self, key: &[u8]) {
        push_byte(&mut self.0, b',');
        push_json(&mut self.0, key);
        push_byte(&mut self.0, b':');
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        push_byte(&mut self.0, b'}');
        self.0
    }
}
