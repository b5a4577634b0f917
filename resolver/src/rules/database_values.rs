//! What the fields of commercial databases say (`company_database_values.csv`).

use super::{RangeSays, file::rows};
use crate::ResolverError;
use geoip_data::rules;
use std::{collections::HashMap, sync::Arc};

/// By field, then by value.
#[derive(Default)]
pub(crate) struct DatabaseValues {
    fields: HashMap<String, HashMap<String, (RangeSays, Arc<str>)>>,
}

impl DatabaseValues {
    pub(super) fn compile() -> Result<Self, ResolverError> {
        let mut values = Self::default();
        for row in rows(rules::COMPANY_DATABASE_VALUES, 6)? {
            let (field, value) = (row.text(0), row.text(1));
            let meaning = RangeSays {
                kind: row.kind(2)?,
                weight: row.number(3)?,
                is_final: match row.text(4) {
                    "yes" => true,
                    "no" => false,
                    other => return Err(row.error(format!("final is yes or no, not {other:?}"))),
                },
            };
            let statement = match field {
                "flag" => format!("a commercial database marks the network as {}", value.replace('_', " ")),
                _ => format!("a commercial database gives the network's {} as {value}", field.replace('_', " ")),
            };
            let known = values.fields.entry(field.to_owned()).or_default();
            if known.insert(value.to_owned(), (meaning, statement.into())).is_some() {
                return Err(row.error(format!("{field} {value} is there twice")));
            }
        }
        Ok(values)
    }

    /// What a value of a field says, and the statement for people.
    pub(crate) fn get(&self, field: &str, value: &str) -> Option<&(RangeSays, Arc<str>)> {
        self.fields.get(field)?.get(value)
    }
}
