//! What the public side serves besides beacons: the tracker's files, the opt-out page, health.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

mod public_support;

use beacon::EventKind;
use collector::{
    counters::{DropReason, RejectRule},
    ingest::{Settings, TrackerFile},
    site::ConsentMode,
    snapshot::Snapshot,
    spool::AppendError,
};
use http::StatusCode;
use public_support::{CLIENT, FIREFOX, Setup, pageview, post, request, site, sites, with_client};
use std::{io::Read, sync::Arc};

const SCRIPT: &[u8] = b"(function(s){start(s)})(\"%FIRMSIGHT%\");";
const WASM: &[u8] = b"\0asm\x01\0\0\0";
const FILES: &[TrackerFile] = &[
    ("lfa.js", SCRIPT),
    ("core.0123456789abcdef.wasm", WASM),
    ("core.fedcba9876543210.js", b"export function run(){}"),
];
const ALL_SITES: &str = r#"{"days":400,"endpoint":"lfa","sites":{"addresses":{"consent":"cookieless"},"cookieless":{"consent":"cookieless"},"free":{"consent":"not-required"},"identify":{"identify":true},"own":{"consent":"cookieless"}}}"#;

fn unpacked(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        "br" => drop(brotli::Decompressor::new(body, 4096).read_to_end(&mut plain).unwrap()),
        "gzip" => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap()),
        "" => plain.extend_from_slice(body),
        other => panic!("{other}"),
    }
    plain
}

