//! Sites, keys and day keys on the real engine.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use collector::{
    control::{Control, ControlError, KeyChange, NewKey, NewUser, UserChange, token_sha256},
    sealing::MasterKey,
    site::{Site, SiteId},
    snapshot::Role,
    store::Store,
    time::{UnixMillis, UtcDay},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// In 2096, so that no row is ever due by the engine's own clock.
const NOW: UnixMillis = UnixMillis(4_000_000_000_000);
const HOUR: i64 = 3_600_000;

fn master_key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

fn later(hours: i64) -> UnixMillis {
    UnixMillis(NOW.0 + hours * HOUR)
}

fn site(id: &str) -> Site {
    Site {
        timezone: "Europe/Berlin".into(),
        own_networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..Site::new(id.parse().unwrap(), format!("Site {id}"), ["www.example.com"])
    }
}

fn new_key(name: &str, sites: Option<Vec<SiteId>>, role: Role) -> NewKey {
    NewKey { sites, role, ..NewKey::named(name) }
}

fn id(text: &str) -> SiteId {
    text.parse().unwrap()
}

/// Control data over a database of its own, mirrored into a folder of its own.
struct Fixture {
    store: Store,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self { store: support::store().await, folder: tempfile::tempdir().unwrap() }
    }

    /// A new process.
    fn open(&self) -> Control {
        Control::open(self.store.clone(), master_key(), self.mirror())
    }

    fn mirror(&self) -> std::path::PathBuf {
        self.folder.path().join("control.snapshot")
    }
}

#[tokio::test]
async fn a_site_is_in_force_when_its_change_returns_and_is_there_for_the_next_process() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let snapshot = control.snapshot();
    assert!(!snapshot.load().loaded);

    control.add_site(Site { hosts: vec!["WWW.Example.com".into()], ..site("shop") }, NOW).await.unwrap();
    assert_eq!(**snapshot.load().sites.get(&id("shop")).unwrap(), site("shop"));
    assert!(snapshot.load().loaded);

    let renamed = Site { name: "Renamed".into(), ..site("shop") };
    control.set_site(renamed.clone(), NOW).await.unwrap();
    assert_eq!(**snapshot.load().sites.get(&id("shop")).unwrap(), renamed);

    let next = fixture.open();
    next.refresh(NOW).await.unwrap();
    assert_eq!(next.list_sites().iter().map(|site| (**site).clone()).collect::<Vec<_>>(), [renamed]);

    control.remove_site(&id("shop"), NOW).await.unwrap();
    assert!(control.list_sites().is_empty());
    next.refresh(NOW).await.unwrap();
    assert!(next.list_sites().is_empty());
}

#[tokio::test]
async fn nobody_gets_what_was_stored_of_a_removed_site_with_its_id() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    control.add_site(site("blog"), NOW).await.unwrap();
    let still_there = control.purge_site(&id("shop")).await.unwrap_err();
    assert!(matches!(still_there, ControlError::NotRemoved(_)), "{still_there}");
    let count = async |table: &str, id: &str| -> u64 {
        let sql = format!("SELECT count() FROM {table} WHERE site = '{id}'");
        fixture.store.in_time(fixture.store.client().query(&sql).fetch_one()).await.unwrap()
    };
    for site in ["shop", "blog"] {
        for (table, columns, values) in [
            ("events", "site, at", "now64(3)"),
            ("visits", "site, started_at", "now64(3)"),
            ("company_marks", "site, company_id", "1"),
            ("audit", "site, at", "now64(3)"),
        ] {
            let sql = format!("INSERT INTO {table} ({columns}) SELECT '{site}', {values}");
            fixture.store.in_time(fixture.store.client().query(&sql).execute()).await.unwrap();
        }
    }
    control.remove_site(&id("shop"), NOW).await.unwrap();
    let removed = control.removed_sites().await.unwrap();
    assert_eq!(removed.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["shop"]);
    let again = control.add_site(site("shop"), NOW).await.unwrap_err();
    assert!(again.to_string().contains("there was a site shop"), "{again}");

    control.purge_site(&id("shop")).await.unwrap();
    for table in ["events", "visits", "company_marks", "audit"] {
        assert_eq!((count(table, "shop").await, count(table, "blog").await), (0, 1), "{table}");
    }
    assert_eq!(control.removed_sites().await.unwrap(), []);
    control.add_site(site("shop"), NOW).await.unwrap();
    assert_eq!(control.list_sites().len(), 2);
    let unknown = control.purge_site(&id("other")).await.unwrap_err();
    assert!(matches!(unknown, ControlError::NoSuchSite(_)), "{unknown}");
}

