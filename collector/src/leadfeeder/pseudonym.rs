//! Client ids as the API shows them.
//!
//! Knowing a client id is enough to have its data erased, so the API never shows one; the store does not even have it.
//! What is shown has the same form, is the same for the same visitor of a site, and leads nowhere else.

use crate::site::SiteId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Derives pseudonyms under one key.
pub(super) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to the block of the hash (RFC 2104, section 2); done here, nothing can fail.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// `LF1.1.<16 hex digits>.<13 digits>`; the digits are no time.
    pub(super) fn client_id(&self, site: &SiteId, visitor: u64) -> String {
        let mut mac = self.0.clone();
        mac.update(site.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&visitor.to_be_bytes());
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let number = |at: usize| bytes[at..at + 8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        format!("LF1.1.{:016x}.{}", number(0), 1_000_000_000_000 + number(8) % 9_000_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_client_id(text: &str) -> bool {
        let parts: Vec<&str> = text.split('.').collect();
        let [form, version, hex, digits] = parts[..] else { return false };
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        form == "LF1" && version == "1" && hex.len() == 16 && is_hex(hex) && digits.len() == 13 && is_number(digits)
    }

    #[test]
    fn a_pseudonym_has_the_form_of_a_client_id_and_depends_on_key_site_and_visitor() {
        let site = |id: &str| id.parse::<SiteId>().unwrap();
        let one = Pseudonyms::new(&[1; 32]).client_id(&site("shop"), 7);
        assert!(is_client_id(&one), "{one}");
        assert_eq!(one, Pseudonyms::new(&[1; 32]).client_id(&site("shop"), 7));
        assert_ne!(one, Pseudonyms::new(&[2; 32]).client_id(&site("shop"), 7));
        assert_ne!(one, Pseudonyms::new(&[1; 32]).client_id(&site("blog"), 7));
        assert_ne!(one, Pseudonyms::new(&[1; 32]).client_id(&site("shop"), 8));
    }
}
