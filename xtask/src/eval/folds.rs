//! What is chosen on labelled cases, chosen again without each fifth of them and measured on that fifth.
//!
//! Two things are: the constants of business and hosting for operators that no map knows, and what confidence is worth.
//! Everything else in the resolver's tables comes from elsewhere (docs/decisions/0003-resolver.md).

use super::{Judged, line, ratio};
use firmsight_resolver::{NetworkKind, Source, fitting};
use std::collections::BTreeMap;

const FOLDS: u64 = 5;
/// `least-score` of decision_weights.csv.
const LEAST_SCORE: f32 = -1.1;
/// Steps of the grid for the constants, in tenths, around what is in the files.
const GRID: std::ops::RangeInclusive<i8> = -8..=8;
/// What a choice of constants must reach among the operators that no map knows: providers that get no company, hosting
/// firms known. Of those that do, the one that keeps most organisations is taken.
const LEAST_PROVIDERS: f64 = 0.95;
const LEAST_HOSTING: f64 = 0.80;
/// Cases that share a point of the calibration, at least.
const POINT: usize = 40;

/// Which fifth a case is in: FNV-1a of its subject, so that every run has the same.
pub(super) fn fold(subject: &str) -> u64 {
    let hash = subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash >> 7) % FOLDS
}

/// Whether words and size decided: no map, no rule and no ending knows the operator.
fn is_open(case: &Judged) -> bool {
    case.evidence.iter().any(|evidence| evidence.source == Source::Asn && evidence.kind == Some(NetworkKind::Business))
}

/// Shares of cases that are right: providers, business and education, government, hosting.
fn measure(cases: &[&Judged], business: f32, hosting: f32) -> [f64; 4] {
    let mut right = [0; 4];
    let mut all = [0; 4];
    for case in cases {
        let group = match case.label.as_str() {
            "residential" | "mobile" | "isp" => 0,
            "business" | "education" => 1,
            "government" => 2,
            "hosting" => 3,
            _ => continue,
        };
        let added = [(NetworkKind::Business, business), (NetworkKind::Hosting, hosting)];
        let is_right = || {
            let kind = fitting::winner_with(&case.evidence, &added, LEAST_SCORE);
            match group {
                0 => !kind.is_organisation(),
                3 => kind == NetworkKind::Hosting,
                _ => kind.is_organisation(),
            }
        };
        all[group] += 1;
        right[group] += usize::from(if is_open(case) { is_right() } else { case.is_right });
    }
    [0, 1, 2, 3].map(|group| ratio(right[group], all[group]))
}

/// The constants that four fifths choose, and what they come to on the fifth that is left.
pub(super) fn constants(cases: &[Judged]) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("constants chosen without each fifth (added to those in the files), measured on it:"));
    line(
        &mut text,
        format_args!("fold  business hosting  providers: no company  business, education  government  hosting"),
    );
    let mut means = [0.0; 4];
    for fold in 0..=FOLDS {
        let is_held_out = |case: &&&Judged| case.fold == fold;
        let every: Vec<&Judged> = cases.iter().collect();
        let chosen_on: Vec<&Judged> =
            every.iter().filter(|case| !is_held_out(case) && is_open(case)).copied().collect();
        let mut best = (0.0, 0.0, f64::MIN);
        for business in GRID {
            for hosting in GRID {
                let (business, hosting) = (f32::from(business) / 10.0, f32::from(hosting) / 10.0);
                let [providers, organisations, _, hosts] = measure(&chosen_on, business, hosting);
                let short = (LEAST_PROVIDERS - providers).max(0.0) + (LEAST_HOSTING - hosts).max(0.0);
                let worth = organisations - 100.0 * short;
                if worth > best.2 {
                    best = (business, hosting, worth);
                }
            }
        }
        // The last round leaves nothing out and is measured on all: what the files should have.
        let measured: Vec<&Judged> = every.iter().filter(|case| fold == FOLDS || is_held_out(case)).copied().collect();
        let shares = measure(&measured, best.0, best.1);
        let name = if fold == FOLDS { "all".to_owned() } else { (fold + 1).to_string() };
        line(
            &mut text,
            format_args!(
                "{name:<5} {:+8.1} {:+7.1}  {:>21.3} {:>20.3} {:>11.3} {:>8.3}",
                best.0, best.1, shares[0], shares[1], shares[2], shares[3]
            ),
        );
        if fold < FOLDS {
            means.iter_mut().zip(shares).for_each(|(mean, share)| *mean += share / FOLDS as f64);
        }
    }
    let [providers, organisations, government, hosting] = means;
    line(
        &mut text,
        format_args!("mean of the five {providers:>28.3} {organisations:>20.3} {government:>11.3} {hosting:>8.3}\n"),
    );
    text
}

