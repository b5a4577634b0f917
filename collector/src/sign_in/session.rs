//! Sessions: sealed cookies. The server keeps nothing of a session; what ends all of a person's sessions at once, on every
//! collector, is the epoch that stands in the cookie and in the person (docs/decisions/0085-sign-in.md).

use crate::{
    person::Person,
    sealing::{KEY_BYTES, MasterKey, SealingError},
    time::UnixMillis,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const HOUR: i64 = 3_600_000;
/// Without a request for this long it is over, in milliseconds: a week, so that a weekend or a fair doesn't end it.
const IDLE: i64 = 7 * 24 * HOUR;
/// This long after signing in it is over whatever happens, in milliseconds.
const LONGEST: i64 = 30 * 24 * HOUR;
/// How old `seen_at` may grow before the cookie is set anew, in milliseconds.
const RENEWED_AFTER: i64 = 10 * 60_000;
/// A clock that was set back makes sessions of the future; this far ahead is believed, in milliseconds.
const AHEAD: i64 = HOUR;

/// What a cookie holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub person: Uuid,
    /// [`Person::session_epoch`] when they signed in.
    pub epoch: u32,
    /// When they signed in.
    pub signed_in_at: UnixMillis,
    /// When the cookie was sealed last.
    pub seen_at: UnixMillis,
    /// What forms of this session carry.
    pub form_token: [u8; 16],
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In force.
    Live,
    /// In force; the cookie is to be set anew.
    Due,
    /// Over.
    Over,
}

impl Session {
    /// A session that begins. The token comes from a source that nobody can guess.
    #[must_use]
    pub fn begin(person: &Person, form_token: [u8; 16], now: UnixMillis) -> Self {
        Self { person: person.id, epoch: person.session_epoch, signed_in_at: now, seen_at: now, form_token }
    }

    /// How it stands for the person it names, as they are now.
    #[must_use]
    pub fn standing(&self, person: &Person, now: UnixMillis) -> Standing {
        let is_theirs = person.id == self.person && person.session_epoch == self.epoch && person.can_sign_in();
        let since = |then: UnixMillis| now.0.saturating_sub(then.0);
        let (age, idle) = (since(self.signed_in_at), since(self.seen_at));
        if !is_theirs || age >= LONGEST || idle >= IDLE || age < -AHEAD || idle < -AHEAD {
            Standing::Over
        } else if idle >= RENEWED_AFTER {
            Standing::Due
        } else {
            Standing::Live
        }
    }

    /// The same session, seen now.
    #[must_use]
    pub fn renewed(&self, now: UnixMillis) -> Self {
        Self { seen_at: now, ..self.clone() }
    }

    /// The token of its forms, as text.
    #[must_use]
    pub fn form_token_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.form_token)
    }

    /// Whether a form carries the session's token; the time it takes tells nothing of it.
    #[must_use]
    pub fn has_form_token(&self, text: &str) -> bool {
        URL_SAFE_NO_PAD.decode(text).is_ok_and(|token| token.ct_eq(&self.form_token).into())
    }
}

/// Seals sessions under a key of their own.
#[derive(Clone, Debug)]
pub struct Sessions {
    key: MasterKey,
}

/// What the seal is for.
const CONTEXT: &[u8] = b"firmsight session";

impl Sessions {
    /// By a key that is derived for sessions alone.
    #[must_use]
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Self { key: MasterKey::from_bytes(key) }
    }

    /// The cookie's value.
    ///
    /// # Errors
    /// [`SealingError`] never happens with what a session holds; it is told rather than hidden.
    pub fn seal(&self, session: &Session) -> Result<String, SealingError> {
        let plain = postcard::to_allocvec(session).map_err(|_| SealingError::Refused)?;
        Ok(URL_SAFE_NO_PAD.encode(self.key.seal(CONTEXT, &plain)))
    }

    /// What a cookie's value holds; `None` where it is not one of ours.
    #[must_use]
    pub fn open(&self, value: &str) -> Option<Session> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        postcard::from_bytes(&self.key.open(CONTEXT, &sealed).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{person::PasswordHash, snapshot::Role};

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn person() -> Person {
        Person {
            id: Uuid::from_u128(1),
            email: "sales@example.com".parse().unwrap(),
            name: "Sales".to_owned(),
            role: Role::Write,
            sites: None,
            password: Some(PasswordHash("$argon2id$…".to_owned())),
            invitation: None,
            session_epoch: 3,
            created_at: NOW,
        }
    }

    fn later(millis: i64) -> UnixMillis {
        UnixMillis(NOW.0 + millis)
    }

    #[test]
    fn a_cookie_is_opened_by_its_key_alone_and_unchanged() {
        let sessions = Sessions::new([1; KEY_BYTES]);
        let session = Session::begin(&person(), [9; 16], NOW);
        let cookie = sessions.seal(&session).unwrap();
        assert_eq!(sessions.open(&cookie), Some(session));
        assert_eq!(Sessions::new([2; KEY_BYTES]).open(&cookie), None);
        for value in ["", "AAAA", &cookie[1..], &cookie[..cookie.len() - 1]] {
            assert_eq!(sessions.open(value), None, "{value}");
        }
    }

    #[test]
    fn a_session_ends_by_time_by_epoch_and_with_its_person() {
        let session = Session::begin(&person(), [9; 16], NOW);
        for (after, expected) in [
            (0, Standing::Live),
            (RENEWED_AFTER - 1, Standing::Live),
            (RENEWED_AFTER, Standing::Due),
            (IDLE - 1, Standing::Due),
            (IDLE, Standing::Over),
            (-AHEAD, Standing::Live),
            (-AHEAD - 1, Standing::Over),
        ] {
            assert_eq!(session.standing(&person(), later(after)), expected, "{after}");
        }
        let kept_up = session.renewed(later(LONGEST - 1));
        assert_eq!(kept_up.standing(&person(), later(LONGEST - 1)), Standing::Live);
        assert_eq!(kept_up.standing(&person(), later(LONGEST)), Standing::Over);
        for other in [
            Person { session_epoch: 4, ..person() },
            Person { id: Uuid::from_u128(2), ..person() },
            Person { password: None, ..person() },
        ] {
            assert_eq!(session.standing(&other, NOW), Standing::Over);
        }
    }

    #[test]
    fn a_form_belongs_to_the_session_whose_token_it_carries() {
        let session = Session::begin(&person(), [9; 16], NOW);
        assert!(session.has_form_token(&session.form_token_text()));
        for text in ["", "AAAA", &Session::begin(&person(), [8; 16], NOW).form_token_text()] {
            assert!(!session.has_form_token(text), "{text}");
        }
    }
}
