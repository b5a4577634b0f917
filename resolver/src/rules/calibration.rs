//! `calibration.csv`: from the model's share to how often a company named with it was right.
//!
//! Log-odds that are added up as if signals were independent are surer than the world is. The order they give is good;
//! what a share is worth was counted on labelled cases and is read off a line of straight pieces. Shares are alike only
//! among companies that were named in the same way, so there is a line for each ([`Line`]).

use super::file::rows;
use crate::{Evidence, EvidenceList, NetworkKind, ResolverError, Source};
use geoip_data::rules::CALIBRATION;

/// How a company was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The operator of the network, which the map or a rule calls a business.
    OperatorBusiness,
    /// The operator, which the map, a rule or its domain's ending calls a school or an authority.
    OperatorPublic,
    /// The operator, of which only its name and size are known.
    OperatorByName,
    /// A host name in a domain whose owner is known.
    HostKnown,
    /// A host name in a domain of which nothing is known, on a network of which something is.
    HostUnknown,
    /// A host name in a domain of which nothing is known, and nothing else.
    HostAlone,
}

impl Line {
    const ALL: [Self; 6] = [
        Self::OperatorBusiness,
        Self::OperatorPublic,
        Self::OperatorByName,
        Self::HostKnown,
        Self::HostUnknown,
        Self::HostAlone,
    ];

    /// As in the file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OperatorBusiness => "operator-business",
            Self::OperatorPublic => "operator-public",
            Self::OperatorByName => "operator-by-name",
            Self::HostKnown => "host-known",
            Self::HostUnknown => "host-unknown",
            Self::HostAlone => "host-alone",
        }
    }

    /// How a signal named the company of a network of this kind; `None` for signals that are not calibrated.
    pub(crate) fn of(signal: Source, kind: NetworkKind, evidence: &EvidenceList) -> Option<Self> {
        let says = |counts: fn(&Evidence) -> bool| evidence.iter().any(counts);
        match signal {
            // Neither a rule nor the map nor an ending calls the operator an organisation.
            Source::Asn if !says(is_known_organisation) => Some(Self::OperatorByName),
            Source::Asn if kind == NetworkKind::Business => Some(Self::OperatorBusiness),
            Source::Asn => Some(Self::OperatorPublic),
            Source::Ptr if !says(|one| one.statement.is_of_unknown_domain()) => Some(Self::HostKnown),
            Source::Ptr if says(|one| one.source != Source::Ptr) => Some(Self::HostUnknown),
            Source::Ptr => Some(Self::HostAlone),
            _ => None,
        }
    }
}

fn is_known_organisation(one: &Evidence) -> bool {
    matches!(one.source, Source::DomainMap | Source::OwnRule) && one.kind.is_some_and(NetworkKind::is_organisation)
}

/// The points of the lines, in rising order.
#[derive(Debug, Default)]
pub(crate) struct Calibration {
    /// In the order of [`Line::ALL`].
    lines: [Vec<(f32, f32)>; Line::ALL.len()],
}

impl Calibration {
    pub(super) fn compile() -> Result<Self, ResolverError> {
        let mut calibration = Self::default();
        for row in rows(CALIBRATION, 3)? {
            let place = Line::ALL.iter().position(|line| line.as_str() == row.text(0));
            let Some(points) = place.and_then(|place| calibration.lines.get_mut(place)) else {
                return Err(row.error(format!("there is no line {:?}", row.text(0))));
            };
            let point = (row.number(1)?, row.number(2)?);
            let is_share = |value: f32| (0.0..=1.0).contains(&value);
            let rises = points.last().is_none_or(|last: &(f32, f32)| last.0 < point.0 && last.1 <= point.1);
            if !is_share(point.0) || !is_share(point.1) || !rises {
                return Err(row.error("shares lie between 0 and 1 and rise from row to row".to_owned()));
            }
            points.push(point);
        }
        Ok(calibration)
    }

    /// How often a company that was named in this way with this share is right.
    pub(crate) fn right(&self, line: Option<Line>, share: f32) -> f32 {
        let Some(points) = line.and_then(|line| self.lines.get(line as usize)) else { return share };
        let after = points.partition_point(|point| point.0 <= share);
        match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
            (Some(low), Some(high)) => low.1 + (high.1 - low.1) * (share - low.0) / (high.0 - low.0),
            (Some(end), None) | (None, Some(end)) => end.1,
            (None, None) => share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_the_line_is_straight_and_outside_it_is_level() {
        let mut calibration = Calibration::default();
        calibration.lines[Line::OperatorByName as usize] = vec![(0.5, 0.4), (0.9, 0.6), (1.0, 1.0)];
        for (share, expected) in [(0.0, 0.4), (0.5, 0.4), (0.7, 0.5), (0.9, 0.6), (0.95, 0.8), (1.0, 1.0)] {
            assert!((calibration.right(Some(Line::OperatorByName), share) - expected).abs() < 1e-6, "{share}");
            assert_eq!(calibration.right(Some(Line::HostKnown), share), share);
            assert_eq!(calibration.right(None, share), share);
        }
    }
}