/// The model's share of each named company, whether it was right, and its fold, by the signal that named it.
#[derive(Default)]
pub(super) struct Shares {
    by_signal: BTreeMap<&'static str, Vec<(f32, bool, u64)>>,
}

/// Points of a line from share to right, rising.
type Points = Vec<(f32, f32)>;

impl Shares {
    pub(super) fn add(&mut self, signal: &'static str, cases: &[Judged]) {
        let of = self.by_signal.entry(signal).or_default();
        for case in cases.iter().filter(|case| case.company.is_some()) {
            of.push((fitting::organisation_share(&case.evidence), case.is_right, case.fold));
        }
    }

    /// The rows of `calibration.csv`.
    pub(super) fn rows(&self) -> String {
        let mut text = String::from("signal,share,right\n");
        for (signal, cases) in &self.by_signal {
            for (share, right) in isotonic(cases.iter().map(|(share, right, _)| (*share, *right)).collect()) {
                line(&mut text, format_args!("{signal},{share:.4},{right:.3}"));
            }
        }
        text
    }

    /// What confidence is worth where its calibration was fitted on the other four fifths.
    pub(super) fn calibration_by_folds(&self) -> String {
        const BINS: [f32; 8] = [0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.95];
        let mut text = String::new();
        for (signal, cases) in &self.by_signal {
            line(
                &mut text,
                format_args!("confidence of companies named by {signal}, calibrated on the other four fifths:"),
            );
            let mut shown: Vec<(f32, bool)> = Vec::new();
            for fold in 0..FOLDS {
                let points =
                    isotonic(cases.iter().filter(|case| case.2 != fold).map(|case| (case.0, case.1)).collect());
                shown
                    .extend(cases.iter().filter(|case| case.2 == fold).map(|case| (read_off(&points, case.0), case.1)));
            }
            for (index, low) in BINS.iter().enumerate() {
                let high = BINS.get(index + 1).copied().unwrap_or(1.01);
                let bin: Vec<&(f32, bool)> = shown.iter().filter(|(value, _)| value >= low && *value < high).collect();
                if bin.is_empty() {
                    continue;
                }
                let right = bin.iter().filter(|(_, right)| *right).count();
                let mean = bin.iter().map(|(value, _)| f64::from(*value)).sum::<f64>() / bin.len() as f64;
                let (high, all) = (high.min(1.0), bin.len());
                line(
                    &mut text,
                    format_args!(
                        "  {low:.2} to {high:.2}  mean {mean:.3}  right {:.3} ({right} of {all})",
                        ratio(right, all)
                    ),
                );
            }
            text.push('\n');
        }
        text
    }
}

/// Isotonic regression by pooling adjacent violators, over groups of [`POINT`] cases in the order of their shares.
fn isotonic(mut cases: Vec<(f32, bool)>) -> Points {
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Sum of shares, right ones, all.
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for group in cases.chunks(POINT) {
        let shares = group.iter().map(|case| f64::from(case.0)).sum::<f64>();
        let right = group.iter().filter(|case| case.1).count();
        pools.push((shares, right as f64, group.len() as f64));
        while let [.., before, last] = pools.as_slice()
            && before.1 / before.2 >= last.1 / last.2
        {
            let merged = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    // One case more on either side: a pool without mistakes is not certain.
    let point = |pool: &(f64, f64, f64)| ((pool.0 / pool.2) as f32, ((pool.1 + 1.0) / (pool.2 + 2.0)) as f32);
    let mut points: Points = Vec::new();
    for (share, right) in pools.iter().map(point) {
        let right = points.last().map_or(right, |last| right.max(last.1));
        points.push((share, right));
    }
    points
}

fn read_off(points: &Points, share: f32) -> f32 {
    let after = points.partition_point(|point| point.0 <= share);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some(low), Some(high)) => low.1 + (high.1 - low.1) * (share - low.0) / (high.0 - low.0),
        (Some(end), None) | (None, Some(end)) => end.1,
        (None, None) => share,
    }
}
