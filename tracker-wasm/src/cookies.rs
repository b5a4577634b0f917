//! Names and texts of what is stored in the browser, as in the contract.

use crate::{
    bytes::{Fields, Text, cut, position, push, push_number},
    consent::Choice,
};
use beacon::ClientId;

/// Holds the client id.
pub const CLIENT: &[u8] = b"_lfa";
/// Holds the choice, `true` or `false`.
pub const CONSENT: &[u8] = b"_lfa_consent";
/// How long the choice is kept, and the client id where the site says nothing else: two years (browsers cap it at 400
/// days).
pub const LIFE_DAYS: u32 = 2 * 365;

/// What earlier pages stored.
pub(crate) struct Stored<'a> {
    /// The client id, where there is one in the right form; else empty.
    pub(crate) client: &'a [u8],
    /// Unknown, granted or denied; a refusal wins over a grant of another domain.
    pub(crate) choice: Choice,
}

/// Finds ours among the page's cookies; there may be several of one name, of different domains.
#[inline(never)]
pub(crate) fn stored(cookies: &[u8]) -> Stored<'_> {
    let mut stored = Stored { client: b"", choice: Choice::Unknown };
    for cookie in Fields::new(cookies, b';') {
        let (name, value) = cut(cookie, b'=');
        let value = value.unwrap_or_default();
        // Cookies are separated by "; ".
        match position(b"_lfa _lfa_consent", name.strip_prefix(b" ").unwrap_or(name)) {
            0 if stored.client.is_empty() && ClientId::has_form(value) => stored.client = value,
            1 if stored.choice != Choice::Denied => match position(b"true false", value) {
                0 => stored.choice = Choice::Granted,
                1 => stored.choice = Choice::Denied,
                _ => {}
            },
            _ => {}
        }
    }
    stored
}

/// A new client id in the form of [`beacon::ClientId`], from the first and last eight digits of a random UUID (those
/// between them are not all random).
pub(crate) fn push_client(out: &mut Text<'_>, random: &[u8], now: &[u8]) {
    push(out, b"LF1.1.");
    push(out, random.get(..8).unwrap_or_default());
    push(out, random.get(28..36).unwrap_or_default());
    push(out, b".");
    push(out, now);
}

/// What stores a cookie, but for its domain and `secure`, which the shell adds.
pub(crate) fn push_assignment(out: &mut Text<'_>, name: &[u8], value: &[u8], days: u32) {
    push(out, name);
    push(out, b"=");
    push(out, value);
    push(out, b";max-age=");
    push_number(out, days * (24 * 60 * 60));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::written;
    use alloc::string::ToString;

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
            assert_eq!(stored(cookies).client, expected, "{}", core::str::from_utf8(cookies).unwrap());
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
            assert_eq!(stored(cookies).choice, expected, "{}", core::str::from_utf8(cookies).unwrap());
        }
    }

    #[test]
    fn a_minted_id_is_what_the_collector_writes_too() {
        let id = ClientId { random: 0x0123_4567_89ab_cdef, created_ms: 1_700_000_000_000 };
        let minted = written(|out| push_client(out, b"01234567-0000-4000-8000-000089abcdef", b"1700000000000"));
        assert_eq!(minted, id.to_string().as_bytes());
    }

    #[test]
    fn a_cookie_is_stored_with_its_life() {
        let out = written(|out| push_assignment(out, CONSENT, b"true", LIFE_DAYS));
        assert_eq!(out, b"_lfa_consent=true;max-age=63072000");
    }
}
