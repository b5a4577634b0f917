//! `calibration.csv`: from the model's share to how often a company named with it was right.
//!
//! Log-odds that are added up as if signals were independent are surer than the world is. The order they give is good;
//! what a share is worth was counted on labelled cases and is read off a line of straight pieces, one for each signal.

use super::file::rows;
use crate::{ResolverError, Source};
use geoip_data::rules::CALIBRATION;

/// The points of the lines, in rising order.
#[derive(Debug, Default)]
pub(crate) struct Calibration {
    asn: Vec<(f32, f32)>,
    ptr: Vec<(f32, f32)>,
}

impl Calibration {
    pub(super) fn compile() -> Result<Self, ResolverError> {
        let mut calibration = Self::default();
        for row in rows(CALIBRATION, 3)? {
            let points = match row.text(0) {
                "asn" => &mut calibration.asn,
                "ptr" => &mut calibration.ptr,
                other => return Err(row.error(format!("signal is asn or ptr, not {other:?}"))),
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

    /// How often a company that a signal named with this share is right.
    pub(crate) fn right(&self, signal: Source, share: f32) -> f32 {
        let points = match signal {
            Source::Asn => &self.asn,
            Source::Ptr => &self.ptr,
            _ => return share,
        };
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
        let calibration = Calibration { asn: vec![(0.5, 0.4), (0.9, 0.6), (1.0, 1.0)], ptr: Vec::new() };
        for (share, expected) in [(0.0, 0.4), (0.5, 0.4), (0.7, 0.5), (0.9, 0.6), (0.95, 0.8), (1.0, 1.0)] {
            assert!((calibration.right(Source::Asn, share) - expected).abs() < 1e-6, "{share}");
            assert_eq!(calibration.right(Source::Ptr, share), share);
        }
    }
}
