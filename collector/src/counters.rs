//! What happened to every event since the process started.
//!
//! One lock guards all numbers, so that a reader always sees
//! `received + recovered = stored + dropped + rejected + in flight`; each method moves events from
//! one place to another and can't unbalance the sum.

use firmsight_resolver::LeftOut;
use std::sync::{Mutex, MutexGuard, PoisonError};

macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// All of them, in the order of their metric labels.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name: metric label, log field, storage value, `rule` in problem details.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

named_enum! {
    /// Why an event was accepted and then deliberately not kept.
    DropReason {
        /// A robot by its user agent or network.
        Crawler = "crawler",
        /// The visitor's address is not on the public Internet.
        Reserved = "reserved",
        /// Homes behind an access provider.
        Residential = "residential",
        /// Phones behind a mobile carrier.
        Mobile = "mobile",
        /// A hosting provider or cloud.
        Hosting = "hosting",
        /// A security provider through which many companies browse.
        Gateway = "gateway",
        /// VPN, proxy, Tor, private relay.
        Anonymizer = "anonymizer",
        /// Nothing is known of the network and the site does not keep such visits.
        Unknown = "unknown",
        /// A kind of network that the owner's `[resolver].keep` leaves out.
        NotKept = "not-kept",
        /// The owner's own network.
        OwnNetwork = "own-network",
        /// The visitor objected.
        Objection = "objection",
        /// `Sec-GPC: 1` and no explicit grant.
        GlobalPrivacyControl = "global-privacy-control",
        /// `identify` on a site that does not allow it, or without a grant.
        IdentifyNotAllowed = "identify-not-allowed",
        /// The same event came twice in one batch, or was stored before.
        Repeated = "repeated",
        /// The site was removed while the event waited.
        SiteRemoved = "site-removed",
        /// A `forget` that was carried out; it leaves no row.
        Forget = "forget",
        /// Accepted, then lost: the spool's file was damaged or removed before its events were stored.
        SpoolDamaged = "spool-damaged",
        /// ClickHouse refused the row for what is in it, while it took others.
        Unstorable = "unstorable",
        /// A rule of the owner's says to ignore the network or the company (`[resolver].rules`).
        Ignored = "ignored",
        /// The visitor had more events or bytes stored on that day than `[limits]` allows.
        VisitorLimit = "visitor-limit",
    }
}

impl From<LeftOut> for DropReason {
    fn from(left_out: LeftOut) -> Self {
        match left_out {
            LeftOut::OwnOffice => Self::OwnNetwork,
            LeftOut::Ignored => Self::Ignored,
        }
    }
}

named_enum! {
    /// Why a request's events were refused with an error status.
    RejectRule {
        /// The body is no beacon: not JSON, wrong types, over a limit. 400.
        Malformed = "malformed",
        /// The body is over 64 KiB. 413.
        TooLarge = "too-large",
        /// Neither `text/plain` nor `application/json`. 415.
        MediaType = "media-type",
        /// No such site. 403.
        UnknownSite = "unknown-site",
        /// A page host that is not the site's. 403.
        Host = "host",
        /// The Origin header is not the site's. 403.
        Origin = "origin",
        /// The consent table forbids it. 403.
        Consent = "consent",
        /// Too many from one address. 429.
        RateLimit = "rate-limit",
        /// The spool is full or can't be written. 503.
        SpoolUnavailable = "spool-unavailable",
        /// The site holds so much of the spool that the rest is kept for other sites. 503.
        SiteShare = "site-share",
        /// The client went away or was too slow. 408.
        Timeout = "timeout",
        /// More slow bodies at once than the limit allows. 503.
        Overloaded = "overloaded",
    }
}

/// The numbers at one moment, in events unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Decoded from requests in this process.
    pub received: u64,
    /// Found in the spool at start.
    pub recovered: u64,
    /// Written to ClickHouse.
    pub stored: u64,
    /// By [`DropReason`], in the order of [`DropReason::ALL`].
    pub dropped: Vec<u64>,
    /// By [`RejectRule`], in the order of [`RejectRule::ALL`].
    pub rejected: Vec<u64>,
    /// Accepted and neither stored nor dropped yet.
    pub in_flight: u64,
    /// Requests whose body could not be decoded, so that nobody knows how many events it had.
    pub undecodable_beacons: u64,
    /// The same requests by [`RejectRule`], in the order of [`RejectRule::ALL`].
    pub undecodable_by_rule: Vec<u64>,
    /// Beacons that browsers say they gave up: they never arrived, so that they are no part of the equation.
    pub lost_beacons: u64,
}

impl Balance {
    /// Whether the equation holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        let ended = self.stored + self.dropped.iter().sum::<u64>() + self.rejected.iter().sum::<u64>();
        self.received + self.recovered == ended + self.in_flight
    }
}

/// The process's counters; shared by reference.
#[derive(Debug)]
pub struct Counters {
    balance: Mutex<Balance>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            balance: Mutex::new(Balance {
                received: 0,
                recovered: 0,
                stored: 0,
                dropped: vec![0; DropReason::ALL.len()],
                rejected: vec![0; RejectRule::ALL.len()],
                in_flight: 0,
                undecodable_beacons: 0,
                undecodable_by_rule: vec![0; RejectRule::ALL.len()],
                lost_beacons: 0,
            }),
        }
    }
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events were decoded: they are in flight from now on.
    pub fn receive(&self, events: u64) {
        let mut balance = self.lock();
        balance.received += events;
        balance.in_flight += events;
    }

    /// Events were found in the spool at start: they are in flight from now on.
    pub fn recover(&self, events: u64) {
        let mut balance = self.lock();
        balance.recovered += events;
        balance.in_flight += events;
    }

    /// Events in flight were stored.
    pub fn store(&self, events: u64) {
        let mut balance = self.lock();
        let events = events.min(balance.in_flight);
        balance.in_flight -= events;
        balance.stored += events;
    }

    /// Events in flight were dropped.
    pub fn drop_events(&self, reason: DropReason, events: u64) {
        let mut balance = self.lock();
        let events = events.min(balance.in_flight);
        balance.in_flight -= events;
        balance.dropped[reason as usize] += events;
    }

    /// Events in flight were refused.
    pub fn reject(&self, rule: RejectRule, events: u64) {
        let mut balance = self.lock();
        let events = events.min(balance.in_flight);
        balance.in_flight -= events;
        balance.rejected[rule as usize] += events;
    }

    /// A request was refused before anybody knew how many events it had.
    pub fn undecodable(&self, rule: RejectRule) {
        let mut balance = self.lock();
        balance.undecodable_beacons += 1;
        balance.undecodable_by_rule[rule as usize] += 1;
    }

    /// A browser said how many beacons it gave up.
    pub fn lose(&self, beacons: u32) {
        self.lock().lost_beacons += u64::from(beacons);
    }

    /// The numbers now.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.lock().clone()
    }
}
