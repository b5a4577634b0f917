//! Which hits are pageviews. docs/import.md lists the same rules.

use super::Hit;
use crate::{counters::DropReason, site::Site};

/// Endings of files that are not pages: what pages load, feeds, downloads, and what only robots ask for.
pub const ASSET_ENDINGS: &[&str] = &[
    // styles, scripts, data
    "css",
    "js",
    "mjs",
    "map",
    "wasm",
    "json",
    "jsonld",
    "xml",
    "xsl",
    "txt",
    "csv",
    "yml",
    "yaml",
    "webmanifest",
    "manifest",
    // images
    "png",
    "jpg",
    "jpeg",
    "jpe",
    "gif",
    "webp",
    "avif",
    "svg",
    "svgz",
    "ico",
    "cur",
    "bmp",
    "tif",
    "tiff",
    "xbm",
    "heic",
    // fonts
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    // sound and video
    "mp3",
    "mp4",
    "m4a",
    "m4v",
    "m3u8",
    "ts",
    "webm",
    "ogg",
    "ogv",
    "oga",
    "wav",
    "flac",
    "mov",
    "avi",
    "mpg",
    "mpeg",
    "wmv",
    "swf",
    // downloads
    "pdf",
    "zip",
    "gz",
    "tgz",
    "bz2",
    "xz",
    "zst",
    "7z",
    "rar",
    "tar",
    "exe",
    "msi",
    "dmg",
    "pkg",
    "deb",
    "rpm",
    "apk",
    "iso",
    "jar",
    "bin",
    "doc",
    "docx",
    "xls",
    "xlsx",
    "ppt",
    "pptx",
    "odt",
    "ods",
    "odp",
    "epub",
    "ps",
    "vcf",
    "ics",
    "asc",
    "sig",
    // feeds
    "rss",
    "atom",
    "rdf",
];

/// Paths that programs ask for and people don't; a path counts when it equals one or lies under it.
pub const MACHINE_PATHS: &[&str] = &[
    "/.well-known",
    "/cgi-bin/awstats.pl",
    "/server-status",
    "/nginx_status",
    "/healthz",
    "/readyz",
    "/metrics",
    "/xmlrpc.php",
    "/wp-cron.php",
    "/wp-json",
    "/wp-admin/admin-ajax.php",
    "/feed",
];

/// What a hit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A page that a person saw: its full URL.
    Pageview(String),
    /// A page that a robot fetched: dropped and counted like a robot's beacon.
    Dropped(DropReason),
    /// Not a pageview at all.
    Not(NotPage),
}

/// Why a hit is no pageview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NotPage {
    /// Another method than GET.
    Method,
    /// Neither 2xx nor 304.
    Status,
    /// A file that a page loads, a feed, a download.
    Asset,
    /// A path that programs ask for.
    MachinePath,
    /// A host that is not the site's.
    OtherHost,
    /// The collector's own: the tracker, beacons, the opt-out page.
    Collector,
    /// The log doesn't know who asked.
    NoClient,
    /// No URL can be made of it, or one longer than a beacon may have.
    Url,
}

impl NotPage {
    /// In words for the summary.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "not a GET request",
            Self::Status => "not successful (status neither 2xx nor 304)",
            Self::Asset => "file, not a page",
            Self::MachinePath => "path that programs ask for",
            Self::OtherHost => "another host than the site's",
            Self::Collector => "the collector's own (tracker, beacons, opt-out page)",
            Self::NoClient => "no client address in the log",
            Self::Url => "no usable address of a page",
        }
    }
}

/// What decides which hits are pageviews of a site.
#[derive(Clone, Debug)]
pub struct PageRules {
    /// The site.
    pub site: Site,
    /// Paths of the collector itself, where it stands behind the site's own host; what lies under one is the collector's too.
    pub collector_paths: Vec<String>,
}

impl PageRules {
    /// Judges one hit by the documented rules, in their order. `is_robot` is asked about user agents that are there; an empty
    /// one makes a pageview, because only the whole file can tell whether the log has user agents at all.
    #[must_use]
    pub fn judge(&self, hit: &Hit<'_>, is_robot: impl FnOnce(&str) -> bool) -> Judgement {
        if !hit.method.eq_ignore_ascii_case("GET") {
            return Judgement::Not(NotPage::Method);
        }
        if !matches!(hit.status, 200..=299 | 304) {
            return Judgement::Not(NotPage::Status);
        }
        let Some((host, scheme, target)) = split_target(&hit.target) else {
            return Judgement::Not(NotPage::Url);
        };
        let host = match host.or(hit.host.as_deref()) {
            Some(host) if self.site.has_host(host) => Some(host),
            Some(_) => None,
            None => self.site.hosts.first().map(String::as_str),
        };
        let Some(host) = host else {
            return Judgement::Not(NotPage::OtherHost);
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if self.collector_paths.iter().any(|own| is_at_or_under(path, own)) {
            return Judgement::Not(NotPage::Collector);
        }
        if is_asset(path) {
            return Judgement::Not(NotPage::Asset);
        }
        if is_machine_path(path) {
            return Judgement::Not(NotPage::MachinePath);
        }
        if hit.client.is_none() {
            return Judgement::Not(NotPage::NoClient);
        }
        if hit.user_agent.as_deref().is_some_and(|agent| !agent.is_empty() && is_robot(agent)) {
            return Judgement::Dropped(DropReason::Crawler);
        }
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match format!("{scheme}://{bracketed}{target}").parse::<url::Url>() {
            Ok(url) if url.as_str().len() <= beacon::MAX_URL_BYTES => Judgement::Pageview(url.into()),
            _ => Judgement::Not(NotPage::Url),
        }
    }
}

/// Host (of an absolute target), scheme and the rest that starts with a slash.
fn split_target(target: &str) -> Option<(Option<&str>, &str, &str)> {
    if target.starts_with('/') {
        return Some((None, "https", target));
    }
    let (scheme, rest) = target.split_once("://")?;
    let start = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(start);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(scheme, "http" | "https").then_some((Some(host), scheme, if path.is_empty() { "/" } else { path }))
}

fn is_asset(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| ASSET_ENDINGS.iter().any(|asset| asset.eq_ignore_ascii_case(ending)))
}

