//! Reading of rule files: comma-separated values with a header, `#` for comments.

use crate::{NetworkKind, ResolverError};
use geoip_data::rules::RuleFile;

/// A network kind and how strongly something speaks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KindWeight {
    pub(crate) kind: NetworkKind,
    /// Log-odds.
    pub(crate) weight: f32,
}

/// One data line of a rule file.
pub(crate) struct Row {
    file: &'static str,
    line: usize,
    fields: csv::StringRecord,
}

impl Row {
    pub(crate) fn text(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }

    pub(crate) fn kind(&self, column: usize) -> Result<NetworkKind, ResolverError> {
        let text = self.text(column);
        NetworkKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| self.error(format!("{text:?} is not a network kind")))
    }

    pub(crate) fn number(&self, column: usize) -> Result<f32, ResolverError> {
        let text = self.text(column);
        text.parse().map_err(|_| self.error(format!("{text:?} is not a number")))
    }

    pub(crate) fn error(&self, reason: String) -> ResolverError {
        ResolverError::Rules { file: self.file, line: self.line, reason }
    }
}

/// The data lines of a rule file, each with exactly `columns` fields.
pub(crate) fn rows(file: RuleFile, columns: usize) -> Result<Vec<Row>, ResolverError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(file.text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let fields = record.map_err(|error| ResolverError::Rules {
            file: file.name,
            line: error.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0)),
            reason: error.to_string(),
        })?;
        let line = fields.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let row = Row { file: file.name, line, fields };
        if row.fields.len() != columns {
            return Err(row.error(format!("{} fields where {columns} belong", row.fields.len())));
        }
        rows.push(row);
    }
    Ok(rows)
}
