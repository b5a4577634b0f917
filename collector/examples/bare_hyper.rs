//! The yardstick of `cargo xtask bench ingest`: a hyper server that reads a body and answers 204, and does nothing else.
#![allow(clippy::print_stdout, reason = "the bench reads the address from standard output")]

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, io};
use tokio::net::TcpListener;

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let read = request.into_body().collect().await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = if read.is_ok() { hyper::StatusCode::NO_CONTENT } else { hyper::StatusCode::BAD_REQUEST };
    Ok(response)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection that breaks off is the client's choice.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
        });
    }
}
