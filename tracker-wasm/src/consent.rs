//! Who may be tracked how: the site's mode, what the person said, and what follows from both.
//!
//! ```text
//!               granted                    denied, forget
//!   ┌─────────┐ ───────▶ ┌─────────┐ ────────────────────▶ ┌───────────┐
//!   │ unknown │          │ granted │                       │ withdrawn │
//!   └─────────┘ ◀ ─ ─ ─  └─────────┘ ◀──────────────────── └───────────┘
//!     │     │   restored      ▲            granted               ▲
//!     │     │   without the   │ granted                          │
//!     │     │   choice        │                                  │
//!     │     └─ denied ──▶ ┌────────┐                             │
//!     │                   │ denied │                             │
//!     │                   └────────┘                             │
//!     └── forget, or denied where the mode needs no consent ─────┘
//! ```
//! "Withdrawn" differs from "denied" in one thing: an id existed, so it has been removed and the collector was told.

use crate::bytes::position;

/// What a site asks for, ordered by strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// An id without being asked, until it is denied.
    NotRequired,
    /// Events without an id until consent is granted.
    Cookieless,
    /// Nothing until consent is granted.
    Required,
}

impl Mode {
    /// The mode the collector serves for the site, made stricter by what the page says; never less strict. A word
    /// that is not known is read as `required`.
    #[must_use]
    pub fn of(served: &[u8], page: &[u8]) -> Self {
        let served = Self::from_word(served);
        if page.is_empty() { served } else { served.max(Self::from_word(page)) }
    }

    fn from_word(word: &[u8]) -> Self {
        Self::from_number(position(b"not-required cookieless", word).into())
    }

    /// The order of strictness as the state carries it.
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::NotRequired,
            1 => Self::Cookieless,
            _ => Self::Required,
        }
    }
}

/// What the person said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing.
    Unknown,
    /// Yes.
    Granted,
    /// No, before there was anything to take back.
    Denied,
    /// No longer: what was stored is removed, the collector told to erase.
    Withdrawn,
}

/// What the page or a consent manager reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// `lfa('consent','granted')`
    Granted,
    /// `lfa('consent','denied')`
    Denied,
    /// `lfa('forget')`
    Forget,
}

impl Choice {
    /// The number that the state carries.
    pub(crate) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Granted,
            2 => Self::Denied,
            3 => Self::Withdrawn,
            _ => Self::Unknown,
        }
    }

    /// The state machine above; `before` is what was permitted until now.
    #[must_use]
    pub const fn after(self, said: Said, before: Permission) -> Self {
        match (said, self, before) {
            (Said::Granted, ..) => Self::Granted,
            (_, Self::Denied, _) => Self::Denied,
            (_, Self::Granted | Self::Withdrawn, _) | (Said::Forget, ..) | (Said::Denied, _, Permission::Stored) => {
                Self::Withdrawn
            }
            (Said::Denied, Self::Unknown, _) => Self::Denied,
        }
    }
}

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing is read, stored or sent.
    Nothing,
    /// Events are sent without an id, nothing is stored.
    Anonymous,
    /// An id is stored and sent.
    Stored,
}

/// The consent table of the contract. `objects` is the browser's Global Privacy Control signal; an explicit grant on
/// this site answers it.
#[must_use]
pub const fn permission(mode: Mode, choice: Choice, objects: bool) -> Permission {
    match (choice, mode) {
        (Choice::Granted, _) => Permission::Stored,
        (Choice::Denied | Choice::Withdrawn, _) => Permission::Nothing,
        (Choice::Unknown, _) if objects => Permission::Nothing,
        (Choice::Unknown, Mode::Required) => Permission::Nothing,
        (Choice::Unknown, Mode::Cookieless) => Permission::Anonymous,
        (Choice::Unknown, Mode::NotRequired) => Permission::Stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{Denied, Granted, Unknown, Withdrawn};
    use Mode::{Cookieless, NotRequired, Required};
    use Permission::{Anonymous, Nothing, Stored};

    #[test]
    fn every_cell_of_the_consent_table() {
        for (choice, objects, expected) in [
            (Unknown, false, [Nothing, Anonymous, Stored]),
            (Unknown, true, [Nothing, Nothing, Nothing]),
            (Granted, false, [Stored, Stored, Stored]),
            (Granted, true, [Stored, Stored, Stored]),
            (Denied, false, [Nothing, Nothing, Nothing]),
            (Denied, true, [Nothing, Nothing, Nothing]),
            (Withdrawn, false, [Nothing, Nothing, Nothing]),
            (Withdrawn, true, [Nothing, Nothing, Nothing]),
        ] {
            let got = [Required, Cookieless, NotRequired].map(|mode| permission(mode, choice, objects));
            assert_eq!(got, expected, "{choice:?}, objects: {objects}");
        }
    }

    #[test]
    fn every_transition() {
        for (choice, before, on_granted, on_denied, on_forget) in [
            (Unknown, Nothing, Granted, Denied, Withdrawn),
            (Unknown, Anonymous, Granted, Denied, Withdrawn),
            (Unknown, Stored, Granted, Withdrawn, Withdrawn),
            (Granted, Stored, Granted, Withdrawn, Withdrawn),
            (Denied, Nothing, Granted, Denied, Denied),
            (Withdrawn, Nothing, Granted, Withdrawn, Withdrawn),
        ] {
            let got = [Said::Granted, Said::Denied, Said::Forget].map(|said| choice.after(said, before));
            assert_eq!(got, [on_granted, on_denied, on_forget], "{choice:?}, {before:?}");
        }
    }

    #[test]
    fn a_page_can_only_be_stricter_than_its_site() {
        for (served, page, expected) in [
            ("", "", Required),
            ("not-required", "", NotRequired),
            ("not-required", "cookieless", Cookieless),
            ("cookieless", "not-required", Cookieless),
            ("not-required", "required", Required),
            ("", "not-required", Required),
            ("cookieless", "a typing error", Required),
            ("a typing error", "", Required),
        ] {
            assert_eq!(Mode::of(served.as_bytes(), page.as_bytes()), expected, "{served:?}, {page:?}");
        }
    }
}
