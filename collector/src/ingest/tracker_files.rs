//! The tracker's files, built into the binary: the script with this collector's settings written into
//! it, and the hashed files beside it.

use super::{Answer, page_host::Host, problem::Problem};
use crate::{
    site::{ClientIdLife, ConsentMode, Site, SiteId},
    snapshot::Snapshot,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/tracker_files.rs"));
}

/// Where the script holds its settings, quotes included, so that the file is valid JavaScript before.
const PLACEHOLDER: &str = "\"%FIRMSIGHT%\"";
const SCRIPT: &str = "lfa.js";
/// The script names the core by its hash, and a new version serves only its own core: a script kept for long would ask
/// for one that is gone.
const SCRIPT_CACHE: &str = "public, max-age=300";
/// Digits of the hash in the names of the files beside the script.
const HASH_DIGITS: usize = 12;
/// Variants of the script (by host and `?site=`) kept ready.
const MAX_VARIANTS: usize = 256;

/// A file of the tracker: its name and content.
pub type File = (&'static str, &'static [u8]);

/// The files that this binary was built with; none without `cargo xtask tracker`.
pub(super) const EMBEDDED: &[File] = embedded::FILES;

/// A body and its compressed forms, made once.
#[derive(Debug)]
struct Prepared {
    content_type: &'static str,
    cache_control: &'static str,
    etag: HeaderValue,
    plain: Bytes,
    brotli: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
}

impl Prepared {
    fn new(name: &str, cache_control: &'static str, content: Bytes) -> Self {
        let content_type = if name.ends_with(".wasm") { "application/wasm" } else { "text/javascript; charset=utf-8" };
        let digest = Sha256::digest(&content);
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // Weak: the compressed forms share it.
        let etag = HeaderValue::try_from(format!("W/\"{hash}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""));
        Self { content_type, cache_control, etag, plain: content, brotli: OnceLock::new(), gzip: OnceLock::new() }
    }

    fn answer(&self, request: &HeaderMap) -> Answer {
        let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
        let own = self.etag.to_str().unwrap_or_default().trim_start_matches("W/");
        let unchanged = known.flat_map(|line| line.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.trim_start_matches("W/") == own
        });
        let (encoding, body) = if accepts(request, "br") {
            (Some("br"), self.brotli.get_or_init(|| compressed(&self.plain, brotli)))
        } else if accepts(request, "gzip") {
            (Some("gzip"), self.gzip.get_or_init(|| compressed(&self.plain, gzip)))
        } else {
            (None, &self.plain)
        };
        let mut answer = Response::new(Full::new(if unchanged { Bytes::new() } else { body.clone() }));
        let headers = answer.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if unchanged {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        answer
    }
}

/// Whether Accept-Encoding names this coding with a quality above 0 (RFC 9110, 12.5.3).
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let lines = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|element| {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let quality = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), |q| q.trim().parse::<f32>());
        name.trim().eq_ignore_ascii_case(coding) && quality.is_ok_and(|quality| quality > 0.0)
    })
}

