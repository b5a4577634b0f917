//! The number under which each variant of an enum is stored in a record.
//!
//! serde stores a variant by its place in the source, so that a variant added in the middle would turn a withdrawal that
//! waits in a spool into an e-mail address. Here every variant has a number that is written down. What stands in these
//! tables was released: a number is never moved or given to another variant, even when its variant is gone. A new variant
//! takes a new number and raises [`super::segment::VERSION`]: an older collector then leaves the whole segment alone,
//! where it would otherwise stop at the first record that it does not know. `tests/record_codes.rs` compares the tables with
//! what each version released.
//!
//! A number takes one byte, as the place did: version 1 began with places, which are the numbers 0 to 18 below.

use crate::counters::DropReason;
use beacon::{Consent, EventKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// [`super::record::Record::Beacon`].
pub(super) const RECORD_BEACON: u8 = 0;
/// [`super::record::Record::Drops`].
pub(super) const RECORD_DROPS: u8 = 1;
/// [`super::record::ClientAddress::Ip`].
pub(super) const ADDRESS_IP: u8 = 0;
/// [`super::record::ClientAddress::HostName`].
pub(super) const ADDRESS_HOST_NAME: u8 = 1;

/// An enum without fields that is stored by a number.
pub(super) trait Coded: Copy + 'static {
    /// What it is, for errors and for the table of what was released.
    const NAME: &'static str;
    /// Every number with its variant.
    #[cfg(test)]
    const TABLE: &'static [(u8, Self)];

    /// The variant's number.
    fn code(self) -> u8;
    /// The number's variant.
    fn of_code(code: u8) -> Option<Self>;
}

macro_rules! codes {
    ($name:literal $type:ident { $($code:literal = $variant:ident,)* }) => {
        impl Coded for $type {
            const NAME: &'static str = $name;
            #[cfg(test)]
            const TABLE: &'static [(u8, Self)] = &[$(($code, Self::$variant),)*];

            fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            fn of_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! { "event-kind" EventKind {
    0 = Pageview,
    1 = Engagement,
    2 = Outbound,
    3 = Download,
    4 = Form,
    5 = Video,
    6 = Custom,
    7 = Identify,
    8 = Forget,
} }

codes! { "consent" Consent {
    0 = Granted,
    1 = Unknown,
    2 = NotRequired,
} }

codes! { "drop-reason" DropReason {
    0 = Crawler,
    1 = Reserved,
    2 = Residential,
    3 = Mobile,
    4 = Hosting,
    5 = Gateway,
    6 = Anonymizer,
    7 = Unknown,
    8 = NotKept,
    9 = OwnNetwork,
    10 = Objection,
    11 = GlobalPrivacyControl,
    12 = IdentifyNotAllowed,
    13 = Repeated,
    14 = SiteRemoved,
    15 = Forget,
    16 = SpoolDamaged,
    17 = Unstorable,
    18 = Ignored,
    19 = VisitorLimit,
} }

/// For `#[serde(with = "codes")]`.
pub(super) fn serialize<T: Coded, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.code().serialize(serializer)
}

/// For `#[serde(with = "codes")]`.
pub(super) fn deserialize<'de, T: Coded, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let code = u8::deserialize(deserializer)?;
    T::of_code(code).ok_or_else(|| D::Error::custom(format_args!("{code} is no {}", T::NAME)))
}
