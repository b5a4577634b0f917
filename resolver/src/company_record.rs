//! A record of a database that names organisations, whatever its publisher's schema.
//!
//! A record is a map, perhaps with a map inside (`traits` in GeoIP2 Enterprise), and its keys mean the same wherever they
//! occur, but for `name`, `domain` and `type`, which IPinfo's files use for whatever the file is about. Values come as the
//! publishers write them: AS numbers as numbers or as `"AS15169"`, flags as booleans or as `"true"`.

use crate::mmdb::AsNumber;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Flags in one record; more are left out.
const MAX_FLAGS: usize = 12;
/// How deep maps may lie in maps.
const MAX_DEPTH: usize = 4;

/// What a record says of a network; texts are empty where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompanyRecord<'a> {
    pub(crate) asn: Option<u32>,
    pub(crate) as_name: &'a str,
    pub(crate) as_domain: &'a str,
    pub(crate) as_type: &'a str,
    /// Who uses the network.
    pub(crate) organization: &'a str,
    /// Through whom.
    pub(crate) isp: &'a str,
    /// In IPinfo's files the organisation's own; in MaxMind's that of the addresses' names, often the provider's.
    pub(crate) domain: &'a str,
    pub(crate) company_type: &'a str,
    pub(crate) user_type: &'a str,
    pub(crate) connection_type: &'a str,
    /// Of our own lists: a word of [`crate::NetworkKind`].
    pub(crate) kind: &'a str,
    pub(crate) flags: [&'a str; MAX_FLAGS],
    pub(crate) flag_count: usize,
}

impl<'a> CompanyRecord<'a> {
    /// The names of fields that are true, without `is_`.
    pub(crate) fn flags(&self) -> &[&'a str] {
        self.flags.get(..self.flag_count).unwrap_or_default()
    }

    fn set(&mut self, key: &'a str, value: Value<'a>) {
        match (key, value) {
            (_, Value::Record(inner)) => self.merge(*inner),
            ("asn" | "autonomous_system_number", Value::Number(number)) => self.asn = u32::try_from(number).ok(),
            ("asn" | "autonomous_system_number", Value::Text(text)) => {
                self.asn = AsNumber::of_text(text).map(|AsNumber(number)| number);
            }
            ("as_name" | "autonomous_system_organization", Value::Text(text)) => self.as_name = text,
            ("as_domain", Value::Text(text)) => self.as_domain = text,
            ("as_type", Value::Text(text)) => self.as_type = text,
            ("organization" | "organisation" | "company" | "name", Value::Text(text)) => self.organization = text,
            ("isp", Value::Text(text)) => self.isp = text,
            ("domain", Value::Text(text)) => self.domain = text,
            ("type", Value::Text(text)) => self.company_type = text,
            ("user_type", Value::Text(text)) => self.user_type = text,
            ("connection_type", Value::Text(text)) => self.connection_type = text,
            ("kind", Value::Text(text)) => self.kind = text,
            (key, Value::Flag) => {
                if let Some(place) = self.flags.get_mut(self.flag_count) {
                    *place = key.strip_prefix("is_").unwrap_or(key);
                    self.flag_count += 1;
                }
            }
            _ => {}
        }
    }

    fn merge(&mut self, inner: Self) {
        self.asn = self.asn.or(inner.asn);
        for (ours, theirs) in [
            (&mut self.as_name, inner.as_name),
            (&mut self.as_domain, inner.as_domain),
            (&mut self.as_type, inner.as_type),
            (&mut self.organization, inner.organization),
            (&mut self.isp, inner.isp),
            (&mut self.domain, inner.domain),
            (&mut self.company_type, inner.company_type),
            (&mut self.user_type, inner.user_type),
            (&mut self.connection_type, inner.connection_type),
            (&mut self.kind, inner.kind),
        ] {
            if ours.is_empty() {
                *ours = theirs;
            }
        }
        for flag in inner.flags() {
            self.set(flag, Value::Flag);
        }
    }
}

enum Value<'a> {
    Text(&'a str),
    Number(u64),
    /// True; what is false says nothing.
    Flag,
    Record(Box<CompanyRecord<'a>>),
    Other,
}

/// Reads a record at a depth of maps in maps.
struct RecordVisitor {
    depth: usize,
}

impl<'de> de::Visitor<'de> for RecordVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(if text == "true" { Value::Flag } else { Value::Text(text) })
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(if flag { Value::Flag } else { Value::Other })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, _: &'de [u8]) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut record = CompanyRecord::default();
        while let Some(key) = map.next_key::<&'de str>()? {
            // Places have names too, which are nobody's organisation.
            if self.depth >= MAX_DEPTH
                || matches!(
                    key,
                    "city"
                        | "country"
                        | "continent"
                        | "location"
                        | "postal"
                        | "registered_country"
                        | "represented_country"
                        | "subdivisions"
                )
            {
                map.next_value::<de::IgnoredAny>()?;
            } else {
                record.set(key, map.next_value_seed(Self { depth: self.depth + 1 })?);
            }
        }
        Ok(Value::Record(Box::new(record)))
    }
}

impl<'de> de::DeserializeSeed<'de> for RecordVisitor {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CompanyRecord<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(RecordVisitor { depth: 0 })? {
            Value::Record(record) => Ok(*record),
            _ => Err(de::Error::custom("a record that is no map")),
        }
    }
}
