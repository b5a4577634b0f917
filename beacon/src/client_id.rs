//! The client id, `LF1.1.<16 hex>.<13-digit ms>`: the form existing `_lfa` cookies have, so that a
//! visitor stays the same visitor after a move.

use alloc::string::String;
use core::fmt;

const PREFIX: &[u8] = b"LF1.1.";
const HEX_DIGITS: usize = 16;
const TIME_DIGITS: usize = 13;
const TIME_START: usize = HEX_DIGITS + 1;
const LENGTH: usize = PREFIX.len() + HEX_DIGITS + 1 + TIME_DIGITS;

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
    /// Reads the cookie's value.
    ///
    /// # Errors
    /// When the text is not exactly of the form `LF1.1.<16 hex>.<13-digit ms>`.
    pub fn parse(text: &[u8]) -> Result<Self, ClientIdError> {
        if text.len() != LENGTH || !text.starts_with(PREFIX) {
            return Err(ClientIdError);
        }
        let mut random = 0u64;
        let mut created_ms = 0u64;
        for (position, &byte) in text.iter().enumerate().skip(PREFIX.len()) {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                b'.' => 16,
                _ => 17,
            };
            match position - PREFIX.len() {
                0..HEX_DIGITS if digit < 16 => random = random << 4 | u64::from(digit),
                HEX_DIGITS if digit == 16 => {}
                TIME_START.. if digit < 10 => created_ms = created_ms * 10 + u64::from(digit),
                _ => return Err(ClientIdError),
            }
        }
        Ok(Self { random, created_ms })
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
