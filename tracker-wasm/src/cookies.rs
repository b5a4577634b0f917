//! Names and texts of what is stored in the browser, as in the contract.

use crate::{
    bytes::{Fields, cut, position, push, push_number},
    consent::Choice,
};
use alloc::vec::Vec;
use beacon::ClientId;

/// Holds the client id.
pub const CLIENT: &[u8] = b"_lfa";
/// Holds the choice, `true` or `false`.
pub const CONSENT: &[u8] = b"_lfa_consent";
/// How long both live: two years (browsers cap it at 400 days).
pub const LIFE_DAYS: u32 = 2 * 365;
/// The same as cookies say it.
pub(crate) const LIFE_SECONDS: u32 = LIFE_DAYS * 24 * 60 * 60;

/// Gives the value of the next cookie of this name; there may be several, of different domains.
#[inline(never)]
fn next_value<'a>(cookies: &mut Fields<'a>, name: &[u8]) -> Option<&'a [u8]> {
    for cookie in cookies {
        let (found, value) = cut(cookie, b'=');
        // Cookies are separated by "; ".
        if found.strip_prefix(b" ").unwrap_or(found) == name {
            return value;
        }
    }
    None
}

/// The client id, where there is one in the right form; else empty.
pub(crate) fn client(cookies: &[u8]) -> &[u8] {
    let mut cookies = Fields::new(cookies, b';');
    while let Some(value) = next_value(&mut cookies, CLIENT) {
        if ClientId::parse(value).is_ok() {
            return value;
        }
    }
    b""
}

/// The remembered choice, unknown, granted or denied; a refusal wins over a grant of another domain.
pub(crate) fn consent(cookies: &[u8]) -> Choice {
    let mut cookies = Fields::new(cookies, b';');
    let mut found = Choice::Unknown;
    while let Some(value) = next_value(&mut cookies, CONSENT) {
        match position(b"true false", value) {
            0 => found = Choice::Granted,
            1 => return Choice::Denied,
            _ => {}
        }
    }
    found
}

/// A new client id in the form of [`beacon::ClientId`], from 16 hexadecimal digits of randomness.
pub(crate) fn mint(random: &[u8], now: &[u8]) -> &'static [u8] {
    let mut id = Vec::new();
    push(&mut id, b"LF1.1.");
    push(&mut id, random);
    push(&mut id, b".");
    push(&mut id, now);
    id.leak()
}

/// What stores a cookie, but for its domain and `secure`, which the shell adds.
pub(crate) fn push_assignment(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    push(out, name);
    push(out, b"=");
    push(out, value);
    push(out, b";max-age=");
    push_number(out, LIFE_SECONDS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    const ID: &[u8] = b"LF1.1.0123456789abcdef.1700000000000";

    #[test]
    fn a_valid_client_id_is_found_among_others() {
        for (cookies, expected) in [
            (&b"_lfa=LF1.1.0123456789abcdef.1700000000000"[..], ID),
            (b"a=1; _lfa=LF1.1.0123456789abcdef.NC; _lfa=LF1.1.0123456789abcdef.1700000000000; b=2", ID),
            (b"x_lfa=LF1.1.0123456789abcdef.1700000000000", b""),
            (b"_lfa_consent=true", b""),
            (b"_lfa", b""),
            (b"", b""),
        ] {
            assert_eq!(client(cookies), expected, "{}", core::str::from_utf8(cookies).unwrap());
        }
    }

    #[test]
    fn a_refusal_wins_over_a_grant() {
        for (cookies, expected) in [
            (&b"_lfa_consent=true"[..], Choice::Granted),
            (b"_lfa_consent=true; _lfa_consent=false", Choice::Denied),
            (b"_lfa_consent=false; _lfa_consent=true", Choice::Denied),
            (b"_lfa_consent=maybe", Choice::Unknown),
            (b"", Choice::Unknown),
        ] {
            assert_eq!(consent(cookies), expected, "{}", core::str::from_utf8(cookies).unwrap());
        }
    }

    #[test]
    fn a_minted_id_is_what_the_collector_writes_too() {
        let id = ClientId { random: 0x0123_4567_89ab_cdef, created_ms: 1_700_000_000_000 };
        assert_eq!(mint(b"0123456789abcdef", b"1700000000000"), id.to_string().as_bytes());
    }

    #[test]
    fn a_cookie_is_stored_with_its_life() {
        let mut out = vec![];
        push_assignment(&mut out, CONSENT, b"true");
        assert_eq!(out, b"_lfa_consent=true;max-age=63072000");
    }
}
