//! Who gets in, and to what: sessions, forms of other sites, hosts, roles, sites.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod dashboard_support;
mod support;

use axum::body::Body;
use collector::{
    control::{ControlError, PersonChange},
    dashboard::{Access, routes},
    snapshot::Role,
};
use dashboard_support::{FIRST_RUN, HOST, NOW, PASSWORD, Screens};
use http::{Method, StatusCode, header};
use std::sync::atomic::Ordering;

const COMPANY: &str = "00000000000000ff";

async fn screens() -> Screens {
    Screens::new(support::store().await).await
}

/// What somebody is, in the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Nobody,
    SignedIn(Role),
}

/// Every page of the table against every role: a new page is in it without anybody having to think of it.
#[tokio::test]
async fn every_page_is_held_against_every_role() {
    let screens = screens().await;
    let mut people = vec![(Who::Nobody, String::new())];
    for (email, role) in [("r@e.com", Role::Read), ("w@e.com", Role::Write), ("a@e.com", Role::Admin)] {
        people.push((Who::SignedIn(role), screens.signed_in(email, role, true).await));
    }
    for (method, pattern, access) in routes() {
        for (who, cookie) in &people {
            let path = pattern
                .replace("{site}", "shop")
                .replace("{company}", COMPANY)
                .replace("{token}", "none")
                .replace("{file}", "none");
            let answer = if method == Method::GET {
                screens.get(&path, cookie).await
            } else if cookie.is_empty() {
                screens.post(&path, cookie, &[]).await
            } else {
                screens.submit(&path, cookie, &[]).await
            };
            let is_admitted = match (access, who) {
                (Access::Everybody, _) => true,
                (Access::SignedIn(_), Who::Nobody) => false,
                (Access::SignedIn(needed), Who::SignedIn(role)) => *role >= needed,
            };
            let told = format!("{method} {path} by {who:?}: {}", answer.status);
            match (is_admitted, who) {
                // Signing in with nothing is refused by itself.
                (true, _) if path == "/sign-in" => {}
                (true, _) => {
                    let refusals = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
                    let own_password = path == "/settings/password" && answer.status == StatusCode::FORBIDDEN;
                    assert!(own_password || !refusals.contains(&answer.status), "{told}");
                }
                (false, Who::Nobody) if method == Method::GET => {
                    assert!(answer.header(header::LOCATION).starts_with("/sign-in"), "{told}");
                }
                (false, Who::Nobody) => assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{told}"),
                (false, Who::SignedIn(_)) => assert_eq!(answer.status, StatusCode::FORBIDDEN, "{told}"),
            }
            assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"), "{told}");
            assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY", "{told}");
        }
    }
}

#[tokio::test]
async fn another_site_is_not_there_for_somebody_who_does_not_see_it() {
    let screens = screens().await;
    let cookie = screens.signed_in("a@e.com", Role::Admin, false).await;
    for (method, pattern, _) in routes().into_iter().filter(|(_, pattern, _)| pattern.contains("{site}")) {
        let path = |site: &str| pattern.replace("{site}", site).replace("{company}", COMPANY);
        let (theirs, other) = match method {
            Method::GET => (screens.get(&path("shop"), &cookie).await, screens.get(&path("blog"), &cookie).await),
            _ => (
                screens.submit(&path("shop"), &cookie, &[]).await,
                screens.submit(&path("blog"), &cookie, &[("consent", "cookieless")]).await,
            ),
        };
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{method} {pattern}");
        if method == Method::GET && !pattern.contains("{company}") {
            assert_eq!(theirs.status, StatusCode::OK, "{method} {pattern}");
        }
    }
    let page = screens.get("/settings", &cookie).await;
    assert!(!page.text().contains("The blog"), "nothing names a site that they don't see");
    let invited = screens.submit("/settings/people", &cookie, &[("email", "x@e.com"), ("role", "admin")]).await;
    assert_eq!(invited.status, StatusCode::FORBIDDEN, "whoever doesn't have all sites can't hand them on");
}

