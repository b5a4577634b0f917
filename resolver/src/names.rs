//! Host names: cleaning them and finding the registrable domain by the Public Suffix List.

use std::sync::Arc;

/// RFC 1035: the longest name in presentation form without the final dot.
const MAX_NAME: usize = 253;
/// RFC 1035: the longest label.
const MAX_LABEL: usize = 63;

/// A host name in lower case without the final dot, or `None` when it can't be one: too long, an empty or over-long
/// label, or a character outside letters, digits, hyphen and underscore (RFC 952, RFC 1123, RFC 8552).
#[must_use]
pub(crate) fn clean(name: &str) -> Option<Arc<str>> {
    let name = name.trim();
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut lower = [0; MAX_NAME];
    let lower = lower.get_mut(..name.len())?;
    let mut label = 0;
    for (into, byte) in lower.iter_mut().zip(name.bytes()) {
        label = match byte {
            b'.' if label == 0 => return None,
            b'.' => 0,
            _ if label == MAX_LABEL => return None,
            b'-' | b'_' => label + 1,
            _ if byte.is_ascii_alphanumeric() => label + 1,
            _ => return None,
        };
        *into = byte.to_ascii_lowercase();
    }
    if label == 0 {
        return None;
    }
    std::str::from_utf8(lower).ok().map(Arc::from)
}

/// The registrable domain of a name: the part of the public suffix that registries run, and one label more.
///
/// Suffixes that companies opened to their customers (`compute-1.amazonaws.com`, `github.io`) are looked through, so
/// that such a name belongs to the company that runs the platform. `None` for names without a known ending.
#[must_use]
pub fn registrable_domain(name: &str) -> Option<Arc<str>> {
    let name = clean(name)?;
    registrable_part(&name).map(Arc::from)
}

/// [`registrable_domain`] of a name that is clean already.
pub(crate) fn registrable_part(name: &str) -> Option<&str> {
    let mut rest = name;
    loop {
        let suffix = psl::suffix(rest.as_bytes())?;
        let length = suffix.as_bytes().len();
        match suffix.typ() {
            Some(psl::Type::Icann) => {
                let before = name.get(..name.len().checked_sub(length + 1)?)?;
                let start = before.rfind('.').map_or(0, |dot| dot + 1);
                return name.get(start..);
            }
            // Go on with what stands to the right of the private suffix's first label.
            Some(psl::Type::Private) => rest = rest.get(rest.len() - length..)?.split_once('.')?.1,
            None => return None,
        }
    }
}

/// Legal forms that end a registered name, without dots, in lower case. Words that are names too (`company`) are left out.
const LEGAL_FORMS: [&str; 32] = [
    "ab",
    "ag",
    "aps",
    "as",
    "bhd",
    "bv",
    "corp",
    "corporation",
    "doo",
    "gmbh",
    "inc",
    "incorporated",
    "jsc",
    "kft",
    "kg",
    "kk",
    "limited",
    "llc",
    "llp",
    "ltd",
    "ltda",
    "nv",
    "oy",
    "oyj",
    "plc",
    "pte",
    "pty",
    "pvt",
    "sa",
    "sas",
    "spa",
    "srl",
];

/// An organisation's name for people: without remarks in brackets behind it and without its legal form.
#[must_use]
pub(crate) fn display_name(registered: &str) -> String {
    let mut name = registered.trim();
    if name.ends_with(')')
        && let Some((before, _)) = name.split_once(" (")
    {
        name = before.trim_end();
    }
    while let Some((before, last)) = name.rsplit_once(char::is_whitespace) {
        let form: String = last.chars().filter(|letter| !matches!(letter, '.' | ',')).collect();
        if !LEGAL_FORMS.contains(&form.to_lowercase().as_str()) {
            break;
        }
        name = before.trim_end();
    }
    let name = name.trim_end_matches([',', ' ']);
    if name.is_empty() { registered.trim().to_owned() } else { name.to_owned() }
}

/// The longest name that keeps its capitals: `IBM`, `NASA`.
const ACRONYM: usize = 4;