#[tokio::test]
async fn a_collector_with_another_master_key_is_refused() {
    let fixture = Fixture::new().await;
    let with_key = |byte| {
        Control::open(fixture.store.clone(), MasterKey::from_bytes([byte; 32]), fixture.folder.path().join("mirror"))
    };
    with_key(1).check_master_key(NOW).await.unwrap();
    with_key(1).check_master_key(NOW).await.unwrap();
    let other = with_key(2).check_master_key(NOW).await.unwrap_err();
    assert!(other.to_string().contains("under another master key"), "{other}");
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_one_sentence_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    control.create_key(new_key("ci", None, Role::Read), NOW).await.unwrap();
    let before = control.snapshot().load_full();

    let twice = control.add_site(site("shop"), NOW).await.unwrap_err();
    assert!(matches!(twice, ControlError::SiteExists(_)), "{twice}");
    let missing = control.set_site(site("other"), NOW).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no site other");
    let missing = control.remove_site(&id("other"), NOW).await.unwrap_err();
    assert!(matches!(missing, ControlError::NoSuchSite(_)), "{missing}");
    let no_host = control.add_site(Site { hosts: Vec::new(), ..site("other") }, NOW).await.unwrap_err();
    assert!(matches!(no_host, ControlError::SiteRule(_)), "{no_host}");
    let name = control.create_key(new_key("ci", None, Role::Read), NOW).await.unwrap_err();
    assert!(matches!(name, ControlError::KeyExists(_)), "{name}");
    let no_name = control.create_key(new_key(" ", None, Role::Read), NOW).await.unwrap_err();
    assert!(matches!(no_name, ControlError::KeyName), "{no_name}");
    let no_sites = control.create_key(new_key("x", Some(Vec::new()), Role::Read), NOW).await.unwrap_err();
    assert!(matches!(no_sites, ControlError::KeyWithoutSites), "{no_sites}");
    let unknown_site = control.create_key(new_key("x", Some(vec![id("other")]), Role::Read), NOW).await.unwrap_err();
    assert!(matches!(unknown_site, ControlError::NoSuchSite(_)), "{unknown_site}");
    let no_key = control.revoke_key("x", NOW).await.unwrap_err();
    assert!(matches!(no_key, ControlError::NoSuchKey(_)), "{no_key}");

    control.refresh(NOW).await.unwrap();
    assert_eq!(*control.snapshot().load_full(), *before);
}

#[tokio::test]
async fn of_many_who_add_one_id_at_once_one_succeeds() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let control = control.clone();
        attempts.spawn(async move { control.add_site(site("shop"), NOW).await.is_ok() });
    }
    assert_eq!(attempts.join_all().await.into_iter().filter(|added| *added).count(), 1);
}

#[tokio::test]
async fn a_key_is_found_by_its_token_until_it_is_revoked_by_name_or_id() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    let (key, token) = control.create_key(new_key("reports", Some(vec![id("shop")]), Role::Write), NOW).await.unwrap();
    let found = control.snapshot().load().keys.get(&token_sha256(token.as_str())).cloned();
    assert_eq!(found.as_ref(), Some(&key));
    assert!(key.may_see(&id("shop")) && !key.may_see(&id("other")));

    let next = fixture.open();
    next.refresh(NOW).await.unwrap();
    assert_eq!(next.list_keys(), [key]);
    next.revoke_key("reports", NOW).await.unwrap();
    assert!(next.snapshot().load().keys.is_empty());
    control.refresh(NOW).await.unwrap();
    assert!(control.snapshot().load().keys.is_empty());

    let (key, _) = control.create_key(new_key("reports", None, Role::Read), NOW).await.unwrap();
    assert!(key.may_see(&id("other")), "all sites");
    assert_eq!(control.revoke_key(&key.id.to_string(), NOW).await.unwrap(), key);
}

