//! The example shop: static pages, and in front of the collector what a reverse proxy does, so that pages and
//! tracker share one origin. `?from=ADDRESS` makes the shop forward a visit as if it came from that address.

use crate::{error::Error, machine};
use std::{
    collections::HashMap,
    fs,
    io::{Cursor, Read},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};
use tiny_http::{Header, Method, Request, Response, Server};

/// Largest beacon that is passed on, in bytes; the collector's own limit is the same.
const LARGEST_BODY: u64 = 64 * 1024;

type Answer = Response<Cursor<Vec<u8>>>;

struct Shop {
    pages: PathBuf,
    vendor: PathBuf,
    collector: SocketAddr,
    /// The address that each peer pretends to come from.
    pretended: Mutex<HashMap<IpAddr, IpAddr>>,
}

/// Serves in threads of its own until the process ends.
pub(super) fn serve(listen: SocketAddr, vendor: &Path, collector: SocketAddr) -> Result<(), Error> {
    let server = Server::http(listen)
        .map_err(|error| Error::Other(format!("the example shop can't listen on {listen}: {error}")))?;
    let server = Arc::new(server);
    let shop = Arc::new(Shop {
        pages: machine::root().join("examples").join("demo-site"),
        vendor: vendor.to_path_buf(),
        collector,
        pretended: Mutex::default(),
    });
    for _ in 0..4 {
        let (server, shop) = (Arc::clone(&server), Arc::clone(&shop));
        thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let answer = shop.answer(&mut request);
                if let Err(error) = request.respond(answer) {
                    eprintln!("the example shop: {error}");
                }
            }
        });
    }
    Ok(())
}

impl Shop {
    fn answer(&self, request: &mut Request) -> Answer {
        let url = request.url().to_owned();
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        if path.starts_with("/lfa") {
            return self.pass_on(request, &url);
        }
        if let (Some(peer), Some(address)) =
            (request.remote_addr(), query.strip_prefix("from=").and_then(|text| text.parse().ok()))
        {
            self.pretended.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.ip(), address);
        }
        self.page(path)
    }

    fn page(&self, path: &str) -> Answer {
        let (folder, name) = match path {
            "/" => (&self.pages, "index.html"),
            "/klaro.js" => (&self.vendor, "klaro.js"),
            other => (&self.pages, other.trim_start_matches('/')),
        };
        // One plain file name: nothing outside the folder can be named.
        let plain = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            && !name.starts_with('.');
        let content_type = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        if !plain {
            return not_found();
        }
        fs::read(folder.join(name)).map_or_else(
            |_| not_found(),
            |content| with_header(Response::from_data(content), "Content-Type", content_type),
        )
    }

    /// What nginx or Caddy do in production: the collector sees this host and the visitor's address.
    fn pass_on(&self, request: &mut Request, url: &str) -> Answer {
        let peer = request.remote_addr().map(SocketAddr::ip);
        let address = peer
            .and_then(|peer| self.pretended.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).copied())
            .or(peer);
        let target = format!("http://{}{url}", self.collector);
        let passed: Vec<(String, String)> = request
            .headers()
            .iter()
            .filter(|header| {
                [
                    "host",
                    "origin",
                    "referer",
                    "user-agent",
                    "cookie",
                    "content-type",
                    "accept-encoding",
                    "accept-language",
                    "sec-gpc",
                    "sec-fetch-site",
                ]
                .iter()
                .any(|name| header.field.equiv(name))
            })
            .map(|header| (header.field.as_str().as_str().to_owned(), header.value.as_str().to_owned()))
            .chain(address.map(|address| ("X-Forwarded-For".to_owned(), address.to_string())))
            .collect();
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
        let answered = if *request.method() == Method::Post {
            let mut body = Vec::new();
            if request.as_reader().take(LARGEST_BODY + 1).read_to_end(&mut body).is_err() {
                return Response::from_data("the body did not arrive").with_status_code(400);
            }
            let outgoing =
                passed.iter().fold(agent.post(&target), |outgoing, (name, value)| outgoing.header(name, value));
            outgoing.send(&body[..])
        } else {
            let outgoing =
                passed.iter().fold(agent.get(&target), |outgoing, (name, value)| outgoing.header(name, value));
            outgoing.call()
        };
        match answered {
            Ok(mut answered) => {
                let mut content = Vec::new();
                if answered.body_mut().as_reader().take(1 << 20).read_to_end(&mut content).is_err() {
                    return Response::from_data("the collector broke off").with_status_code(502);
                }
                let answer = Response::from_data(content).with_status_code(answered.status().as_u16());
                ["content-type", "content-encoding", "cache-control", "etag", "set-cookie", "vary"].into_iter().fold(
                    answer,
                    |answer, name| match answered.headers().get(name).and_then(|value| value.to_str().ok()) {
                        Some(value) => with_header(answer, name, value),
                        None => answer,
                    },
                )
            }
            Err(error) => Response::from_data(format!("the collector does not answer: {error}")).with_status_code(502),
        }
    }
}

fn with_header(answer: Answer, name: &str, value: &str) -> Answer {
    match Header::from_bytes(name, value) {
        Ok(header) => answer.with_header(header),
        Err(()) => answer,
    }
}

fn not_found() -> Answer {
    Response::from_data("no such page").with_status_code(404)
}
