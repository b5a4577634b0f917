//! What the screens say of visits on the real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod dashboard_support;
#[path = "reports_support/rows.rs"]
#[allow(dead_code, reason = "shared with the tests of reports")]
mod rows;
mod support;

use collector::{
    feed::{Feed, Filter, Goal, GoalRule, TextMatch},
    snapshot::Role,
    store::VisitRow,
    time::UnixMillis,
};
use dashboard_support::{Screens, now, site_id};
use firmsight_resolver::CompanyId;
use http::{StatusCode, header};
use rows::{WithPages, insert, plain_visit};
use uuid::Uuid;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn before(millis: i64) -> UnixMillis {
    UnixMillis(now().0 - millis)
}

fn id_of(domain: &str) -> String {
    CompanyId::of_domain(domain).to_string()
}

/// Buyer: back after 45 days, prices twice, a goal. Applicants: eight visits to the jobs page by several people. Newcomer:
/// one look around. The last one's name is markup.
fn visits() -> Vec<VisitRow> {
    let pages = [
        (0, "/pricing", "Pricing"),
        (60_000, "/pricing/volume", "Volume discounts"),
        (120_000, "/samples", "Order samples"),
    ];
    let mut visits = vec![
        plain_visit("shop", 1, "buyer.example", before(46 * DAY)),
        plain_visit("shop", 2, "buyer.example", before(2 * HOUR)).with_pages(&pages),
        plain_visit("shop", 20, "new.example", before(3 * HOUR))
            .with_pages(&[(0, "/", "Home"), (5_000, "/about", "About us")]),
        plain_visit("blog", 30, "elsewhere.example", before(HOUR)),
    ];
    for number in 0..8 {
        let visit = plain_visit("shop", 10 + number, "jobs.example", before((number as i64 + 1) * HOUR));
        visits.push(
            VisitRow { visitor: number % 4, ..visit }
                .with_pages(&[(0, "/jobs", "Jobs"), (9_000, "/jobs/welder", "Welder")]),
        );
    }
    visits.push(VisitRow {
        company_name: "<script>alert(1)</script> \u{202e}GmbH".into(),
        ..plain_visit("shop", 40, "odd.example", before(4 * HOUR))
    });
    visits
}

async fn filled() -> (Screens, String) {
    let screens = Screens::new(support::store().await).await;
    insert(&screens.store, &visits(), "Europe/Berlin").await;
    let goal = Goal {
        id: Uuid::from_u128(1),
        site: site_id("shop"),
        name: "Ordered samples".to_owned(),
        reached_by: GoalRule::Page(TextMatch::StartsWith(vec!["/samples".to_owned()])),
        created_at: now(),
    };
    screens.control.add_object(goal, now()).await.unwrap();
    let cookie = screens.signed_in("sales@example.com", Role::Write, false).await;
    (screens, cookie)
}

/// Names of the companies that a page lists, in its order.
fn companies(html: &str) -> Vec<String> {
    let rows = html.split("<a class=\"row\" href=\"/sites/shop/companies/").skip(1);
    rows.filter_map(|row| Some(row.split_once("\">")?.1.split_once("</a>")?.0.to_owned())).collect()
}

#[tokio::test]
async fn today_names_first_who_has_a_reason_and_applicants_last() {
    let (screens, cookie) = filled().await;
    let page = screens.get("/sites/shop/today", &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let html = page.text();
    assert!(html.contains("<h1>buyer.example: reached “Ordered samples”, back after 45 days.</h1>"), "{html}");
    assert!(html.contains("4 companies came by, 4 more than the day before. One is worth a call."), "{html}");
    let listed = companies(html);
    assert_eq!(listed.first().map(String::as_str), Some("buyer.example"));
    assert_eq!(listed.last().map(String::as_str), Some("jobs.example"), "{listed:?}");
    assert!(!html.contains("elsewhere.example"), "another site's company");
    assert!(html.contains("<tr><th scope=\"row\">Ordered samples</th><td>1</td></tr>"));
    assert!(!html.contains("<script>alert") && html.contains("&#60;script&#62;alert(1)"), "markup in a name is text");
    assert!(!html.contains(" style="), "no style attribute: the policy forbids it");
}

#[tokio::test]
async fn companies_are_filtered_searched_ordered_and_exported() {
    let (screens, cookie) = filled().await;
    let of = async |query: &str| {
        let page = screens.get(&format!("/sites/shop/companies{query}"), &cookie).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text());
        companies(page.text())
    };
    assert_eq!(of("").await.len(), 4);
    assert_eq!(of("?sort=visits").await[0], "jobs.example");
    assert_eq!(of("?sort=name").await[0], "&#60;script&#62;alert(1)&#60;/script&#62; \u{202e}GmbH");
    assert_eq!(of("?q=BUYER").await, ["buyer.example"]);
    assert_eq!(of("?page_path=/jobs").await, ["jobs.example"]);
    assert_eq!(of("?visits=2").await, ["jobs.example"]);
    assert_eq!(of("?kind=returning").await, ["buyer.example"]);
    assert_eq!(of("?kind=new&visits=5").await, ["jobs.example"]);
    assert!(of("?tag=none").await.is_empty());
    assert!(of("?page=7").await.is_empty());
    let feed = Feed {
        id: Uuid::from_u128(2),
        site: site_id("shop"),
        name: "Read prices".to_owned(),
        folder: String::new(),
        filter: Filter::Page(TextMatch::StartsWith(vec!["/pricing".to_owned()])),
        created_at: now(),
    };
    let feed = screens.control.add_object(feed, now()).await.unwrap().id;
    assert_eq!(of(&format!("?feed={feed}")).await, ["buyer.example"]);
    screens.control.remove_object::<Feed>(&site_id("shop"), feed, now()).await.unwrap();
    let page = screens.get(&format!("/sites/shop/companies?feed={feed}"), &cookie).await;
    assert!(page.text().contains("a feed that was removed") && companies(page.text()).is_empty());
    let long = "x".repeat(5_000);
    let page = screens.get(&format!("/sites/shop/companies?q={long}"), &cookie).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "a filter has its bounds");

    let csv = screens.get("/sites/shop/companies.csv?q=buyer", &cookie).await;
    assert!(csv.header(header::CONTENT_TYPE).starts_with("text/csv"));
    let expected = format!("{},buyer.example,buyer.example,,,Re-engaged,", id_of("buyer.example"));
    assert!(csv.text().lines().nth(1).unwrap().starts_with(&expected), "{}", csv.text());
}

