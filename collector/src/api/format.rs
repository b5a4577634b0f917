//! Lists as JSON, CSV or NDJSON.
//!
//! The parameter `format` decides, else the header `Accept`, else it is JSON. CSV and NDJSON are written piece by piece: a
//! long list never stands in memory as a whole text. Should the store fail half-way, the connection is cut rather than
//! ended, so that half a list can't be taken for a whole one.
//!
//! A CSV cell that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP's "CSV injection" page
//! advises: titles, campaigns and referrers come from strangers. Numbers are left as they are.

use crate::{
    admin::{problem::Problem, wire::Parameters},
    plain_text::for_spreadsheet,
};
use axum::{
    Json,
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, value::RawValue};
use std::{convert::Infallible, fmt};
use utoipa::ToSchema;

/// Rows that are written in one piece.
const ROWS_IN_PIECE: usize = 500;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Ndjson,
}

/// What a list consists of.
pub(super) trait Row: Serialize + Send + 'static {
    /// The fields in their order: the heading of a table, which one without rows has too.
    const COLUMNS: &'static [&'static str];
}

/// A list under `/v1`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// The rows.
    pub(super) data: Vec<T>,
    /// Give it as `cursor` to read on; null where the list ends.
    pub(super) next_cursor: Option<String>,
}

/// What a list's answer depends on besides its rows: the format asked for and the address, for the link to what follows.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    format: Format,
    uri: Uri,
}

impl<Outer: Send + Sync> FromRequestParts<Outer> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Outer) -> Result<Self, Problem> {
        let parameters = Parameters::read(parts.uri.query());
        Ok(Self { format: Format::of(&parameters, &parts.headers)?, uri: parts.uri.clone() })
    }
}

impl Format {
    fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, Problem> {
        match parameters.optional("format")? {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson") => Ok(Self::Ndjson),
            Some(_) => {
                Err(Problem::Parameter { name: "format", detail: "format must be json, csv or ndjson".to_owned() })
            }
            None => Self::accepted(headers).ok_or(Problem::NotAcceptable),
        }
    }

    /// The format that the `Accept` headers like best; `None` where they name only what we don't have.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = accepts.flat_map(|value| value.split(',')).map(str::trim).filter(|range| !range.is_empty());
        let mut best: Option<(f32, Self)> = None;
        let mut is_asked = false;
        for range in ranges {
            is_asked = true;
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "*/*" | "application/*" | "application/json" => Self::Json,
                "text/csv" | "text/*" => Self::Csv,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Ndjson,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
            // The first of equal ones wins.
            if weight > 0.0 && best.is_none_or(|(other, _)| weight > other) {
                best = Some((weight, format));
            }
        }
        if is_asked { best.map(|(_, format)| format) } else { Some(Self::Json) }
    }
}

impl Listing {
    /// Whether a table is asked for, which shows no nested values.
    pub(super) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Answers with a list that is in memory.
    pub(super) fn answer<T: Row>(&self, rows: Vec<T>, next_cursor: Option<String>) -> Response {
        let link = next_cursor.as_deref().and_then(|cursor| self.link_to_next(cursor));
        let mut response = match self.format {
            Format::Json => Json(List { data: rows, next_cursor }).into_response(),
            format => {
                let mut rows = rows.into_iter();
                let pieces = std::iter::from_fn(move || {
                    let piece: Vec<T> = rows.by_ref().take(ROWS_IN_PIECE).collect();
                    (!piece.is_empty()).then_some(Ok::<_, Infallible>(piece))
                });
                written(format, stream::iter(pieces))
            }
        };
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// The address of what follows, relative to this one (RFC 8288 allows it).
    fn link_to_next(&self, cursor: &str) -> Option<HeaderValue> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let own = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(own.filter(|(name, _)| name != "cursor"));
        query.append_pair("cursor", cursor);
        HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.finish())).ok()
    }
}

/// Answers with rows that come piece by piece.
fn written<T, E>(format: Format, pieces: impl Stream<Item = Result<Vec<T>, E>> + Send + 'static) -> Response
where
    T: Row,
    E: std::error::Error + Send + Sync + 'static,
{
    let heading = (format == Format::Csv).then(|| csv_heading::<T>().map_err(axum::Error::new));
    let texts = pieces.map(move |piece| {
        let piece = piece.map_err(axum::Error::new)?;
        match format {
            Format::Csv => csv_text(&piece).map_err(axum::Error::new),
            Format::Json | Format::Ndjson => ndjson_text(&piece).map_err(axum::Error::new),
        }
    });
    let texts = stream::iter(heading).chain(texts);
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Json | Format::Ndjson => "application/x-ndjson",
    };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], Body::from_stream(texts)).into_response()
}

