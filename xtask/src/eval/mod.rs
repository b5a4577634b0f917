//! `cargo xtask eval`: the resolver judged on labelled cases.
//!
//! Forms of case files, told apart by their header: autonomous systems with a category (judged by ASN signals alone), host
//! names with a label (judged as confirmed reverse DNS names, once alone and once with their address), and company cases
//! (an address, or a host name with its address, of which it is known who is behind it). The tables say how often the
//! verdict is right and which mistakes were made with the most confidence.

mod companies;
mod folds;

use crate::{error::Error, eval_databases};
use firmsight_resolver::{Databases, EvidenceList, NetworkKind, Resolver, Settings, Verdict, fitting};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// How many of the worst mistakes are printed for each table.
const WORST: usize = 12;
/// Bounds of the confidence bins of the calibration table.
const BINS: [f32; 6] = [0.0, 0.3, 0.5, 0.7, 0.9, 0.97];

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Tab-separated files of labelled cases; by default those in ../shared/eval beside the checkout.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    cases: Vec<PathBuf>,
    /// Print every mistake instead of the worst few.
    #[arg(long)]
    all: bool,
    /// Print what the constants and the calibration would be without each fifth of the cases, and how good they are on it.
    #[arg(long)]
    folds: bool,
    /// Print the rows of calibration.csv as these cases have them.
    #[arg(long)]
    fit_confidence: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let files = if arguments.cases.is_empty() { default_cases() } else { arguments.cases.clone() };
    if files.is_empty() {
        println!("no labelled cases: ../shared/eval is not beside this checkout; name files with --cases");
        return Ok(());
    }
    let other = |error: firmsight_resolver::ResolverError| Error::Other(error.to_string());
    let databases = Databases::open_default().map_err(other)?;
    let operators = fitting::operators(&databases).map_err(other)?;
    let settings = Settings { dns: false, ..Settings::default() };
    let resolver = Resolver::new(databases, settings).map_err(other)?;
    let mut shares = folds::Shares::default();
    let worst = if arguments.all { usize::MAX } else { WORST };
    for file in files {
        let table = Table::read(&file)?;
        println!("== {}, {} cases", file.display(), table.rows.len());
        if table.has("asn") && table.has("category") {
            let judged = systems(&resolver, &table, &operators);
            print!("{}", judged.report(worst));
            if arguments.folds {
                print!("{}", folds::constants(&judged.cases, fitting::least_score().map_err(other)?));
            }
            shares.add(judged.cases.iter().filter(|case| case.is_clear));
        } else if table.has("input") && table.has("class") {
            let cases = companies::judge(&resolver, &table);
            print!("{}", companies::report(&cases, worst));
            for case in &cases {
                if let Some((line, is_right)) = case.calibrated() {
                    shares.add_one(line, case.share, is_right, case.fold);
                }
            }
        } else if table.has("hostname") && table.has("label") {
            for with_address in [false, true] {
                let (text, judged) = names(&resolver, &table, worst, with_address);
                print!("{text}");
                shares.add(judged.iter());
            }
        } else if table.has("network") && table.has("connection_type") {
            let cases = table.rows.iter().map(|row| {
                let get = |column| table.get(row, column);
                eval_databases::Case {
                    address: get("network").split('/').next().and_then(|first| first.parse().ok()),
                    source: get("source"),
                    organization: get("organization"),
                    isp: get("isp"),
                    asn: get("asn"),
                    as_name: get("as_org"),
                    user_type: get("user_type"),
                    connection_type: get("connection_type"),
                }
            });
            print!("{}", eval_databases::check(cases)?);
        } else {
            println!(
                "of no known form: neither asn and category, nor hostname and label, nor input and class, nor network and \
                 connection_type\n"
            );
        }
    }
    if arguments.folds {
        print!("{}", shares.calibration_by_folds());
    }
    if arguments.fit_confidence {
        print!("{}", shares.rows());
    }
    Ok(())
}

fn default_cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
    ["asn_dev.tsv", "ptr_dev.tsv", "company_cases_dev.tsv", "ip_org_cases.tsv"]
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|path| path.exists())
        .collect()
}

/// A tab-separated file with a header.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file(path))?;
        let split = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines();
        let columns = split(lines.next().unwrap_or_default());
        Ok(Self { columns, rows: lines.map(split).collect() })
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known == column)
    }

    fn get<'a>(&self, row: &'a [String], column: &str) -> &'a str {
        let index = self.columns.iter().position(|known| known == column);
        index.and_then(|index| row.get(index)).map_or("", String::as_str)
    }
}

