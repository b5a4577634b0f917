//! The part of `cargo xtask eval` on company cases: addresses and confirmed host names of which it is known who is
//! behind them, by class of case.
//!
//! What counts is what a salesperson sees. Of a class that is a company's, how many are named and how many are named
//! rightly; of a class that is nobody's (homes, clouds, robots, gateways), how many are shown as a company. For the
//! companies that are shown: how sure the resolver is of the right ones, and how far confidence is from the truth.

use super::{Table, line, ratio};
use firmsight_resolver::{Resolver, Verdict, fitting, registrable_domain};
use std::{collections::BTreeMap, net::IpAddr};

/// Classes whose organisation is to be named; of all others nobody is.
const NAMED: [&str; 5] = ["company-own-asn", "education", "hospital", "government", "company-ptr"];
/// Width of the bins of the calibration error.
const BIN: f32 = 0.1;

/// One judged case.
pub(super) struct Case {
    class: String,
    subject: String,
    is_to_be_named: bool,
    /// The company that is shown, its confidence, and the line of calibration.csv that this was read off.
    shown: Option<(String, f32, &'static str)>,
    /// The right organisation is named, or rightly nobody.
    is_right: bool,
    why: String,
    /// For the calibration to be fitted: the model's share, and the fifth that the case's operator is in.
    pub(super) share: f32,
    pub(super) fold: u64,
}

impl Case {
    /// The line of calibration.csv, where a company is shown, and whether it is the right one.
    pub(super) fn calibrated(&self) -> Option<(&'static str, bool)> {
        self.shown.as_ref().map(|(_, _, line)| (*line, self.is_right))
    }
}

pub(super) fn judge(resolver: &Resolver, table: &Table) -> Vec<Case> {
    table.rows.iter().filter_map(|row| case(resolver, table, row)).collect()
}

fn case(resolver: &Resolver, table: &Table, row: &[String]) -> Option<Case> {
    let (input, class) = (table.get(row, "input"), table.get(row, "class"));
    let address: IpAddr = table.get(row, "ip").parse().ok()?;
    let verdict = if input.parse::<IpAddr>().is_ok() {
        resolver.local(address)
    } else {
        resolver.judge_named(Some(address), input).into()
    };
    let is_to_be_named = NAMED.contains(&class);
    let expected = [table.get(row, "truth"), table.get(row, "name")];
    let shown = verdict.company.as_ref().map(|company| {
        let line = fitting::calibration_line(company.source, verdict.kind, &verdict.evidence).unwrap_or("uncalibrated");
        (company.domain.as_ref().unwrap_or(&company.name).to_string(), company.confidence.get(), line)
    });
    Some(Case {
        class: class.to_owned(),
        subject: input.to_owned(),
        is_to_be_named,
        is_right: if is_to_be_named { names_one_of(&verdict, &expected) } else { shown.is_none() },
        shown,
        why: verdict.evidence.strongest_first().first().map(|one| one.statement.to_string()).unwrap_or_default(),
        share: fitting::organisation_share(&verdict.evidence),
        fold: super::folds::fold(&verdict.asn.as_ref().map_or_else(|| input.to_owned(), |asn| asn.domain.clone())),
    })
}

/// Whether the company has one of these domains, or was found by one of them. Domains of one organisation count as one
/// where they differ in their ending only (`bosch.us`, `bosch.com`).
fn names_one_of(verdict: &Verdict, expected: &[&str]) -> bool {
    let Some(company) = &verdict.company else { return false };
    let expected: Vec<_> = expected.iter().filter_map(|domain| registrable_domain(domain)).collect();
    let label = |domain: &str| domain.split('.').next().unwrap_or_default().to_owned();
    let found = [&company.domain, &company.found_by];
    found.into_iter().flatten().any(|found| expected.iter().any(|expected| label(expected) == label(found)))
}

/// The tables for people.
pub(super) fn report(cases: &[Case], worst: usize) -> String {
    let mut text = String::from("company cases: who is shown as a company, by class\n");
    let mut classes: BTreeMap<(bool, &str), Vec<&Case>> = BTreeMap::new();
    for case in cases {
        classes.entry((!case.is_to_be_named, &case.class)).or_default().push(case);
    }
    for ((is_nobody, class), cases) in &classes {
        let shown = cases.iter().filter(|case| case.shown.is_some()).count();
        let right = cases.iter().filter(|case| case.is_right).count();
        let all = cases.len();
        let share = ratio(shown, all);
        if *is_nobody {
            line(&mut text, format_args!("{class:<40} shown {share:.3} ({shown} of {all})"));
        } else {
            let of_right = ratio(right, all);
            line(&mut text, format_args!("{class:<40} named {share:.3} ({shown} of {all}), rightly {of_right:.3}"));
        }
    }
    let mut sure: Vec<f32> = cases
        .iter()
        .filter(|case| case.is_to_be_named && case.is_right)
        .filter_map(|case| case.shown.as_ref().map(|shown| shown.1))
        .collect();
    sure.sort_by(f32::total_cmp);
    line(
        &mut text,
        format_args!(
            "median confidence of {} right companies: {:.3}",
            sure.len(),
            sure.get(sure.len() / 2).copied().unwrap_or(0.0)
        ),
    );
    calibration_errors(&mut text, cases);
    let mut wrong: Vec<&Case> = cases.iter().filter(|case| !case.is_right).collect();
    let confidence = |case: &Case| case.shown.as_ref().map_or(0.0, |shown| shown.1);
    wrong.sort_by(|a, b| confidence(b).total_cmp(&confidence(a)));
    line(&mut text, format_args!("{} mistakes, the worst first:", wrong.len()));
    for case in wrong.iter().take(worst) {
        let company = case.shown.as_ref().map_or("no company", |shown| &shown.0);
        let sure = confidence(case);
        line(&mut text, format_args!("  {:<16} {} -> {company} ({sure:.2}): {}", case.class, case.subject, case.why));
    }
    text.push('\n');
    text
}

/// Mean confidence, share that is right, and the expected calibration error: for all, for operators and host names, and
/// for each line of calibration.csv.
fn calibration_errors(text: &mut String, cases: &[Case]) {
    let mut groups: BTreeMap<String, Vec<(f32, bool)>> = BTreeMap::new();
    for case in cases {
        let Some((_, confidence, name)) = &case.shown else { continue };
        let how = name.split('-').next().unwrap_or(name);
        for group in ["all".to_owned(), format!("by {how}"), format!("by {name}")] {
            groups.entry(group).or_default().push((*confidence, case.is_right));
        }
    }
    for (group, cases) in groups {
        let all = cases.len();
        let right = ratio(cases.iter().filter(|case| case.1).count(), all);
        let mean = cases.iter().map(|case| f64::from(case.0)).sum::<f64>() / all as f64;
        line(
            text,
            format_args!(
                "calibration {group:<26} mean {mean:.3} right {right:.3}, expected calibration error {:.3} ({all} cases)",
                expected_calibration_error(&cases)
            ),
        );
    }
}

/// The mean distance between confidence and the share that is right, over bins of [`BIN`], weighed by their cases.
fn expected_calibration_error(cases: &[(f32, bool)]) -> f64 {
    let mut bins: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (confidence, is_right) in cases {
        // Confidence lies between 0 and 1; a full one belongs to the last bin.
        let place = ((confidence / BIN) as u32).min(9);
        let bin = bins.entry(place).or_default();
        *bin = (bin.0 + f64::from(*confidence), bin.1 + f64::from(u8::from(*is_right)));
    }
    bins.values().map(|(sure, right)| (sure - right).abs()).sum::<f64>() / cases.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::expected_calibration_error;

    #[test]
    fn the_calibration_error_is_the_mean_distance_from_what_is_right() {
        for (cases, expected) in [
            (vec![(0.75, true), (0.75, true), (0.75, true), (0.75, false)], 0.0),
            (vec![(1.0, false), (0.5, true), (0.5, false)], 1.0 / 3.0),
            (vec![], 0.0),
        ] {
            assert!((expected_calibration_error(&cases) - expected).abs() < 1e-6, "{cases:?}");
        }
    }
}