fn ndjson_text<T: Serialize>(rows: &[T]) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn csv_writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn csv_heading<T: Row>() -> Result<Vec<u8>, CsvError> {
    let mut writer = csv_writer();
    writer.write_record(T::COLUMNS)?;
    writer.into_inner().map_err(|error| CsvError::Write(error.into_error().into()))
}

/// Columns are the rows' fields in their order; lists of texts are joined by blanks, and what is nested deeper is JSON.
fn csv_text<T: Row>(rows: &[T]) -> Result<Vec<u8>, CsvError> {
    let mut writer = csv_writer();
    for row in rows {
        let text = serde_json::to_string(row)?;
        let Fields(fields) = serde_json::from_str(&text)?;
        debug_assert!(fields.iter().map(|(name, _)| name).eq(T::COLUMNS), "{fields:?} are not {:?}", T::COLUMNS);
        for (_, value) in &fields {
            writer.write_field(cell(value)?)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|error| CsvError::Write(error.into_error().into()))
}

#[derive(Debug, thiserror::Error)]
enum CsvError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Write(#[from] csv::Error),
}

/// The fields of an object in the order in which they were written.
#[derive(Debug)]
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<Map: de::MapAccess<'de>>(self, mut map: Map) -> Result<Fields, Map::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A value as a cell.
fn cell(value: &RawValue) -> serde_json::Result<String> {
    Ok(match serde_json::from_str(value.get())? {
        Value::Null => String::new(),
        Value::String(text) => for_spreadsheet(&text).into_owned(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            for_spreadsheet(&values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")).into_owned()
        }
        _ => value.get().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line {
        name: String,
        number: i64,
        maybe: Option<String>,
        names: Vec<&'static str>,
    }

    impl Row for Line {
        const COLUMNS: &'static [&'static str] = &["name", "number", "maybe", "names"];
    }

    fn row(name: &str) -> Line {
        Line { name: name.to_owned(), number: -5, maybe: None, names: vec!["=1", "b"] }
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused_and_numbers_stay() {
        let text = String::from_utf8(csv_text(&[row("=A1"), row("a,\"b\"\nc")]).unwrap()).unwrap();
        assert_eq!(text, "'=A1,-5,,'=1 b\r\n\"a,\"\"b\"\"\nc\",-5,,'=1 b\r\n");
    }

    #[tokio::test]
    async fn a_table_has_its_heading_once_and_also_without_rows() {
        for (count, expected) in [(0, 1), (1, 2), (ROWS_IN_PIECE + 1, ROWS_IN_PIECE + 2)] {
            let listing = Listing { format: Format::Csv, uri: Uri::from_static("/") };
            let rows: Vec<Line> = (0..count).map(|_| row("x")).collect();
            let body = axum::body::to_bytes(listing.answer(rows, None).into_body(), usize::MAX).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.starts_with("name,number,maybe,names\r\n"), "{text}");
            assert_eq!(text.lines().count(), expected);
        }
    }

    #[test]
    fn the_parameter_decides_then_the_header_then_it_is_json() {
        let cases: &[(&str, &[&str], Option<Format>)] = &[
            ("", &[], Some(Format::Json)),
            ("", &["*/*"], Some(Format::Json)),
            ("", &["text/csv"], Some(Format::Csv)),
            ("", &["application/json;q=0.5, text/csv"], Some(Format::Csv)),
            ("", &["application/json", "text/csv"], Some(Format::Json)),
            ("", &["application/x-ndjson"], Some(Format::Ndjson)),
            ("", &["text/html, application/xhtml+xml, */*;q=0.8"], Some(Format::Json)),
            ("", &["text/html"], None),
            ("", &["text/csv;q=0"], None),
            ("format=csv", &["application/json"], Some(Format::Csv)),
            ("format=ndjson", &["text/html"], Some(Format::Ndjson)),
            ("format=xml", &[], None),
        ];
        for (query, accepts, expected) in cases {
            let mut headers = HeaderMap::new();
            for accept in *accepts {
                headers.append(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            }
            let found = Format::of(&Parameters::read(Some(query)), &headers).ok();
            assert_eq!(found, *expected, "{query} {accepts:?}");
        }
    }
}
