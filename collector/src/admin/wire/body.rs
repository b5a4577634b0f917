//! Bodies of requests: JSON, bounded, with the field named that doesn't fit.

use crate::admin::problem::Problem;
use axum::{
    body::Body as HttpBody,
    extract::{FromRequest, Request},
    http::header,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// Room for a site with a thousand hosts.
const MAX_BYTES: usize = 512 * 1024;

/// A body of JSON.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, Outer: Send + Sync> FromRequest<Outer> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Outer) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::BodyType);
        }
        let body: HttpBody = request.into_body();
        let bytes = Limited::new(body, MAX_BYTES).collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                Problem::BodyTooLarge(MAX_BYTES)
            } else {
                Problem::Body { field: String::new(), detail: "the body broke off".to_owned() }
            }
        })?;
        let bytes = bytes.to_bytes();
        // Structures are read from objects alone: serde would take an array of their fields, too.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| *first == b'[') {
            return Err(Problem::Body { field: String::new(), detail: "the body must be a JSON object".to_owned() });
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            let field = if field == "." { String::new() } else { field };
            Problem::Body { field, detail: error.into_inner().to_string() }
        })?;
        json.end().map_err(|error| Problem::Body { field: String::new(), detail: error.to_string() })?;
        Ok(Self(read))
    }
}

/// For a field that may be absent but not null.
pub(crate) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For a field of a change: absent is `None`, null is `Some(None)`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
