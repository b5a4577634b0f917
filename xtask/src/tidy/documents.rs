//! Pages and migrations: links lead somewhere, numbers are there once, words are explained.

use super::{
    Finding,
    source::{shown, walk},
};
use crate::error::Error;
use std::{collections::BTreeMap, fs, path::Path};

/// Links in Markdown pages to files that aren't there.
pub(super) fn broken_links(root: &Path) -> Result<Vec<Finding>, Error> {
    let mut pages = Vec::new();
    walk(root, &mut |path| {
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    })?;
    pages.sort();
    let mut findings = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).map_err(Error::file(&page))?;
        for (line, link) in links(&text) {
            let file = link.split(['#', '?']).next().unwrap_or_default();
            let folder = page.parent().unwrap_or(root);
            if !file.is_empty() && !folder.join(file).exists() {
                let place = format!("{}:{line}", shown(root, &page));
                findings.push(Finding { place, problem: format!("the link {link} leads nowhere") });
            }
        }
    }
    Ok(findings)
}

/// Links of a page that are no address on the web, with their lines; code is left out.
fn links(page: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            let link = after.split([')', ' ']).next().unwrap_or_default();
            let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !is_elsewhere {
                found.push((index + 1, link));
            }
        }
    }
    found
}

/// Numbers that two migrations, or two decisions, have.
pub(super) fn repeated_numbers(root: &Path) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for folder in ["migrations", "docs/decisions"] {
        let mut by_number: BTreeMap<String, Vec<String>> = BTreeMap::new();
        walk(&root.join(folder), &mut |path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            if !digits.is_empty() {
                by_number.entry(digits).or_default().push(name.to_owned());
            }
        })?;
        for (number, names) in by_number.into_iter().filter(|(_, names)| names.len() > 1) {
            let problem = format!("the number {number} is there more than once: {}", names.join(", "));
            findings.push(Finding { place: folder.to_owned(), problem });
        }
    }
    Ok(findings)
}

/// Words of an enum that a page does not have in a table's first column.
pub(super) fn unexplained(words: &[String], page: &str, text: &str) -> Vec<Finding> {
    let is_explained = |word: &String| text.lines().any(|line| line.starts_with(&format!("| `{word}` |")));
    let finding = |word: &String| Finding { place: page.to_owned(), problem: format!("`{word}` is not explained") };
    words.iter().filter(|word| !is_explained(word)).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_and_those_in_code_and_to_the_web_are_not() {
        let page = "[a](b.md) and [c](../d.md#e)\n```\n[f](g.md)\n```\n[h](https://example.com) [i](#j)";
        assert_eq!(links(page), [(1, "b.md"), (1, "../d.md#e"), (5, "#j")]);
    }

    #[test]
    fn a_word_is_explained_by_a_row_of_its_own() {
        let words = ["residential".to_owned(), "mobile".to_owned()];
        let found = unexplained(&words, "docs/glossary.md", "| `residential` | homes |\n`mobile`\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].problem, "`mobile` is not explained");
    }
}