#[tokio::test]
async fn the_token_itself_is_stored_nowhere() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let (_, token) = control.create_key(new_key("reports", None, Role::Admin), NOW).await.unwrap();
    let random = token.as_str().strip_prefix("fs_").unwrap();
    let documents: Vec<String> =
        fixture.store.client().query("SELECT document FROM api_keys").fetch_all().await.unwrap();
    assert!(documents.iter().all(|document| !document.contains(random)));
    assert!(!fs::read_to_string(fixture.mirror()).unwrap().contains(random));
}

#[tokio::test]
async fn a_start_without_clickhouse_serves_from_the_mirror() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    control.create_key(new_key("reports", None, Role::Read), NOW).await.unwrap();
    assert_eq!(fs::metadata(fixture.mirror()).unwrap().permissions().mode() & 0o777, 0o600);

    let away = Control::open(support::store_away(), master_key(), fixture.mirror());
    assert_eq!(*away.snapshot().load_full(), *control.snapshot().load_full());
    let error = away.refresh(NOW).await.unwrap_err();
    assert!(matches!(&error, ControlError::Store(error) if error.is_retryable()), "{error}");
    assert_eq!(away.list_sites().len(), 1, "a failed refresh changes nothing");
    away.add_site(site("other"), NOW).await.unwrap_err();
    assert_eq!(away.list_sites().len(), 1, "neither does a failed change");
}

#[tokio::test]
async fn a_mirror_that_is_no_mirror_is_passed_over() {
    for text in ["", "{", r#"{"format":99,"sites":[],"keys":[]}"#] {
        let folder = tempfile::tempdir().unwrap();
        let mirror = folder.path().join("control.snapshot");
        fs::write(&mirror, text).unwrap();
        let control = Control::open(support::store_away(), master_key(), mirror);
        assert!(!control.snapshot().load().loaded, "{text:?}");
    }
}

#[tokio::test]
async fn a_mirror_that_cannot_be_written_stops_no_change() {
    let fixture = Fixture::new().await;
    let nowhere = Path::new("/proc/firmsight/control.snapshot");
    let control = Control::open(fixture.store.clone(), master_key(), nowhere.to_owned());
    control.add_site(site("shop"), NOW).await.unwrap();
    assert_eq!(control.list_sites().len(), 1);
}

#[tokio::test]
async fn a_document_that_cannot_be_read_takes_no_other_down() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    let broken = "INSERT INTO sites VALUES ('broken', '{\"id\":1}', 1, 0)";
    fixture.store.client().query_raw(broken).execute().await.unwrap();
    control.refresh(NOW).await.unwrap();
    assert_eq!(control.list_sites().len(), 1);
}

#[tokio::test]
async fn a_change_counts_though_another_clock_was_ahead() {
    let fixture = Fixture::new().await;
    fixture.open().add_site(site("shop"), later(24)).await.unwrap();
    let control = fixture.open();
    control.set_site(Site { name: "Now".into(), ..site("shop") }, NOW).await.unwrap();
    control.refresh(NOW).await.unwrap();
    assert_eq!(control.list_sites()[0].name, "Now");
}

#[tokio::test]
async fn all_collectors_share_a_days_key_and_each_day_has_its_own() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.open(), fixture.open());
    let today = NOW.day();
    let key = one.day_key(today, NOW).await.unwrap();
    assert_eq!(one.day_key(today, NOW).await.unwrap(), key);
    assert_eq!(other.day_key(today, later(1)).await.unwrap(), key);
    let yesterday = one.day_key(UtcDay(today.0 - 1), NOW).await.unwrap();
    assert_ne!(yesterday, key);
    assert_ne!(key, [0; 32]);
}