fn is_machine_path(path: &str) -> bool {
    MACHINE_PATHS.iter().any(|machine| is_at_or_under(path, machine)) || path.ends_with("/feed/")
}

fn is_at_or_under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{spool::record::ClientAddress, time::UnixMillis};

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

    fn judge(hit: &Hit<'_>) -> Judgement {
        let site = Site::new("shop".parse().unwrap(), "Shop", ["www.example.com", "example.com"]);
        let rules = PageRules { site, collector_paths: vec!["/lfa.js".into(), "/lfa".into()] };
        rules.judge(hit, crate::ingest::crawler::is_crawler)
    }

    fn hit(target: &str) -> Hit<'_> {
        Hit {
            client: Some(ClientAddress::Ip("192.0.2.7".parse().unwrap())),
            at: UnixMillis(0),
            method: "GET".into(),
            target: target.into(),
            status: 200,
            host: None,
            referrer: "".into(),
            user_agent: Some(BROWSER.into()),
            language: String::new(),
        }
    }

    #[test]
    fn pages_become_urls_of_the_sites_host() {
        for (target, host, expected) in [
            ("/", None, "https://www.example.com/"),
            ("/a/b?q=1", None, "https://www.example.com/a/b?q=1"),
            ("/a b", None, "https://www.example.com/a%20b"),
            ("/index.html", Some("EXAMPLE.com"), "https://example.com/index.html"),
            ("/index.php?x=a.css", None, "https://www.example.com/index.php?x=a.css"),
            ("/v1.2/docs", None, "https://www.example.com/v1.2/docs"),
            ("/feedback", None, "https://www.example.com/feedback"),
            ("/lfa-guide", None, "https://www.example.com/lfa-guide"),
            ("http://example.com:80/x", None, "http://example.com/x"),
            ("http://example.com", None, "http://example.com/"),
        ] {
            let hit = Hit { host: host.map(str::to_lowercase), ..hit(target) };
            assert_eq!(judge(&hit), Judgement::Pageview(expected.into()), "{target}");
        }
    }

    #[test]
    fn everything_else_is_no_pageview_and_says_why() {
        let long = format!("/{}", "x".repeat(beacon::MAX_URL_BYTES));
        for (hit, expected) in [
            (Hit { method: "POST".into(), ..hit("/") }, NotPage::Method),
            (Hit { method: "".into(), ..hit("") }, NotPage::Method),
            (Hit { status: 404, ..hit("/") }, NotPage::Status),
            (Hit { status: 301, ..hit("/") }, NotPage::Status),
            (hit("/style.CSS?v=3"), NotPage::Asset),
            (hit("/robots.txt"), NotPage::Asset),
            (hit("/brochure.pdf"), NotPage::Asset),
            (hit("/.well-known/security"), NotPage::MachinePath),
            (hit("/wp-json/wp/v2/posts"), NotPage::MachinePath),
            (hit("/feed"), NotPage::MachinePath),
            (hit("/blog/feed/"), NotPage::MachinePath),
            (hit("/lfa.js?site=shop"), NotPage::Collector),
            (hit("/lfa/privacy"), NotPage::Collector),
            (Hit { host: Some("other.example".into()), ..hit("/") }, NotPage::OtherHost),
            (hit("http://other.example/"), NotPage::OtherHost),
            (Hit { client: None, ..hit("/") }, NotPage::NoClient),
            (hit("ftp://example.com/"), NotPage::Url),
            (hit("*"), NotPage::Url),
            (hit(&long), NotPage::Url),
        ] {
            assert_eq!(judge(&hit), Judgement::Not(expected), "{hit:?}");
        }
    }

    #[test]
    fn robots_are_dropped_and_what_has_no_user_agent_is_for_the_whole_file_to_tell() {
        let with_agent = |agent: Option<&'static str>| Hit { user_agent: agent.map(Into::into), ..hit("/") };
        let robot = Judgement::Dropped(DropReason::Crawler);
        let page = Judgement::Pageview("https://www.example.com/".into());
        for (agent, expected) in [
            (Some("Googlebot/2.1 (+http://www.google.com/bot.html)"), &robot),
            (Some("curl/8.0"), &robot),
            (Some(""), &page),
            (Some(BROWSER), &page),
            (None, &page),
        ] {
            assert_eq!(&judge(&with_agent(agent)), expected, "{agent:?}");
        }
    }
}
