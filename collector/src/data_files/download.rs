//! One file over HTTP into a file on disk, within bounds.

use super::source::Request;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{
        AUTHORIZATION, CONTENT_LENGTH, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT,
    },
};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may be silent, at any point.
const SILENCE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;
/// Left free on the disk, whatever is fetched.
const SPARE_BYTES: u64 = 64 << 20;

/// Why a file did not come. No text holds a token: URLs are shown without their query.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The credentials are not the right ones.
    #[error(
        "{url} refuses the credentials (status {status}): check the token or the account id and licence key in [geoip]"
    )]
    Unauthorized {
        /// What was asked for.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// Too many questions.
    #[error("{url} says that it was asked too often (status 429): try again tomorrow")]
    TooOften {
        /// What was asked for.
        url: String,
    },
    /// Another refusal.
    #[error("{url} answers with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The server can't be reached, or broke off.
    #[error("{url}: {reason}; nothing was replaced, try again later")]
    Connection {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Redirected too often, or to where it isn't safe to go.
    #[error("{url} leads elsewhere in a way that is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// Larger than it may be.
    #[error("{url} sends more than {most} bytes; that is not taken")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The most that is taken.
        most: u64,
    },
    /// Not enough room.
    #[error("{}: the disk has {free} bytes left, and {url} needs {needed}; nothing was replaced", folder.display())]
    DiskFull {
        /// What was asked for.
        url: String,
        /// Where it should go.
        folder: PathBuf,
        /// What is free, in bytes.
        free: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// Nobody's certificate can be checked.
    #[error(
        "the system has no root certificates, so no publisher's server can be checked ({0}): install ca-certificates"
    )]
    NoRoots(io::Error),
    /// The file can't be written.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a server said of its file's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// What came.
pub(super) enum Fetched {
    /// The server has what is there already.
    Unchanged,
    /// A file was written.
    New(Validators),
}

/// An HTTP client for publishers' servers.
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// The bytes that are free in a folder.
    pub(super) free_space: fn(&Path) -> io::Result<u64>,
}

impl Client {
    pub(super) fn new() -> Result<Self, DownloadError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(DownloadError::NoRoots)?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(connector);
        Ok(Self { http: HttpClient::builder(TokioExecutor::new()).build(connector), free_space: free_bytes })
    }

    /// Asks for a file unless the server has the version of `validators`, follows redirects, writes at most `most` bytes.
    pub(super) async fn fetch(
        &self,
        request: &Request,
        validators: &Validators,
        into: &Path,
        most: u64,
    ) -> Result<Fetched, DownloadError> {
        let url = request.shown_url();
        let connection = |reason: String| DownloadError::Connection { url: url.clone(), reason };
        let mut uri: Uri = request.url().parse().map_err(|_| connection("this is no URL".to_owned()))?;
        let home = origin(&uri);
        for _ in 0..=MAX_REDIRECTS {
            let mut question =
                hyper::Request::get(uri.clone()).body(Empty::new()).map_err(|error| connection(error.to_string()))?;
            // Credentials go to the server they are for, and nowhere it may lead.
            let authorization = request.authorization.as_ref().filter(|_| origin(&uri) == home);
            set_headers(question.headers_mut(), validators, authorization.map(String::as_str));
            let answer = timeout(SILENCE, self.http.request(question))
                .await
                .map_err(|_| connection("no answer".to_owned()))?
                .map_err(|error| connection(cause(&error)))?;
            match answer.status() {
                StatusCode::OK => return self.write(answer, &url, into, most).await,
                StatusCode::NOT_MODIFIED => return Ok(Fetched::Unchanged),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => uri = next(&uri, answer.headers(), &url)?,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(DownloadError::Unauthorized { url, status: answer.status().as_u16() });
                }
                StatusCode::TOO_MANY_REQUESTS => return Err(DownloadError::TooOften { url }),
                status => return Err(DownloadError::Status { url, status: status.as_u16() }),
            }
        }
        Err(DownloadError::Redirect { url, reason: "more than five steps" })
    }

    async fn write(
        &self,
        answer: hyper::Response<Incoming>,
        url: &str,
        into: &Path,
        most: u64,
    ) -> Result<Fetched, DownloadError> {
        let url = || url.to_owned();
        let write = |source| DownloadError::Write { path: into.to_owned(), source };
        let text =
            |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let validators = Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) };
        let length: Option<u64> = text(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if length.is_some_and(|length| length > most) {
            return Err(DownloadError::TooLarge { url: url(), most });
        }
        let folder = into.parent().unwrap_or(into);
        let needed = length.unwrap_or(0).saturating_add(SPARE_BYTES);
        let free = (self.free_space)(folder).map_err(write)?;
        if free < needed {
            return Err(DownloadError::DiskFull { url: url(), folder: folder.to_owned(), free, needed });
        }
        let mut file = tokio::fs::File::create(into).await.map_err(write)?;
        let mut body = answer.into_body();
        let mut written = 0u64;
        loop {
            let frame = timeout(SILENCE, body.frame()).await;
            let frame =
                frame.map_err(|_| DownloadError::Connection { url: url(), reason: "it fell silent".to_owned() })?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| DownloadError::Connection { url: url(), reason: cause(&error) })?;
            let Ok(data) = frame.into_data() else { continue };
            written = written.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if written > most {
                return Err(DownloadError::TooLarge { url: url(), most });
            }
            file.write_all(&data).await.map_err(write)?;
        }
        file.flush().await.map_err(write)?;
        if written == 0 {
            return Err(DownloadError::Connection { url: url(), reason: "it sent an empty file".to_owned() });
        }
        Ok(Fetched::New(validators))
    }
}

fn set_headers(headers: &mut HeaderMap, validators: &Validators, authorization: Option<&str>) {
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("firmsight/", env!("CARGO_PKG_VERSION"))));
    let values = [
        (IF_NONE_MATCH, validators.etag.as_deref()),
        (IF_MODIFIED_SINCE, validators.last_modified.as_deref()),
        (AUTHORIZATION, authorization),
    ];
    for (name, value) in values {
        if let Some(mut value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            value.set_sensitive(name == AUTHORIZATION);
            headers.insert(name, value);
        }
    }
}

fn origin(uri: &Uri) -> (Option<String>, Option<String>) {
    (uri.scheme_str().map(str::to_owned), uri.authority().map(ToString::to_string))
}

/// Where a redirect leads; never from https to anything else.
fn next(uri: &Uri, headers: &HeaderMap, url: &str) -> Result<Uri, DownloadError> {
    let refused = |reason| DownloadError::Redirect { url: url.to_owned(), reason };
    let location =
        headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or(refused("it does not say where"))?;
    let base = url::Url::parse(&uri.to_string()).map_err(|_| refused("it does not say where"))?;
    let target = base.join(location).map_err(|_| refused("it does not say where"))?;
    if base.scheme() == "https" && target.scheme() != "https" {
        return Err(refused("to an address that is not https"));
    }
    target.as_str().parse().map_err(|_| refused("it does not say where"))
}

/// The innermost reason; the library's own sentence says only that something failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let state = rustix::fs::statvfs(folder)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}