/// A network operator's name for people. What registries hold is often a handle (`APPLE-ENGINEERING`, `ACME-AS`): where it
/// begins with the first label of the operator's domain, that label is the name.
#[must_use]
pub(crate) fn operator_name(registered: &str, domain: Option<&str>) -> String {
    let shown = display_name(registered);
    let is_handle = shown.contains(['-', '_'])
        && shown.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
    let Some(label) = domain.filter(|_| is_handle).and_then(|domain| domain.split('.').next()) else { return shown };
    let letters = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    if label.is_empty() || !letters(&shown).starts_with(&letters(label)) {
        return shown;
    }
    name_of_label(label)
}

/// A domain's first label as a name: `acme-tools` is Acme Tools, `ibm` is IBM.
#[must_use]
pub(crate) fn name_of_label(label: &str) -> String {
    let capitals = |part: &str| match part.split_at_checked(1) {
        _ if part.len() <= ACRONYM => part.to_ascii_uppercase(),
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    };
    label.split('-').map(capitals).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_for_people_have_no_legal_form() {
        for (registered, expected) in [
            ("Apple Inc.", "Apple"),
            ("Example, Inc.", "Example"),
            ("Example Holding GmbH", "Example Holding"),
            ("Example Pty. Ltd.", "Example"),
            ("Example S.A.", "Example"),
            ("Ford Motor Company", "Ford Motor Company"),
            ("Google (Including Gmail and Google Workspace)", "Google"),
            ("(Example)", "(Example)"),
            ("AG", "AG"),
            ("Beispiel", "Beispiel"),
            ("", ""),
        ] {
            assert_eq!(display_name(registered), expected, "{registered}");
        }
    }

    #[test]
    fn handles_of_registries_become_names_by_the_operators_domain() {
        for (registered, domain, expected) in [
            ("APPLE-ENGINEERING", Some("apple.com"), "Apple"),
            ("RED-HAT-AS", Some("red-hat.example"), "RED HAT"),
            ("REDHAT-0", Some("redhat.com"), "Redhat"),
            ("IBM-EI", Some("ibm.com"), "IBM"),
            ("APPLE-ENGINEERING", None, "APPLE-ENGINEERING"),
            ("ORANGE-AS", Some("apple.com"), "ORANGE-AS"),
            ("Hewlett-Packard Company", Some("hp.com"), "Hewlett-Packard Company"),
            ("SIEMENS", Some("siemens.com"), "SIEMENS"),
        ] {
            assert_eq!(operator_name(registered, domain), expected, "{registered} {domain:?}");
        }
    }

    #[test]
    fn registrable_domains_of_known_names() {
        for (name, expected) in [
            ("www.example.com", Some("example.com")),
            ("EXAMPLE.COM.", Some("example.com")),
            ("a.b.c.example.co.uk", Some("example.co.uk")),
            ("greene.k12.il.us", Some("greene.k12.il.us")),
            ("ednet1.osl.or.gov", Some("or.gov")),
            ("ec2-1-2-3-4.compute-1.amazonaws.com", Some("amazonaws.com")),
            ("someone.github.io", Some("github.io")),
            ("ccsun37.cc.ntu.edu.tw", Some("ntu.edu.tw")),
            ("com", None),
            ("co.uk", None),
            ("localhost", None),
            ("printer.local", None),
            ("", None),
            (".", None),
            ("a..example.com", None),
            ("a b.example.com", None),
            ("ex\u{e4}mple.com", None),
        ] {
            assert_eq!(registrable_domain(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn names_longer_than_dns_allows_are_refused() {
        assert_eq!(clean(&format!("{}.com", "a.".repeat(125))), None);
        assert_eq!(clean(&format!("{}.com", "a".repeat(64))), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(name in ".{0,300}") {
            if let Some(domain) = registrable_domain(&name) {
                prop_assert!(clean(&name).is_some_and(|name| name.ends_with(&*domain)));
                prop_assert_eq!(registrable_domain(&domain), Some(domain.clone()));
            }
        }

        #[test]
        fn host_like_text_is_read_without_harm(labels in prop::collection::vec("[a-z0-9-]{1,12}", 1..6), ending in prop::sample::select(vec!["com", "co.uk", "gov", "k12.il.us", "amazonaws.com", "github.io"])) {
            let name = format!("{}.{ending}", labels.join("."));
            prop_assert!(registrable_domain(&name).is_some());
        }
    }
}
