//! What is chosen on labelled cases, chosen again without each fifth of them and measured on that fifth.
//!
//! Two things are: the constants of business and hosting for operators that no map knows, and what confidence is worth.
//! Everything else in the resolver's tables comes from elsewhere (docs/decisions/0003-resolver.md).

use super::{Judged, line, ratio};
use firmsight_resolver::{NetworkKind, Source, fitting};
use std::collections::BTreeMap;

const FOLDS: u64 = 5;
/// Steps of the grid for the constants, in tenths, around what is in the files.
const GRID: std::ops::RangeInclusive<i8> = -8..=8;
/// What a choice of constants must reach among the operators that no map knows: providers that get no company, hosting
/// firms known. Of those that do, the one that keeps most organisations is taken.
const LEAST_PROVIDERS: f64 = 0.95;
const LEAST_HOSTING: f64 = 0.80;
/// Cases that share a point of the calibration, at least.
const POINT: usize = 40;
/// A point of the calibration is drawn towards what its whole line has as if by so many cases more.
const DRAW: f64 = 10.0;
/// Shares closer than this are one: sums of the same weights in another order.
const SAME_SHARE: f32 = 1e-5;
/// Bounds of the bins of the table of confidence.
const CONFIDENCES: [f32; 8] = [0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.95];

/// Which fifth a case is in: FNV-1a of its subject, so that every run has the same.
pub(super) fn fold(subject: &str) -> u64 {
    let hash = subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash >> 7) % FOLDS
}

/// Whether words and size decided: no map, no rule and no ending knows the operator, and its label is clear.
fn is_open(case: &Judged) -> bool {
    let is_known =
        |evidence: &firmsight_resolver::Evidence| matches!(evidence.source, Source::DomainMap | Source::OwnRule);
    case.is_clear && !case.evidence.iter().any(|evidence| is_known(evidence) && evidence.kind.is_some())
}

/// Shares of cases that are right: providers, business and education, government, hosting.
fn measure(cases: &[&Judged], business: f32, hosting: f32, least_score: f32) -> [f64; 4] {
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
            let kind = fitting::winner_with(&case.evidence, &added, least_score);
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
pub(super) fn constants(cases: &[Judged], least_score: f32) -> String {
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
                let [providers, organisations, _, hosts] = measure(&chosen_on, business, hosting, least_score);
                let short = (LEAST_PROVIDERS - providers).max(0.0) + (LEAST_HOSTING - hosts).max(0.0);
                let worth = organisations - 100.0 * short;
                if worth > best.2 {
                    best = (business, hosting, worth);
                }
            }
        }
        // The last round leaves nothing out and is measured on all: what the files should have.
        let measured: Vec<&Judged> = every.iter().filter(|case| fold == FOLDS || is_held_out(case)).copied().collect();
        let shares = measure(&measured, best.0, best.1, least_score);
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

/// The model's share of each named company, whether it was right, and its fold, by its line of the calibration.
#[derive(Default)]
pub(super) struct Shares {
    by_line: BTreeMap<&'static str, Vec<(f32, bool, u64)>>,
}

/// Points of a line from share to right, rising.
type Points = Vec<(f32, f32)>;

