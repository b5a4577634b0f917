//! What the shell hands in: always a clock reading and randomness; readings of the page only once asked for.

use crate::{
    PART,
    bytes::{Fields, number},
};
use core::cell::Cell;

/// Something of the page that may be read only with leave. Where one is missing, the step goes on with an empty text, but
/// all that it does is thrown away: the shell takes the reading and calls again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `document.cookie`
    Cookies = 0,
    /// Whole days until `_lfa_expiry` of the local storage; empty when there is none.
    Expiry = 1,
    /// `location.href`
    Address = 2,
    /// Referrer, title, `1` when the page is visible, and as a JSON object the language and the class of screen.
    Page = 3,
}

/// Where a call's fields are: what happened, the clock, the randomness, then readings, then arguments.
const NOW: usize = 1;
const RANDOMNESS: usize = 2;
const READINGS: usize = 3;
const ARGUMENTS: usize = READINGS + Reading::Page as usize + 1;
/// A UUID with hyphens.
const ID_BYTES: usize = 36;
const FIELDS: usize = ARGUMENTS + 8;

/// One call: what happened, and its surroundings. The fields are kept in one array, since size is what counts here.
pub(crate) struct Environment<'a> {
    fields: [&'a [u8]; FIELDS],
    /// The first reading that was missing.
    missing: Cell<Option<Reading>>,
}

/// What [`Reading::Page`] holds.
pub(crate) struct PageReading<'a> {
    pub(crate) referrer: &'a [u8],
    pub(crate) title: &'a [u8],
    pub(crate) visible: bool,
    pub(crate) props: &'a [u8],
}

impl<'a> Environment<'a> {
    pub(crate) const fn empty() -> Self {
        Self { fields: [b""; FIELDS], missing: Cell::new(None) }
    }

    pub(crate) fn read(&mut self, fields: &mut Fields<'a>) {
        fields.fill(&mut self.fields);
    }

    /// What happened.
    pub(crate) const fn happened(&self) -> &'a [u8] {
        self.fields[0]
    }

    /// Unix milliseconds, as text.
    pub(crate) const fn now(&self) -> &'a [u8] {
        self.fields[NOW]
    }

    /// The event's argument of this position, 0 to 7.
    pub(crate) const fn argument<const POSITION: usize>(&self) -> &'a [u8] {
        self.fields[ARGUMENTS + POSITION]
    }

    /// Takes the next random UUID. The shell hands over three, more than any call uses.
    pub(crate) fn id(&mut self) -> &'a [u8] {
        let (taken, rest) = self.fields[RANDOMNESS].split_at_checked(ID_BYTES).unwrap_or_default();
        self.fields[RANDOMNESS] = rest;
        taken
    }

    #[inline(never)]
    fn reading(&self, reading: Reading) -> &'a [u8] {
        if let Some([b'=', value @ ..]) = self.fields.get(READINGS + reading as usize) {
            return value;
        }
        if self.missing.get().is_none() {
            self.missing.set(Some(reading));
        }
        b""
    }

    /// The first reading that a step was without.
    pub(crate) const fn missing(&self) -> Option<Reading> {
        self.missing.get()
    }

    pub(crate) fn cookies(&self) -> &'a [u8] {
        self.reading(Reading::Cookies)
    }

    /// Whole days until the client id expires: 0 when it has, none when that isn't known.
    pub(crate) fn days_left(&self) -> Option<u32> {
        match self.reading(Reading::Expiry) {
            b"" => None,
            [b'-', ..] => Some(0),
            days => Some(number(days)),
        }
    }

    pub(crate) fn address(&self) -> &'a [u8] {
        self.reading(Reading::Address)
    }

    pub(crate) fn page(&self) -> PageReading<'a> {
        let mut parts = Fields::new(self.reading(Reading::Page), PART);
        PageReading {
            referrer: parts.field(),
            title: parts.field(),
            visible: !parts.field().is_empty(),
            props: parts.field(),
        }
    }
}
