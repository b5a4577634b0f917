//! Whether an event is kept: a table of named steps, each of which returns keep or a reason to drop.

use crate::{
    counters::DropReason,
    site::Site,
    spool::record::{SpooledBeacon, SpooledEvent},
    time::UnixMillis,
};
use beacon::{Consent, EventKind};
use firmsight_resolver::{LeftOut, NetworkKind};

/// All that a step may look at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The site; none when it was removed.
    pub site: Option<&'a Site>,
    /// The beacon.
    pub beacon: &'a SpooledBeacon,
    /// One of its events.
    pub event: &'a SpooledEvent,
    /// When the event happened.
    pub event_time: UnixMillis,
    /// The kind of network it came from.
    pub network: NetworkKind,
    /// The kinds of network that the owner keeps.
    pub keep: &'a [NetworkKind],
    /// A rule of the owner's leaves it out.
    pub left_out: Option<LeftOut>,
    /// The company, the network or the visitor objected.
    pub objects: bool,
    /// The visitor wants everything up to this time forgotten.
    pub forgotten_until: Option<UnixMillis>,
    /// An event with the same key was kept before in this batch.
    pub is_repeated: bool,
}

/// A step of the table.
pub struct Step {
    /// Its name in logs.
    pub name: &'static str,
    /// None keeps the event.
    pub decide: fn(&Case<'_>) -> Option<DropReason>,
}

/// The table, in order; the first reason counts.
pub const STEPS: [Step; 7] = [
    // What a forget event asks for is carried out whatever network it came from.
    Step { name: "forget", decide: forget },
    Step { name: "site", decide: site },
    Step { name: "identify", decide: identify },
    Step { name: "objection", decide: objection },
    Step { name: "owner-rule", decide: owner_rule },
    Step { name: "network", decide: network },
    Step { name: "repeat", decide: repeat },
];

/// Runs an event through the table: none when it is kept.
#[must_use]
pub fn decide(case: &Case<'_>) -> Option<DropReason> {
    STEPS.iter().find_map(|step| (step.decide)(case))
}

fn forget(case: &Case<'_>) -> Option<DropReason> {
    // Both clocks: a late event is told by its event time; one that the forget overtook on the way, whose event time
    // begins when it arrives, by the browser's clock. An id that was forgotten isn't used again, so none is lost.
    let is_forgotten = case.forgotten_until.is_some_and(|until| case.event_time <= until || case.event.at <= until);
    (is_forgotten || case.event.kind == EventKind::Forget).then_some(DropReason::Forget)
}

fn site(case: &Case<'_>) -> Option<DropReason> {
    case.site.is_none().then_some(DropReason::SiteRemoved)
}

fn identify(case: &Case<'_>) -> Option<DropReason> {
    let is_allowed = case.site.is_some_and(|site| site.identify) && case.beacon.consent == Consent::Granted;
    (case.event.kind == EventKind::Identify && !is_allowed).then_some(DropReason::IdentifyNotAllowed)
}

fn objection(case: &Case<'_>) -> Option<DropReason> {
    case.objects.then_some(DropReason::Objection)
}

fn owner_rule(case: &Case<'_>) -> Option<DropReason> {
    case.left_out.map(DropReason::from)
}

fn network(case: &Case<'_>) -> Option<DropReason> {
    if case.keep.contains(&case.network) {
        return None;
    }
    Some(match case.network {
        NetworkKind::Residential => DropReason::Residential,
        NetworkKind::Mobile => DropReason::Mobile,
        NetworkKind::Hosting => DropReason::Hosting,
        NetworkKind::Gateway => DropReason::Gateway,
        NetworkKind::Anonymizer => DropReason::Anonymizer,
        NetworkKind::Crawler => DropReason::Crawler,
        NetworkKind::Reserved => DropReason::Reserved,
        NetworkKind::Unknown => DropReason::Unknown,
        NetworkKind::Business | NetworkKind::Education | NetworkKind::Government => DropReason::NotKept,
    })
}

fn repeat(case: &Case<'_>) -> Option<DropReason> {
    case.is_repeated.then_some(DropReason::Repeated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixtures;

    const NOON: i64 = 1_700_000_000_000;
    const KEEP: [NetworkKind; 2] = [NetworkKind::Business, NetworkKind::Education];

    /// Decides a case that is kept but for what `change` does to it.
    fn decided(kind: EventKind, change: impl FnOnce(&mut Case<'_>)) -> Option<DropReason> {
        let mut beacon = fixtures::beacon("shop", NOON);
        beacon.events[0].kind = kind;
        let site = Site { identify: true, ..fixtures::site("shop") };
        let mut case = Case {
            site: Some(&site),
            beacon: &beacon,
            event: &beacon.events[0],
            event_time: UnixMillis(NOON),
            network: NetworkKind::Business,
            keep: &KEEP,
            left_out: None,
            objects: false,
            forgotten_until: None,
            is_repeated: false,
        };
        change(&mut case);
        decide(&case)
    }

    #[test]
    fn each_step_names_its_reason() {
        use EventKind::{Forget, Identify, Pageview};
        assert_eq!(decided(Pageview, |_| ()), None);
        assert_eq!(decided(Identify, |_| ()), None);
        assert_eq!(decided(Forget, |case| case.network = NetworkKind::Mobile), Some(DropReason::Forget));
        assert_eq!(decided(Pageview, |case| case.forgotten_until = Some(UnixMillis(NOON))), Some(DropReason::Forget));
        assert_eq!(decided(Pageview, |case| case.forgotten_until = Some(UnixMillis(NOON - 1))), None);
        assert_eq!(decided(Pageview, |case| case.site = None), Some(DropReason::SiteRemoved));
        assert_eq!(decided(Identify, |case| case.network = NetworkKind::Mobile), Some(DropReason::Mobile));
        assert_eq!(decided(Pageview, |case| case.is_repeated = true), Some(DropReason::Repeated));
        assert_eq!(decided(Pageview, |case| case.objects = true), Some(DropReason::Objection));
        assert_eq!(decided(Pageview, |case| case.left_out = Some(LeftOut::Ignored)), Some(DropReason::Ignored));
        assert_eq!(decided(Pageview, |case| case.left_out = Some(LeftOut::OwnOffice)), Some(DropReason::OwnNetwork));
        let plain = fixtures::site("shop");
        let mut unknown = fixtures::beacon("shop", NOON);
        unknown.consent = Consent::Unknown;
        unknown.events[0].kind = Identify;
        let allowed = Site { identify: true, ..plain.clone() };
        for (site, beacon) in [(&plain, &fixtures::beacon("shop", NOON)), (&allowed, &unknown)] {
            let case = Case {
                site: Some(site),
                beacon,
                event: &unknown.events[0],
                event_time: UnixMillis(NOON),
                network: NetworkKind::Business,
                keep: &KEEP,
                left_out: None,
                objects: false,
                forgotten_until: None,
                is_repeated: false,
            };
            assert_eq!(decide(&case), Some(DropReason::IdentifyNotAllowed));
        }
    }

    #[test]
    fn a_network_is_dropped_under_its_own_name_unless_it_is_kept() {
        for kind in NetworkKind::ALL {
            let reason = decided(EventKind::Pageview, |case| case.network = kind);
            let expected = match kind {
                NetworkKind::Business | NetworkKind::Education => None,
                NetworkKind::Government => Some("not-kept"),
                other => Some(other.as_str()),
            };
            assert_eq!(reason.map(DropReason::as_str), expected, "{kind}");
            assert_eq!(
                decided(EventKind::Pageview, |case| (case.network, case.keep) = (kind, &NetworkKind::ALL)),
                None
            );
        }
    }
}
