//! Fits the weights of `organisation_words.csv`, `operator_sizes.csv` and `operator_names.csv` again:
//! `cargo run --release -p firmsight-resolver --example fit_operators [-- --write] [--no-folds]`.
//!
//! A multinomial logistic regression (L2, by L-BFGS) over two sets of operators, all as if no map knew their domains: those
//! that the domain map does name (at most two autonomous systems of one domain, and only where the registered name agrees
//! with the map's), for [`MAPPED`] of a case each; and the labelled cases in ../shared/eval, where they are, whose labels are clear
//! by the rule of `fitting::Operator::is_clearly`. Fivefold cross-validation, by domain, is printed first. With `--write` the
//! files are rewritten in place, their vocabulary, order and comments as they are; the row `*` gets the constants plus
//! [`RAISED`]. Without the labelled cases nothing is written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for a person at a terminal, who reads the panic")]

use firmsight_resolver::{Databases, fitting};
use std::{collections::HashMap, fs, path::Path};

const KINDS: [&str; 5] = ["residential", "hosting", "business", "education", "government"];
/// Types of the domain map that stand for several kinds of network: they teach nothing.
const MIXED: [&str; 11] = [
    "Email Provider",
    "Email Security",
    "Defense",
    "Utilities",
    "Technology",
    "SaaS",
    "Search Engine",
    "Social Media",
    "MSP",
    "MSSP",
    "Entertainment",
];
/// What a mapped operator counts beside a labelled one that no map knows.
const MAPPED: f64 = 0.4;
/// What a labelled operator counts that the map knows.
const LABELLED_AND_MAPPED: f64 = 0.3;
/// What is added to the constants, in the order of [`KINDS`]. Chosen on labelled cases by `cargo xtask eval --folds`, which
/// prints the same choice for each fold.
const RAISED: [f64; 5] = [0.0, 1.8, 1.7, 0.8, 0.8];
/// The inverse of the strength of L2, as it is usually called.
const C: f64 = 0.4;
const STEPS: usize = 200;

struct Case {
    rows: Vec<usize>,
    kind: usize,
    weight: f64,
    fold: u64,
    is_labelled: bool,
}

fn main() {
    let databases = Databases::open_default().expect("data files: run `cargo xtask data`");
    let operators = fitting::operators(&databases).expect("our own rules compile");
    let mut cases = mapped(&operators);
    let rule_files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../geoip-data/rules");
    let [words_file, sizes_file, names_file] =
        ["organisation_words.csv", "operator_sizes.csv", "operator_names.csv"].map(|name| rule_files.join(name));
    let rows_of = |file: &Path| data_lines(&fs::read_to_string(file).unwrap()).count();
    let columns = rows_of(&words_file) + rows_of(&sizes_file) + rows_of(&names_file);
    let labelled = labelled(&operators);
    println!("{} mapped and {} labelled autonomous systems, {columns} rows", cases.len(), labelled.len());
    let has_labels = !labelled.is_empty();
    cases.extend(labelled);
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if !has("--no-folds") {
        cross_validate(&cases, columns);
    }
    let all: Vec<&Case> = cases.iter().collect();
    let model = Model::fit(&all, columns);
    let constants: Vec<f64> =
        model.constants().iter().zip(RAISED).map(|(constant, raised)| constant + raised).collect();
    println!("constants, raised: {constants:.2?}");
    if has_labels && has("--write") {
        rewrite(&words_file, 2, |place, name| if name == "*" { constants.clone() } else { model.row(place) });
        rewrite(&sizes_file, 1, |place, _| model.row(operators.words + place));
        rewrite(&names_file, 1, |place, _| model.row(operators.words + operators.sizes + place));
    }
}

/// The operators that the map names.
fn mapped(operators: &fitting::Operators) -> Vec<Case> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut cases = Vec::new();
    for system in operators.systems.iter().filter(|system| system.is_named_like_owner) {
        let Some(kind) = system.owner_type.as_deref().and_then(kind_of_type) else { continue };
        let count = seen.entry(&system.domain).or_default();
        *count += 1;
        if *count <= 2 {
            cases.push(case(system, kind, MAPPED, false));
        }
    }
    cases
}

