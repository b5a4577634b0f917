//! The client id, `LF1.1.<16 hex>.<13-digit ms>`: the form existing `_lfa` cookies have, so that a
//! visitor stays the same visitor after a move.

use alloc::string::String;
use core::{fmt, ops::Range};

/// `x` stands for a hexadecimal digit, `0` for a decimal one.
const FORM: &[u8; 36] = b"LF1.1.xxxxxxxxxxxxxxxx.0000000000000";
/// Where the two numbers are.
const RANDOM: Range<usize> = 6..22;
const TIME: Range<usize> = 23..36;

/// A visitor's client id: 64 random bits and the time it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// The random part.
    pub random: u64,
    /// When the id was made, Unix milliseconds by the browser's clock; at most 13 digits.
    pub created_ms: u64,
}

/// The text is not of the form `LF1.1.<16 hex>.<13-digit ms>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIdError;

impl fmt::Display for ClientIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not of the form LF1.1.<16 hex digits>.<13-digit milliseconds>")
    }
}

impl core::error::Error for ClientIdError {}

impl ClientId {
    /// Whether the text is of the form, without reading its numbers: the tracker counts bytes.
    #[must_use]
    pub fn has_form(text: &[u8]) -> bool {
        text.len() == FORM.len()
            && text.iter().zip(FORM).all(|(byte, form)| match form {
                b'x' => byte.is_ascii_hexdigit(),
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            })
    }

    /// Reads the cookie's value.
    ///
    /// # Errors
    /// When the text is not exactly of the form `LF1.1.<16 hex>.<13-digit ms>`.
    pub fn parse(text: &[u8]) -> Result<Self, ClientIdError> {
        if !Self::has_form(text) {
            return Err(ClientIdError);
        }
        let number = |digits: Range<usize>, base| {
            let digits = text.get(digits).and_then(|digits| core::str::from_utf8(digits).ok());
            digits.and_then(|digits| u64::from_str_radix(digits, base).ok()).ok_or(ClientIdError)
        };
        Ok(Self { random: number(RANDOM, 16)?, created_ms: number(TIME, 10)? })
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LF1.1.{:016x}.{:013}", self.random, self.created_ms)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        alloc::format!("{id}")
    }
}

#[cfg(feature = "decode")]
impl serde::Serialize for ClientId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.random, self.created_ms).serialize(serializer)
        }
    }
}

#[cfg(feature = "decode")]
impl<'de> serde::Deserialize<'de> for ClientId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            Self::parse(text.as_bytes()).map_err(serde::de::Error::custom)
        } else {
            let (random, created_ms) = <(u64, u64)>::deserialize(deserializer)?;
            Ok(Self { random, created_ms })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(random: u64, created_ms in 0u64..10_000_000_000_000) {
            let id = ClientId { random, created_ms };
            prop_assert_eq!(ClientId::parse(id.to_string().as_bytes()), Ok(id));
        }

        #[test]
        fn no_bytes_panic(bytes: alloc::vec::Vec<u8>) {
            if let Ok(id) = ClientId::parse(&bytes) {
                prop_assert!(id.created_ms < 10_000_000_000_000);
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "LF1.1.0123456789abcdef.NC",
            "LF1.1.0123456789abcdeg.1700000000000",
            "LF1.1.0123456789abcdef.170000000000a",
            "LF1.1.0123456789abcdef01700000000000",
            "LF1.2.0123456789abcdef.1700000000000",
        ] {
            assert_eq!(ClientId::parse(text.as_bytes()), Err(ClientIdError), "{text}");
        }
    }
}
