//! The words of a registered name, and whether a name and a domain can be one organisation's.
//!
//! Network data give an operator a registered name and a domain, and now and then the domain is somebody else's: a
//! customer's, an address of a mail provider, a supplier's. A name and a domain that belong together nearly always share
//! a word (`Festo Management SE`, `festo.com`), or the domain is made of the name's first letters (`Bayerische Motoren
//! Werke`, `bmw.com`).

use smallvec::SmallVec;

/// Legal forms and the words that surround them, in lower case without dots: they say nothing but that somebody is
/// registered.
const LEGAL_FORMS: [&str; 92] = [
    "ab",
    "abp",
    "ad",
    "ag",
    "aps",
    "as",
    "asa",
    "bhd",
    "bv",
    "cjsc",
    "co",
    "company",
    "corp",
    "corporation",
    "cv",
    "dba",
    "dd",
    "doo",
    "ead",
    "ehf",
    "eireli",
    "eood",
    "epp",
    "fop",
    "gie",
    "gmbh",
    "hf",
    "inc",
    "incorporated",
    "jsc",
    "jv",
    "kb",
    "kft",
    "kg",
    "kgaa",
    "kk",
    "lda",
    "limited",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "mb",
    "mbh",
    "me",
    "nv",
    "nyrt",
    "oao",
    "ohg",
    "ojsc",
    "oo",
    "ood",
    "ooo",
    "ou",
    "oy",
    "oyj",
    "pao",
    "persero",
    "pjsc",
    "plc",
    "pp",
    "private",
    "pt",
    "pte",
    "pty",
    "pvt",
    "rt",
    "sa",
    "sab",
    "sac",
    "sarl",
    "sas",
    "sasu",
    "sdn",
    "se",
    "sia",
    "sl",
    "slu",
    "snc",
    "sp",
    "spa",
    "spolka",
    "srl",
    "sro",
    "tbk",
    "tov",
    "uab",
    "ug",
    "unlimited",
    "zao",
    "zrt",
];
/// Words that join others.
const JOINING: [&str; 21] = [
    "a", "and", "da", "de", "del", "der", "des", "di", "do", "du", "et", "for", "fur", "la", "le", "o", "of", "s",
    "the", "und", "z",
];
/// Words that so many names have that to share one means nothing.
const COMMON: [&str; 48] = [
    "as",
    "autonomous",
    "backbone",
    "bank",
    "business",
    "center",
    "cloud",
    "communications",
    "company",
    "data",
    "digital",
    "engineering",
    "enterprise",
    "global",
    "group",
    "holding",
    "holdings",
    "host",
    "hosting",
    "information",
    "institute",
    "international",
    "internet",
    "isp",
    "management",
    "media",
    "national",
    "network",
    "networks",
    "office",
    "online",
    "server",
    "servers",
    "service",
    "services",
    "shared",
    "solution",
    "solutions",
    "state",
    "system",
    "systems",
    "tech",
    "technologies",
    "technology",
    "telecom",
    "telekom",
    "university",
    "web",
];
/// The shortest word that counts when it is inside another.
const TELLING: usize = 4;

/// Whether a name and a domain can be one organisation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// They share no word.
    None,
    /// The name and the domain's first label share a word or its first letters.
    Domain,
    /// The name and the domain owner's name share a word.
    Owner,
}

/// The words of a name in lower case ASCII letters and digits; dots and apostrophes inside words are left out.
#[derive(Clone, Debug)]
pub(crate) struct NameWords {
    words: SmallVec<[String; 8]>,
}