#[tokio::test]
async fn the_script_carries_the_settings_of_the_sites() {
    let setup = Setup::with_tracker(Settings::default(), FILES);
    let script = setup.get("/lfa.js", &[]).await;
    assert_eq!(script.status, StatusCode::OK);
    assert_eq!(script.text(), format!("(function(s){{start(s)}})({ALL_SITES});"));
    for (name, value) in [
        ("content-type", "text/javascript; charset=utf-8"),
        ("cache-control", "public, max-age=300"),
        ("vary", "Accept-Encoding"),
        ("access-control-allow-origin", "*"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(script.header(name), value, "{name}");
    }

    let one = setup.get("/lfa.js?site=required", &[]).await;
    assert_eq!(
        one.text(),
        r#"(function(s){start(s)})({"days":400,"endpoint":"lfa","site":"required","sites":{"required":{}}});"#
    );
    let none = setup.get("/lfa.js?site=nobody", &[]).await;
    assert_eq!((none.status, none.problem()["rule"].as_str()), (StatusCode::NOT_FOUND, Some("unknown-site")));

    // A change of the sites is a change of the script.
    let added = site("added", ConsentMode::NotRequired, "added.example.com");
    let mut next: Snapshot = sites();
    next.sites.clear();
    next.sites.insert(added.id.clone(), Arc::new(added));
    setup.snapshot.store(Arc::new(next));
    let changed = setup.get("/lfa.js", &[]).await;
    assert!(changed.text().contains(r#""sites":{"added":{"consent":"not-required"}}"#), "{}", changed.text());
    assert_ne!(changed.header("etag"), script.header("etag"));
    let mut shorter = site("shorter", ConsentMode::Required, "shorter.example.com");
    shorter.client_id_life = "90d".parse().unwrap();
    let mut next = Snapshot::clone(&setup.snapshot.load());
    next.sites.insert(shorter.id.clone(), Arc::new(shorter));
    setup.snapshot.store(Arc::new(next));
    let changed = setup.get("/lfa.js", &[]).await;
    assert!(changed.text().contains(r#""shorter":{"days":90}"#), "{}", changed.text());
}

#[tokio::test]
async fn the_script_comes_compressed_and_only_when_it_changed() {
    let setup = Setup::with_tracker(Settings::default(), FILES);
    let plain = setup.get("/lfa.js", &[]).await;
    for (accepted, encoding) in [
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5, br;q=0", "gzip"),
        ("br; q=0.0", ""),
        ("identity", ""),
        ("", ""),
    ] {
        let answer = setup.get("/lfa.js", &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        assert_eq!(unpacked(encoding, &answer.body), plain.body, "{accepted}");
    }
    let etag = plain.header("etag");
    for (sent, status) in [
        (etag, 304),
        (etag.trim_start_matches("W/"), 304),
        (&*format!("\"x\", {etag}"), 304),
        ("*", 304),
        ("\"other\"", 200),
    ] {
        let answer = setup.get("/lfa.js", &[("if-none-match", sent)]).await;
        assert_eq!(answer.status.as_u16(), status, "{sent}");
        assert_eq!(answer.body.is_empty(), status == 304, "{sent}");
        assert_eq!(answer.header("etag"), etag);
    }
}

#[tokio::test]
async fn hashed_files_stand_beside_the_script_for_good() {
    let renamed =
        Settings { script_path: "/js/stats.js".to_owned(), endpoint_path: "/in".to_owned(), ..Settings::default() };
    for (settings, stem, script) in [(Settings::default(), "/lfa", "/lfa.js"), (renamed, "/js/stats", "/js/stats.js")] {
        let setup = Setup::with_tracker(settings, FILES);
        assert_eq!(setup.get(script, &[]).await.status, StatusCode::OK);
        let wasm = setup.get(&format!("{stem}.0123456789abcdef.wasm"), &[]).await;
        assert_eq!((wasm.status, &wasm.body[..]), (StatusCode::OK, WASM));
        assert_eq!(wasm.header("content-type"), "application/wasm");
        assert_eq!(wasm.header("cache-control"), "public, max-age=31536000, immutable");
        let fallback = setup.get(&format!("{stem}.fedcba9876543210.js"), &[]).await;
        assert_eq!(fallback.header("content-type"), "text/javascript; charset=utf-8");
        let gone = setup.get(&format!("{stem}.0000000000000000.wasm"), &[]).await;
        // An older script's core: a proxy that kept this answer would break that page for longer than it lasts.
        assert_eq!((gone.status, gone.header("cache-control")), (StatusCode::NOT_FOUND, "no-store"));
        let wrong = setup.send(request("POST", script, &[], Vec::new())).await;
        assert_eq!((wrong.status, wrong.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    }
}

#[tokio::test]
async fn a_binary_without_the_tracker_says_how_to_get_one() {
    let answer = Setup::new().get("/lfa.js", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = "this binary was built without the tracker: run cargo xtask build";
    assert_eq!(answer.problem()["detail"], detail);
}

#[tokio::test]
async fn the_opt_out_page_shows_what_the_browser_sent_and_changes_nothing() {
    const HOST: (&str, &str) = ("host", "stats.example.com");
    let setup = Setup::new();
    let cookie = format!("other=1; _lfa={CLIENT}; _lfa_consent=true");
    let page = setup.get("/lfa/privacy?site=required", &[HOST, ("cookie", &cookie)]).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(page.cookies().is_empty() && !page.text().contains("203.0.113") && !page.text().contains("other"));
    assert!(page.text().contains(&format!("<td>{CLIENT}</td>")) && page.text().contains("You have agreed"));
    assert!(page.text().contains(r#"name="site" value="required""#));
    let buttons = |text: &str| text.matches("<button").count();
    assert_eq!(buttons(page.text()), 2);

    let objected = setup.get("/lfa/privacy", &[HOST, ("cookie", "_lfa_consent=true; _lfa_consent=false")]).await;
    assert!(objected.text().contains("You have objected") && objected.text().contains("value=\"allow\""));
    let none = setup.get("/lfa/privacy", &[HOST]).await;
    assert!(none.text().contains("You have not made a choice") && none.text().contains("<table aria-labelledby"));
    let gpc = setup.get("/lfa/privacy", &[HOST, ("sec-gpc", "1")]).await;
    assert!(gpc.text().contains("Your browser sends Global Privacy Control"));

    // A cookie of the collector's domain is nothing to a site of another: no button that does nothing.
    let away = setup.get("/lfa/privacy?site=required", &[("host", "collector.example.net")]).await;
    assert_eq!(buttons(away.text()), 0);

    for hostile in ["/lfa/privacy?site=%22%3E%3Cscript%3Ealert(1)", "/lfa/privacy?lang=%22%3E%3Cscript%3Ealert(1)"] {
        let cookie = "_lfa=\"><script>alert(1); _lfa_consent=<script>alert(1)";
        let other = setup.get(hostile, &[HOST, ("cookie", cookie)]).await;
        assert!(!other.text().contains("alert(1)\">") && !other.text().contains("name=\"site\""));
        assert_eq!(other.text().matches("<script>").count(), 1, "{}", other.text());
    }
}

#[tokio::test]
async fn the_opt_out_page_speaks_the_visitors_language() {
    let setup = Setup::new();
    for (path, accepted, tag, word) in [
        ("/lfa/privacy", "", "en", "Your privacy"),
        ("/lfa/privacy", "de-AT, en;q=0.5", "de", "Widersprechen und löschen"),
        ("/lfa/privacy", "fr", "fr", "M’opposer"),
        ("/lfa/privacy?lang=fr", "de", "fr", "M’opposer"),
        ("/lfa/privacy?lang=xx", "de", "de", "Widersprechen"),
    ] {
        let headers = [("host", "stats.example.com"), ("accept-language", accepted)];
        let page = setup.get(path, &headers).await;
        assert!(page.text().contains(&format!("<html lang=\"{tag}\">")), "{path} {accepted}");
        assert!(page.text().contains(word), "{path} {accepted}: {}", page.text());
        assert_eq!(page.header("vary"), "Accept-Language");
        assert!(page.text().contains(&format!("name=\"lang\" value=\"{tag}\"")));
    }
    let headers = [("host", "stats.example.com"), ("sec-fetch-site", "same-origin"), ("accept-language", "en")];
    let done = setup.send(request("POST", "/lfa/privacy", &headers, b"action=object&lang=de".to_vec())).await;
    assert!(done.text().contains("<p role=\"status\">Erledigt.") && done.text().contains("Sie haben widersprochen"));
}

#[tokio::test]
async fn an_objection_can_be_taken_back() {
    let setup = Setup::new();
    let headers = [("host", "stats.example.com"), ("sec-fetch-site", "same-origin"), ("cookie", "_lfa_consent=false")];
    let answer = setup.send(request("POST", "/lfa/privacy", &headers, b"action=allow".to_vec())).await;
    assert!(
        answer.text().contains("Your objection is removed") && answer.text().contains("You have not made a choice")
    );
    let cookies = answer.cookies();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().all(|cookie| cookie.starts_with("_lfa_consent=;") && cookie.contains("Max-Age=0")));
}

#[tokio::test]
async fn the_cookie_declaration_comes_as_json_and_html_by_ending_and_by_accept() {
    let setup = Setup::with(Settings { client_id_life: "90d".parse().unwrap(), ..Settings::default() });
    const HTML: &str = "text/html; charset=utf-8";
    for (path, accept, content_type) in [
        ("/lfa/cookies?site=required", "*/*", "application/json"),
        ("/lfa/cookies?site=required", "text/html,application/xhtml+xml", HTML),
        ("/lfa/cookies?site=required", "application/json", "application/json"),
        ("/lfa/cookies.json?site=required", "text/html", "application/json"),
        ("/lfa/cookies.html?site=required", "application/json", HTML),
    ] {
        let answer = setup.get(path, &[("accept", accept)]).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, content_type), "{path} {accept}");
        assert_eq!(answer.header("vary"), "Accept, Accept-Language");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.text().contains("_lfa_consent") && answer.text().contains("90 days"), "{}", answer.text());
    }
    let json = setup.get("/lfa/cookies.json?site=free&lang=de", &[]).await;
    let json: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!((json["site"].as_str(), json["language"].as_str()), (Some("free"), Some("de")));
    assert_eq!(json["consent_mode"], "not-required");
    assert_eq!(json["opt_out_path"], "/lfa/privacy?site=free&lang=de");
    let first = &json["cookies"][0];
    assert_eq!((first["name"].as_str(), first["life_days"].as_u64()), (Some("_lfa"), Some(90)));
    assert_eq!((first["storage"].as_str(), first["first_party"].as_bool()), (Some("cookie"), Some(true)));

    for (path, status, rule) in [
        ("/lfa/cookies", 400, "site"),
        ("/lfa/cookies?site=nobody", 404, "unknown-site"),
        ("/lfa/cookies.xml?site=free", 404, "no-such-path"),
    ] {
        let answer = setup.get(path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.problem()["rule"].as_str()), (status, Some(rule)), "{path}");
    }
    // A site may keep ids for less than the server, not for longer.
    for (own, expected) in [("30d", 30), ("400d", 90)] {
        let mut next = (**setup.snapshot.load()).clone();
        let mut site = site("free", ConsentMode::NotRequired, "free.example.com");
        site.client_id_life = own.parse().unwrap();
        next.sites.insert(site.id.clone(), Arc::new(site));
        setup.snapshot.store(Arc::new(next));
        let declared = setup.get("/lfa/cookies.json?site=free", &[]).await;
        let declared: serde_json::Value = serde_json::from_str(declared.text()).unwrap();
        assert_eq!(declared["cookies"][0]["life_days"].as_u64(), Some(expected), "{own}");
    }
    let mut one = (**setup.snapshot.load()).clone();
    one.sites.retain(|id, _| id.as_str() == "free");
    setup.snapshot.store(Arc::new(one));
    assert!(setup.get("/lfa/cookies.json", &[]).await.text().contains("\"free\""));
}

#[tokio::test]
async fn the_server_itself_obeys_the_objection_that_the_browser_carries() {
    for (cookie, kind, dropped) in [
        ("_lfa_consent=false", "pageview", true),
        ("a=b; _lfa_consent=true; _lfa_consent=false", "pageview", true),
        ("_lfa_consent=true", "pageview", false),
        ("_lfa_consent=falsetto", "pageview", false),
        // A withdrawal is carried out whatever else was said.
        ("_lfa_consent=false", "forget", false),
    ] {
        let setup = Setup::new();
        let mut beacon = with_client(pageview("required", "granted"));
        beacon["events"][0]["type"] = kind.into();
        let answer = setup.send(post(&beacon, &[("cookie", cookie)])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{cookie}");
        assert_eq!(setup.dropped(DropReason::Objection), u64::from(dropped), "{cookie} {kind}");
        assert_eq!(setup.sink.beacons().len(), usize::from(!dropped), "{cookie} {kind}");
        assert!(!dropped || answer.cookies().is_empty());
    }
    let setup = Setup::new();
    let headers =
        [("referer", "https://cookieless.example.com/"), ("cookie", "_lfa_consent=false"), ("user-agent", FIREFOX)];
    let pixel = setup.get("/lfa.gif?site=cookieless", &headers).await;
    assert_eq!((pixel.status, setup.dropped(DropReason::Objection)), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_choice_on_the_opt_out_page_counts_only_from_the_page() {
    const HOST: (&str, &str) = ("host", "stats.example.com");
    let cookie = format!("a=b; _lfa={CLIENT}");
    let same = ("sec-fetch-site", "same-origin");
    for (headers, allowed) in [
        (vec![same], true),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site"), ("origin", "https://stats.example.com")], false),
        (vec![("origin", "https://stats.example.com")], true),
        (vec![("origin", "https://evil.test")], false),
        (vec![("origin", "null")], false),
        (vec![], false),
    ] {
        let setup = Setup::new();
        let all: Vec<_> = headers.iter().copied().chain([HOST]).collect();
        let answer = setup.send(request("POST", "/lfa/privacy", &all, b"action=object".to_vec())).await;
        assert_eq!(answer.status == StatusCode::OK, allowed, "{headers:?}");
        assert_eq!(answer.cookies().is_empty(), !allowed, "{headers:?}");
    }

    let setup = Setup::new();
    let all = [same, HOST, ("cookie", cookie.as_str())];
    let answer = setup.send(request("POST", "/lfa/privacy", &all, b"action=object".to_vec())).await;
    let mut cookies = answer.cookies();
    cookies.sort_unstable();
    assert_eq!(cookies.len(), 3);
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("_lfa_consent=false;") && cookie.contains("Max-Age=63072000"))
    );
    for domain in [true, false] {
        let removed = |cookie: &&&str| cookie.starts_with("_lfa=;") && cookie.contains("Max-Age=0");
        assert!(cookies.iter().filter(removed).any(|cookie| cookie.contains("Domain=example.com") == domain));
    }
    assert_eq!(setup.balance().received, 0);

    // Erasing reaches the named site, or all that share the collector's domain.
    for (form, expected) in [("action=erase&site=required", 1), ("action=erase", 5), ("action=erase&site=nobody", 0)] {
        let setup = Setup::new();
        let answer = setup.send(request("POST", "/lfa/privacy", &all, form.as_bytes().to_vec())).await;
        assert_eq!(answer.status, StatusCode::OK, "{form}");
        let beacons = setup.sink.beacons();
        assert_eq!((beacons.len(), setup.balance().in_flight), (expected, expected as u64), "{form}");
        for beacon in beacons {
            assert_eq!(beacon.client.unwrap().to_string(), CLIENT);
            assert_eq!(beacon.events[0].kind, EventKind::Forget);
        }
    }
    let full = Setup::new();
    *full.sink.refusal.lock().unwrap() = Some(AppendError::Full);
    let answer = full.send(request("POST", "/lfa/privacy", &all, b"action=erase&site=required".to_vec())).await;
    assert_eq!((answer.status, full.rejected(RejectRule::SpoolUnavailable)), (StatusCode::SERVICE_UNAVAILABLE, 1));

    let unknown = setup.send(request("POST", "/lfa/privacy", &all, b"action=other".to_vec())).await;
    assert_eq!((unknown.status, unknown.problem()["field"].as_str()), (StatusCode::BAD_REQUEST, Some("action")));
    let large = setup.send(request("POST", "/lfa/privacy", &all, vec![b'a'; 5000])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn health_and_readiness_say_what_is_missing() {
    let setup = Setup::new();
    assert_eq!(setup.get("/healthz", &[]).await.status, StatusCode::OK);
    assert_eq!(setup.get("/readyz", &[]).await.status, StatusCode::OK);
    *setup.sink.refusal.lock().unwrap() = Some(AppendError::Full);
    let full = setup.get("/readyz", &[]).await;
    assert_eq!(
        (full.status, full.problem()["rule"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("spool-unavailable"))
    );
    setup.snapshot.store(Arc::new(Snapshot::default()));
    let empty = setup.get("/readyz", &[]).await;
    assert_eq!(
        (empty.status, empty.problem()["rule"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("sites-not-loaded"))
    );
    assert_eq!(setup.get("/healthz", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let setup = Setup::new();
    for (method, path, status, allow) in [
        ("GET", "/", 404, ""),
        ("GET", "/lfa/", 404, ""),
        ("GET", "/metrics", 404, ""),
        ("GET", "/lfa/../metrics", 404, ""),
        ("GET", "/lfa", 405, "POST, OPTIONS"),
        ("PUT", "/lfa", 405, "POST, OPTIONS"),
        ("POST", "/lfa.gif", 405, "GET"),
        ("DELETE", "/lfa/privacy", 405, "GET, HEAD, POST"),
        ("POST", "/healthz", 405, "GET, HEAD"),
    ] {
        let answer = setup.send(request(method, path, &[("user-agent", FIREFOX)], Vec::new())).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(answer.problem()["status"], status);
    }
}

#[tokio::test]
async fn the_tracker_that_is_built_in_finds_its_core() {
    let setup = Setup::embedded(Settings::default());
    let script = setup.get("/lfa.js", &[]).await;
    assert_eq!(script.status, StatusCode::OK, "no tracker in this build: `cargo xtask test` makes it first");
    assert!(script.text().contains(ALL_SITES) && !script.text().contains("%FIRMSIGHT%"));
    // A UUID's last group is twelve such digits too, but no word of its own.
    let hash = script
        .text()
        .split(|char: char| !char.is_ascii_alphanumeric() && char != '-')
        .find(|word| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .expect("the script names its core");
    for path in [format!("/lfa.{hash}.js"), format!("/lfa.{hash}.links.js")] {
        let file = setup.get(&path, &[("accept-encoding", "br")]).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, "text/javascript; charset=utf-8"));
        assert_eq!(file.header("content-encoding"), "br");
    }
    // An open page's script may be of another version: its parts are those of this one, but not for good.
    let part = setup.get("/lfa.000000000000.links.js", &[]).await;
    assert_eq!((part.status, part.header("cache-control")), (StatusCode::OK, "public, max-age=300"));
    for path in ["/lfa.000000000000.js", "/lfa.000000000000.nonsense.js", "/lfa.links.js"] {
        assert_eq!(setup.get(path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // By the collector's own name it knows which domain it shares with the page.
    let named = setup.get("/lfa.js", &[("host", "stats.example.co.uk:8443")]).await;
    let named = named.text();
    assert!(
        named.contains(r#""domain":"example.co.uk""#)
            && named.contains(r#""source":"//stats.example.co.uk:8443/lfa.js""#)
    );
    let odd = setup.get("/lfa.js", &[("host", "\"});alert(1)")]).await;
    assert!(!odd.text().contains("alert"));
}
