//! API tokens.

use crate::sealing::{SealingError, random_key};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::fmt;

/// A token as it is shown once: `fs_` and 43 characters of base64url, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn random() -> Result<Self, SealingError> {
        Ok(Self(format!("fs_{}", URL_SAFE_NO_PAD.encode(random_key()?))))
    }

    /// The token's text, to be shown once.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A name that can't be guessed: 43 characters of base64url, 256 random bits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_name() -> Result<String, SealingError> {
    Ok(URL_SAFE_NO_PAD.encode(random_key()?))
}

/// By what a token is looked up in [`crate::snapshot::Snapshot::keys`]. A plain hash is enough: 256 random bits can't be guessed.
#[must_use]
pub fn token_sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_form_and_are_not_shown_by_accident() {
        let token = Token::random().unwrap();
        let random = token.as_str().strip_prefix("fs_").unwrap();
        assert_eq!(random.len(), 43);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_ne!(token, Token::random().unwrap());
        assert!(!format!("{token:?}").contains(random));
    }
}
