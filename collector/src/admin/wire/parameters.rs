//! What a request's address says: ids in the path, pairs in the query string.

use crate::admin::problem::Problem;
use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use utoipa::IntoParams;

/// Ids from the path. What can't be read, such as bytes that are no UTF-8, names nothing.
pub(crate) struct FromPath<Ids>(pub(crate) Ids);

impl<Ids, Outer> FromRequestParts<Outer> for FromPath<Ids>
where
    Ids: DeserializeOwned + Send,
    Outer: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, outer: &Outer) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, outer).await;
        path.map(|Path(ids)| Self(ids)).map_err(|_| Problem::NotFound("path"))
    }
}

/// The decoded pairs; names that no endpoint knows are ignored, as clients send extra ones.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn read(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The value of a parameter that may be absent. Twice is an error: nobody can say which one was meant.
    pub(crate) fn optional(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::Parameter { name, detail: format!("{name} is given more than once") }),
        }
    }

    /// The value of a parameter that must be there and not empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Problem> {
        self.optional(name)?
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Problem::Parameter { name, detail: format!("{name} is missing") })
    }
}

/// Which address.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what `address` reads")]
pub(crate) struct AddressParameter {
    /// IPv4 or IPv6.
    #[param(example = "198.51.100.7")]
    ip: String,
}

/// The address that is asked about, and its text as it was given.
pub(crate) fn address(parameters: &Parameters) -> Result<(IpAddr, &str), Problem> {
    let text = parameters.required("ip")?;
    let wrong = |_| Problem::Parameter { name: "ip", detail: "ip must be an IPv4 or IPv6 address".to_owned() };
    Ok((text.parse().map_err(wrong)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_read_raw_and_percent_encoded() {
        for query in ["page[number]=7&x=1", "page%5Bnumber%5D=7", "page%5bnumber%5d=7"] {
            let parameters = Parameters::read(Some(query));
            assert_eq!(parameters.optional("page[number]").unwrap(), Some("7"), "{query}");
        }
    }

    #[test]
    fn missing_empty_and_repeated_parameters_are_told_apart() {
        let parameters = Parameters::read(Some("end_date=&ip=1&ip=2"));
        assert_eq!(parameters.required("start_date").unwrap_err().to_string(), "start_date is missing");
        assert_eq!(parameters.required("end_date").unwrap_err().to_string(), "end_date is missing");
        assert_eq!(parameters.required("ip").unwrap_err().to_string(), "ip is given more than once");
    }
}