fn compressed(plain: &Bytes, compress: fn(&[u8]) -> io::Result<Vec<u8>>) -> Bytes {
    // Writing to memory can't fail; were it to, an empty body would be worse than a panic is here.
    compress(plain).map_or_else(|_| Bytes::new(), Bytes::from)
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let parameters = ::brotli::enc::BrotliEncoderParams::default();
    ::brotli::BrotliCompress(&mut &plain[..], &mut out, &parameters)?;
    Ok(out)
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// The files under their public paths.
#[derive(Debug)]
pub(super) struct TrackerFiles {
    script: Option<&'static str>,
    script_path: String,
    /// From the script: a proxy may serve both under a prefix.
    endpoint: String,
    client_id_life: ClientIdLife,
    beside: HashMap<String, Prepared>,
    /// What the paths of files beside the script begin with.
    stem: String,
    /// The same files for scripts of other versions, which are cached or run in open pages: by the name behind the hash.
    of_other_versions: HashMap<String, Prepared>,
    rendered: Mutex<Rendered>,
}

#[derive(Debug, Default)]
struct Rendered {
    /// The picture and the collector's host from which `whole` was made.
    whole: Option<(Arc<Snapshot>, String, Arc<Prepared>)>,
    /// By the settings' text.
    by_settings: HashMap<String, Arc<Prepared>>,
}

impl TrackerFiles {
    /// `core.<hash>.wasm` becomes `{stem}.<hash>.wasm` beside the script, whose stem is its path without `.js`.
    #[must_use]
    pub(super) fn new(files: &[File], script_path: &str, endpoint_path: &str, client_id_life: ClientIdLife) -> Self {
        let stem = script_path.strip_suffix(".js").unwrap_or(script_path);
        let find = |name| files.iter().find(|(own, _)| *own == name).map(|(_, content)| *content);
        let beside = files.iter().filter(|(name, _)| *name != SCRIPT).map(|(name, content)| {
            let path = format!("{stem}.{}", name.strip_prefix("core.").unwrap_or(name));
            const IMMUTABLE: &str = "public, max-age=31536000, immutable";
            (path, Prepared::new(name, IMMUTABLE, Bytes::from_static(content)))
        });
        // Not the core itself, `core.<hash>.js`: only its own script knows how to talk to it.
        let parts = files.iter().filter_map(|(name, content)| {
            let (_, part) = name.strip_prefix("core.")?.split_once('.').filter(|(_, part)| part.contains('.'))?;
            Some((part.to_owned(), Prepared::new(name, SCRIPT_CACHE, Bytes::from_static(content))))
        });
        Self {
            script: find(SCRIPT).and_then(|content| std::str::from_utf8(content).ok()),
            script_path: script_path.to_owned(),
            endpoint: relative(script_path, endpoint_path),
            client_id_life,
            beside: beside.collect(),
            stem: stem.to_owned(),
            of_other_versions: parts.collect(),
            rendered: Mutex::default(),
        }
    }

    fn find(&self, path: &str) -> Option<&Prepared> {
        let other = || {
            let (hash, part) = path.strip_prefix(&self.stem)?.strip_prefix('.')?.split_once('.')?;
            let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            self.of_other_versions.get(part).filter(|_| is_hash)
        };
        self.beside.get(path).or_else(other)
    }

    /// Whether a hashed file is served under this path.
    #[must_use]
    pub(super) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// A hashed file.
    #[must_use]
    pub(super) fn beside(&self, path: &str, request: &HeaderMap) -> Option<Answer> {
        self.find(path).map(|file| file.answer(request))
    }

    /// The script, with the settings of all sites or of one; `host` is the `host[:port]` by which it was asked for.
    ///
    /// # Errors
    /// When the binary was built without the tracker, or there is no such site.
    pub(super) fn script(
        &self,
        snapshot: &Arc<Snapshot>,
        site: Option<&str>,
        host: &str,
        request: &HeaderMap,
    ) -> Result<Answer, Problem> {
        let Some(source) = self.script else {
            let detail = "this binary was built without the tracker: run cargo xtask build";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "", "no-tracker", detail));
        };
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match site {
            Some(id) => {
                let Some(site) = snapshot.sites.get(id) else {
                    return Err(Problem::new(StatusCode::NOT_FOUND, "site", "unknown-site", "there is no such site"));
                };
                let settings = self.settings(host, Some(&site.id), std::iter::once(&**site));
                rendered.variant(source, settings)
            }
            None => match &rendered.whole {
                Some((from, by, file)) if Arc::ptr_eq(from, snapshot) && by == host => Arc::clone(file),
                _ => {
                    let differing = snapshot.sites.values().map(|site| &**site).filter(|site| self.differs(site));
                    let file = rendered.variant(source, self.settings(host, None, differing));
                    rendered.whole = Some((Arc::clone(snapshot), host.to_owned(), Arc::clone(&file)));
                    file
                }
            },
        };
        drop(rendered);
        Ok(file.answer(request))
    }

    /// Whether the tracker has to be told of this site.
    fn differs(&self, site: &Site) -> bool {
        site.consent != ConsentMode::default() || site.identify || site.client_id_life < self.client_id_life
    }

    /// `{"days":400,"domain":"example.com","endpoint":"lfa","sites":{"ID":{"consent":"cookieless","days":90,"identify":true}},
    /// "source":"//stats.example.com/lfa.js"}`, sites in order, and `"site"` where it was asked for one.
    fn settings<'a>(&self, host: &str, asked: Option<&SiteId>, sites: impl Iterator<Item = &'a Site>) -> String {
        let mut sites: Vec<(&SiteId, Value)> = sites
            .map(|site| {
                let mut own = Map::new();
                if site.consent != ConsentMode::default() {
                    own.insert("consent".to_owned(), site.consent.as_str().into());
                }
                if site.identify {
                    own.insert("identify".to_owned(), true.into());
                }
                if site.client_id_life < self.client_id_life {
                    own.insert("days".to_owned(), site.client_id_life.days().into());
                }
                (&site.id, Value::Object(own))
            })
            .collect();
        sites.sort_by_key(|(id, _)| *id);
        let sites: Map<String, Value> = sites.into_iter().map(|(id, own)| (id.to_string(), own)).collect();
        let mut settings = json!({ "days": self.client_id_life.days(), "endpoint": self.endpoint, "sites": sites });
        // Anybody can write a Host header; what is no host isn't repeated.
        if let Some(known) = Host::of_authority(host).filter(|_| host.bytes().all(is_host_byte)) {
            settings["source"] = format!("//{host}{}", self.script_path).into();
            if let Some(domain) = known.registrable_domain() {
                settings["domain"] = domain.into();
            }
        }
        if let Some(site) = asked {
            settings["site"] = site.to_string().into();
        }
        settings.to_string()
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
}

