//! Figures about the code that are worth a look and no rule: long functions, names that several types share.

use super::source::SourceFile;
use std::collections::BTreeMap;

/// Lines from which on a function is called long.
const LONG: usize = 60;
/// Types of the same name that are not worth a line.
const FEW: usize = 2;

/// Functions over 60 lines, and type names that are used more than twice.
pub(super) fn report(files: &[SourceFile]) -> String {
    let mut long = Vec::new();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        for found in file.definitions() {
            let place = format!("{}:{}", file.path, found.line);
            match found.keyword.as_str() {
                "fn" if found.lines > LONG => long.push((found.lines, found.name, place)),
                "struct" | "enum" | "union" | "trait" => places.entry(found.name).or_default().push(place),
                _ => {}
            }
        }
    }
    long.sort_by(|one, other| other.cmp(one));
    let mut shared: Vec<(String, Vec<String>)> = places.into_iter().filter(|(_, places)| places.len() > FEW).collect();
    shared.sort_by_key(|(_, places)| std::cmp::Reverse(places.len()));
    let mut lines = vec![format!("{} functions over {LONG} lines", long.len())];
    lines.extend(long.iter().map(|(length, name, place)| format!("{length:>5}  {name}  {place}")));
    lines.push(format!("{} type names used more than {FEW} times", shared.len()));
    lines.extend(shared.iter().map(|(name, places)| format!("{:>5}  {name}  {}", places.len(), places.join(" "))));
    lines.join("\n") + "\n"
}
