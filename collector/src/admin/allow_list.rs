//! Who may talk to the admin listener at all: `[admin].allow`.
//!
//! The peer of the connection counts, never a forwarding header: behind a proxy the list names the proxy, and the proxy
//! decides further. An empty list allows everybody.

use super::{Shared, problem::Problem};
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::SocketAddr, sync::Arc};

/// Answers 403 to peers that the list does not name, and to all of unknown address where there is a list.
pub(super) async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let allowed = &shared.services.settings.allowed_networks;
    if allowed.is_empty() {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    if peer.is_some_and(|peer| allowed.iter().any(|network| network.contains(&peer))) {
        return next.run(request).await;
    }
    Problem::Forbidden("this address is not among those that [admin].allow names".to_owned()).into_response()
}
