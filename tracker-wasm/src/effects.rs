//! What the shell shall do. One letter says what, the rest of the field with what.

use crate::{
    FIELD,
    bytes::{Text, push_byte, push_number},
};

/// Store the rest, a cookie's name, value and life, for the widest domain that takes cookies.
pub const COOKIE: u8 = b'c';
/// Remove the cookie of this name from every domain that it may have been stored for.
pub const REMOVAL: u8 = b'r';
/// Store the day that is so many days ahead as `_lfa_expiry` in the local storage; an empty rest removes it.
pub const EXPIRY: u8 = b'e';
/// Send the rest to the collector; the browser may attach the collector's cookies.
pub const BEACON: u8 = b'b';
/// Send the rest to the collector without any cookie: there is no consent to an id.
pub const ANONYMOUS_BEACON: u8 = b'a';
/// Call with the event `timer` after so many milliseconds.
pub const TIMER: u8 = b't';
/// A pageview has begun: fetch the part that watches the page, if it isn't here yet, and tell it; the rest is `1` where
/// it may store what could not be delivered, else `0`.
pub const WATCH: u8 = b'w';

/// Collects effects in their wire form.
pub(crate) struct Effects<'a> {
    pub(crate) text: Text<'a>,
}

impl<'a> Effects<'a> {
    /// Begins an effect; what it takes is pushed to what this returns.
    pub(crate) fn begin(&mut self, effect: u8) -> &mut Text<'a> {
        push_byte(&mut self.text, FIELD);
        push_byte(&mut self.text, effect);
        &mut self.text
    }

    pub(crate) fn with_number(&mut self, effect: u8, number: u32) {
        push_number(self.begin(effect), number);
    }
}
