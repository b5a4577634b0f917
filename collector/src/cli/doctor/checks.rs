//! The checks of `firmsight doctor`: each a function from what was gathered to what is to be said, in the order in which one
//! should act. Nothing here reads a clock, a file or the network.

use std::collections::BTreeMap;

/// Less free room than this is short: ClickHouse needs some to merge.
const LITTLE_ROOM_BYTES: u64 = 2 << 30;
/// A name server that takes longer than this makes every visit wait.
const SLOW_DNS_MILLIS: u64 = 500;
/// A clock that is off by more than this puts visits on other days, and certificates fail.
const CLOCK_SECONDS: i64 = 60;

/// What was found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Where the configuration was read from.
    pub(super) file: Option<String>,
    /// What `config check` says, where it says anything.
    pub(super) refused: Option<String>,
    pub(super) data_dir: String,
    pub(super) has_data: bool,
    /// Others than the owner can read in it.
    pub(super) is_shared: bool,
    pub(super) free_bytes: Option<u64>,
    pub(super) is_running: bool,
    /// Values of `/metrics`, by name with labels, where it could be read.
    pub(super) metrics: Option<BTreeMap<String, u64>>,
    /// Data files: name, age in days, whether that is old, what is wrong.
    pub(super) data_files: Vec<(String, u64, bool, Option<String>)>,
    pub(super) dns: Dns,
    /// `[public].base_url`, and what came of fetching the tracker there.
    pub(super) public: Option<(String, Result<Fetched, String>)>,
    pub(super) admin_url: String,
    /// Per site: id, its first host's page, and what came of fetching it.
    pub(super) pages: Vec<(String, String, Result<Fetched, String>)>,
    /// The script's path in the configuration.
    pub(super) script_path: String,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// What reverse DNS did with one well-known address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dns {
    pub(super) is_on: bool,
    pub(super) servers: usize,
    /// How long the answer took; `None` when none came.
    pub(super) millis: Option<u64>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetched {
    pub(super) status: u16,
    /// The answer's `Date`, in seconds since 1970.
    pub(super) date: Option<i64>,
    pub(super) body: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    /// Something works less well than it could.
    Warning,
    /// Something doesn't work.
    Problem,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) says: String,
    /// What to do about it; empty where there is nothing to do.
    pub(super) action: String,
}

fn ok(says: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, says: says.into(), action: String::new() }
}

fn warning(says: impl Into<String>, action: impl Into<String>) -> Finding {
    Finding { level: Level::Warning, says: says.into(), action: action.into() }
}

fn problem(says: impl Into<String>, action: impl Into<String>) -> Finding {
    Finding { level: Level::Problem, says: says.into(), action: action.into() }
}

