//! What happens on a page, and what follows from it.

use crate::{
    FIELD,
    bytes::{self, Fields, number, position, push, push_byte, push_json, push_number, same, shorten},
    consent::{Choice, Mode, Permission, Said},
    cookies,
    effects::{self, Effects},
    environment::Environment,
    event::Event,
    page,
    state::{
        Number::{
            self, Denying, Granting, Identify, LifeDays, Objects, Pageviews, Queued, ReportedMs, Scroll, Silent,
            Undecided, VisibleMs,
        },
        State,
        Text::{Client, Opened, Page, Queue, Site, Url, VisibleSince},
    },
};
use beacon::EventKind;

/// How long events wait for others, so that they travel together; hiding the page sends them at once.
const GATHER_MS: u32 = 1000;
/// Room in a beacon beside its events: version, site, consent, clock, client.
const ENVELOPE_BYTES: usize = 512;

/// Room for effects: in one call two full beacons and a withdrawal at most.
const EFFECTS_BYTES: usize = 4 * beacon::MAX_BODY_BYTES;

/// What a source of consent says, by its position. "Absent" is a manager that is here, but has no say; "essential" is a
/// purpose that is on without an act of the person, which is no choice: [`UNDECIDED`].
const SAID: &[u8] = b"granted denied unknown silent absent essential";
const ESSENTIAL: u32 = 5;
const UNDECIDED: u32 = 2;
/// What a page may want counted beside what counts anyway, by its bit: routes in the fragment, and whatever replaces
/// the address; or nothing but what it calls a pageview.
const PAGEVIEWS: &[u8] = b"hash replace manual";
const HASH: u32 = 1;
const REPLACE: u32 = 2;
const MANUAL: u32 = 4;

/// The whole tracker; see the crate's documentation for the form of input and output.
///
/// What is returned ends with a zero. Everything that is written goes into `room`, [`crate::ROOM_BYTES`] long.
#[must_use]
pub fn run<'a>(input: &'a [u8], room: &'a mut [u8]) -> &'a [u8] {
    let (effects, room) = room.split_at_mut_checked(EFFECTS_BYTES).unwrap_or_default();
    let mut fields = Fields::new(input, FIELD);
    let mut tracker = Tracker {
        state: State::EMPTY,
        environment: Environment::empty(),
        effects: Effects { text: bytes::Text::new(effects) },
        room,
    };
    tracker.state.read(fields.field());
    tracker.environment.read(&mut fields);
    tracker.handle();
    let mut out = tracker.text();
    if let Some(reading) = tracker.environment.missing() {
        push_byte(&mut out, FIELD);
        push_number(&mut out, reading as u32);
    } else {
        tracker.state.write(&mut out);
        push(&mut out, tracker.effects.text.finish().0);
    }
    push_byte(&mut out, 0);
    out.finish().0
}

struct Tracker<'a> {
    state: State<'a>,
    environment: Environment<'a>,
    effects: Effects<'a>,
    /// For other texts.
    room: &'a mut [u8],
}