#[tokio::test]
async fn a_company_tells_why_and_keeps_what_people_note() {
    let (screens, cookie) = filled().await;
    let path = format!("/sites/shop/companies/{}", id_of("buyer.example"));
    let page = screens.get(&path, &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    for part in ["Re-engaged", "Reached “Ordered samples”, back after 45 days", "Volume discounts", "Person A"] {
        assert!(page.text().contains(part), "{part}");
    }
    let marks = format!("{path}/marks");
    for (name, text) in [("tag", "titanium"), ("assignee", "sales@example.com"), ("followed", "true")] {
        let answer = screens.submit(&marks, &cookie, &[(name, text)]).await;
        assert_eq!(answer.header(header::LOCATION), path, "{}", answer.text());
    }
    let text = "Asked <b>twice</b>.\nCall in May.";
    screens.submit(&format!("{path}/notes"), &cookie, &[("text", text)]).await;
    let page = screens.get(&path, &cookie).await;
    for part in
        ["titanium", "<option selected>sales@example.com</option>", "Following", "Asked &#60;b&#62;twice&#60;/b&#62;."]
    {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let empty = screens.submit(&format!("{path}/notes"), &cookie, &[("text", "  ")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let too_long = "x".repeat(101);
    assert_eq!(screens.submit(&marks, &cookie, &[("tag", &too_long)]).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    screens.submit(&marks, &cookie, &[("hidden", "true")]).await;
    assert!(
        !companies(screens.get("/sites/shop/companies", &cookie).await.text()).contains(&"buyer.example".to_owned())
    );
    screens.submit(&marks, &cookie, &[("hidden", "false"), ("back", "today")]).await;
    assert_eq!(screens.get("/sites/shop/companies/0000000000000001", &cookie).await.status, StatusCode::NOT_FOUND);
    let other = format!("/sites/shop/companies/{}", id_of("elsewhere.example"));
    assert_eq!(screens.get(&other, &cookie).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn visits_are_shown_newest_first_and_older_ones_follow() {
    let (screens, cookie) = filled().await;
    let page = screens.get("/sites/shop/visits", &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let names: Vec<_> = page.text().split("</span><b>").skip(1).filter_map(|part| part.split('<').next()).collect();
    assert_eq!(names.len(), 11);
    assert_eq!(names[0], "jobs.example");
    let oldest_but_one = visits()
        .iter()
        .filter(|visit| visit.site == "shop" && visit.started_at.0 > now().0 - DAY)
        .map(|visit| (visit.started_at.0, visit.visit_id))
        .min()
        .unwrap();
    let before = format!("/sites/shop/visits?days=30&before={}-{}", oldest_but_one.0, oldest_but_one.1);
    assert!(!screens.get(&before, &cookie).await.text().contains("jobs.example"));
}

#[tokio::test]
async fn nothing_is_explained_by_what_was_dropped() {
    let screens = Screens::new(support::store().await).await;
    let cookie = screens.signed_in("sales@example.com", Role::Read, false).await;
    let today = "/sites/shop/today";
    assert!(screens.get(today, &cookie).await.text().contains("No page view has come yet"));
    let drop = |reason: &str, events: u32| {
        let day = now().0 / DAY;
        let sql = format!("INSERT INTO drops SELECT 'shop', toDate({day}), '{reason}', generateUUIDv4(), {events}, 1");
        screens.store.client().query_raw(&sql).execute()
    };
    drop("residential", 12).await.unwrap();
    let page = screens.get(today, &cookie).await;
    assert!(page.text().contains("No company among 12 events"), "{}", page.text());
    drop("reserved", 40).await.unwrap();
    let page = screens.get(today, &cookie).await;
    assert!(
        page.text().contains("All visitors look local") && page.text().contains("trusted_proxies"),
        "{}",
        page.text()
    );
    let page = screens.get("/sites/shop/filtered", &cookie).await;
    let homes = page.text().find("<code>residential</code>").unwrap();
    assert!(page.text().find("<code>reserved</code>").unwrap() < homes, "most first");
}

#[tokio::test]
async fn a_page_without_its_database_says_so_and_the_session_stays() {
    let (screens, cookie) = filled().await;
    let away = screens.with_store_away();
    let page = away.get("/sites/shop/today", &cookie).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text().contains("You stay signed in"), "{}", page.text());
    assert_eq!(page.header(header::SET_COOKIE), "");
    assert_eq!(away.get("/settings", &cookie).await.status, StatusCode::OK);
}
