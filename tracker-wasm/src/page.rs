//! Addresses: cleaned, compared, taken apart.

use crate::bytes::{cut, push, push_byte, shorten};
use alloc::vec::Vec;

/// The address as it is sent: without its fragment, which may carry tokens, and without its query where it would be
/// longer than the collector takes. None for anything but http(s).
#[inline(never)]
pub(crate) fn clean(address: &[u8]) -> Option<&[u8]> {
    let (scheme, _) = cut(address, b':');
    if scheme != b"http" && scheme != b"https" {
        return None;
    }
    let address = cut(address, b'#').0;
    Some(if address.len() > beacon::MAX_URL_BYTES {
        shorten(without_query(address), beacon::MAX_URL_BYTES)
    } else {
        address
    })
}

/// Origin and path.
#[inline(never)]
pub(crate) fn without_query(address: &[u8]) -> &[u8] {
    cut(address, b'?').0
}

/// Where the path begins.
#[inline(never)]
fn path_at(address: &[u8]) -> usize {
    let mut slashes = 0;
    let mut at = 0;
    while let Some(&byte) = address.get(at) {
        if byte == b'/' {
            slashes += 1;
        }
        if slashes == 3 || byte == b'?' || byte == b'#' {
            break;
        }
        at += 1;
    }
    at
}

/// Scheme, host and port.
pub(crate) fn origin(address: &[u8]) -> &[u8] {
    address.get(..path_at(address)).unwrap_or_default()
}

/// The domains that a cookie of this address' host could be set for, widest first, separated by spaces; none for IP
/// addresses and hosts of one label.
pub(crate) fn domains(address: &[u8]) -> &'static [u8] {
    let host = cut(origin(address), b'/').1.unwrap_or_default();
    let host = cut(host.get(1..).unwrap_or_default(), b':').0;
    let mut domains = Vec::new();
    let mut at = host.len();
    // An IPv4 address ends with a digit, a name never (RFC 3696, section 2); the colons of an IPv6 address have cut it.
    if host.last().is_none_or(|last| !last.is_ascii_alphabetic()) {
        return b"";
    }
    let mut labels = 0;
    while at > 0 {
        at -= 1;
        if at == 0 || host.get(at - 1) == Some(&b'.') {
            labels += 1;
            if labels > 1 {
                if labels > 2 {
                    push_byte(&mut domains, b' ');
                }
                push(&mut domains, host.get(at..).unwrap_or_default());
            }
        }
    }
    domains.leak()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    #[test]
    fn only_web_addresses_are_sent_and_without_fragment() {
        for (address, expected) in [
            ("https://a.test/b?c=1#token", Some("https://a.test/b?c=1")),
            ("http://[::1]:8080/", Some("http://[::1]:8080/")),
            ("file:///etc/passwd", None),
            ("about:srcdoc", None),
            ("javascript:alert(1)", None),
            ("android-app://com.example", None),
            ("httpsx://a", None),
            ("", None),
        ] {
            assert_eq!(clean(address.as_bytes()), expected.map(str::as_bytes), "{address}");
        }
    }

    #[test]
    fn a_long_address_loses_its_query_then_its_end() {
        let query: String = "q".repeat(5000);
        assert_eq!(clean(format!("https://a.test/b?{query}").as_bytes()), Some(&b"https://a.test/b"[..]));
        assert_eq!(clean(format!("https://a.test/{query}").as_bytes()).unwrap().len(), beacon::MAX_URL_BYTES);
    }

    #[test]
    fn cookie_domains_from_wide_to_narrow() {
        for (address, expected) in [
            ("https://www.shop.example.co.uk/x", "co.uk example.co.uk shop.example.co.uk www.shop.example.co.uk"),
            ("https://example.com:8443?x", "example.com"),
            ("https://a.photography#x", "a.photography"),
            ("http://localhost:3000/", ""),
            ("http://127.0.0.1:3000/", ""),
            ("http://[2001:db8::1]:3000/", ""),
            ("http:///", ""),
        ] {
            let got = domains(address.as_bytes());
            assert_eq!(core::str::from_utf8(got).unwrap(), expected, "{address}");
        }
    }
}