impl<'a> Tracker<'a> {
    /// Begins a text, which must be kept before the next one begins.
    fn text(&mut self) -> bytes::Text<'a> {
        bytes::Text::new(core::mem::take(&mut self.room))
    }

    fn keep(&mut self, text: bytes::Text<'a>) -> &'a [u8] {
        let (text, room) = text.finish();
        self.room = room;
        text
    }

    /// What happens on a page is told by a word, of which the first letter is enough: start, consent, forget, pageview,
    /// navigate, restored, visible, hidden, timer, event, identify, watched, depth.
    fn handle(&mut self) {
        let (first, second) = (self.environment.argument::<0>(), self.environment.argument::<1>());
        match self.environment.happened().first().unwrap_or(&0) {
            b's' if self.state[Site].is_empty() => self.start(),
            b'c' => self.told(first, second),
            b'f' => self.forget(),
            b'p' => self.seen(first, second),
            b'n' => self.navigated(first.first() == Some(&b'r')),
            b'r' => self.restored(),
            b'v' => {
                // Another tab may have objected meanwhile.
                if !self.state[Page].is_empty() && self.remembered() == Choice::Denied {
                    self.state.choose(Choice::Denied);
                    self.stop();
                }
                if self.state[VisibleSince].is_empty() {
                    self.state[VisibleSince] = self.environment.now();
                }
            }
            b'h' => {
                self.pause();
                self.report_visible_time();
                self.flush();
            }
            b't' => self.flush(),
            b'e' if !first.is_empty() => self.happened(EventKind::Custom.as_str().as_bytes(), first, second),
            b'i' if self.may_identify() => {
                self.happened(EventKind::Identify.as_str().as_bytes(), b"", first);
            }
            b'w' => {
                // Values that were typed into a form say who somebody is.
                let values = self.environment.argument::<3>();
                let props = if self.may_identify() && !values.is_empty() { values } else { second };
                self.happened(first, self.environment.argument::<2>(), props);
            }
            b'd' => self.state[Scroll] = self.state[Scroll].max(number(first)),
            _ => {}
        }
    }

    /// Arguments: site, mode that is served for it, mode that the page wants, as flags: the browser objects (GPC), the
    /// site allows `identify`, the page wants the choice remembered; then how long ids live, in days, and words of
    /// [`PAGEVIEWS`].
    fn start(&mut self) {
        let environment = &self.environment;
        self.state[Site] = environment.argument::<0>();
        self.state[Number::Mode] = Mode::of(environment.argument::<1>(), environment.argument::<2>()) as u32;
        self.state[Objects] = number(environment.argument::<3>());
        self.state[Identify] = number(environment.argument::<4>());
        let remember = number(environment.argument::<5>()) == 1;
        self.state[LifeDays] = match number(self.environment.argument::<6>()) {
            0 => cookies::LIFE_DAYS,
            days => days,
        };
        for word in Fields::new(self.environment.argument::<7>(), b' ') {
            self.state[Pageviews] |= 1 << position(PAGEVIEWS, word);
        }
        if self.state[Pageviews] & MANUAL == 0 {
            self.state[Opened] = self.environment.now();
        }
        // Where nothing may be done before a grant, not even the remembered choice is looked up, unless the page
        // asked for that: consent managers say it again on each page.
        if self.state.choice() == Choice::Unknown && (remember || self.state.mode() != Mode::Required) {
            self.state.choose(self.remembered());
        }
        self.begin(self.state[Opened])
    }

    /// Takes up what is permitted now: the visitor's id, and the page if none is running.
    fn begin(&mut self, at: &[u8]) {
        match self.state.permission() {
            Permission::Nothing => return,
            Permission::Anonymous => {}
            Permission::Stored => self.know_client(),
        }
        if self.state[Page].is_empty() && !self.state[Opened].is_empty() {
            self.arrive(at, b"", b"");
        }
    }

    /// A source of consent speaks: the page itself is number 0, then whoever calls itself a manager, then the adapters
    /// of consent managers. The stricter wins: any refusal refuses, and a manager's grant waits until all the others
    /// have decided. What the page itself grants waits for nobody. A manager that was found counts as silent first: until
    /// it was heard nothing begins, in whatever mode, since it may know of an earlier refusal.
    fn told(&mut self, word: &[u8], source: &[u8]) {
        let source = number(source) & 31;
        let word = match u32::from(position(SAID, word)) {
            ESSENTIAL => UNDECIDED,
            word if word > ESSENTIAL => return,
            word => word,
        };
        self.state.note(word, source);
        if self.state[Denying] != 0 {
            if word == 1 {
                self.denied(source == 0);
            }
            return;
        }
        if self.state[Granting] & 1 != 0 || self.state[Granting] != 0 && self.state[Undecided] | self.state[Silent] == 0
        {
            self.granted();
        } else {
            // Who was heard holds nothing up any longer.
            self.begin(self.state[Opened]);
        }
    }

    fn granted(&mut self) {
        let before = self.state.choice();
        if before == Choice::Granted {
            return;
        }
        // A manager says its choice anew on each page, which must not outweigh an objection that was made to us.
        if self.state[Granting] & 1 == 0 && self.remembered() == Choice::Denied {
            self.state.choose(Choice::Denied);
            return;
        }
        self.state.choose(before.after(Said::Granted, self.state.permission()));
        self.store(cookies::CONSENT, b"true", cookies::LIFE_DAYS);
        // The page that waited is counted from when it was opened; after a refusal, only from now on.
        let at = if before == Choice::Unknown { self.state[Opened] } else { self.environment.now() };
        self.begin(at)
    }

    fn denied(&mut self, by_page: bool) {
        // Where an id may be without being asked, an earlier page may have stored one, even if this page was held up.
        let before = self.state.table();
        self.state.choose(self.state.choice().after(Said::Denied, before));
        if before == Permission::Stored {
            self.recall_client();
            self.tell_to_forget();
            self.remove(cookies::CONSENT);
        }
        if before == Permission::Stored || by_page {
            self.remove_client();
        }
        self.stop();
        // A consent manager keeps the refusal itself.
        if by_page {
            self.store(cookies::CONSENT, b"false", cookies::LIFE_DAYS);
        }
    }

    fn forget(&mut self) {
        // The person asks for exactly this, so the id is read even where nothing else may be.
        let choice = self.recall_client();
        self.tell_to_forget();
        self.remove_client();
        if choice != Choice::Denied {
            self.remove(cookies::CONSENT);
        }
        self.state.choose(self.state.choice().after(Said::Forget, self.state.permission()));
        self.stop();
    }

    /// The choice that is stored.
    #[inline(never)]
    fn remembered(&self) -> Choice {
        cookies::stored(self.environment.cookies()).choice
    }

    /// Takes the id from the cookie, if none is known; gives the stored choice.
    fn recall_client(&mut self) -> Choice {
        let stored = cookies::stored(self.environment.cookies());
        if self.state[Client].is_empty() {
            self.state[Client] = stored.client;
        }
        stored.choice
    }

    /// Nothing is known, running or waiting from here on.
    fn stop(&mut self) {
        let state = &mut self.state;
        state[Client] = b"";
        state[Page] = b"";
        state[Queue] = b"";
        state[Queued] = 0;
        // A manager that decides later must not bring back what others granted before.
        state[Granting] = 0;
        self.reopen();
    }

    /// If there was a page to count, there is a new one from now on.
    fn reopen(&mut self) {
        if !self.state[Opened].is_empty() {
            self.state[Opened] = self.environment.now();
        }
    }

    /// The page calls it a pageview, whatever the address.
    fn seen(&mut self, url: &[u8], title: &[u8]) {
        if self.state.permission() == Permission::Nothing {
            self.state[Opened] = self.environment.now();
            return;
        }
        self.pause();
        self.report_visible_time();
        self.arrive(self.environment.now(), url, title)
    }

    /// The address may have changed without a new document.
    fn navigated(&mut self, replaced: bool) {
        let counts = self.state[Pageviews];
        if counts & MANUAL != 0 {
            return;
        }
        if self.state.permission() == Permission::Nothing {
            self.reopen();
            return;
        }
        let Some(url) = self.clean(self.environment.address()) else {
            return;
        };
        let before = self.state[Url];
        if same(before, url) {
            return;
        }
        // Routers replace the address to redirect, but filters and search fields replace its query while one types.
        if replaced && counts & REPLACE == 0 && same(page::without_query(before), page::without_query(url)) {
            self.state[Url] = url;
            return;
        }
        self.seen(b"", b"")
    }

    fn clean(&self, address: &'a [u8]) -> Option<&'a [u8]> {
        page::clean(address, self.state[Pageviews] & HASH != 0)
    }

    /// The document came back out of the back/forward cache: a new pageview, under what holds now.
    fn restored(&mut self) {
        self.reopen();
        if self.state.permission() == Permission::Nothing {
            return;
        }
        // The choice may have been changed on another page meanwhile.
        let remembered = self.remembered();
        if remembered == Choice::Denied || self.state.choice() == Choice::Granted {
            self.state.choose(remembered);
        }
        self.stop();
        self.begin(self.environment.now())
    }

    fn may_identify(&self) -> bool {
        self.state[Identify] == 1 && self.state.choice() == Choice::Granted
    }

    /// Begins a pageview.
    fn arrive(&mut self, at: &[u8], url: &[u8], title: &[u8]) {
        let address = self.environment.address();
        let reading = self.environment.page();
        let mut given = self.text();
        if url.first() == Some(&b'/') {
            push(&mut given, page::origin(address));
        }
        push(&mut given, shorten(url, beacon::MAX_URL_BYTES));
        let given = self.keep(given);
        let Some(url) = self.clean(given).or(self.clean(address)) else {
            return;
        };
        // Inside a document that changes its address, one comes from the address before.
        let referrer = if self.state[Page].is_empty() { reading.referrer } else { self.state[Url] };
        let id = self.environment.id();
        let mut event = Event::new(self.text(), id, at, EventKind::Pageview.as_str().as_bytes(), url);
        event.text(b"referrer", self.clean(referrer).unwrap_or_default());
        event.text(b"title", shorten(if title.is_empty() { reading.title } else { title }, beacon::MAX_TITLE_BYTES));
        event.json(b"props", reading.props);
        self.state[Page] = id;
        self.state[Url] = url;
        self.state[VisibleSince] = if reading.visible { self.environment.now() } else { b"" };
        self.state[VisibleMs] = 0;
        self.state[ReportedMs] = 0;
        self.state[Scroll] = 0;
        self.send_soon(event, 0);
        push_number(self.effects.begin(effects::WATCH), (self.state.permission() == Permission::Stored).into());
    }

    /// An event on the running page. `props` is a JSON object or empty.
    fn happened(&mut self, kind: &[u8], name: &[u8], props: &[u8]) {
        if let Some(mut event) = self.event_on_page(kind) {
            event.text(b"name", shorten(name, beacon::MAX_NAME_BYTES));
            if props.first() == Some(&b'{') && props.len() <= beacon::MAX_PROPS_BYTES {
                event.json(b"props", props);
            }
            self.send_soon(event, GATHER_MS);
        }
    }

    fn event_on_page(&mut self, kind: &[u8]) -> Option<Event<'a>> {
        if self.state[Page].is_empty() || self.state.permission() == Permission::Nothing {
            return None;
        }
        let id = self.environment.id();
        let mut event = Event::new(self.text(), id, self.environment.now(), kind, self.state[Url]);
        event.text(b"page", self.state[Page]);
        Some(event)
    }

    /// Stops the clock of the page's visible time.
    fn pause(&mut self) {
        if !self.state[VisibleSince].is_empty() {
            let passed = number(self.environment.now()).wrapping_sub(number(self.state[VisibleSince]));
            // A clock that was set back shows as an absurd span.
            if passed < u32::MAX / 2 {
                self.state[VisibleMs] = self.state[VisibleMs].saturating_add(passed);
            }
            self.state[VisibleSince] = b"";
        }
    }

    /// Says how long the page was visible, if the collector doesn't know already.
    fn report_visible_time(&mut self) {
        let visible_ms = self.state[VisibleMs];
        if visible_ms > self.state[ReportedMs]
            && let Some(mut event) = self.event_on_page(EventKind::Engagement.as_str().as_bytes())
        {
            event.number(b"visible_ms", visible_ms);
            event.number(b"scroll", self.state[Scroll]);
            self.state[ReportedMs] = visible_ms;
            self.send_soon(event, GATHER_MS);
        }
    }

    fn send_soon(&mut self, event: Event<'a>, within_ms: u32) {
        let event = self.keep(event.finish());
        if self.state[Queued] >= beacon::MAX_EVENTS as u32
            || self.state[Queue].len() + event.len() + ENVELOPE_BYTES > beacon::MAX_BODY_BYTES
        {
            self.flush();
        }
        let mut queue = self.text();
        if self.state[Queued] > 0 {
            push(&mut queue, self.state[Queue]);
            push(&mut queue, b",");
        }
        push(&mut queue, event);
        self.state[Queue] = self.keep(queue);
        self.state[Queued] += 1;
        self.effects.with_number(effects::TIMER, within_ms);
    }

    /// Sends what waits.
    fn flush(&mut self) {
        let events = core::mem::take(&mut self.state[Queue]);
        self.state[Queued] = 0;
        if !events.is_empty() {
            let (effect, consent) = match self.state.permission() {
                Permission::Nothing => return,
                Permission::Anonymous => (effects::ANONYMOUS_BEACON, beacon::Consent::Unknown.as_str()),
                Permission::Stored if self.state.choice() == Choice::Granted => {
                    (effects::BEACON, beacon::Consent::Granted.as_str())
                }
                Permission::Stored => (effects::BEACON, beacon::Consent::NotRequired.as_str()),
            };
            self.send(effect, consent, events);
        }
    }

    fn send(&mut self, effect: u8, consent: &str, events: &[u8]) {
        let out = self.effects.begin(effect);
        push(out, b"{\"v\":");
        push_number(out, beacon::VERSION.into());
        push(out, b",\"site\":");
        push_json(out, self.state[Site]);
        push(out, b",\"consent\":");
        push_json(out, consent.as_bytes());
        push(out, b",\"sent\":");
        push(out, self.environment.now());
        if !self.state[Client].is_empty() {
            push(out, b",\"client\":");
            push_json(out, self.state[Client]);
        }
        push(out, b",\"events\":[");
        push(out, events);
        push(out, b"]}");
    }

    /// Asks the collector to erase what this client id has. It was granted when it was made, so that is what is said.
    fn tell_to_forget(&mut self) {
        if let (false, Some(url)) = (self.state[Client].is_empty(), self.clean(self.environment.address())) {
            let id = self.environment.id();
            let event = Event::new(self.text(), id, self.environment.now(), EventKind::Forget.as_str().as_bytes(), url);
            let event = self.keep(event.finish());
            self.send(effects::BEACON, beacon::Consent::Granted.as_str(), event);
        }
    }

    /// Takes the client id over from the cookie, or makes one; stored anew when that is due.
    fn know_client(&mut self) {
        if !self.state[Client].is_empty() {
            return;
        }
        let days_left = self.environment.days_left();
        let mut client: &[u8] =
            if days_left == Some(0) { b"" } else { cookies::stored(self.environment.cookies()).client };
        // At most once a day, so that a cookie that the collector set is seldom replaced; or when the owner changed the life.
        let due = client.is_empty() || days_left.is_none_or(|days| days + 1 != self.state[LifeDays]);
        if client.is_empty() {
            let mut minted = self.text();
            cookies::push_client(&mut minted, self.environment.id(), self.environment.now());
            client = self.keep(minted);
        }
        self.state[Client] = client;
        if due {
            self.store(cookies::CLIENT, client, self.state[LifeDays]);
            self.effects.with_number(effects::EXPIRY, self.state[LifeDays]);
        }
    }

    fn store(&mut self, name: &[u8], value: &[u8], days: u32) {
        cookies::push_assignment(self.effects.begin(effects::COOKIE), name, value, days);
    }

    /// Removes a cookie from every domain it may have been stored for, without looking.
    fn remove(&mut self, name: &[u8]) {
        push(self.effects.begin(effects::REMOVAL), name);
    }

    fn remove_client(&mut self) {
        self.remove(cookies::CLIENT);
        self.effects.begin(effects::EXPIRY);
    }
}