#[tokio::test]
async fn concurrent_first_events_of_a_day_make_one_key() {
    let fixture = Fixture::new().await;
    let mut askers = tokio::task::JoinSet::new();
    let control = fixture.open();
    for _ in 0..16 {
        let control = control.clone();
        askers.spawn(async move { control.day_key(NOW.day(), NOW).await.unwrap() });
    }
    let keys = askers.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    let stored: u64 = fixture.store.client().query("SELECT count() FROM day_keys").fetch_one().await.unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn the_earliest_key_counts_for_everyone_after_a_refresh() {
    let fixture = Fixture::new().await;
    let (fast_clock, slow_clock) = (fixture.open(), fixture.open());
    let late = fast_clock.day_key(NOW.day(), later(1)).await.unwrap();
    // A collector that did not see the other's key when it made its own.
    let row: (u16, u64, String, u32) = fixture
        .store
        .client()
        .query("SELECT day, version, sealed, created_at FROM day_keys")
        .fetch_one()
        .await
        .unwrap();
    fixture.store.client().query("TRUNCATE TABLE day_keys").execute().await.unwrap();
    let early = slow_clock.day_key(NOW.day(), NOW).await.unwrap();
    let restore = "INSERT INTO day_keys SELECT ?, ?, ?, ?";
    fixture.store.client().query(restore).bind(row.0).bind(row.1).bind(row.2).bind(row.3).execute().await.unwrap();

    assert_ne!(early, late);
    fast_clock.refresh(later(1)).await.unwrap();
    assert_eq!(fast_clock.day_key(NOW.day(), later(1)).await.unwrap(), early);
    slow_clock.refresh(later(1)).await.unwrap();
    assert_eq!(slow_clock.day_key(NOW.day(), later(1)).await.unwrap(), early);
}

#[tokio::test]
async fn a_days_key_is_destroyed_48_hours_after_it_was_made() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let key = control.day_key(NOW.day(), NOW).await.unwrap();
    control.refresh(later(47)).await.unwrap();
    assert_eq!(control.day_key(NOW.day(), later(47)).await.unwrap(), key);
    control.refresh(later(48)).await.unwrap();
    let stored = fixture.store.client().query("SELECT count() FROM day_keys WHERE toUInt16(day) = ?").bind(NOW.day().0);
    let stored: u64 = stored.fetch_one().await.unwrap();
    assert_eq!(stored, 0);
    let next = control.day_key(NOW.day(), later(48)).await.unwrap();
    assert_ne!(next, key);
}

#[tokio::test]
async fn a_key_that_is_due_is_not_used_even_before_it_is_destroyed() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let key = control.day_key(NOW.day(), NOW).await.unwrap();
    assert_ne!(control.day_key(NOW.day(), later(48)).await.unwrap(), key, "in memory");
    assert_ne!(fixture.open().day_key(NOW.day(), later(48)).await.unwrap(), key, "in the store");
}

#[tokio::test]
async fn another_master_keys_day_key_is_passed_over_and_never_readable() {
    let fixture = Fixture::new().await;
    let key = fixture.open().day_key(NOW.day(), NOW).await.unwrap();
    let other = Control::open(fixture.store.clone(), MasterKey::from_bytes([8; 32]), fixture.mirror());
    assert_ne!(other.day_key(NOW.day(), later(1)).await.unwrap(), key);
    assert_eq!(fixture.open().day_key(NOW.day(), later(1)).await.unwrap(), key);
    let sealed: Vec<String> = fixture.store.client().query("SELECT sealed FROM day_keys").fetch_all().await.unwrap();
    assert_eq!(sealed.len(), 2);
}

#[tokio::test]
async fn the_visitor_key_hangs_on_the_master_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let control = |key| Control::open(support::store_away(), MasterKey::from_bytes(key), folder.path().join("mirror"));
    assert_eq!(control([1; 32]).visitor_key(), control([1; 32]).visitor_key());
    assert_ne!(control([1; 32]).visitor_key(), control([2; 32]).visitor_key());
}