/// A check and its name. `None` where there is nothing to check.
type Check = (&'static str, fn(&Facts) -> Option<Finding>);

/// All of them, in the order in which one should act.
pub(super) const CHECKS: &[Check] = &[
    ("configuration", configuration),
    ("data-directory", data_directory),
    ("disk", disk),
    ("server", server),
    ("clickhouse", clickhouse),
    ("spool", spool),
    ("damaged-spool", damaged_spool),
    ("audit", audit),
    ("public-url", public_url),
    ("clock", clock),
    ("proxy-headers", proxy_headers),
    ("reports-url", reports_url),
    ("pages", pages),
    ("rejects", rejects),
    ("data-files", data_files),
    ("dns", dns),
];

fn configuration(facts: &Facts) -> Option<Finding> {
    Some(match (&facts.refused, &facts.file) {
        (Some(refusal), _) => problem(refusal.clone(), "correct it, then run `firmsight config check`"),
        (None, Some(file)) => ok(file.clone()),
        (None, None) => warning("there is no configuration file; defaults count", "write one with `firmsight init`"),
    })
}

fn data_directory(facts: &Facts) -> Option<Finding> {
    let folder = &facts.data_dir;
    Some(if !facts.has_data {
        problem(format!("no data in {folder}"), "begin an installation with `firmsight init`, or give --config")
    } else if facts.is_shared {
        warning(format!("other users can look into {folder}"), format!("chmod 700 {folder}"))
    } else {
        ok(folder.clone())
    })
}

fn disk(facts: &Facts) -> Option<Finding> {
    let free = facts.free_bytes?;
    let shown = format!("{} MiB free in {}", free >> 20, facts.data_dir);
    Some(if free < LITTLE_ROOM_BYTES {
        problem(shown, "make room: ClickHouse stops taking rows and beacons are refused when the disk is full")
    } else {
        ok(shown)
    })
}

fn server(facts: &Facts) -> Option<Finding> {
    Some(if facts.is_running {
        ok("it runs")
    } else {
        problem("no server runs on this data directory", "start it: systemctl start firmsight, or firmsight serve")
    })
}

fn metric(facts: &Facts, name: &str) -> Option<u64> {
    facts.metrics.as_ref()?.get(name).copied()
}

fn clickhouse(facts: &Facts) -> Option<Finding> {
    Some(match metric(facts, "firmsight_store_up")? {
        1 => ok("it answers"),
        _ => problem(
            "ClickHouse does not answer; beacons wait in the spool",
            "read the server's log: journalctl -u firmsight",
        ),
    })
}

fn spool(facts: &Facts) -> Option<Finding> {
    let (bytes, most) = (metric(facts, "firmsight_spool_bytes")?, metric(facts, "firmsight_spool_max_bytes")?.max(1));
    let share = bytes.saturating_mul(100) / most;
    let shown = format!("{share} % of spool.max_bytes is taken");
    Some(match share {
        0..50 => ok(shown),
        50..95 => warning(shown, "ClickHouse is too slow or away: see clickhouse above"),
        _ => problem(format!("{shown}; beacons are refused"), "bring ClickHouse back, or raise spool.max_bytes"),
    })
}

fn damaged_spool(facts: &Facts) -> Option<Finding> {
    Some(match metric(facts, "firmsight_spool_damaged_total")? {
        0 => ok("no damaged file"),
        files => warning(
            format!("{files} damaged spool files since the start"),
            format!("look at the disk; what can't be read is in {}/spool/damaged", facts.data_dir),
        ),
    })
}

fn audit(facts: &Facts) -> Option<Finding> {
    Some(match metric(facts, "firmsight_audit_refused_total")? {
        0 => ok("records are written"),
        refused => {
            problem(format!("{refused} requests refused because the audit log took no record"), "see clickhouse above")
        }
    })
}

fn public_url(facts: &Facts) -> Option<Finding> {
    let Some((url, fetched)) = &facts.public else {
        return Some(warning("public.base_url is not set", "set it to the URL by which browsers reach Firmsight"));
    };
    let tracker = format!("{url}{}", facts.script_path);
    Some(match fetched {
        Ok(Fetched { status: 200, .. }) => ok(format!("{tracker} comes")),
        Ok(Fetched { status, .. }) => problem(
            format!("{tracker} answers {status}"),
            "does the proxy lead to public.listen? examples/proxies has its lines",
        ),
        Err(error) => {
            problem(format!("{tracker} can't be fetched: {error}"), "look at DNS, the certificate and the proxy")
        }
    })
}

fn clock(facts: &Facts) -> Option<Finding> {
    let fetched =
        facts.public.iter().map(|(_, fetched)| fetched).chain(facts.pages.iter().map(|(_, _, fetched)| fetched));
    let date = fetched.filter_map(|fetched| fetched.as_ref().ok()?.date).next()?;
    let off = facts.now - date;
    Some(if off.abs() > CLOCK_SECONDS {
        problem(
            format!("this machine's clock differs by {off} s from the web server's"),
            "switch time synchronization on",
        )
    } else {
        ok("as the web server's")
    })
}

fn proxy_headers(facts: &Facts) -> Option<Finding> {
    Some(match metric(facts, "firmsight_untrusted_forwarding_headers_total")? {
        0 => ok("none that isn't believed"),
        requests => problem(
            format!("{requests} requests came through a proxy that is not trusted: every visitor looks local"),
            "name the proxy in public.trusted_proxies, such as [\"loopback\"]",
        ),
    })
}

fn reports_url(facts: &Facts) -> Option<Finding> {
    let url = &facts.admin_url;
    let is_local = ["//127.", "//localhost", "//[::1]"].iter().any(|local| url.contains(local));
    Some(if is_local {
        warning(
            format!("links in reports lead to {url}, which only this machine reaches"),
            "set admin.base_url to the URL by which you reach the reports",
        )
    } else {
        ok(url.clone())
    })
}

fn pages(facts: &Facts) -> Option<Finding> {
    if facts.pages.is_empty() {
        return facts
            .is_running
            .then(|| problem("there is no site", "firmsight site add --id ID --name NAME --host HOST"));
    }
    let mark = |site: &str| [format!("data-site=\"{site}\""), format!("site={site}"), format!("site:\"{site}\"")];
    let missing = facts.pages.iter().find_map(|(site, page, fetched)| match fetched {
        Err(error) => Some(warning(format!("{page} can't be fetched: {error}"), "look at it in a browser")),
        Ok(fetched) if !mark(site).iter().any(|mark| fetched.body.contains(mark.as_str())) => Some(warning(
            format!("{page} has no tracker of the site {site} in its HTML"),
            "put the script tag on it, unless a tag manager does: docs/installing.md",
        )),
        Ok(_) => None,
    });
    Some(missing.unwrap_or_else(|| ok("the first page of every site has the tracker")))
}

fn rejects(facts: &Facts) -> Option<Finding> {
    let prefix = "firmsight_events_rejected_total{rule=\"";
    let rules = facts.metrics.as_ref()?.iter().filter_map(|(name, count)| {
        Some((name.strip_prefix(prefix)?.strip_suffix("\"}")?, *count)).filter(|(_, count)| *count > 0)
    });
    let mut rules: Vec<_> = rules.collect();
    rules.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let list = rules.iter().take(3).map(|(rule, count)| format!("{rule} {count}")).collect::<Vec<_>>().join(", ");
    Some(match rules.first() {
        None => ok("no event was refused"),
        Some((rule, _)) if rule.contains("host") => warning(
            format!("events refused since the start: {list}"),
            "a page's host must be one of the site's: firmsight site list, then site set --host",
        ),
        Some(_) => {
            warning(format!("events refused since the start: {list}"), "docs/tracker.md says what each rule means")
        }
    })
}

fn data_files(facts: &Facts) -> Option<Finding> {
    if let Some((name, _, _, Some(broken))) = facts.data_files.iter().find(|(_, _, _, broken)| broken.is_some()) {
        return Some(problem(format!("{name}: {broken}"), "firmsight geoip update, or put the file back"));
    }
    let oldest = facts.data_files.iter().max_by_key(|(_, days, _, _)| *days)?;
    let (name, days, is_old, _) = oldest;
    Some(if *is_old {
        warning(
            format!("{name} is {days} days old"),
            "name sources in [geoip] of the configuration: firmsight geoip update",
        )
    } else {
        ok(format!("the oldest, {name}, is {days} days old"))
    })
}

fn dns(facts: &Facts) -> Option<Finding> {
    let missed = "companies behind access providers are missed";
    Some(match facts.dns {
        Dns { is_on: false, .. } => warning(format!("resolver.dns is off: {missed}"), "switch it on"),
        Dns { servers: 0, .. } => warning(
            format!("no name server: {missed}"),
            "name one in /etc/resolv.conf or in resolver.nameservers; no restart is needed",
        ),
        Dns { millis: None, servers, .. } => {
            warning(format!("{servers} name servers, and no answer: {missed}"), "is UDP port 53 open to them?")
        }
        Dns { millis: Some(millis), .. } if millis > SLOW_DNS_MILLIS => warning(
            format!("a name took {millis} ms"),
            "use a name server that is nearer, such as unbound on this machine",
        ),
        Dns { millis: Some(millis), servers, .. } => ok(format!("{servers} name servers; a name took {millis} ms")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let metrics = [
            ("firmsight_store_up", 1),
            ("firmsight_spool_bytes", 10),
            ("firmsight_spool_max_bytes", 1000),
            ("firmsight_spool_damaged_total", 0),
            ("firmsight_audit_refused_total", 0),
            ("firmsight_untrusted_forwarding_headers_total", 0),
            ("firmsight_events_rejected_total{rule=\"host\"}", 0),
        ];
        let page = Fetched { status: 200, date: Some(1_000), body: "<script data-site=\"shop\">".to_owned() };
        Facts {
            file: Some("/etc/firmsight/firmsight.toml".to_owned()),
            data_dir: "/var/lib/firmsight".to_owned(),
            has_data: true,
            free_bytes: Some(100 << 30),
            is_running: true,
            metrics: Some(metrics.map(|(name, value)| (name.to_owned(), value)).into()),
            data_files: vec![("ipinfo_lite.mmdb".to_owned(), 30, false, None)],
            dns: Dns { is_on: true, servers: 1, millis: Some(20) },
            public: Some(("https://stats.example.com".to_owned(), Ok(page.clone()))),
            admin_url: "https://reports.example.com".to_owned(),
            pages: vec![("shop".to_owned(), "https://www.example.com/".to_owned(), Ok(page))],
            script_path: "/lfa.js".to_owned(),
            now: 1_010,
            ..Facts::default()
        }
    }

    fn level(name: &str, facts: &Facts) -> Option<Level> {
        CHECKS.iter().find(|(known, _)| *known == name).and_then(|(_, check)| check(facts)).map(|finding| finding.level)
    }

    #[test]
    fn a_sound_installation_has_nothing_to_do() {
        let facts = facts();
        for (name, check) in CHECKS {
            let finding = check(&facts).unwrap();
            assert_eq!((finding.level, finding.action.as_str()), (Level::Ok, ""), "{name}: {}", finding.says);
        }
    }

    #[test]
    fn each_fault_is_found_by_its_check() {
        use Level::{Problem, Warning};
        type Spoil = fn(&mut Facts);
        let set = |facts: &mut Facts, name: &str, value| {
            facts.metrics.as_mut().unwrap().insert(name.to_owned(), value);
        };
        let cases: &[(&str, Level, Spoil)] = &[
            ("configuration", Problem, |facts| facts.refused = Some("port twice".to_owned())),
            ("configuration", Warning, |facts| facts.file = None),
            ("data-directory", Problem, |facts| facts.has_data = false),
            ("data-directory", Warning, |facts| facts.is_shared = true),
            ("disk", Problem, |facts| facts.free_bytes = Some(1 << 20)),
            ("server", Problem, |facts| facts.is_running = false),
            ("public-url", Warning, |facts| facts.public = None),
            ("public-url", Problem, |facts| facts.public.as_mut().unwrap().1 = Err("no route".to_owned())),
            ("clock", Problem, |facts| facts.now = 5_000),
            ("reports-url", Warning, |facts| facts.admin_url = "http://127.0.0.1:8081".to_owned()),
            ("pages", Problem, |facts| facts.pages.clear()),
            ("pages", Warning, |facts| facts.pages[0].2 = Ok(Fetched::default())),
            ("data-files", Warning, |facts| facts.data_files[0].2 = true),
            ("data-files", Problem, |facts| facts.data_files[0].3 = Some("cut off".to_owned())),
            ("dns", Warning, |facts| facts.dns.servers = 0),
            ("dns", Warning, |facts| facts.dns.millis = Some(900)),
        ];
        for (name, expected, spoil) in cases {
            let mut facts = facts();
            spoil(&mut facts);
            assert_eq!(level(name, &facts), Some(*expected), "{name}");
        }
        for (name, metric, value, expected) in [
            ("clickhouse", "firmsight_store_up", 0, Problem),
            ("spool", "firmsight_spool_bytes", 600, Warning),
            ("spool", "firmsight_spool_bytes", 990, Problem),
            ("damaged-spool", "firmsight_spool_damaged_total", 1, Warning),
            ("audit", "firmsight_audit_refused_total", 1, Problem),
            ("proxy-headers", "firmsight_untrusted_forwarding_headers_total", 7, Problem),
            ("rejects", "firmsight_events_rejected_total{rule=\"host\"}", 3, Warning),
        ] {
            let mut facts = facts();
            set(&mut facts, metric, value);
            assert_eq!(level(name, &facts), Some(expected), "{name}");
        }
    }
}