/// One judged case.
struct Judged {
    label: String,
    subject: String,
    kind: NetworkKind,
    company: Option<String>,
    confidence: f32,
    is_right: bool,
    /// The label says what the operator is (`fitting::Operator::is_clearly`).
    is_clear: bool,
    why: String,
    /// Which fifth of the cases this is in.
    fold: u64,
    evidence: EvidenceList,
    /// The line of calibration.csv that the company's confidence was read off.
    line: Option<&'static str>,
}

impl Judged {
    fn new(label: &str, subject: String, verdict: &Verdict, is_right: bool) -> Self {
        let company = verdict.company.as_ref();
        Self {
            label: label.to_owned(),
            kind: verdict.kind,
            company: company.map(|company| company.domain.as_ref().unwrap_or(&company.name).to_string()),
            confidence: company.map_or(0.0, |company| company.confidence.get()),
            is_right,
            is_clear: true,
            fold: folds::fold(&subject),
            subject,
            evidence: verdict.evidence.clone(),
            line: company
                .and_then(|company| fitting::calibration_line(company.source, verdict.kind, &verdict.evidence)),
            why: verdict
                .evidence
                .strongest_first()
                .first()
                .map(|evidence| evidence.statement.to_string())
                .unwrap_or_default(),
        }
    }
}

/// Autonomous systems: which kind, and was a company kept where there is one.
fn systems(resolver: &Resolver, table: &Table, operators: &fitting::Operators) -> Systems {
    let known: BTreeMap<u32, &fitting::Operator> =
        operators.systems.iter().map(|system| (system.number, system)).collect();
    let mut cases = Vec::new();
    let mut absent: BTreeMap<String, usize> = BTreeMap::new();
    for row in &table.rows {
        let label = table.get(row, "category");
        let Ok(number) = table.get(row, "asn").parse() else { continue };
        let verdict = resolver.judge_asn(number);
        if verdict.asn.is_none() {
            *absent.entry(label.to_owned()).or_default() += 1;
            continue;
        }
        let is_right = match label {
            _ if label.split('|').all(|part| matches!(part, "business" | "education" | "government")) => {
                verdict.company.is_some()
            }
            "hosting" => verdict.kind == NetworkKind::Hosting,
            _ => verdict.company.is_none(),
        };
        let is_clear = known.get(&number).is_none_or(|system| system.is_clearly(label));
        // Networks of one operator are in one fold.
        let operator = verdict.asn.as_ref().map(|asn| asn.domain.as_str()).filter(|domain| !domain.is_empty());
        let fold = operator.map(folds::fold);
        let judged = Judged::new(label, format!("AS{number} {}", table.get(row, "org")), &verdict, is_right);
        cases.push(Judged { is_clear, fold: fold.unwrap_or(judged.fold), ..judged });
    }
    Systems { cases, absent }
}

/// Judged autonomous systems.
struct Systems {
    cases: Vec<Judged>,
    absent: BTreeMap<String, usize>,
}

impl Systems {
    fn report(&self, worst: usize) -> String {
        let Self { cases: judged, absent } = self;
        let mut text = String::from("by ASN signals alone; ASNs that are in no database are counted apart\n");
        confusion(&mut text, judged);
        let share = |labels: &[&str], only_clear: bool| {
            let counts = |case: &&Judged| labels.contains(&case.label.as_str()) && (case.is_clear || !only_clear);
            let of: Vec<&Judged> = judged.iter().filter(counts).collect();
            (of.iter().filter(|case| case.is_right).count(), of.len())
        };
        for (name, labels) in [
            ("residential, mobile, isp: no company named", &["residential", "mobile", "isp", "residential|mobile"][..]),
            ("business and education: company kept", &["business", "education"]),
            ("business: company kept", &["business"]),
            ("education: company kept", &["education"]),
            ("government: company kept", &["government"]),
            ("hosting: kind right", &["hosting"]),
            ("personal: no company named", &["personal"]),
        ] {
            let (right, all) = share(labels, false);
            let (clear, of_clear) = share(labels, true);
            line(
                &mut text,
                format_args!(
                    "{name:<46} recall {:.3} ({right} of {all}); of clear labels {:.3} ({clear} of {of_clear})",
                    ratio(right, all),
                    ratio(clear, of_clear)
                ),
            );
        }
        let named = |labels: &[&str]| {
            judged.iter().filter(|case| case.company.is_some() && labels.contains(&case.label.as_str())).count()
        };
        let good = named(&["business", "education", "government", "education|government", "business|government"]);
        let all = judged.iter().filter(|case| case.company.is_some()).count();
        line(&mut text, format_args!("{:<46} precision {:.3} ({good} of {all})", "a company named", ratio(good, all)));
        line(&mut text, format_args!("absent: {absent:?}"));
        mistakes(&mut text, judged, worst);
        text
    }
}

