//! Addresses: cleaned, compared, taken apart.

use crate::bytes::{cut, position, shorten};

/// The address as it is sent: without its fragment, which may carry tokens, unless `routes` allows one that begins
/// with `/` or `!`; and without its query where it would be longer than the collector takes. None for anything but
/// http(s).
#[inline(never)]
pub(crate) fn clean(address: &[u8], routes: bool) -> Option<&[u8]> {
    let (scheme, _) = cut(address, b':');
    if position(b"http https", scheme) > 1 {
        return None;
    }
    let (shown, fragment) = cut(address, b'#');
    let is_route = routes && matches!(fragment, Some([b'/' | b'!', ..]));
    let address = if is_route { address } else { shown };
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
            assert_eq!(clean(address.as_bytes(), false), expected.map(str::as_bytes), "{address}");
        }
    }

    #[test]
    fn routes_in_the_fragment_are_kept_where_the_page_wants_them() {
        for (address, expected) in [
            ("https://a.test/#/orders?x=1", "https://a.test/#/orders?x=1"),
            ("https://a.test/#!orders", "https://a.test/#!orders"),
            ("https://a.test/b#access_token=1", "https://a.test/b"),
            ("https://a.test/b#", "https://a.test/b"),
        ] {
            assert_eq!(clean(address.as_bytes(), true), Some(expected.as_bytes()), "{address}");
        }
    }

    #[test]
    fn a_long_address_loses_its_query_then_its_end() {
        let query: String = "q".repeat(5000);
        assert_eq!(clean(format!("https://a.test/b?{query}").as_bytes(), false), Some(&b"https://a.test/b"[..]));
        assert_eq!(clean(format!("https://a.test/{query}").as_bytes(), false).unwrap().len(), beacon::MAX_URL_BYTES);
    }
}
