//! One event of a beacon, written as JSON.

use crate::bytes::{Text, push, push_byte, push_json, push_number};
/// An event while it is written.
pub(crate) struct Event<'a>(Text<'a>);

impl<'a> Event<'a> {
    pub(crate) fn new(text: Text<'a>, id: &[u8], at: &[u8], kind: &[u8], url: &[u8]) -> Self {
        let mut event = Self(text);
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

    pub(crate) fn finish(mut self) -> Text<'a> {
        push_byte(&mut self.0, b'}');
        self.0
    }
}
