//! `--hosts FILE`: lines of `IP name` in place of reverse DNS, as in `/etc/hosts`.

use super::CliError;
use std::{collections::HashMap, net::IpAddr, path::Path};

/// The names of a file; the first name of a line counts, `#` begins a comment.
pub(super) fn read(path: &Path) -> Result<HashMap<IpAddr, String>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|line| CliError::HostsLine { path: path.to_owned(), line })
}

/// The names, or the number of the first line that is neither empty nor `IP name`.
fn parse(text: &str) -> Result<HashMap<IpAddr, String>, usize> {
    let mut names = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        match (words.next().map(str::parse::<IpAddr>), words.next()) {
            (None, _) => {}
            (Some(Ok(ip)), Some(name)) => {
                names.insert(ip.to_canonical(), name.to_owned());
            }
            _ => return Err(index + 1),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_address_and_name() {
        let names = parse("# names\n192.0.2.1 a.example # one\n\n2001:db8::1\tb.example c.example\n").unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(names[&"2001:db8::1".parse::<IpAddr>().unwrap()], "b.example");
        assert_eq!(parse("192.0.2.1 a\nexample 192.0.2.1"), Err(2));
        assert_eq!(parse("192.0.2.1"), Err(1));
    }
}