/// Host names: an organisation's own, or not.
fn names(resolver: &Resolver, table: &Table, worst: usize, with_address: bool) -> (String, Vec<Judged>) {
    let mut judged = Vec::new();
    let (mut answered, mut right_domain) = (0, 0);
    for row in &table.rows {
        let (label, name, domain) = (table.get(row, "label"), table.get(row, "hostname"), table.get(row, "org_domain"));
        let ip: Option<IpAddr> = table.get(row, "ip").parse().ok().filter(|_| with_address);
        let verdict = resolver.judge_named(ip, name);
        let is_organisation = matches!(label, "org" | "org_access");
        let found = verdict.company.as_ref().and_then(|company| company.domain.clone());
        if is_organisation && verdict.company.is_some() {
            answered += 1;
            right_domain += usize::from(found.as_deref() == Some(domain));
        }
        let is_right = if is_organisation { found.as_deref() == Some(domain) } else { found.is_none() };
        judged.push(Judged::new(label, name.to_owned(), &verdict, is_right));
    }
    let mut text = String::new();
    let how = if with_address { "with their addresses, as these are announced today" } else { "alone" };
    line(&mut text, format_args!("names {how}"));
    confusion(&mut text, &judged);
    let count = |label: &str, has_company: bool| {
        judged.iter().filter(|case| case.label == label && case.company.is_some() == has_company).count()
    };
    let (home, home_missed) = (count("residential", false), count("residential", true));
    let (own, own_missed) = (count("org", true), count("org", false));
    for (name, right, all) in [
        ("residential vs org: residential precision", home, home + own_missed),
        ("residential vs org: residential recall", home, home + home_missed),
        ("residential vs org: org precision", own, own + home_missed),
        ("residential vs org: org recall (answered)", own, own + own_missed),
        ("org and org_access: domain right of answered", right_domain, answered),
    ] {
        line(&mut text, format_args!("{name:<46} {:.3} ({right} of {all})", ratio(right, all)));
    }
    for label in ["org_access", "isp_static", "isp_infra", "hosting"] {
        let right = judged.iter().filter(|case| case.label == label && case.is_right).count();
        let all = judged.iter().filter(|case| case.label == label).count();
        line(&mut text, format_args!("{label:<46} right {:.3} ({right} of {all})", ratio(right, all)));
    }
    mistakes(&mut text, &judged, worst);
    (text, judged)
}

/// Label by kind, and how many got a company.
fn confusion(text: &mut String, judged: &[Judged]) {
    let mut labels: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for case in judged {
        labels.entry(&case.label).or_default().push(case);
    }
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    let kinds: Vec<NetworkKind> =
        NetworkKind::ALL.into_iter().filter(|kind| judged.iter().any(|case| case.kind == *kind)).collect();
    let mut header = format!("{:<30}", "labelled \\ judged");
    for kind in &kinds {
        header.push_str(&format!("{:>12}", kind.as_str()));
    }
    line(text, format_args!("{header}{:>12}", "company"));
    for (label, cases) in labels.into_iter().take(16) {
        let mut row = format!("{label:<30}");
        for kind in &kinds {
            row.push_str(&format!("{:>12}", cases.iter().filter(|case| case.kind == *kind).count()));
        }
        let companies = cases.iter().filter(|case| case.company.is_some()).count();
        line(text, format_args!("{row}{companies:>12}"));
    }
}

/// How often named companies are right by confidence, and the mistakes made with the most of it.
fn mistakes(text: &mut String, judged: &[Judged], worst: usize) {
    line(text, format_args!("companies by confidence:"));
    for (index, low) in BINS.iter().enumerate() {
        let high = BINS.get(index + 1).copied().unwrap_or(1.01);
        let bin: Vec<&Judged> = judged
            .iter()
            .filter(|case| case.company.is_some() && case.confidence >= *low && case.confidence < high)
            .collect();
        if !bin.is_empty() {
            let right = bin.iter().filter(|case| case.is_right).count();
            let high = high.min(1.0);
            line(
                text,
                format_args!(
                    "  {low:.2} to {high:.2}  right {:.3} ({right} of {})",
                    ratio(right, bin.len()),
                    bin.len()
                ),
            );
        }
    }
    let mut wrong: Vec<&Judged> = judged.iter().filter(|case| !case.is_right).collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    line(text, format_args!("{} mistakes, the worst first:", wrong.len()));
    for case in wrong.iter().take(worst) {
        let company = case.company.as_deref().unwrap_or("no company");
        line(
            text,
            format_args!(
                "  {:<22} {} -> {}, {company} ({:.2}): {}",
                case.label, case.subject, case.kind, case.confidence, case.why
            ),
        );
    }
    text.push('\n');
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
    text.push('\n');
}

fn ratio(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
