//! `cargo xtask tidy`: what no compiler holds. The order of the collector's rooms, which of them may hold SQL, links in the
//! documentation, the numbers of migrations, and that every drop reason and event type is documented.
//!
//! The rules themselves stand in ARCHITECTURE.md, where people read them; this reads them from there.

mod documents;
mod report;
mod rooms;
mod source;

use crate::{error::Error, machine};
use source::SourceFile;
use std::path::{Path, PathBuf};

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print long functions and type names that are used often as well; neither is an error.
    #[arg(long)]
    report: bool,
    /// Another checkout than this one, to compare with.
    #[arg(long, value_name = "FOLDER")]
    checkout: Option<PathBuf>,
}

/// A broken rule: where, and what to do.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    problem: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let root = arguments.checkout.clone().unwrap_or_else(machine::root);
    if arguments.report {
        print!("{}", report::report(&source::read_all(&root)?));
    }
    held(&check(&root)?)
}

/// Checks this checkout.
pub(crate) fn check_this() -> Result<(), Error> {
    held(&check(&machine::root())?)
}

fn held(findings: &[Finding]) -> Result<(), Error> {
    for Finding { place, problem } in findings {
        eprintln!("{place}: {problem}");
    }
    match findings.len() {
        0 => Ok(()),
        number => {
            Err(Error::Other(format!("rules of the house are broken in {number} places; ARCHITECTURE.md has them")))
        }
    }
}

/// Enums whose words the owner meets, by the file that has them; each word has a row in [`GLOSSARY`].
const EXPLAINED: &[(&str, &str)] = &[
    ("collector/src/counters.rs", "DropReason"),
    ("collector/src/counters.rs", "RejectRule"),
    ("beacon/src/lib.rs", "EventKind"),
];

const GLOSSARY: &str = "docs/glossary.md";

fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).map_err(Error::file(root.join(path)));
    let table = rooms::Table::parse(&read("ARCHITECTURE.md")?)?;
    let mut findings = rooms::check(&table, &source::read_folder(root, "collector/src")?);
    findings.extend(documents::broken_links(root)?);
    findings.extend(documents::repeated_numbers(root)?);
    let glossary = read(GLOSSARY)?;
    for (path, name) in EXPLAINED {
        let words = SourceFile::parse(path, &read(path)?)?.words_of(name);
        if words.is_empty() {
            findings.push(Finding { place: (*path).to_owned(), problem: format!("there is no `{name}`") });
        }
        findings.extend(documents::unexplained(&words, GLOSSARY, &glossary));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_keeps_the_rules_of_the_house() {
        assert_eq!(check(&machine::root()).unwrap(), Vec::new());
    }
}
