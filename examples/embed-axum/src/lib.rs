//! A website that serves its own pages and Firmsight's public side on one origin: no second host, no
//! reverse proxy, and cookies that are the website's own.

use axum::{Router, response::Html, routing::get};
use collector::ingest::{EventSink, PublicService};

/// The id of the website in Firmsight.
pub const SITE: &str = "my-website";

/// The website: its own routes first, and whatever it does not know goes to Firmsight, which answers
/// `/lfa`, `/lfa.js` and what belongs to them, and 404 to the rest.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: Firmsight needs the visitor's address.
pub fn website<S: EventSink>(firmsight: PublicService<S>) -> Router {
    Router::new().route("/", get(home)).fallback_service(firmsight)
}

async fn home() -> Html<String> {
    Html(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>My website</title><h1>Welcome</h1>\n\
         <script async src=\"/lfa.js\" data-site=\"{SITE}\"></script>\n"
    ))
}