/// The reference that leads from one path to another, such as `../collect` from `/js/lfa.js` to `/collect`.
fn relative(from: &str, to: &str) -> String {
    let folders = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (folders(from), folders(to));
    let most = from.len().min(to.len()) - 1;
    let shared = from.iter().zip(&to).take(most).take_while(|(one, other)| one == other).count();
    let up = "../".repeat(from.len() - 1 - shared);
    let down = to[shared..].join("/");
    // A first segment with a colon would be taken for a scheme.
    if up.is_empty() && down.contains(':') { format!("./{down}") } else { up + &down }
}

impl Rendered {
    fn variant(&mut self, source: &str, settings: String) -> Arc<Prepared> {
        if let Some(file) = self.by_settings.get(&settings) {
            return Arc::clone(file);
        }
        if self.by_settings.len() >= MAX_VARIANTS {
            self.by_settings.clear();
        }
        let content = source.replacen(PLACEHOLDER, &settings, 1);
        let file = Arc::new(Prepared::new(SCRIPT, SCRIPT_CACHE, Bytes::from(content)));
        self.by_settings.insert(settings, Arc::clone(&file));
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_found_from_the_script() {
        for (from, to, expected) in [
            ("/lfa.js", "/lfa", "lfa"),
            ("/js/app.js", "/collect", "../collect"),
            ("/js/app.js", "/js/collect", "collect"),
            ("/a/b/app.js", "/a/c/collect", "../c/collect"),
            ("/lfa.js", "/api/lfa", "api/lfa"),
            ("/lfa.js", "/a:b", "./a:b"),
        ] {
            assert_eq!(relative(from, to), expected, "{from} {to}");
            let base = url::Url::parse(&format!("https://stats.example.com/prefix{from}")).unwrap();
            assert_eq!(base.join(&relative(from, to)).unwrap().path(), format!("/prefix{to}"));
        }
    }
}
