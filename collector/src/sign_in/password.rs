//! Passwords: argon2id with a salt each, at the parameters that OWASP names first (19 MiB, two passes, one lane).

use crate::person::PasswordHash;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};

/// NIST SP 800-63B, revision 4, asks for 8 with a second factor and 15 without; length beats composition rules, which are
/// left out as it says.
const SHORTEST: usize = 12;
/// So that hashing has a bound.
const LONGEST_BYTES: usize = 1024;

/// Length of a salt, in bytes (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;

/// A rule that a new password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    /// Too easily guessed.
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    /// Longer than is hashed.
    #[error("a password has at most {LONGEST_BYTES} bytes")]
    TooLong,
    /// It stands in what others know.
    #[error("a password must not be the e-mail address")]
    IsAddress,
    /// The library refused, which no password should bring about.
    #[error("this password can't be hashed")]
    Unhashable,
}

/// Hashes a new password. Takes tens of milliseconds: not for a thread that others wait for.
///
/// # Errors
/// The [`PasswordRule`] that it breaks.
pub fn hash(password: &str, email: &str, salt: [u8; SALT_BYTES]) -> Result<PasswordHash, PasswordRule> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordRule::TooShort);
    }
    if password.len() > LONGEST_BYTES {
        return Err(PasswordRule::TooLong);
    }
    if password.trim().eq_ignore_ascii_case(email) {
        return Err(PasswordRule::IsAddress);
    }
    let hash: Result<phc::PasswordHash, _> = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| PasswordHash(hash.to_string())).map_err(|_| PasswordRule::Unhashable)
}

/// Whether this is the password. Without a stored hash a decoy is computed, so that the time tells nobody which addresses have
/// an account. Takes tens of milliseconds: not for a thread that others wait for.
#[must_use]
pub fn verify(stored: Option<&PasswordHash>, password: &str) -> bool {
    let password = &password.as_bytes()[..password.len().min(LONGEST_BYTES)];
    let parsed = stored.and_then(|stored| phc::PasswordHash::new(&stored.0).ok());
    let Some(parsed) = parsed else {
        let decoy: Result<phc::PasswordHash, _> = Argon2::default().hash_password_with_salt(password, &[0; SALT_BYTES]);
        std::hint::black_box(decoy).ok();
        return false;
    };
    Argon2::default().verify_password(password, &parsed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str = "sales@example.com";

    #[test]
    fn the_right_password_is_told_from_a_wrong_one_and_from_none() {
        let stored = hash("correct horse battery", EMAIL, [1; SALT_BYTES]).unwrap();
        assert!(stored.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.0);
        assert!(verify(Some(&stored), "correct horse battery"));
        assert!(!verify(Some(&stored), "correct horse batterz"));
        assert!(!verify(None, "correct horse battery"));
        assert!(!verify(Some(&PasswordHash("no hash".to_owned())), "correct horse battery"));
    }

    #[test]
    fn a_hash_depends_on_its_salt() {
        let hashed = |salt| hash("correct horse battery", EMAIL, [salt; SALT_BYTES]).unwrap();
        assert_ne!(hashed(1), hashed(2));
    }

    #[test]
    fn weak_passwords_are_refused_by_name_of_the_rule() {
        for (password, rule) in [
            ("elevenchars", PasswordRule::TooShort),
            ("Sales@Example.com", PasswordRule::IsAddress),
            (&*"x".repeat(LONGEST_BYTES + 1), PasswordRule::TooLong),
        ] {
            assert_eq!(hash(password, EMAIL, [1; SALT_BYTES]), Err(rule));
        }
        // Characters count, not bytes.
        assert_eq!(hash("ääääääääääää", EMAIL, [1; SALT_BYTES]).map(drop), Ok(()));
    }
}
