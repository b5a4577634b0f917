//! What the shell hands in: always a clock reading and randomness; readings of the page only once asked for.

use crate::{
    PART,
    bytes::{Fields, number},
};

/// Something of the page that may be read only with leave. When a step returns it as an error, it waits for it: the
/// shell takes the reading and calls again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `document.cookie`
    Cookies = 0,
    /// Whole days until `_lfa_expiry` of the local storage; empty when there is none.
    Expiry = 1,
    /// `location.href`
    Address = 2,
    /// Referrer, title, and `1` when the page is visible.
    Page = 3,
}

/// Where a call's fields are: what happened, the clock, the randomness, then readings, then arguments.
const NOW: usize = 1;
const RANDOMNESS: usize = 2;
const READINGS: usize = 3;
const ARGUMENTS: usize = READINGS + Reading::Page as usize + 1;
const FIELDS: usize = ARGUMENTS + 6;

/// One call: what happened, and its surroundings. The fields are kept in one array, since size is what counts here.
pub(crate) struct Environment<'a> {
    fields: [&'a [u8]; FIELDS],
}

/// What [`Reading::Page`] holds.
pub(crate) struct PageReading<'a> {
    pub(crate) referrer: &'a [u8],
    pub(crate) title: &'a [u8],
    pub(crate) visible: bool,
}

impl<'a> Environment<'a> {
    pub(crate) fn take_from(fields: &mut Fields<'a>) -> Self {
        let mut environment = Self { fields: [b""; FIELDS] };
        fields.fill(&mut environment.fields);
        environment
    }

    /// What happened.
    pub(crate) const fn happened(&self) -> &'a [u8] {
        self.fields[0]
    }

    /// Unix milliseconds, as text.
    pub(crate) const fn now(&self) -> &'a [u8] {
        self.fields[NOW]
    }

    /// The event's argument of this position, 0 to 5.
    pub(crate) const fn argument<const POSITION: usize>(&self) -> &'a [u8] {
        self.fields[ARGUMENTS + POSITION]
    }

    /// Takes the next hexadecimal digits of the randomness. The shell hands over more than any call uses.
    pub(crate) fn random(&mut self, digits: usize) -> &'a [u8] {
        let (taken, rest) = self.fields[RANDOMNESS].split_at_checked(digits).unwrap_or_default();
        self.fields[RANDOMNESS] = rest;
        taken
    }

    #[inline(never)]
    fn reading(&self, reading: Reading) -> Result<&'a [u8], Reading> {
        match self.fields.get(READINGS + reading as usize) {
            Some([b'=', value @ ..]) => Ok(value),
            _ => Err(reading),
        }
    }

    pub(crate) fn cookies(&self) -> Result<&'a [u8], Reading> {
        self.reading(Reading::Cookies)
    }

    /// Whole days until the client id expires: 0 when it has, none when that isn't known.
    pub(crate) fn days_left(&self) -> Result<Option<u32>, Reading> {
        Ok(match self.reading(Reading::Expiry)? {
            b"" => None,
            [b'-', ..] => Some(0),
            days => Some(number(days)),
        })
    }

    pub(crate) fn address(&self) -> Result<&'a [u8], Reading> {
        self.reading(Reading::Address)
    }

    pub(crate) fn page(&self) -> Result<PageReading<'a>, Reading> {
        let mut parts = Fields::new(self.reading(Reading::Page)?, PART);
        Ok(PageReading { referrer: parts.field(), title: parts.field(), visible: !parts.field().is_empty() })
    }
}