impl Shares {
    pub(super) fn add<'a>(&mut self, cases: impl Iterator<Item = &'a Judged>) {
        for case in cases {
            if let Some(line) = case.line {
                self.add_one(line, fitting::organisation_share(&case.evidence), case.is_right, case.fold);
            }
        }
    }

    pub(super) fn add_one(&mut self, line: &'static str, share: f32, is_right: bool, fold: u64) {
        self.by_line.entry(line).or_default().push((share, is_right, fold));
    }

    /// The rows of `calibration.csv`.
    pub(super) fn rows(&self) -> String {
        let mut text = String::from("line,share,right\n");
        for (name, cases) in &self.by_line {
            for (share, right) in isotonic(cases.iter().map(|(share, right, _)| (*share, *right)).collect()) {
                line(&mut text, format_args!("{name},{share:.4},{right:.3}"));
            }
        }
        text
    }

    /// What confidence is worth where its calibration was fitted on the other four fifths: for operators, for hosts, and
    /// for each line of these.
    pub(super) fn calibration_by_folds(&self) -> String {
        let mut shown: BTreeMap<String, Vec<(f32, bool)>> = BTreeMap::new();
        for (name, cases) in &self.by_line {
            for fold in 0..FOLDS {
                let others = cases.iter().filter(|case| case.2 != fold).map(|case| (case.0, case.1));
                let points = isotonic(others.collect());
                for case in cases.iter().filter(|case| case.2 == fold) {
                    let confidence = (read_off(&points, case.0), case.1);
                    let (subject, _) = name.split_once('-').unwrap_or((name, ""));
                    shown.entry(format!("by {subject}")).or_default().push(confidence);
                    shown.entry(format!("by {subject}, {name}")).or_default().push(confidence);
                }
            }
        }
        let mut text = String::new();
        for (how, shown) in &shown {
            line(&mut text, format_args!("confidence of companies named {how}, calibrated on the other four fifths:"));
            let mut off = 0.0;
            for (index, low) in CONFIDENCES.iter().enumerate() {
                let high = CONFIDENCES.get(index + 1).copied().unwrap_or(1.01);
                let bin: Vec<&(f32, bool)> = shown.iter().filter(|(value, _)| value >= low && *value < high).collect();
                if bin.is_empty() {
                    continue;
                }
                let right = bin.iter().filter(|(_, right)| *right).count();
                let mean = bin.iter().map(|(value, _)| f64::from(*value)).sum::<f64>() / bin.len() as f64;
                off += (mean - ratio(right, bin.len())).abs() * bin.len() as f64;
                let (high, all) = (high.min(1.0), bin.len());
                line(
                    &mut text,
                    format_args!(
                        "  {low:.2} to {high:.2}  mean {mean:.3}  right {:.3} ({right} of {all})",
                        ratio(right, all)
                    ),
                );
            }
            let all = shown.len().max(1) as f64;
            let brier = shown.iter().map(|(value, right)| (f64::from(*value) - f64::from(u8::from(*right))).powi(2));
            line(
                &mut text,
                format_args!("  off by {:.3} on average; Brier score {:.3}\n", off / all, brier.sum::<f64>() / all),
            );
        }
        text
    }
}

/// Isotonic regression by pooling adjacent violators, over groups of [`POINT`] cases or more in the order of their shares;
/// cases with one share are in one group. Each point is drawn a little towards the whole.
fn isotonic(mut cases: Vec<(f32, bool)>) -> Points {
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Sum of shares, right ones, all.
    let mut groups: Vec<(f64, f64, f64)> = Vec::new();
    for same in cases.chunk_by(|a, b| (a.0 - b.0).abs() < SAME_SHARE) {
        let shares = same.iter().map(|case| f64::from(case.0)).sum::<f64>();
        let right = same.iter().filter(|case| case.1).count() as f64;
        match groups.last_mut() {
            Some(group) if group.2 < POINT as f64 => {
                *group = (group.0 + shares, group.1 + right, group.2 + same.len() as f64);
            }
            _ => groups.push((shares, right, same.len() as f64)),
        }
    }
    if let [.., before, last] = groups.as_mut_slice()
        && last.2 < POINT as f64
    {
        *before = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
        groups.pop();
    }
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for group in groups {
        pools.push(group);
        while let [.., before, last] = pools.as_slice()
            && before.1 / before.2 >= last.1 / last.2
        {
            let merged = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    let (right, all) = pools.iter().fold((0.0, 0.0), |sum, pool| (sum.0 + pool.1, sum.1 + pool.2));
    // One case more on either side: a line without mistakes is not certain.
    let whole = (right + 1.0) / (all + 2.0);
    let point = |pool: &(f64, f64, f64)| ((pool.0 / pool.2) as f32, ((pool.1 + DRAW * whole) / (pool.2 + DRAW)) as f32);
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
