//! Paths as clients write them: a base URL that ends in a slash makes `//accounts`, and some add one at the end.

use axum::http::{Request, Uri, uri::PathAndQuery};

/// The request for the path with single slashes and none at the end.
pub(super) fn normalized<B>(mut request: Request<B>) -> Request<B> {
    if let Some(path) = single_slashes(request.uri().path()) {
        let mut parts = request.uri().clone().into_parts();
        let text = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        // What doesn't parse stays as it came, and names nothing.
        if let Ok(path) = PathAndQuery::try_from(text) {
            parts.path_and_query = Some(path);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// The path with single slashes and none at the end, where it isn't so already.
fn single_slashes(path: &str) -> Option<String> {
    let is_normal = path == "/" || (!path.contains("//") && !path.ends_with('/'));
    (!is_normal && path.starts_with('/')).then(|| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        format!("/{}", parts.join("/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_are_taken_away() {
        for (given, expected) in [
            ("//accounts/shop", "/accounts/shop"),
            ("/accounts/", "/accounts"),
            ("///accounts//shop///leads//?page[size]=1&x=//", "/accounts/shop/leads?page[size]=1&x=//"),
            ("/accounts?x=1/", "/accounts?x=1/"),
            ("//", "/"),
            ("/", "/"),
            ("http://stats.example.com//accounts", "http://stats.example.com/accounts"),
            ("/accounts/a%2F%2Fb", "/accounts/a%2F%2Fb"),
        ] {
            let request = Request::builder().uri(given).body(()).unwrap();
            assert_eq!(normalized(request).uri().to_string(), expected, "{given}");
        }
    }

    #[test]
    fn what_has_no_path_stays() {
        let request = Request::builder().uri("*").body(()).unwrap();
        assert_eq!(normalized(request).uri().to_string(), "*");
    }
}
