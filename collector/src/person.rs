//! Somebody who signs in to the dashboard.

use crate::{site::SiteId, snapshot::Role, time::UnixMillis};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// RFC 5321, section 4.5.3.1.3: the longest path, without its brackets.
const MAX_EMAIL_BYTES: usize = 254;

/// An e-mail address by which a person signs in, in lower case.
///
/// Lower case throughout, although RFC 5321 lets the part before the `@` differ by case: nobody means another mailbox by
/// another case, and two accounts that look the same are a trap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// The text is no e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address has the form name@example.com and at most {MAX_EMAIL_BYTES} bytes")]
pub struct EmailError;

impl Email {
    /// The address's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let has_parts = text.split_once('@').is_some_and(|(name, domain)| {
            let domain_is_plain = !domain.contains('@') && !domain.starts_with('.') && !domain.ends_with('.');
            !name.is_empty() && !domain.is_empty() && domain_is_plain
        });
        let is_plain = !text.chars().any(|char| char.is_whitespace() || char.is_control() || "<>\"(),;".contains(char));
        if has_parts && is_plain && text.len() <= MAX_EMAIL_BYTES {
            Ok(Self(text.to_lowercase()))
        } else {
            Err(EmailError)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A password as it is stored: a salted argon2id hash in the PHC string format. See [`crate::sign_in::password`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub(crate) String);

/// Without the hash: a log is no place to start guessing from.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A link that lets somebody choose a password, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// SHA-256 of the link's secret part.
    pub token_sha256: [u8; 32],
    /// From when on the link is refused.
    pub expires_at: UnixMillis,
}

/// Somebody who signs in to the dashboard. A [`crate::snapshot::User`], in contrast, is a customer to whom keys are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their id.
    pub id: Uuid,
    /// By what they sign in; no two people share one.
    pub email: Email,
    /// Their name for other people.
    pub name: String,
    /// What they may do: readers read, editors also tag, assign, note and keep feeds, admins also manage.
    pub role: Role,
    /// The sites they see; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
    /// `None` until they have chosen one.
    pub password: Option<PasswordHash>,
    /// The link they were sent, until it is used.
    pub invitation: Option<Invitation>,
    /// Sessions carry this number and end when it rises: a new password, a new role, or "sign out everywhere".
    pub session_epoch: u32,
    /// When they were added.
    pub created_at: UnixMillis,
}

impl Person {
    /// Whether they see a site.
    #[must_use]
    pub fn may_see(&self, site: &SiteId) -> bool {
        self.sites.as_ref().is_none_or(|sites| sites.contains(site))
    }

    /// Whether they have a password to sign in with.
    #[must_use]
    pub const fn can_sign_in(&self) -> bool {
        self.password.is_some()
    }

    /// Whether everything can be managed by them: what must not happen to the last one.
    #[must_use]
    pub fn manages_everything(&self) -> bool {
        self.role == Role::Admin && self.sites.is_none() && self.can_sign_in()
    }
}

/// The word for what a person may do.
#[must_use]
pub const fn role_of_person(role: Role) -> &'static str {
    match role {
        Role::Read => "reader",
        Role::Write => "editor",
        Role::Admin => "admin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_lower_case() {
        assert_eq!(" Sales@Example.COM ".parse::<Email>().unwrap().as_str(), "sales@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(MAX_EMAIL_BYTES));
        for text in
            ["", "sales", "@example.com", "sales@", "a@b@c", "a b@c.d", "a@.d", "a@d.", "<a@b.c>", "a\u{7}@b.c", &long]
        {
            assert_eq!(text.parse::<Email>(), Err(EmailError), "{text:?}");
        }
    }

    #[test]
    fn a_hash_is_not_shown_by_accident() {
        assert!(!format!("{:?}", PasswordHash("$argon2id$…".to_owned())).contains("argon2"));
    }
}
