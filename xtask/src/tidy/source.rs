//! Rust files as far as the rules look at them: which rooms they name, which texts they hold, what they define.
//!
//! Files are cut into tokens by `proc_macro2` and not parsed: a path within a macro counts like any other, a comment does
//! not.

use crate::error::Error;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file.
pub(super) struct SourceFile {
    /// From the checkout's root, with slashes.
    pub(super) path: String,
    tokens: TokenStream,
}

/// A path that begins at the crate's root: its first name, and the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RootPath {
    pub(super) name: String,
    pub(super) line: usize,
}

/// A function or type that a file defines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) keyword: String,
    pub(super) name: String,
    pub(super) line: usize,
    /// Lines from its keyword to the end of its body.
    pub(super) lines: usize,
}

impl SourceFile {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let tokens = text.parse().map_err(|error| Error::Other(format!("{path}: {error}")))?;
        Ok(Self { path: path.to_owned(), tokens })
    }

    /// Paths that begin with `crate::`, or climb to the root with `super::`.
    pub(super) fn root_paths(&self, depth: usize) -> Vec<RootPath> {
        let mut found = Vec::new();
        root_paths(self.tokens.clone(), depth, &mut found);
        found
    }

    /// Texts in quotes, with their lines; doc comments are none.
    pub(super) fn texts(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        texts(self.tokens.clone(), &mut found);
        found
    }

    /// The words of an enum's variants: what stands behind their `=`, else their names in lower case.
    pub(super) fn words_of(&self, name: &str) -> Vec<String> {
        words_of(self.tokens.clone(), name).unwrap_or_default()
    }

    /// Functions, structs, enums, unions and traits, tests among them.
    pub(super) fn definitions(&self) -> Vec<Definition> {
        let mut found = Vec::new();
        definitions(self.tokens.clone(), &mut found);
        found
    }
}

/// How many modules a file is below the crate's root: `a/b.rs` and `a/b/mod.rs` are both two.
pub(super) fn depth(path_in_crate: &str) -> usize {
    let path = path_in_crate.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" || path == "main" { 0 } else { path.split('/').count() }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn root_paths(tokens: TokenStream, depth: usize, found: &mut Vec<RootPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let climbs = |at: usize| {
            let mut after = at;
            while ident(tokens.get(after)).as_deref() == Some("super")
                && is_punct(tokens.get(after + 1), ':')
                && is_punct(tokens.get(after + 2), ':')
            {
                after += 3;
            }
            after
        };
        if let TokenTree::Group(group) = &tokens[at] {
            // `mod name { … }` is a module deeper.
            let is_module =
                group.delimiter() == Delimiter::Brace && at >= 2 && ident(tokens.get(at - 2)).as_deref() == Some("mod");
            root_paths(group.stream(), depth + usize::from(is_module), found);
            at += 1;
            continue;
        }
        let is_path_start = at == 0 || !is_punct(tokens.get(at - 1), ':');
        let after = match ident(tokens.get(at)).as_deref() {
            Some("crate") if is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':') => Some(at + 3),
            Some("super") if is_path_start => Some(climbs(at)).filter(|after| (after - at) / 3 >= depth && *after > at),
            _ => None,
        };
        if let Some(after) = after {
            match tokens.get(after) {
                Some(TokenTree::Group(group)) => list_heads(group.stream(), found),
                Some(TokenTree::Ident(name)) => {
                    found.push(RootPath { name: name.to_string(), line: name.span().start().line });
                }
                _ => {}
            }
        }
        at += 1;
    }
}

/// The first names of a list in braces: `{a::b, c}` has `a` and `c`.
fn list_heads(list: TokenStream, found: &mut Vec<RootPath>) {
    let mut is_head = true;
    for token in list {
        match token {
            TokenTree::Ident(name) if is_head => {
                found.push(RootPath { name: name.to_string(), line: name.span().start().line });
                is_head = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => is_head = true,
            _ => {}
        }
    }
}

fn texts(tokens: TokenStream, found: &mut Vec<(String, usize)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => texts(group.stream(), found),
            TokenTree::Literal(literal) => {
                let is_doc =
                    at >= 2 && ident(tokens.get(at - 2)).as_deref() == Some("doc") && is_punct(tokens.get(at - 1), '=');
                let text = literal.to_string();
                if !is_doc && text.contains('"') {
                    found.push((text, literal.span().start().line));
                }
            }
            _ => {}
        }
    }
}

fn words_of(tokens: TokenStream, name: &str) -> Option<Vec<String>> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_named = at >= 2
            && ident(tokens.get(at - 1)).as_deref() == Some(name)
            && ident(tokens.get(at - 2)).as_deref() != Some("for");
        if is_named && group.delimiter() == Delimiter::Brace {
            return Some(variants(group.stream()));
        }
        if let Some(found) = words_of(group.stream(), name) {
            return Some(found);
        }
    }
    None
}