/// The labelled cases: autonomous systems by number and category, and those behind the addresses of company cases.
fn labelled(operators: &fitting::Operators) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
    let systems: HashMap<u32, &fitting::Operator> =
        operators.systems.iter().map(|system| (system.number, system)).collect();
    let mut cases = Vec::new();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    for line in read("asn_dev.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let category = fields[2];
        let kind = match category {
            "hosting" | "vpn" | "cdn" | "hosting|vpn" | "hosting|cdn" => "hosting",
            "business" | "education" | "government" => category,
            "residential"
            | "mobile"
            | "isp"
            | "residential|mobile"
            | "residential|business_isp"
            | "satellite"
            | "residential|mobile|business_isp"
            | "personal"
            | "business_isp" => "residential",
            _ => continue,
        };
        add_labelled(&mut cases, systems.get(&fields[0].parse().unwrap()).copied(), category, kind);
    }
    for line in read("company_cases_dev.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let kind = match fields[4] {
            "company-own-asn" | "hospital" => "business",
            "education" | "government" => fields[4],
            "hosting" | "gateway" => "hosting",
            "consumer" | "consumer-hospitality-inflight-maritime" | "consumer-picked-because-suspicious" => {
                "residential"
            }
            _ => continue,
        };
        // Only cases whose source says the operator's number.
        let number = fields[5].split(" AS").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        add_labelled(&mut cases, number.and_then(|number: u32| systems.get(&number).copied()), fields[4], kind);
    }
    cases
}

fn add_labelled(cases: &mut Vec<Case>, system: Option<&fitting::Operator>, category: &str, kind: &str) {
    let Some(system) = system.filter(|system| system.is_clearly(category)) else { return };
    let weight = if system.owner_type.is_some() { LABELLED_AND_MAPPED } else { 1.0 };
    let kind = KINDS.iter().position(|known| *known == kind).unwrap();
    cases.push(case(system, kind, weight, true));
}

fn case(system: &fitting::Operator, kind: usize, weight: f64, is_labelled: bool) -> Case {
    let subject = if system.domain.is_empty() { system.number.to_string() } else { system.domain.clone() };
    Case { rows: system.rows.clone(), kind, weight, fold: fold(&subject), is_labelled }
}

fn kind_of_type(owner_type: &str) -> Option<usize> {
    let kind = match owner_type {
        _ if MIXED.contains(&owner_type) => return None,
        "ISP" => "residential",
        "Web Host" | "IaaS" | "PaaS" => "hosting",
        "Education" | "Science" => "education",
        "Government" | "Government Media" => "government",
        _ => "business",
    };
    KINDS.iter().position(|known| *known == kind)
}

/// All networks of one domain are in one fold (FNV-1a, so that every run has the same).
fn fold(domain: &str) -> u64 {
    domain.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        % 5
}

fn cross_validate(cases: &[Case], columns: usize) {
    let mut confusions = [[[0usize; 5]; 5]; 2];
    for fold in 0..5 {
        let (test, train): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.fold == fold);
        let model = Model::fit(&train, columns);
        for case in test {
            confusions[usize::from(case.is_labelled)][case.kind][model.best(&case.rows)] += 1;
        }
    }
    for (name, confusion) in ["mapped", "labelled"].iter().zip(confusions) {
        println!("fivefold cross-validation by domain, {name} operators, precision / recall:");
        print(&confusion);
    }
}

fn print(confusion: &[[usize; 5]; 5]) {
    for (kind, name) in KINDS.iter().enumerate() {
        let right = confusion[kind][kind] as f64;
        let named: usize = confusion.iter().map(|row| row[kind]).sum();
        let there: usize = confusion[kind].iter().sum();
        println!("  {name:<12} {:.2} / {:.2} ({there} cases)", right / named as f64, right / there as f64);
    }
}

/// One weight for each column and kind; the last column is the constant.
struct Model {
    weights: Vec<f64>,
    columns: usize,
}

