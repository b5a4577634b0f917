//! The core against a shell made of Rust: what it reads, stores and sends, and that the collector understands it.
#![allow(clippy::unwrap_used)] // also in what the tests share, the failure is the finding

use beacon::{Beacon, Consent, EventKind};
use tracker_wasm::{ROOM_BYTES, run};

const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";

/// A browser's page as the core sees it.
struct Page {
    state: String,
    now: u64,
    /// The next random digits; each call gets others.
    random: u64,
    cookies: String,
    /// Days until `_lfa_expiry`.
    expiry: &'static str,
    address: &'static str,
    referrer: &'static str,
    title: &'static str,
    visible: bool,
    /// Readings that were taken, by their number.
    read: String,
    /// Cookies that were assigned, and `expiry` changes.
    stored: Vec<String>,
    /// Bodies that were sent; anonymous ones begin with a space.
    sent: Vec<String>,
}

impl Page {
    fn new() -> Self {
        Self {
            state: String::new(),
            now: 1_700_000_000_000,
            random: 1,
            cookies: String::new(),
            expiry: "",
            address: "https://www.shop.example/start?a=1#part",
            referrer: "https://search.example/",
            title: "The \"start\"",
            visible: true,
            read: String::new(),
            stored: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Starts on a site of this mode.
    fn started(mode: &str) -> Self {
        let mut page = Self::new();
        page.start(mode);
        page
    }

    fn start(&mut self, mode: &str) {
        self.tell("start", &["shop", mode, "", "0", "1", "0"]);
    }

    fn tell(&mut self, happened: &str, arguments: &[&str]) {
        self.random += 1;
        let now = self.now.to_string();
        let id = |word| format!("{:08x}-0000-4000-8000-0000{:08x}", self.random << 4 | word, self.random);
        let random = [1, 2, 3].map(id).concat();
        let mut readings = ["", "", "", ""].map(str::to_owned);
        loop {
            let mut input = vec![self.state.as_str(), happened, &now, &random];
            input.extend(readings.iter().map(String::as_str));
            input.extend(arguments);
            let mut room = vec![0; ROOM_BYTES];
            let input = input.join("\x1f");
            let output = run(input.as_bytes(), &mut room);
            let output = std::str::from_utf8(output.strip_suffix(b"\0").unwrap()).unwrap().to_owned();
            let mut fields = output.split('\x1f');
            let next = fields.next().unwrap_or_default();
            if !next.is_empty() {
                self.state = next.to_owned();
                return fields.for_each(|effect| self.perform(effect));
            }
            let which = fields.next().unwrap().bytes().next().unwrap();
            self.read.push(which.into());
            let which = usize::from(which - b'0');
            assert!(readings[which].is_empty(), "reading {which} is asked for twice");
            let visible = if self.visible { "1" } else { "" };
            let value = match which {
                0 => self.cookies.clone(),
                1 => self.expiry.to_owned(),
                2 => self.address.to_owned(),
                _ => [self.referrer, self.title, visible, r#"{"screen":"large"}"#].join("\x1e"),
            };
            readings[which] = format!("={value}");
        }
    }

    fn perform(&mut self, effect: &str) {
        let (kind, rest) = effect.split_at(1);
        match kind {
            "c" => self.stored.push(rest.to_owned()),
            "r" => self.stored.push(format!("{rest}=")),
            "e" => self.stored.push(format!("expiry {rest}")),
            "b" => self.sent.push(rest.to_owned()),
            "a" => self.sent.push(format!(" {rest}")),
            "t" | "w" => {}
            other => panic!("unknown effect {other}"),
        }
    }

    /// Lets `ms` pass.
    fn pass(&mut self, ms: u64) {
        self.now += ms;
    }

    fn flush(&mut self) {
        self.tell("timer", &[]);
    }

    /// What was sent, as the collector decodes it: consent, client and the events' kinds.
    fn beacons(&self) -> Vec<Beacon<'_>> {
        self.sent.iter().map(|body| Beacon::decode(body.trim_start().as_bytes()).unwrap()).collect()
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.beacons().iter().flat_map(|beacon| beacon.events.iter().map(|event| event.kind)).collect()
    }

    /// Names of what is stored now, given that nothing was before.
    fn kept(&self) -> Vec<&str> {
        let mut kept: Vec<&str> = Vec::new();
        for assignment in &self.stored {
            let (name, rest) = assignment.split_once(['=', ' ']).unwrap();
            kept.retain(|known| *known != name);
            if !rest.is_empty() {
                kept.push(name);
            }
        }
        kept.sort_unstable();
        kept
    }
}

#[test]
fn before_a_choice_nothing_is_read_stored_or_sent() {
    let mut page = Page::started("required");
    for (happened, arguments) in [
        ("event", &["Bought", "{}"][..]),
        ("navigate", &["push"]),
        ("pageview", &["/x", "X"]),
        ("identify", &["{}"]),
        ("hidden", &[]),
        ("visible", &[]),
        ("restored", &[]),
        ("timer", &[]),
        ("consent", &["nonsense"]),
        ("nonsense", &[]),
    ] {
        page.tell(happened, arguments);
    }
    assert_eq!((page.read.as_str(), page.stored.len(), page.sent.len()), ("", 0, 0));
}

#[test]
fn a_page_that_waited_is_counted_from_when_it_was_opened() {
    let mut page = Page::started("required");
    page.tell("event", &["Too early", ""]);
    page.pass(5000);
    page.tell("consent", &["granted"]);
    page.flush();
    let beacons = page.beacons();
    let [beacon] = beacons.as_slice() else { panic!("{:?}", page.sent) };
    assert_eq!((beacon.consent, beacon.sent), (Consent::Granted, Some(1_700_000_005_000)));
    let [event] = beacon.events.as_slice() else { panic!("{:?}", page.sent) };
    assert_eq!((event.kind, event.at), (EventKind::Pageview, 1_700_000_000_000));
    assert_eq!(event.url.as_deref(), Some("https://www.shop.example/start?a=1"));
    assert_eq!(event.referrer.as_deref(), Some("https://search.example/"));
    assert_eq!(event.title.as_deref(), Some("The \"start\""));
    assert_eq!(page.kept(), ["_lfa", "_lfa_consent", "expiry"]);
    assert!(page.stored.iter().filter(|it| it.starts_with('_')).all(|it| it.ends_with(";max-age=63072000")));
}

#[test]
fn what_is_written_stays_as_it_is() {
    let mut page = Page::started("not-required");
    page.flush();
    assert_eq!(
        page.sent,
        [concat!(
            r#"{"v":1,"site":"shop","consent":"not-required","sent":1700000000000,"#,
            r#""client":"LF1.1.0000002100000002.1700000000000","events":[{"id":"00000022-0000-4000-8000-000000000002","#,
            r#""at":1700000000000,"type":"pageview","url":"https://www.shop.example/start?a=1","#,
            r#""referrer":"https://search.example/","title":"The \"start\"","props":{"screen":"large"}}]}"#
        )]
    );
}

#[test]
fn a_choice_in_each_mode() {
    for (mode, choice, kinds, kept) in [
        ("required", "denied", &[][..], &["_lfa_consent"][..]),
        ("cookieless", "denied", &[], &["_lfa_consent"]),
        ("not-required", "denied", &[EventKind::Forget], &["_lfa_consent"]),
        ("required", "granted", &[EventKind::Pageview], &["_lfa", "_lfa_consent", "expiry"]),
        ("cookieless", "granted", &[EventKind::Pageview], &["_lfa", "_lfa_consent", "expiry"]),
        ("not-required", "granted", &[EventKind::Pageview], &["_lfa", "_lfa_consent", "expiry"]),
    ] {
        let mut page = Page::started(mode);
        page.tell("consent", &[choice]);
        page.flush();
        page.tell("event", &["After", ""]);
        assert_eq!(page.kinds(), kinds, "{mode}, {choice}");
        assert_eq!(page.kept(), kept, "{mode}, {choice}");
    }
}

#[test]
fn a_refusal_that_a_manager_keeps_touches_nothing() {
    let mut page = Page::started("required");
    page.tell("consent", &["denied", "1"]);
    assert_eq!((page.read.as_str(), page.stored.len(), page.sent.len()), ("", 0, 0));
}

#[test]
fn a_withdrawal_that_a_manager_keeps_leaves_nothing() {
    let mut page = Page::started("required");
    page.tell("consent", &["granted", "1"]);
    page.tell("consent", &["denied", "1"]);
    assert_eq!((page.kinds(), page.kept().len()), (vec![EventKind::Forget], 0));
    page.tell("consent", &["granted", "1"]);
    page.flush();
    assert_eq!(page.kinds(), [EventKind::Forget, EventKind::Pageview]);
}

#[test]
fn cookieless_reads_no_storage_and_sends_no_client() {
    let mut page = Page::started("cookieless");
    page.cookies = format!("_lfa={CLIENT}");
    page.flush();
    assert!(page.sent[0].starts_with(' '), "it must travel without cookies");
    let [beacon] = &page.beacons()[..] else { panic!("{:?}", page.sent) };
    assert_eq!((beacon.consent, beacon.client), (Consent::Unknown, None));
    assert!(page.stored.is_empty());
    // Cookies for a refusal, the address and the page; neither the local storage nor the probe.
    assert_eq!(page.read, "023");
}

#[test]
fn a_remembered_choice_holds_on_the_next_page() {
    for (mode, remember, cookies, sends) in [
        ("required", "0", "_lfa_consent=true", false),
        ("required", "1", "_lfa_consent=true", true),
        ("required", "1", "_lfa_consent=false", false),
        ("cookieless", "0", "_lfa_consent=false", false),
        ("not-required", "0", "_lfa_consent=false", false),
        ("not-required", "0", "_lfa_consent=true; _lfa_consent=false", false),
    ] {
        let mut page = Page::new();
        page.cookies = cookies.to_owned();
        page.tell("start", &["shop", mode, "", "0", "0", remember]);
        page.flush();
        assert_eq!(!page.sent.is_empty(), sends, "{mode}, {cookies}");
        assert_eq!(page.read.is_empty(), mode == "required" && remember == "0", "{mode}, {cookies}");
    }
}

#[test]
fn global_privacy_control_is_answered_only_by_a_grant() {
    for mode in ["required", "cookieless", "not-required"] {
        let mut page = Page::new();
        page.tell("start", &["shop", mode, "", "1", "0", "0"]);
        page.flush();
        assert!(page.sent.is_empty() && page.stored.is_empty(), "{mode}");
        page.tell("consent", &["granted"]);
        page.flush();
        assert_eq!(page.kinds(), [EventKind::Pageview], "{mode}");
    }
}

#[test]
fn an_existing_id_is_taken_over_and_renewed_when_due() {
    for (expiry, taken_over, stored) in [
        ("", true, true),
        ("10", true, true),
        ("728", true, true),
        ("729", true, false),
        // The owner allows less than when it was set.
        ("731", true, true),
        ("-1", false, true),
        ("0", false, true),
    ] {
        let mut page = Page::new();
        page.cookies = format!("other=1; _lfa={CLIENT}");
        page.expiry = expiry;
        page.start("not-required");
        page.flush();
        let client = page.beacons()[0].client.unwrap().to_string();
        assert_eq!(client == CLIENT, taken_over, "{expiry}");
        assert_eq!(!page.stored.is_empty(), stored, "{expiry}");
    }
}

#[test]
fn forget_before_a_choice_erases_the_id_and_keeps_a_refusal() {
    for (cookies, refusal_kept) in [("_lfa_consent=false", true), ("_lfa_consent=true", false)] {
        let mut page = Page::started("required");
        page.cookies = format!("_lfa={CLIENT}; {cookies}");
        page.tell("forget", &[]);
        let client = page.beacons()[0].client.unwrap().to_string();
        assert_eq!((page.kinds(), client.as_str()), (vec![EventKind::Forget], CLIENT));
        assert_eq!(page.stored.iter().any(|it| it == "_lfa_consent="), !refusal_kept);
        assert!(page.kept().is_empty());
    }
}

#[test]
fn of_several_sources_of_consent_the_strictest_wins() {
    let cases: [(&[(&str, &str)], bool); 12] = [
        (&[("granted", "2")], true),
        (&[("unknown", "2"), ("granted", "2")], true),
        (&[("unknown", "2"), ("granted", "3")], false),
        (&[("unknown", "2"), ("granted", "3"), ("granted", "2")], true),
        (&[("unknown", "2"), ("granted", "3"), ("absent", "2")], true),
        (&[("denied", "2"), ("granted", "3")], false),
        (&[("denied", "2"), ("granted", "0")], false),
        (&[("denied", "2"), ("granted", "3"), ("granted", "2")], true),
        (&[("granted", "3"), ("denied", "2")], false),
        (&[("unknown", "2"), ("granted", "0")], true),
        (&[("granted", "0"), ("unknown", "2")], true),
        (&[("denied", "0"), ("granted", "2")], false),
    ];
    for (said, tracked) in cases {
        let mut page = Page::started("required");
        for (choice, source) in said {
            page.tell("consent", &[choice, source]);
        }
        page.sent.clear();
        page.tell("event", &["Bought", ""]);
        page.flush();
        assert_eq!(!page.sent.is_empty(), tracked, "{said:?}");
    }
}

#[test]
fn an_objection_that_was_made_to_us_outweighs_what_a_manager_remembers() {
    let mut page = Page::new();
    page.cookies = "_lfa_consent=false".to_owned();
    page.start("required");
    page.tell("consent", &["granted", "2"]);
    assert_eq!((page.sent.len(), page.kept().len()), (0, 0));
    page.tell("consent", &["granted"]);
    page.flush();
    assert_eq!(page.kinds(), [EventKind::Pageview]);
}

#[test]
fn what_the_watching_part_saw_is_told() {
    let mut page = Page::started("not-required");
    page.tell("watched", &["outbound", r#"{"url":"https://other.example/"}"#, ""]);
    page.tell("watched", &["form", r#"{"fields":["email"]}"#, "signup"]);
    page.tell("depth", &["40"]);
    page.tell("depth", &["25"]);
    page.pass(1000);
    page.tell("hidden", &[]);
    let beacons = page.beacons();
    let events = &beacons[0].events;
    assert_eq!(page.kinds(), [EventKind::Pageview, EventKind::Outbound, EventKind::Form, EventKind::Engagement]);
    assert_eq!(events[1].props.unwrap().get(), r#"{"url":"https://other.example/"}"#);
    assert_eq!((events[2].name.as_deref(), events[3].scroll), (Some("signup"), Some(40)));
}

#[test]
fn visible_time_adds_up_and_is_told_only_when_it_grew() {
    let mut page = Page::started("not-required");
    page.pass(1000);
    page.tell("hidden", &[]);
    page.pass(60_000);
    page.tell("hidden", &[]);
    page.tell("visible", &[]);
    page.pass(500);
    page.tell("visible", &[]);
    page.pass(500);
    page.tell("hidden", &[]);
    let beacons = page.beacons();
    let told: Vec<_> = beacons.iter().flat_map(|beacon| &beacon.events).collect();
    assert_eq!(page.kinds(), [EventKind::Pageview, EventKind::Engagement, EventKind::Engagement]);
    assert_eq!([told[1].visible_ms, told[2].visible_ms], [Some(1000), Some(2000)]);
    assert_eq!([told[1].page, told[2].page], [Some(told[0].id); 2]);
}

#[test]
fn a_clock_set_back_adds_no_time() {
    let mut page = Page::started("not-required");
    page.now -= 3_600_000;
    page.tell("hidden", &[]);
    assert_eq!(page.kinds(), [EventKind::Pageview]);
}

#[test]
fn changed_addresses() {
    let mut page = Page::started("not-required");
    page.flush();
    for (how, address, counts) in [
        ("push", "https://www.shop.example/start?a=1#other", false),
        ("replace", "https://www.shop.example/start?a=2", false),
        ("push", "https://www.shop.example/start?a=2", false),
        ("push", "https://www.shop.example/start?a=3", true),
        ("replace", "https://www.shop.example/next", true),
        ("push", "https://www.shop.example/", true),
    ] {
        page.sent.clear();
        page.pass(10);
        page.address = address;
        page.tell("navigate", &[how]);
        page.flush();
        assert_eq!(page.kinds().contains(&EventKind::Pageview), counts, "{how} {address}");
    }
}

#[test]
fn a_restored_page_is_a_new_pageview_under_what_holds_now() {
    for (cookies, counted) in [("_lfa_consent=true", true), ("_lfa_consent=false", false), ("", false)] {
        let mut page = Page::started("required");
        page.tell("consent", &["granted"]);
        page.flush();
        page.cookies = format!("_lfa={CLIENT}; {cookies}");
        page.tell("restored", &[]);
        page.flush();
        assert_eq!(page.kinds().len(), if counted { 2 } else { 1 }, "{cookies}");
    }
}

#[test]
fn identify_needs_a_grant_and_the_sites_leave() {
    for (grant, allowed, sends) in [(true, "1", true), (true, "0", false), (false, "1", false)] {
        let mut page = Page::new();
        page.tell("start", &["shop", "not-required", "", "0", allowed, "0"]);
        if grant {
            page.tell("consent", &["granted"]);
        }
        page.tell("identify", &[r#"{"email":"ada@company.example"}"#]);
        page.flush();
        assert_eq!(page.kinds().contains(&EventKind::Identify), sends, "{grant}, {allowed}");
    }
}

#[test]
fn a_full_queue_is_sent_in_beacons_that_the_collector_takes() {
    let mut page = Page::started("not-required");
    let props = format!("{{\"a\":\"{}\"}}", "x".repeat(8000));
    for _ in 0..60 {
        page.tell("event", &["Small", ""]);
    }
    for _ in 0..20 {
        page.tell("event", &["Large", &props]);
    }
    page.flush();
    assert_eq!(page.kinds().len(), 81);
    assert!(page.sent.len() >= 4);
}

#[test]
fn what_the_collector_would_refuse_is_left_out() {
    let mut page = Page::started("not-required");
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(9000));
    for (name, props) in [("No object", "[1]"), ("Too large", &large), ("", "{}"), (&"n".repeat(500), "{}")] {
        page.tell("event", &[name, props]);
    }
    page.flush();
    let beacons = page.beacons();
    let with_props: Vec<bool> = beacons[0].events.iter().map(|event| event.props.is_some()).collect();
    assert_eq!(with_props, [true, false, false, true]); // the first is the pageview
}

#[test]
fn pages_that_are_not_on_the_web_are_silent() {
    let mut page = Page::new();
    page.address = "file:///home/ada/page.html";
    page.start("not-required");
    page.tell("event", &["Opened", ""]);
    page.flush();
    assert!(page.sent.is_empty());
}

#[test]
fn a_referrer_that_is_no_web_address_is_left_out() {
    let mut page = Page::new();
    page.referrer = "android-app://com.example.mail";
    page.start("not-required");
    page.flush();
    assert_eq!(page.beacons()[0].events[0].referrer, None);
}

#[test]
fn a_pageview_of_the_pages_own() {
    for (given, expected) in [
        ("/virtual", "https://www.shop.example/virtual"),
        ("https://www.shop.example/other#x", "https://www.shop.example/other"),
        ("nonsense", "https://www.shop.example/start?a=1"),
    ] {
        let mut page = Page::started("not-required");
        page.tell("pageview", &[given, "Mine"]);
        page.flush();
        let beacons = page.beacons();
        let event = &beacons[0].events[1];
        assert_eq!((event.url.as_deref(), event.title.as_deref()), (Some(expected), Some("Mine")), "{given}");
    }
}

#[test]
fn a_second_start_and_a_start_without_site_change_nothing() {
    let mut page = Page::new();
    page.tell("start", &["", "not-required", "", "0", "0", "1"]);
    page.flush();
    assert!(page.sent.is_empty());
    page.start("required");
    page.start("not-required");
    page.flush();
    assert!(page.sent.is_empty());
}

#[test]
fn a_grant_before_the_site_is_known_counts_once_it_is() {
    let mut page = Page::new();
    page.tell("consent", &["granted"]);
    page.start("required");
    page.flush();
    assert_eq!(page.kinds(), [EventKind::Pageview]);
}

#[test]
fn no_call_uses_up_the_randomness() {
    // The longest: an engagement, a pageview and a new client id. Equal ids would show.
    let mut page = Page::started("cookieless");
    page.pass(10);
    page.tell("pageview", &["/a", ""]);
    page.tell("consent", &["granted"]);
    page.flush();
    let beacons = page.beacons();
    let mut ids: Vec<_> = beacons[0].events.iter().map(|event| event.id).collect();
    assert!(ids.iter().all(|id| !id.is_nil()));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

proptest::proptest! {
    #[test]
    fn no_input_makes_it_panic(input: Vec<u8>) {
        proptest::prop_assert!(!run(&input, &mut vec![0; ROOM_BYTES]).is_empty());
    }

    #[test]
    fn any_page_and_event_is_understood_by_the_collector(title in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]*", name in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]+") {
        let mut page = Page::new();
        page.title = Box::leak(title.into_boxed_str());
        page.start("not-required");
        page.tell("event", &[&name, "{\"a\":[1,{}]}"]);
        page.flush();
        proptest::prop_assert_eq!(page.kinds(), [EventKind::Pageview, EventKind::Custom]);
    }

    #[test]
    fn nothing_is_more_permissive_than_the_strictest_signal(
        mode in 0..3usize,
        objects: bool,
        said in proptest::collection::vec((0..4usize, 0..5u32), 0..12),
    ) {
        const WORDS: [&str; 4] = ["granted", "denied", "unknown", "absent"];
        let mut page = Page::new();
        let mode = ["required", "cookieless", "not-required"][mode];
        page.tell("start", &["shop", mode, "", if objects { "1" } else { "0" }, "0", "0"]);
        let mut last = [""; 5];
        for (word, source) in said {
            last[source as usize] = WORDS[word];
            page.tell("consent", &[WORDS[word], &source.to_string()]);
            page.sent.clear();
            page.tell("event", &["Bought", ""]);
            page.flush();
            if !page.sent.is_empty() {
                proptest::prop_assert!(!last.contains(&"denied"), "{last:?}");
            }
            // Whatever is sent as granted was granted; whatever isn't, needs a mode and a browser that ask for no grant.
            if page.sent.iter().any(|body| body.contains("\"consent\":\"granted\"")) {
                proptest::prop_assert!(page.stored.iter().any(|it| it.starts_with("_lfa_consent=true")));
            } else if !page.sent.is_empty() {
                proptest::prop_assert!(mode != "required" && !objects, "{mode}, {objects}, {last:?}");
            }
        }
    }
}
