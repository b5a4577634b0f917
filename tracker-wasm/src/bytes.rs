//! Small tools over bytes. Text searching and number formatting of the standard library would be half of the
//! tracker's size, growing vectors another tenth.

/// A text while it is written, into room that is given once and never grows; see [`crate::ROOM_BYTES`].
#[derive(Default)]
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Text<'a> {
    pub(crate) const fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// What was written, and the room that is left.
    #[inline(never)]
    pub(crate) fn finish(self) -> (&'a [u8], &'a mut [u8]) {
        let (text, room) = self.room.split_at_mut_checked(self.length).unwrap_or_default();
        (text, room)
    }
}

/// What is before the first `separator`, and what is after it, if there is one.
#[inline(never)]
pub(crate) fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == separator {
            return (text.get(..at).unwrap_or_default(), text.get(at + 1..));
        }
        at += 1;
    }
    (text, None)
}

/// Goes through separated fields; empty ones after the last.
pub(crate) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(text: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(text), separator }
    }

    /// The next field; empty when there is none.
    #[inline(never)]
    pub(crate) fn field(&mut self) -> &'a [u8] {
        self.next().unwrap_or_default()
    }

    /// Puts the next fields into the places.
    #[inline(never)]
    pub(crate) fn fill(&mut self, places: &mut [&'a [u8]]) {
        for place in places {
            *place = self.field();
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (field, rest) = cut(self.rest?, self.separator);
        self.rest = rest;
        Some(field)
    }
}

/// The last 32 bits of a decimal number; 0 for what is none.
///
/// Clock readings travel as text and only their differences are needed, which 32 bits of milliseconds hold for 49
/// days. Without 64-bit arithmetic the JavaScript build of the core is a good deal smaller.
#[inline(never)]
pub(crate) fn number(text: &[u8]) -> u32 {
    let mut number = 0u32;
    for &byte in text {
        number = number.wrapping_mul(10).wrapping_add(u32::from(byte.wrapping_sub(b'0')));
    }
    number
}

/// Whether two texts are the same. The comparison that slices have is larger, where it was compiled beforehand most of all.
#[inline(never)]
pub(crate) fn same(text: &[u8], other: &[u8]) -> bool {
    text.iter().eq(other)
}

/// The position of `word` in a list separated by spaces; how many there are when it is not among them.
#[inline(never)]
pub(crate) fn position(list: &[u8], word: &[u8]) -> u8 {
    let mut position = 0;
    for known in Fields::new(list, b' ') {
        if same(known, word) {
            break;
        }
        position += 1;
    }
    position
}

#[inline(never)]
pub(crate) fn push(out: &mut Text<'_>, text: &[u8]) {
    for &byte in text {
        push_byte(out, byte);
    }
}

#[inline(never)]
pub(crate) fn push_byte(out: &mut Text<'_>, byte: u8) {
    if let Some(place) = out.room.get_mut(out.length) {
        *place = byte;
        out.length += 1;
    }
}

#[inline(never)]
pub(crate) fn push_number(out: &mut Text<'_>, number: u32) {
    if number > 9 {
        push_number(out, number / 10);
    }
    push_byte(out, b'0' + (number % 10) as u8);
}

/// The longest beginning of `text` of at most `most` bytes that ends at a character boundary.
pub(crate) fn shorten(text: &[u8], most: usize) -> &[u8] {
    let mut end = most;
    // A byte 10xxxxxx continues a character.
    while end > 0 && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Appends `text` as a JSON string, quotes included.
#[inline(never)]
pub(crate) fn push_json(out: &mut Text<'_>, text: &[u8]) {
    push_byte(out, b'"');
    for &byte in text {
        if byte < b' ' {
            push(out, b"\\u00");
            push_byte(out, b'0' + (byte >> 4));
            push_byte(out, *b"0123456789abcdef".get(usize::from(byte & 15)).unwrap_or(&b'0'));
        } else {
            if byte == b'"' || byte == b'\\' {
                push_byte(out, b'\\');
            }
            push_byte(out, byte);
        }
    }
    push_byte(out, b'"');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::{string::String, vec, vec::Vec};
    use proptest::prelude::*;

    /// What `write` writes.
    pub(crate) fn written(write: impl FnOnce(&mut Text<'_>)) -> Vec<u8> {
        let mut room = vec![0; 1 << 16];
        let mut out = Text::new(&mut room);
        write(&mut out);
        out.finish().0.to_vec()
    }

    proptest! {
        #[test]
        fn any_text_survives_json(text: String) {
            let out = written(|out| push_json(out, text.as_bytes()));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_survive(number: u32) {
            let out = written(|out| push_number(out, number));
            prop_assert_eq!(super::number(&out), number);
        }

        #[test]
        fn a_shortened_text_is_still_text(text: String, most in 0usize..64) {
            let short = shorten(text.as_bytes(), most);
            prop_assert!(core::str::from_utf8(short).is_ok());
            prop_assert!(short.len() <= most);
            prop_assert!(short.len() + 4 > most.min(text.len()));
        }
    }

    #[test]
    fn differences_of_clock_readings_survive_32_bits() {
        assert_eq!(number(b"1700000004321").wrapping_sub(number(b"1700000000000")), 4321);
        assert_eq!(number(b"4294967297").wrapping_sub(number(b"4294967295")), 2);
    }

    #[test]
    fn words_are_found_by_position() {
        assert_eq!([&b"a"[..], b"bc", b"d", b""].map(|word| position(b"a bc d", word)), [0, 1, 2, 3]);
    }

    #[test]
    fn fields_are_cut_and_empty_after_the_last() {
        let mut fields = Fields::new(b"a,,b", b',');
        assert_eq!([fields.field(), fields.field(), fields.field(), fields.field()], [&b"a"[..], b"", b"b", b""]);
    }
}