impl Model {
    fn fit(cases: &[&Case], columns: usize) -> Self {
        let mut model = Self { weights: vec![0.0; (columns + 1) * 5], columns };
        let (mut loss, mut gradient) = model.loss(cases);
        // L-BFGS: the last ten steps stand for the curvature.
        let mut history: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        for _ in 0..STEPS {
            let mut direction = gradient.clone();
            let mut alphas = Vec::new();
            for (step, change) in history.iter().rev() {
                let alpha = dot(step, &direction) / dot(step, change);
                add(&mut direction, change, -alpha);
                alphas.push(alpha);
            }
            if let Some((step, change)) = history.last() {
                let scale = dot(step, change) / dot(change, change);
                direction.iter_mut().for_each(|value| *value *= scale);
            } else {
                let scale = 1.0 / dot(&direction, &direction).sqrt().max(1.0);
                direction.iter_mut().for_each(|value| *value *= scale);
            }
            for ((step, change), alpha) in history.iter().zip(alphas.iter().rev()) {
                let beta = dot(change, &direction) / dot(step, change);
                add(&mut direction, step, alpha - beta);
            }
            let slope = dot(&direction, &gradient);
            let mut length = 1.0;
            let start = model.weights.clone();
            let (next_loss, next_gradient) = loop {
                model.weights.clone_from(&start);
                add(&mut model.weights, &direction, -length);
                let (next, next_gradient) = model.loss(cases);
                if next <= loss - 1e-4 * length * slope || length < 1e-6 {
                    break (next, next_gradient);
                }
                length /= 2.0;
            };
            let step: Vec<f64> = model.weights.iter().zip(&start).map(|(new, old)| new - old).collect();
            let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
            let improved = loss - next_loss;
            (loss, gradient) = (next_loss, next_gradient);
            if dot(&step, &change) > 1e-12 {
                history.push((step, change));
                if history.len() > 10 {
                    history.remove(0);
                }
            }
            if improved.abs() < 1e-7 * loss {
                break;
            }
        }
        model
    }

    /// Half the squared weights (constants are free) and C times the log-loss, with the gradient.
    fn loss(&self, cases: &[&Case]) -> (f64, Vec<f64>) {
        let free = self.columns * 5;
        let mut gradient = self.weights.clone();
        gradient[free..].fill(0.0);
        let mut loss = 0.5 * dot(&self.weights[..free], &self.weights[..free]);
        for case in cases {
            let scores = self.scores(&case.rows);
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
            loss += C * case.weight * (total.ln() + highest - scores[case.kind]);
            for kind in 0..5 {
                let error =
                    C * case.weight * ((scores[kind] - highest).exp() / total - f64::from(u8::from(kind == case.kind)));
                for column in case.rows.iter().chain([&self.columns]) {
                    gradient[column * 5 + kind] += error;
                }
            }
        }
        (loss, gradient)
    }

    fn scores(&self, rows: &[usize]) -> [f64; 5] {
        let mut scores = [0.0; 5];
        for column in rows.iter().chain([&self.columns]) {
            for (score, weight) in scores.iter_mut().zip(&self.weights[column * 5..]) {
                *score += weight;
            }
        }
        scores
    }

    fn best(&self, rows: &[usize]) -> usize {
        let scores = self.scores(rows);
        (0..5).max_by(|a, b| (scores[*a] + RAISED[*a]).total_cmp(&(scores[*b] + RAISED[*b]))).unwrap_or(0)
    }

    fn row(&self, column: usize) -> Vec<f64> {
        self.weights[column * 5..column * 5 + 5].to_vec()
    }

    fn constants(&self) -> Vec<f64> {
        self.row(self.columns)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], what: &[f64], times: f64) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

/// The lines of a rule file that are rows.
fn data_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#')).skip(1)
}

/// Puts new weights behind the first fields of each row, rounded to a tenth.
fn rewrite(file: &Path, kept: usize, weights: impl Fn(usize, &str) -> Vec<f64>) {
    let text = fs::read_to_string(file).unwrap();
    let mut place = 0;
    let mut header_seen = false;
    let mut rewritten = String::new();
    for line in text.lines() {
        if line.starts_with('#') || !header_seen {
            header_seen |= !line.starts_with('#');
            rewritten.push_str(line);
        } else {
            let fields: Vec<&str> = line.splitn(kept + 1, ',').take(kept).collect();
            let numbers = weights(place, fields[0]);
            let numbers = numbers.iter().map(|weight| format!("{:.1}", (weight * 10.0).round() / 10.0 + 0.0));
            rewritten
                .push_str(&fields.iter().map(|field| (*field).to_owned()).chain(numbers).collect::<Vec<_>>().join(","));
            place += 1;
        }
        rewritten.push('\n');
    }
    fs::write(file, rewritten).unwrap();
}
