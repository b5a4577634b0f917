//! The order of the collector's rooms, as ARCHITECTURE.md's table has it.

use super::{
    Finding,
    source::{SourceFile, depth},
};
use crate::error::Error;

/// What SQL begins with; it stands in capitals throughout.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "ALTER TABLE ",
    "CREATE TABLE ",
    "DROP TABLE ",
    "DELETE FROM ",
    "TRUNCATE ",
    "OPTIMIZE TABLE ",
    "SYSTEM ",
    "BACKUP ",
    "RESTORE ",
    "FROM ",
];

/// Files at the root that only name the rooms.
const OUTSIDE: &[&str] = &["lib", "main"];

/// The rooms, from the upper to the lower.
pub(super) struct Table(Vec<Row>);

struct Row {
    /// Siblings never import each other; each is one or more files that do.
    siblings: Vec<Vec<String>>,
    may_hold_sql: bool,
}

impl Table {
    /// Reads the table whose heading begins with `| room | import it for |`.
    pub(super) fn parse(page: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Other(format!("ARCHITECTURE.md: the table of the collector's rooms {what}"));
        let mut lines = page.lines().skip_while(|line| !line.starts_with("| room | import it for |"));
        let heading: Vec<&str> = cells(lines.next().ok_or_else(|| wrong("is missing"))?).collect();
        let sql = heading.iter().position(|name| *name == "SQL").ok_or_else(|| wrong("has no column SQL"))?;
        let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(|line| {
            let cells: Vec<&str> = cells(line).collect();
            let names = |part: &str| part.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect();
            let siblings = cells.first().copied().unwrap_or_default().split(" / ").map(names).collect();
            Row { siblings, may_hold_sql: cells.get(sql).is_some_and(|cell| !cell.is_empty()) }
        });
        Ok(Self(rows.collect()))
    }

    /// A room's row and its place among the row's siblings.
    fn place(&self, room: &str) -> Option<(usize, usize)> {
        self.0.iter().enumerate().find_map(|(row, Row { siblings, .. })| {
            let sibling = siblings.iter().position(|files| files.iter().any(|name| name == room))?;
            Some((row, sibling))
        })
    }

    fn may_import(&self, from: (usize, usize), to: (usize, usize)) -> bool {
        to.0 < from.0 || to == from
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim().trim_matches('|').split('|').map(str::trim)
}

/// Every import that runs back up, every text of SQL in a room that may hold none, every room without a row.
pub(super) fn check(table: &Table, files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let path = file.path.trim_start_matches("collector/src/");
        let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if OUTSIDE.contains(&room) {
            continue;
        }
        let Some(place) = table.place(room) else {
            let problem = format!("the room `{room}` has no row in ARCHITECTURE.md's table");
            findings.push(Finding { place: file.path.clone(), problem });
            continue;
        };
        for import in file.root_paths(depth(path)) {
            let Some(imported) = table.place(&import.name) else { continue };
            if !table.may_import(place, imported) {
                let problem = format!("`{room}` must not import `{}`", import.name);
                findings.push(Finding { place: format!("{}:{}", file.path, import.line), problem });
            }
        }
        if !table.0[place.0].may_hold_sql {
            let texts = file.texts();
            let sql = texts.iter().find(|(text, _)| SQL.iter().any(|beginning| begins_with(text, beginning)));
            if let Some((_, line)) = sql {
                let problem = format!("`{room}` must hold no SQL");
                findings.push(Finding { place: format!("{}:{line}", file.path), problem });
            }
        }
    }
    findings
}

/// Whether a text, as it stands in the file, begins so behind its quotes and blanks.
fn begins_with(text: &str, beginning: &str) -> bool {
    text.trim_start_matches(|c: char| c == '"' || c == 'r' || c == '#' || c == '\\' || c.is_whitespace())
        .starts_with(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
| room | import it for | SQL | shell or core |
|---|---|---|---|
| `time`, `site` | words | | core |
| `store` | tables | yes | shell |
| `leadfeeder` / `api` | siblings | | shell |
";

    fn problems(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile::parse(&format!("collector/src/{path}"), text).unwrap();
        let table = Table::parse(PAGE).unwrap();
        check(&table, &[file]).into_iter().map(|Finding { problem, .. }| problem).collect()
    }

    #[test]
    fn a_room_imports_those_above_it_and_itself() {
        for (path, text, expected) in [
            ("store/mod.rs", "use crate::time::UnixMillis;", None),
            ("store/rows.rs", "use crate::store::Store;", None),
            ("time.rs", "use crate::site::Site;", None),
            ("time.rs", "use crate::store::Store;", Some("`time` must not import `store`")),
            ("store/rows.rs", "use super::super::api::Row;", Some("`store` must not import `api`")),
            ("api/mod.rs", "use crate::leadfeeder::Lead;", Some("`api` must not import `leadfeeder`")),
            ("api/mod.rs", "fn f() { crate::leadfeeder::f() }", Some("`api` must not import `leadfeeder`")),
            ("cellar/mod.rs", "", Some("the room `cellar` has no row in ARCHITECTURE.md's table")),
            ("lib.rs", "pub use crate::api;", None),
        ] {
            assert_eq!(problems(path, text).first().map(String::as_str), expected, "{path}: {text}");
        }
    }

    #[test]
    fn sql_stands_where_the_table_says_so() {
        let sql = "const SQL: &str = \"SELECT 1\";";
        assert_eq!(problems("store/mod.rs", sql), Vec::<String>::new());
        assert_eq!(problems("api/mod.rs", sql), ["`api` must hold no SQL"]);
        assert_eq!(problems("api/mod.rs", "const SQL: &str = \"\\\n    SELECT 1\";"), ["`api` must hold no SQL"]);
        assert_eq!(problems("api/mod.rs", "const HOSTILE: &str = \"1;SELECT 1\";"), Vec::<String>::new());
        assert_eq!(problems("api/mod.rs", "/// \"SELECT 1\"\nfn f() {}"), Vec::<String>::new());
    }
}