#[tokio::test]
async fn keys_of_a_removed_site_lose_it_and_are_revoked_when_none_is_left() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    control.add_site(site("blog"), NOW).await.unwrap();
    control.create_key(new_key("one", Some(vec![id("shop")]), Role::Read), NOW).await.unwrap();
    control.create_key(new_key("two", Some(vec![id("shop"), id("blog")]), Role::Read), NOW).await.unwrap();
    control.create_key(new_key("all", None, Role::Read), NOW).await.unwrap();
    control.remove_site(&id("shop"), NOW).await.unwrap();
    let reopened = fixture.open();
    reopened.refresh(NOW).await.unwrap();
    for control in [control, reopened] {
        let mut keys: Vec<_> = control.list_keys().iter().map(|key| (key.name.clone(), key.sites.clone())).collect();
        keys.sort();
        assert_eq!(keys, [("all".to_owned(), None), ("two".to_owned(), Some(vec![id("blog")]))]);
    }
}

#[tokio::test]
async fn a_user_bounds_its_keys_and_takes_them_along() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    control.add_site(site("shop"), NOW).await.unwrap();
    control.add_site(site("blog"), NOW).await.unwrap();
    let user = NewUser {
        name: " Acme ".into(),
        sites: Some(vec![id("shop")]),
        role: Role::Write,
        max_keys: 1,
        requests_per_minute: None,
        requests_per_month: None,
    };
    let acme = control.add_user(user.clone(), NOW).await.unwrap();
    assert_eq!(acme.name, "Acme");
    let taken = control.add_user(user, NOW).await.unwrap_err();
    assert!(matches!(taken, ControlError::UserExists(_)), "{taken}");

    let key = |sites: Option<&str>, role| NewKey {
        user: Some(acme.id),
        ..new_key("theirs", sites.map(|site| vec![id(site)]), role)
    };
    for (beyond, part) in [(key(Some("blog"), Role::Read), "a site"), (key(None, Role::Admin), "the role")] {
        let error = control.create_key(beyond, NOW).await.unwrap_err();
        assert!(matches!(error, ControlError::BeyondUser(_)) && error.to_string().ends_with(part), "{error}");
    }
    let (made, _) = control.create_key(key(None, Role::Write), NOW).await.unwrap();
    assert_eq!(made.limited_by(&acme).sites, Some(vec![id("shop")]));
    let too_many =
        control.create_key(NewKey { name: "second".into(), ..key(None, Role::Read) }, NOW).await.unwrap_err();
    assert!(matches!(too_many, ControlError::BeyondUser(_)), "{too_many}");

    let change = UserChange { role: Some(Role::Read), is_disabled: Some(true), ..UserChange::default() };
    let acme = control.set_user(acme.id, change, NOW).await.unwrap();
    assert!(acme.is_disabled);
    assert_eq!(made.limited_by(&acme).role, Role::Read);

    let reopened = fixture.open();
    assert_eq!(reopened.snapshot().load().users.len(), 1, "the copy on disk has users too");
    control.remove_user(acme.id, NOW).await.unwrap();
    assert!(control.list_keys().is_empty());
    let gone = control.remove_user(acme.id, NOW).await.unwrap_err();
    assert!(matches!(gone, ControlError::NoSuchUser(_)), "{gone}");
}

#[tokio::test]
async fn a_key_can_end_and_be_changed() {
    let fixture = Fixture::new().await;
    let control = fixture.open();
    let past = NewKey { expires_at: Some(NOW), ..NewKey::named("reports") };
    let error = control.create_key(past, NOW).await.unwrap_err();
    assert!(matches!(error, ControlError::KeyExpired), "{error}");
    let (key, _) =
        control.create_key(NewKey { expires_at: Some(later(1)), ..NewKey::named("reports") }, NOW).await.unwrap();
    assert!(!key.has_expired(NOW) && key.has_expired(later(1)));
    let change = KeyChange { expires_at: Some(None), requests_per_minute: Some(Some(7)), ..KeyChange::default() };
    let key = control.set_key(key.id, change, NOW).await.unwrap();
    assert_eq!((key.expires_at, key.requests_per_minute), (None, Some(7)));
}
