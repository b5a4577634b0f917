//! What `doctor` looks at: the machine, the running server, and the website as a browser would reach it.

use super::checks::{Dns, Facts, Fetched};
use crate::{
    cli::{data_directory, geoip},
    config::Config,
    serve::{
        self,
        command::{Answer, Command},
        control_socket, setup,
    },
    site::Site,
    time::UnixMillis,
};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// How long one look over the network may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// As much of a page as is read: the tracker's tag stands in its head.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// Sites whose first page is fetched.
const MAX_SITES: usize = 10;
/// An address that has had a name for decades.
const WELL_KNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(17, 254, 0, 51));

pub(super) async fn facts(config: &Config, file: Option<&Path>) -> Facts {
    let data_dir = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let is_running = control_socket::connect(&config.data_dir).await.is_ok();
    let (mut pages, mut public) = (Vec::new(), None);
    if let Some(url) = config.public.base_url.get() {
        public = Some((url.to_owned(), fetch(&format!("{url}{}", config.tracker.script_path.as_str())).await));
    }
    for site in sites(config, is_running).await.iter().take(MAX_SITES) {
        let page = format!("https://{}/", site.hosts.first().map(String::as_str).unwrap_or_default());
        let fetched = fetch(&page).await;
        pages.push((site.id.to_string(), page, fetched));
    }
    Facts {
        file: file.map(|file| file.display().to_string()),
        refused: serve::check(config).await.err().map(|error| error.to_string()),
        has_data: data_directory::has_traces(&config.data_dir).unwrap_or(false),
        is_shared: std::fs::metadata(&data_dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0),
        free_bytes: rustix::fs::statvfs(&data_dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        data_dir: data_dir.display().to_string(),
        is_running,
        metrics: if is_running { metrics(config).await } else { None },
        data_files: geoip::ages(config),
        dns: dns(config).await,
        public,
        admin_url: config.admin.base_url.as_str().to_owned(),
        pages,
        script_path: config.tracker.script_path.as_str().to_owned(),
        now: UnixMillis::now().0 / 1000,
    }
}

async fn sites(config: &Config, is_running: bool) -> Vec<Site> {
    if !is_running {
        return Vec::new();
    }
    match tokio::time::timeout(PATIENCE, control_socket::call(&config.data_dir, &Command::ListSites)).await {
        Ok(Ok(Answer::Sites(sites))) => sites,
        _ => Vec::new(),
    }
}

/// `/metrics` of the admin listener; `None` where it asks for a key.
pub(super) async fn metrics(config: &Config) -> Option<BTreeMap<String, u64>> {
    let mut address = config.admin.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let fetched = fetch(&format!("http://{address}/metrics")).await.ok().filter(|fetched| fetched.status == 200)?;
    let lines = fetched.body.lines().filter(|line| !line.starts_with('#'));
    Some(
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect(),
    )
}

async fn dns(config: &Config) -> Dns {
    if !config.resolver.dns {
        return Dns::default();
    }
    let Ok(resolver) = setup::resolver(config, true) else { return Dns { is_on: true, ..Dns::default() } };
    let began = Instant::now();
    resolver.resolve(WELL_KNOWN).await;
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let statistics = resolver.dns_statistics().unwrap_or_default();
    let is_answered = statistics.asked > statistics.failed;
    Dns { is_on: true, servers: statistics.servers, millis: is_answered.then_some(millis) }
}

/// What a browser would get there.
async fn fetch(url: &str) -> Result<Fetched, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let request = Request::get(url)
        .header(header::USER_AGENT, "firmsight doctor")
        .body(Empty::<Bytes>::new())
        .map_err(|error| text(&error))?;
    let builder = Client::builder(TokioExecutor::new());
    let fetching = async {
        // Without TLS no certificates are needed, which a bare machine doesn't have.
        let answer = if url.starts_with("http://") {
            builder.build_http().request(request).await
        } else {
            let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| text(&error))?;
            builder.build(connector.https_only().enable_http1().build()).request(request).await
        };
        let (head, body) = answer.map_err(|error| causes(&error))?.into_parts();
        let body = Limited::new(body, MAX_PAGE_BYTES).collect().await.map_err(|error| error.to_string())?.to_bytes();
        let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp().as_second());
        Ok(Fetched { status: head.status.as_u16(), date, body: String::from_utf8_lossy(&body).into_owned() })
    };
    tokio::time::timeout(PATIENCE, fetching).await.unwrap_or_else(|_| Err("no answer within 5 s".to_owned()))
}

/// The innermost reason: the outer ones say only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