fn variants(body: TokenStream) -> Vec<String> {
    let mut words = Vec::new();
    for token in body {
        match token {
            TokenTree::Ident(name) => words.push(name.to_string().to_ascii_lowercase()),
            TokenTree::Literal(word) => {
                words.pop();
                words.push(word.to_string().trim_matches('"').to_owned());
            }
            TokenTree::Group(_) | TokenTree::Punct(_) => {}
        }
    }
    words
}

fn definitions(tokens: TokenStream, found: &mut Vec<Definition>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            definitions(group.stream(), found);
            continue;
        }
        let Some(keyword) = ident(Some(token)) else { continue };
        if !["fn", "struct", "enum", "union", "trait", "type"].contains(&keyword.as_str()) {
            continue;
        }
        let Some(name) = ident(tokens.get(at + 1)) else { continue };
        let line = token.span().start().line;
        let body = tokens[at..].iter().take_while(|token| !is_punct(Some(token), ';')).find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.span_close().end().line),
            _ => None,
        });
        found.push(Definition { keyword, name, line, lines: body.map_or(1, |end| end + 1 - line) });
    }
}

/// Every Rust file of the workspace, those of tests, examples and fuzzing among them.
pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>, Error> {
    let mut files = Vec::new();
    for folder in [
        "beacon",
        "clickhouse-embedded",
        "collector",
        "examples",
        "fuzz",
        "geoip-data",
        "resolver",
        "tracker-wasm",
        "xtask",
    ] {
        files.extend(read_folder(root, folder)?);
    }
    Ok(files)
}

/// The Rust files of a folder, by path.
pub(super) fn read_folder(root: &Path, folder: &str) -> Result<Vec<SourceFile>, Error> {
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    })?;
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
        SourceFile::parse(&shown(root, &path), &text)
    };
    paths.into_iter().map(read).collect()
}

/// Calls `file` for every file of a folder and of the folders in it, but what is built or fetched.
pub(super) fn walk(folder: &Path, file: &mut impl FnMut(PathBuf)) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
                walk(&path, file)?;
            }
        } else {
            file(path);
        }
    }
    Ok(())
}

/// A path from the checkout's root, with slashes.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(depth: usize, text: &str) -> Vec<String> {
        let file = SourceFile::parse("test.rs", text).unwrap();
        file.root_paths(depth).into_iter().map(|path| path.name).collect()
    }

    #[test]
    fn paths_to_the_root_are_found_in_lists_macros_and_bodies_and_not_in_comments() {
        let text = "use crate::{store::{Store, rows}, time::UnixMillis}; // crate::cli
            /// See [`crate::serve`].
            fn f() { println!(\"crate::config {}\", crate::site::name()); }";
        assert_eq!(names(1, text), ["store", "time", "site"]);
    }

    #[test]
    fn climbing_counts_only_as_far_as_it_reaches_the_root() {
        assert_eq!(names(2, "use super::{dates::Window, Error}; use super::super::store::Store;"), ["store"]);
        assert_eq!(
            names(1, "use super::store::Store; mod tests { use super::*; use super::super::cli; }"),
            ["store", "cli"]
        );
    }

    #[test]
    fn an_enums_words_are_those_of_its_variants() {
        let text = "impl From<X> for Why { fn f() {} }
            named! { /// Reasons.
                Why { /// No.
                    OwnNetwork = \"own-network\", Forget = \"forget\", } }
            pub enum Kind { /// Yes.
                Pageview, Custom }";
        let file = SourceFile::parse("test.rs", text).unwrap();
        assert_eq!(file.words_of("Why"), ["own-network", "forget"]);
        assert_eq!(file.words_of("Kind"), ["pageview", "custom"]);
    }

    #[test]
    fn depth_is_that_of_the_module() {
        for (path, expected) in
            [("lib.rs", 0), ("time.rs", 1), ("reports/mod.rs", 1), ("reports/dates.rs", 2), ("a/b/mod.rs", 2)]
        {
            assert_eq!(depth(path), expected, "{path}");
        }
    }

    #[test]
    fn definitions_have_their_length() {
        let text = "struct A;\nfn long() {\n  if x {\n  }\n}\ntrait T { fn without_body(&self); }";
        let found: Vec<_> = SourceFile::parse("test.rs", text).unwrap().definitions();
        let found: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.lines)).collect();
        assert_eq!(found, [("A", 1), ("long", 4), ("T", 1), ("without_body", 1)]);
    }
}