impl NameWords {
    pub(crate) fn of(name: &str) -> Self {
        let mut words: SmallVec<[String; 8]> = SmallVec::new();
        let mut word = String::new();
        for letter in name.chars().flat_map(char::to_lowercase) {
            match folded(letter) {
                Some(text) => word.push_str(text),
                None if letter.is_alphanumeric() => word.push(letter),
                None if matches!(letter, '.' | '\'' | '\u{2019}' | '\u{301}' | '\u{308}') => {}
                None if !word.is_empty() => words.push(std::mem::take(&mut word)),
                None => {}
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self { words }
    }

    /// Whether one of the words is a legal form.
    pub(crate) fn has_legal_form(&self) -> bool {
        self.words.iter().any(|word| LEGAL_FORMS.contains(&word.as_str()))
    }

    /// The words that are the organisation's own: neither a legal form nor a joining word; all where nothing is left.
    pub(crate) fn own(&self) -> SmallVec<[&str; 8]> {
        let is_own = |word: &&str| !LEGAL_FORMS.contains(word) && !JOINING.contains(word);
        let own: SmallVec<[&str; 8]> = self.words.iter().map(String::as_str).filter(is_own).collect();
        if own.is_empty() { self.words.iter().map(String::as_str).collect() } else { own }
    }

    /// Whether the name can be that of a domain's owner. `owner` is the owner's name where it is known.
    pub(crate) fn agreement(&self, label: &str, owner: Option<&str>) -> Agreement {
        let label: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
        if self.agrees_with_label(&label) {
            Agreement::Domain
        } else if owner.is_some_and(|owner| self.agrees_with_name(&Self::of(owner))) {
            Agreement::Owner
        } else {
            Agreement::None
        }
    }

    fn agrees_with_label(&self, label: &str) -> bool {
        let own = self.own();
        let (all, joined) = (self.words.concat(), own.concat());
        if label.is_empty() || all.is_empty() {
            return false;
        }
        if label.len() > 1 && all.contains(label) || joined.len() >= TELLING && label.contains(&joined) {
            return true;
        }
        let shares_word = |word: &&str| {
            word.len() >= TELLING
                && !COMMON.contains(word)
                && (label.contains(*word)
                    || label.len() >= TELLING && word.contains(label)
                    || word.get(..TELLING).is_some_and(|start| label.starts_with(start)))
        };
        let letters = |words: &[&str]| words.iter().filter_map(|word| word.chars().next()).collect::<String>();
        let all_words: SmallVec<[&str; 8]> = self.words.iter().map(String::as_str).collect();
        let spells = |initials: String| {
            initials.len() > 1
                && (label.starts_with(&initials) && label.len() - initials.len() <= 2
                    || label.len() > 1 && initials.starts_with(label))
        };
        own.iter().any(shares_word) || spells(letters(&all_words)) || spells(letters(&own))
    }

    fn agrees_with_name(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.own(), other.own());
        let (joined, their_joined) = (ours.concat(), theirs.concat());
        let is_telling = |word: &&&str| word.len() > 2 && !COMMON.contains(*word);
        ours.iter().filter(is_telling).any(|word| theirs.contains(word))
            || joined.len() >= TELLING
                && their_joined.len() >= TELLING
                && (joined.contains(&their_joined) || their_joined.contains(&joined))
    }
}

/// A Latin letter without its marks, as registries write it that have only ASCII.
const fn folded(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' | 'ģ' => "g",
        'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ł' | 'ļ' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_domain_agree_when_they_share_a_word_or_first_letters() {
        for (name, domain, owner, expected) in [
            ("Festo Management SE", "festo.com", None, Agreement::Domain),
            ("Bayerische Motoren Werke Aktiengesellschaft", "bmw.com", None, Agreement::Domain),
            ("Wal-Mart Stores, Inc.", "walmartstores.com", None, Agreement::Domain),
            ("The Goldman Sachs Group, Inc.", "gs.com", None, Agreement::Domain),
            ("Lockheed Martin Corporation", "lmco.com", None, Agreement::Domain),
            ("Powszechna Kasa Oszczędności Bank Polski SA", "pkobp.pl", None, Agreement::Domain),
            ("Citigroup Inc.", "citigroup.com", Some("Citi"), Agreement::Domain),
            ("Rautaruukki Oyj", "ssab.com", Some("Ruukki SSAB"), Agreement::None),
            ("Norlys Telco A/S", "siminn.dk", Some("Norlys Digital"), Agreement::Owner),
            ("Zain Zambia PLC", "nokia.com", Some("Nokia"), Agreement::None),
            ("ACCESSKENYA GROUP LTD is an ISP serving", "dimensiondata.com", Some("NTT DATA"), Agreement::None),
            ("Gyeongbuk Cable TV", "hmall.com", Some("Hyundai Home Shopping"), Agreement::None),
            ("WorldStream B.V.", "accenture.com", Some("Accenture"), Agreement::None),
            ("", "example.com", Some("Example"), Agreement::None),
        ] {
            let label = domain.split('.').next().unwrap_or_default();
            assert_eq!(NameWords::of(name).agreement(label, owner), expected, "{name} {domain}");
        }
    }

    #[test]
    fn legal_forms_are_not_a_names_own_words() {
        for (name, has_form, own) in [
            ("IKEA IT AB", true, vec!["ikea", "it"]),
            ("MOL Nyrt.", true, vec!["mol"]),
            ("Miele & Cie. KG", true, vec!["miele", "cie"]),
            ("BANCO ITAU CHILE", false, vec!["banco", "itau", "chile"]),
            ("Sp. z o.o.", true, vec!["sp", "z", "oo"]),
            ("Société Générale S.A.", true, vec!["societe", "generale"]),
        ] {
            let words = NameWords::of(name);
            assert_eq!((words.has_legal_form(), words.own().to_vec()), (has_form, own), "{name}");
        }
    }
}