#[tokio::test]
async fn the_first_person_comes_by_the_first_run_link_and_nobody_after_them() {
    let screens = screens().await;
    let path = format!("/first-run/{FIRST_RUN}");
    assert_eq!(screens.get("/first-run/guessed", "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(screens.get(&path, "").await.status, StatusCode::OK);
    let fields = [("email", "Owner@Example.com"), ("name", "Owner"), ("password", PASSWORD)];
    let weak =
        screens.post(&path, "", &[("email", "owner@example.com"), ("name", "Owner"), ("password", "short")]).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.text().contains("at least 12 characters"), "{}", weak.text());
    let made = screens.post(&path, "", &fields).await;
    assert_eq!((made.status, made.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"), "{}", made.text());
    let home = screens.get("/", &made.cookie()).await;
    assert_eq!(home.header(header::LOCATION), "/sites/blog/today");
    assert_eq!(screens.get(&path, "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(screens.post(&path, "", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(screens.sign_in("owner@example.com", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_invitation_works_once_and_not_late() {
    let screens = screens().await;
    let cookie = screens.signed_in("a@e.com", Role::Admin, true).await;
    let fields = [("email", "new@e.com"), ("role", "editor"), ("site", "shop")];
    let invited = screens.submit("/settings/people", &cookie, &fields).await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.text());
    let (_, rest) = invited.text().split_once("/join/").unwrap();
    let path = format!("/join/{}", rest.split('<').next().unwrap());
    assert_eq!(screens.sign_in("new@e.com", "").await.status, StatusCode::UNAUTHORIZED);
    assert!(screens.get(&path, "").await.text().contains("new@e.com"));
    let joined = screens.post(&path, "", &[("password", PASSWORD)]).await;
    assert_eq!(joined.status, StatusCode::SEE_OTHER, "{}", joined.text());
    assert_eq!(screens.get("/settings", &joined.cookie()).await.status, StatusCode::OK);
    assert_eq!(screens.post(&path, "", &[("password", PASSWORD)]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let again = screens.submit("/settings/people", &cookie, &fields).await;
    assert!(
        again.text().contains("is somebody’s address already")
            || again.text().contains("is somebody&#39;s address already"),
        "{}",
        again.text()
    );
    let late = screens.control.reset_person(&"new@e.com".parse().unwrap(), dashboard_support::now()).await.unwrap();
    assert_eq!(screens.get("/settings", &joined.cookie()).await.status, StatusCode::SEE_OTHER, "a reset ends sessions");
    let week = dashboard_support::now().0 + 7 * 86_400_000;
    let refused = screens.control.accept_invitation(&late, password_hash(), collector::time::UnixMillis(week)).await;
    assert!(matches!(refused, Err(ControlError::LinkIsOver)));
}

fn password_hash() -> collector::person::PasswordHash {
    collector::sign_in::password::hash(PASSWORD, "", [3; 16]).unwrap()
}

#[tokio::test]
async fn a_form_must_come_from_our_own_page_and_session() {
    let screens = screens().await;
    let cookie = screens.signed_in("a@e.com", Role::Admin, true).await;
    let other = screens.signed_in("b@e.com", Role::Admin, true).await;
    let path = "/settings/people";
    let fields = [("email", "evil@e.com"), ("role", "admin")];
    let token = screens.form_token(&cookie).await;
    let foreign = screens.form_token(&other).await;
    assert_ne!(token, foreign);
    for (origin, token, expected) in [
        ("http://stats.example", "", StatusCode::FORBIDDEN),
        ("http://stats.example", foreign.as_str(), StatusCode::FORBIDDEN),
        ("https://evil.example", token.as_str(), StatusCode::FORBIDDEN),
        ("null", token.as_str(), StatusCode::FORBIDDEN),
        ("", token.as_str(), StatusCode::FORBIDDEN),
        ("http://stats.example", token.as_str(), StatusCode::OK),
    ] {
        let headers = [("host", HOST), ("cookie", cookie.as_str()), ("origin", origin)];
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token)]).collect();
        let answer = screens.post_with(path, &headers, &fields).await;
        assert_eq!(answer.status, expected, "{origin:?} {token:?}");
    }
    // Signing somebody in as oneself, so that they enter data into one's own account, is refused as well.
    let headers = [("host", HOST), ("origin", "https://evil.example")];
    let answer = screens.post_with("/sign-in", &headers, &[("email", "a@e.com"), ("password", PASSWORD)]).await;
    assert_eq!((answer.status, answer.header(header::SET_COOKIE)), (StatusCode::FORBIDDEN, ""));
}

#[tokio::test]
async fn a_page_that_gives_its_own_name_our_address_learns_nothing() {
    let screens = screens().await;
    let cookie = screens.signed_in("a@e.com", Role::Admin, true).await;
    for path in ["/sign-in", "/sites/shop/today", "/settings"] {
        for (host, expected) in [("evil.example", StatusCode::MISDIRECTED_REQUEST), ("127.0.0.1:8081", StatusCode::OK)]
        {
            let headers = [("host", host), ("cookie", cookie.as_str())];
            let answer = screens.send(Method::GET, path, &headers, Body::empty()).await;
            let is_as_expected = answer.status == expected
                || path == "/sign-in" && answer.status == StatusCode::SEE_OTHER && expected == StatusCode::OK;
            assert!(is_as_expected, "{path} {host}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn a_session_is_new_with_each_sign_in_and_ends_with_password_role_and_person() {
    let screens = screens().await;
    let first = screens.signed_in("a@e.com", Role::Admin, true).await;
    // A cookie that somebody planted before the sign-in is not what comes out of it.
    let headers = [("host", HOST), ("cookie", first.as_str()), ("origin", "http://stats.example")];
    let second = screens.post_with("/sign-in", &headers, &[("email", "a@e.com"), ("password", PASSWORD)]).await;
    assert_ne!(second.cookie(), first);
    let set = second.header(header::SET_COOKIE);
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let is_in = async |cookie: &str| screens.get("/settings", cookie).await.status == StatusCode::OK;
    assert!(is_in(&first).await && is_in(&second.cookie()).await);

    let editor = screens.signed_in("w@e.com", Role::Write, true).await;
    let email = "w@e.com".parse().unwrap();
    let change = |role| PersonChange { role: Some(role), ..PersonChange::default() };
    screens.control.set_person(&email, change(Role::Write), dashboard_support::now()).await.unwrap();
    assert!(is_in(&editor).await, "no change, no end");
    screens.control.set_person(&email, change(Role::Read), dashboard_support::now()).await.unwrap();
    assert!(!is_in(&editor).await);

    let fields = [("current", PASSWORD), ("password", "another horse battery")];
    let changed = screens.submit("/settings/password", &first, &fields).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text());
    assert!(!is_in(&first).await && !is_in(&second.cookie()).await);
    assert!(is_in(&changed.cookie()).await, "whoever changed it goes on");

    let out = screens.submit("/sign-out", &changed.cookie(), &[("where", "everywhere")]).await;
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert!(!is_in(&changed.cookie()).await);

    let gone = screens.signed_in("gone@e.com", Role::Read, true).await;
    screens.control.remove_person(&"gone@e.com".parse().unwrap(), dashboard_support::now()).await.unwrap();
    assert!(!is_in(&gone).await);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nobody_who_has_an_account() {
    let screens = screens().await;
    screens.add("a@e.com", Role::Admin, true).await;
    let wrong = screens.sign_in("a@e.com", "wrong horse battery").await;
    let unknown = screens.sign_in("nobody@e.com", "wrong horse battery").await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.text().replace("a@e.com", ""), unknown.text().replace("nobody@e.com", ""));
    for _ in 0..4 {
        screens.sign_in("a@e.com", "wrong horse battery").await;
    }
    let right = screens.sign_in("a@e.com", PASSWORD).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "also the right password waits");
    let before = NOW.fetch_add(3_000, Ordering::Relaxed);
    assert_eq!(screens.sign_in("a@e.com", PASSWORD).await.status, StatusCode::SEE_OTHER);
    NOW.store(before, Ordering::Relaxed);
}

#[tokio::test]
async fn signing_in_leads_on_within_this_server_alone() {
    let screens = screens().await;
    screens.add("a@e.com", Role::Admin, true).await;
    let asked = screens.get("/sites/shop/companies?quality=6&country=DE", "").await;
    let to = asked.header(header::LOCATION);
    assert_eq!(to, "/sign-in?next=%2Fsites%2Fshop%2Fcompanies%3Fquality%3D6%26country%3DDE");
    assert!(screens.get(to, "").await.text().contains("value=\"/sites/shop/companies?quality=6&#38;country=DE\""));
    for (next, expected) in
        [("/sites/shop/visits", "/sites/shop/visits"), ("//evil.example/", "/"), ("https://evil.example", "/")]
    {
        let fields = [("email", "a@e.com"), ("password", PASSWORD), ("next", next)];
        let answer = screens.post("/sign-in", "", &fields).await;
        assert_eq!(answer.header(header::LOCATION), expected, "{next}");
    }
}

#[tokio::test]
async fn somebody_always_manages_the_installation() {
    let screens = screens().await;
    let one = screens.signed_in("one@e.com", Role::Admin, true).await;
    let two = screens.signed_in("two@e.com", Role::Admin, true).await;
    // Two admins remove each other in the same moment: one of them stays.
    let (first, second) = tokio::join!(
        screens.submit("/settings/people/remove", &one, &[("email", "two@e.com")]),
        screens.submit("/settings/people/remove", &two, &[("email", "one@e.com")]),
    );
    let done = [&first, &second].iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
    assert_eq!(done, 1, "{} {}", first.status, second.status);
    let people = screens.control.list_people();
    assert_eq!(people.len(), 1);
    let last = people[0].email.clone();
    let now = dashboard_support::now();
    let refused =
        |outcome: Result<(), ControlError>| assert!(matches!(outcome, Err(ControlError::LastAdmin(_))), "{outcome:?}");
    refused(screens.control.remove_person(&last, now).await);
    for change in [
        PersonChange { role: Some(Role::Write), ..PersonChange::default() },
        PersonChange { sites: Some(Some(vec![dashboard_support::site_id("shop")])), ..PersonChange::default() },
    ] {
        refused(screens.control.set_person(&last, change, now).await.map(drop));
    }
    screens.add("three@e.com", Role::Read, true).await;
    refused(screens.control.remove_person(&last, now).await);
}
