//! What can be typed.

use super::init::Proxy;
use crate::{
    config::{ListenUrl, PublicUrl, TrustedProxy},
    import::format::Format,
    ingest::language::Language,
    objection::Objection,
    person::{self, Email},
    serve::backup::Place,
    site::{ClientIdLife, ConsentMode, SiteId},
    snapshot::Role,
    time::UnixMillis,
};
use beacon::ClientId;
use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;
use jiff::{civil::Date, tz::TimeZone};
use std::path::PathBuf;

/// Which companies visit your website: self-hosted, first-party, consent-aware.
#[derive(Debug, Parser)]
#[command(name = "firmsight", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// Configuration file (TOML); else FIRMSIGHT_CONFIG, ./firmsight.toml, ~/.config/firmsight/firmsight.toml, /etc/firmsight/firmsight.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the collector, with an embedded ClickHouse unless [clickhouse].url is set
    Serve,
    /// Begin an installation: configuration, data directory, first site, and the lines for page and proxy
    #[command(
        after_help = "Example:\n  firmsight init --host www.example.com --proxy nginx --public-url https://stats.example.com\n\n\
                            What is there already is kept."
    )]
    Init(Init),
    /// Say what works, what doesn't, and what to do first
    Doctor(List),
    /// Say what runs here
    Status(List),
    /// Have the running server read its configuration again; says what is in force and what needs a restart
    Reload,
    /// Say which company is behind addresses, host names or AS numbers
    #[command(after_help = "Examples:\n  firmsight resolve 17.253.144.10 --explain\n  \
                            cut -d' ' -f1 access.log | sort -u | firmsight resolve - --json")]
    Resolve(Resolve),
    /// Turn access logs into company visits
    #[command(
        after_help = "Files may be plain or packed (.gz .bz2 .xz .zst .lz4 .zip .tar). The same file imported again \
                            adds nothing.\nWhat counts as a pageview: docs/import.md.\n\nExamples:\n  \
                            firmsight import --site shop /var/log/nginx/access.log*\n  \
                            firmsight import --site shop --log-format '%h %l %u %t \"%r\" %>s %b' old.log\n  \
                            firmsight import --site shop --follow /var/log/caddy/access.log"
    )]
    Import(Import),
    /// Add, change, list or remove websites
    #[command(subcommand)]
    Site(Site),
    /// Create, list or revoke keys of the reports API
    #[command(subcommand)]
    Key(Key),
    /// Add, list, reset or remove people who sign in to the dashboard
    #[command(subcommand)]
    Person(Person),
    /// Bring ClickHouse's tables up to date; `serve` does so by itself
    Migrate(Migrate),
    /// Show or refresh the data files that addresses are judged by
    #[command(subcommand)]
    Geoip(Geoip),
    /// Make or look into the file of company profiles: industry, size, address, links
    #[command(subcommand)]
    Companies(Companies),
    /// Check the configuration or show an example of it
    #[command(subcommand)]
    Config(Config),
    /// Copy the database to a folder or an S3-like service; the key file is yours to keep apart
    #[command(after_help = "docs/backup.md says what is in it, how often, and how to restore.")]
    Backup {
        /// A folder on ClickHouse's machine, an S3 address (https://…, s3://…) or disk:NAME/PATH; each backup gets a name of its own there
        #[arg(long, value_name = "PLACE")]
        to: Place,
    },
    /// List or remove the backups in a folder
    #[command(subcommand)]
    Backups(Backups),
    /// Bring a backup into an empty data directory or database
    Restore {
        /// What `backup` printed
        #[arg(long, value_name = "PLACE")]
        from: Place,
    },
    /// Answer the rights of a visitor
    #[command(subcommand)]
    Privacy(Privacy),
    /// Print the manual page
    #[command(hide = true)]
    Manual,
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Host of the website's pages, exactly as in the address bar; may be given several times
    #[arg(long = "host", num_args = 1.., value_name = "HOST")]
    pub(super) hosts: Vec<String>,
    /// The site's id; made of the first host where it is not given
    #[arg(long, value_name = "ID")]
    pub(super) site: Option<SiteId>,
    /// The site's name for people
    #[arg(long)]
    pub(super) name: Option<String>,
    /// IANA time zone in which its days are counted
    #[arg(long, default_value = "UTC", value_name = "TZ")]
    pub(super) timezone: String,
    /// What it asks before anything is stored or sent
    #[arg(long, default_value = "required", value_parser = consent, value_name = "required|cookieless|not-required")]
    pub(super) consent: ConsentMode,
    /// What stands in front of Firmsight
    #[arg(long, value_name = "nginx|caddy|apache|none")]
    pub(super) proxy: Option<Proxy>,
    /// URL by which visitors' browsers will reach Firmsight
    #[arg(long, value_name = "https://HOST")]
    pub(super) public_url: Option<PublicUrl>,
    /// URL by which you will reach the reports
    #[arg(long, value_name = "https://HOST")]
    pub(super) reports_url: Option<ListenUrl>,
    /// Where the data goes: /var/lib/firmsight for root, else ~/.local/share/firmsight
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// IP addresses, host names (judged as confirmed reverse DNS names) or AS and a number; - reads one a line
    #[arg(value_name = "INPUT")]
    pub(super) inputs: Vec<String>,
    /// One JSON object a line, in the order of the inputs
    #[arg(long)]
    pub(super) json: bool,
    /// Show everything that was weighed
    #[arg(long)]
    pub(super) explain: bool,
    /// Ask no reverse DNS
    #[arg(long)]
    pub(super) no_dns: bool,
    /// Lines of `IP name` in place of reverse DNS
    #[arg(long, value_name = "FILE")]
    pub(super) hosts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The site that the log belongs to
    #[arg(long, value_name = "ID")]
    pub(super) site: SiteId,
    /// How lines look
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = format, long_help = formats_help())]
    pub(super) format: FormatChoice,
    /// The log_format of your nginx or the LogFormat of your Apache, as it stands in the configuration
    #[arg(long, value_name = "TEXT", conflicts_with = "format")]
    pub(super) log_format: Option<String>,
    /// IANA zone of times that don't say theirs, such as HAProxy's
    #[arg(long, value_name = "TZ", default_value = "UTC", value_parser = time_zone)]
    pub(super) timezone: TimeZone,
    /// Read what the files hold and whatever comes, also across rotation, until Ctrl-C: for sites without a script
    #[arg(long)]
    pub(super) follow: bool,
    /// Lines of `IP name` in place of reverse DNS
    #[arg(long, value_name = "FILE")]
    pub(super) hosts: Option<PathBuf>,
    /// Access logs; - reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// A named format, or the one the lines show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatChoice {
    Auto,
    Fixed(Format),
}

fn format(text: &str) -> Result<FormatChoice, String> {
    if text == "auto" {
        return Ok(FormatChoice::Auto);
    }
    let known = Format::ALL.into_iter().find(|(_, word, _)| *word == text);
    let words = || Format::ALL.map(|(_, word, _)| word).join(", ");
    known.map(|(format, ..)| FormatChoice::Fixed(format)).ok_or_else(|| format!("allowed are auto, {}", words()))
}

fn formats_help() -> String {
    let mut help = "How lines look:\n  auto      each line by its own form\n".to_owned();
    for (_, word, what) in Format::ALL {
        help += &format!("  {word:<9} {what}\n");
    }
    help
}

fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "no IANA time zone: write one such as Europe/Berlin".to_owned())
}

#[derive(Debug, Subcommand)]
pub(super) enum Site {
    /// Add a site; it is in force when this returns
    Add(SiteAdd),
    /// Change what is given, keep the rest
    Set(SiteSet),
    /// List the sites
    List(List),
    /// Print what the tracker stores in browsers for a site, to be put into a cookie banner or a privacy policy
    Cookies(SiteCookies),
    /// Remove a site; what it stored is deleted after the period retention.deleted_sites, and its id is given to nobody before
    Remove {
        #[arg(long, value_name = "ID")]
        id: SiteId,
        /// Delete everything that is stored of it now; works for a site that was removed before, too
        #[arg(long)]
        purge: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct SiteAdd {
    /// Its id, 1 to 64 characters of A-Z a-z 0-9 _ -
    #[arg(long, value_name = "ID")]
    pub(super) id: SiteId,
    /// Its name for people
    #[arg(long)]
    pub(super) name: String,
    /// Host of its pages, exactly as in the address bar, without port; may be given several times
    #[arg(long = "host", required = true, num_args = 1.., value_name = "HOST")]
    pub(super) hosts: Vec<String>,
    /// IANA time zone in which its days are counted
    #[arg(long, default_value = "UTC", value_name = "TZ")]
    pub(super) timezone: String,
    /// What it asks before anything is stored or sent
    #[arg(long, default_value = "required", value_parser = consent, value_name = "required|cookieless|not-required")]
    pub(super) consent: ConsentMode,
    /// Accept `identify` events
    #[arg(long)]
    pub(super) identify: bool,
    /// Your own networks, whose visits are dropped; may be given several times
    #[arg(long = "own-network", num_args = 1.., value_name = "CIDR", value_parser = network)]
    pub(super) own_networks: Vec<IpNet>,
    /// How long its visitors' ids are kept, in days; not longer than the setting client_id_life of the tracker
    #[arg(long, value_name = "DAYSd", default_value = "400d")]
    pub(super) client_id_life: ClientIdLife,
}

#[derive(Debug, Args)]
pub(super) struct SiteSet {
    /// The site
    #[arg(long, value_name = "ID")]
    pub(super) id: SiteId,
    /// New name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// New hosts, in place of the old ones
    #[arg(long = "host", num_args = 1.., value_name = "HOST")]
    pub(super) hosts: Option<Vec<String>>,
    /// New time zone; visits already counted keep their days
    #[arg(long, value_name = "TZ")]
    pub(super) timezone: Option<String>,
    /// New consent mode
    #[arg(long, value_parser = consent, value_name = "required|cookieless|not-required")]
    pub(super) consent: Option<ConsentMode>,
    /// Whether `identify` events are accepted
    #[arg(long, value_name = "true|false")]
    pub(super) identify: Option<bool>,
    /// Your own networks, in place of the old ones
    #[arg(long = "own-network", num_args = 1.., value_name = "CIDR", value_parser = network)]
    pub(super) own_networks: Option<Vec<IpNet>>,
    /// How long its visitors' ids are kept, in days; not longer than the setting client_id_life of the tracker
    #[arg(long, value_name = "DAYSd")]
    pub(super) client_id_life: Option<ClientIdLife>,
}

#[derive(Debug, Args)]
pub(super) struct SiteCookies {
    /// The site
    #[arg(long, value_name = "ID")]
    pub(super) id: SiteId,
    /// A section of HTML, or JSON
    #[arg(long, value_enum, default_value = "html", value_name = "html|json")]
    pub(super) format: DeclarationFormat,
    /// The language of the texts
    #[arg(long, default_value = "en", value_parser = language, value_name = "en|de|fr")]
    pub(super) language: Language,
}

/// How the cookie declaration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DeclarationFormat {
    Html,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Create a key; prints its token alone, this one time
    Create {
        /// Its name for people
        #[arg(long)]
        name: String,
        /// A site it may read; may be given several times; none means all sites, later ones too
        #[arg(long = "site", num_args = 1.., value_name = "ID")]
        sites: Vec<SiteId>,
        /// What it may do
        #[arg(long, default_value = "read", value_parser = role, value_name = "read|write|admin")]
        role: Role,
        /// How long it works: a number of days such as 90d, or its last day, UTC; without this it never ends
        #[arg(long, value_name = "DAYSd|YYYY-MM-DD", value_parser = expiry)]
        expires: Option<Expiry>,
        /// Requests it may make in a minute, in place of limits.api_requests_per_minute; 0 means any number
        #[arg(long, value_name = "NUMBER")]
        requests_per_minute: Option<u32>,
        /// Requests that it is answered in a month (UTC); without this any number, with 0 none
        #[arg(long, value_name = "NUMBER")]
        requests_per_month: Option<u32>,
    },
    /// List the keys, without their tokens
    List(List),
    /// Revoke a key
    Revoke {
        /// The key's id or name, from `key list`
        #[arg(long, value_name = "ID-OR-NAME")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Person {
    /// Add somebody; prints the link by which they choose a password, this one time
    Add {
        /// The address they sign in with
        #[arg(long, value_name = "ADDRESS")]
        email: Email,
        /// Their name, as others see it
        #[arg(long)]
        name: String,
        /// What they may do
        #[arg(long, default_value = "reader", value_parser = role_of_person, value_name = "reader|editor|admin")]
        role: Role,
        /// A site they see; may be given several times; none means all sites, later ones too
        #[arg(long = "site", num_args = 1.., value_name = "ID")]
        sites: Vec<SiteId>,
    },
    /// List who may sign in
    List(List),
    /// End somebody's sessions and password; prints a new link for them
    Reset {
        /// Their address
        #[arg(value_name = "ADDRESS")]
        email: Email,
    },
    /// Remove somebody; their sessions end
    Remove {
        /// Their address
        #[arg(value_name = "ADDRESS")]
        email: Email,
    },
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Show what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Make replicated tables on this cluster, in place of [clickhouse].cluster
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Geoip {
    /// Which files are used, their dates, age and licences
    Status(List),
    /// Fetch newer files from the sources in `geoip` of the configuration; a running server takes them by itself
    Update,
    /// Make one file of your own or licensed lists of networks and the organisations behind them
    #[command(
        after_help = "Lists are CSV with a header, NDJSON or MMDB, plain, .gz, .bz2, .zst or .zip; docs/company-data.md names the columns.\n\
                            Where networks overlap the narrower one counts, of equal ones the one of the list named first."
    )]
    Build(GeoipBuild),
}

#[derive(Debug, Args)]
pub(super) struct GeoipBuild {
    /// The lists, the one that counts most first; - reads standard input
    #[arg(required = true, value_name = "INPUT")]
    pub(super) inputs: Vec<PathBuf>,
    /// The file to make or to replace
    #[arg(long, value_name = "FILE.mmdb")]
    pub(super) output: PathBuf,
    /// What is written into the file about its sources and licences
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Companies {
    /// Make the file of open data and of your own companies
    #[command(after_help = "Every file may be plain, .gz, .bz2, .zst or .zip. Your own files win over everything.\n\
                            Where to get the others and what they may be used for: docs/company-data.md.")]
    Build(CompaniesBuild),
    /// Show what is known of the company that has a domain
    Show(CompaniesShow),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).multiple(true).args(["wikidata", "wikidata_extract", "listed", "owner", "operators"]))]
pub(super) struct CompaniesBuild {
    /// Wikidata's JSON dump (latest-all.json.bz2); it is read twice
    #[arg(long, value_name = "FILE")]
    pub(super) wikidata: Option<PathBuf>,
    /// The result of a SPARQL query to Wikidata, JSON or CSV, in place of the dump; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) wikidata_extract: Vec<PathBuf>,
    /// Also take the listed companies that come with Firmsight's data files
    #[arg(long)]
    pub(super) listed: bool,
    /// GLEIF's golden copy, level 1, as CSV: completes companies that a source names with their LEI
    #[arg(long, value_name = "FILE")]
    pub(super) gleif: Option<PathBuf>,
    /// GLEIF's golden copy, level 2 relationships, as CSV: who owns whom
    #[arg(long, value_name = "FILE", requires = "gleif")]
    pub(super) gleif_relationships: Option<PathBuf>,
    /// Your own companies, CSV or JSON; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) owner: Vec<PathBuf>,
    /// Also join the domains that an operator of networks has in your ASN database (resolver.databases)
    #[arg(long)]
    pub(super) operators: bool,
    /// The file to make or to replace; resolver.company_profiles where it is not given
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CompaniesShow {
    /// Its domain
    pub(super) domain: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Read the configuration, say what is wrong with it
    Check,
    /// Print every key with its default
    Example,
}

#[derive(Debug, Subcommand)]
pub(super) enum Backups {
    /// List the backups in a folder, newest first
    List {
        /// The folder that `backup --to` was given
        #[arg(long, value_name = "FOLDER")]
        at: PathBuf,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Remove all but the newest backups in a folder
    Prune {
        /// The folder that `backup --to` was given
        #[arg(long, value_name = "FOLDER")]
        at: PathBuf,
        /// How many are kept
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Privacy {
    /// Print everything held of a visitor, one JSON object a line
    Export(Visitor),
    /// Erase everything stored of a visitor
    Erase(Visitor),
    /// Stop counting a company, a network or a visitor, on all sites
    #[command(group = clap::ArgGroup::new("whom").required(true))]
    Object {
        /// A company's domain
        #[arg(long, group = "whom", value_parser = company_domain)]
        domain: Option<Objection>,
        /// A network
        #[arg(long, group = "whom", value_parser = network)]
        cidr: Option<IpNet>,
        /// A visitor's client id
        #[arg(long, group = "whom", value_parser = client)]
        visitor: Option<ClientId>,
        /// Count again who objected before
        #[arg(long)]
        take_back: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Visitor {
    /// The site
    #[arg(long, value_name = "ID")]
    pub(super) site: SiteId,
    /// The client id from the visitor's `_lfa` cookie
    #[arg(long, value_name = "LF1.1.…", value_parser = client)]
    pub(super) visitor: ClientId,
}

fn consent(text: &str) -> Result<ConsentMode, String> {
    [ConsentMode::Required, ConsentMode::Cookieless, ConsentMode::NotRequired]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| "allowed are required, cookieless, not-required".to_owned())
}

fn language(text: &str) -> Result<Language, String> {
    Language::ALL.into_iter().find(|language| language.tag() == text).ok_or_else(|| "allowed are en, de, fr".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "read" => Ok(Role::Read),
        "write" => Ok(Role::Write),
        "admin" => Ok(Role::Admin),
        _ => Err("allowed are read, write, admin".to_owned()),
    }
}

fn role_of_person(text: &str) -> Result<Role, String> {
    let found = [Role::Read, Role::Write, Role::Admin].into_iter().find(|role| person::role_of_person(*role) == text);
    found.ok_or_else(|| "allowed are reader, editor, admin".to_owned())
}

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// So many days from now.
    Days(u16),
    /// With this UTC day.
    LastDay(Date),
}

impl Expiry {
    /// From when on the key is refused.
    pub(super) fn end(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Days(days) => UnixMillis(now.0.saturating_add(i64::from(days) * 86_400_000)),
            Self::LastDay(day) => {
                let next = day.saturating_add(jiff::Span::new().days(1)).to_zoned(TimeZone::UTC);
                UnixMillis(next.map_or(i64::MAX, |start| start.timestamp().as_millisecond()))
            }
        }
    }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| *days > 0).map(Expiry::Days);
    let is_day = text.len() == 10;
    days.or_else(|| text.parse().ok().filter(|_| is_day).map(Expiry::LastDay))
        .ok_or_else(|| "write a number of days such as 90d, or a day such as 2027-12-31".to_owned())
}

/// A network in CIDR form, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    match text.parse() {
        Ok(TrustedProxy::Network(network)) => Ok(network),
        _ => Err("write a network such as 192.0.2.0/24, or an address".to_owned()),
    }
}

fn company_domain(text: &str) -> Result<Objection, String> {
    Objection::of_domain(text).ok_or_else(|| "write a registrable domain such as example.com".to_owned())
}

fn client(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text.as_bytes()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_has_no_contradictions() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_contracts_command_lines_are_understood() {
        for line in [
            "serve",
            "init",
            "init --host www.example.com --site shop --proxy nginx --public-url https://stats.example.com --data-dir /srv/firmsight",
            "reload",
            "resolve 192.0.2.1 example.com AS714 --json --explain --no-dns --hosts names.txt",
            "resolve -",
            "import --site shop --format caddy --hosts names.txt a.log.gz -",
            "site add --id shop --name Shop --host a.example b.example --host c.example --timezone Europe/Berlin --consent cookieless",
            "site set --id shop --name Shop",
            "site list",
            "site remove --id shop",
            "site cookies --id shop",
            "site cookies --id shop --format json --language de",
            "key create --name reports --site shop blog --role admin",
            "key create --name reports --expires 90d --requests-per-minute 600",
            "key create --name reports --expires 2027-12-31",
            "key list",
            "key revoke --id 01890a5d-ac96-774b-bcce-b302099a8057",
            "migrate --dry-run --cluster main",
            "geoip status",
            "geoip update",
            "companies build --wikidata latest-all.json.bz2 --gleif lei.csv --gleif-relationships rr.csv --owner a.csv --owner b.json --output companies",
            "companies show acme.com",
            "geoip build ours.csv licensed.ndjson.gz bought.mmdb --output networks.mmdb",
            "config check",
            "config example --config firmsight.toml",
            "privacy export --site shop --visitor LF1.1.0123456789abcdef.1700000000000",
            "privacy erase --site shop --visitor LF1.1.0123456789abcdef.1700000000000",
            "privacy object --cidr 192.0.2.0/24",
            "backups list --at /srv/backups --json",
            "backups prune --at /srv/backups --keep 14",
            "doctor --json",
            "status",
            "manual",
            "completions bash",
        ] {
            let parsed = Arguments::try_parse_from(std::iter::once("firmsight").chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn a_key_ends_after_days_or_with_a_day() {
        let end = |text| expiry(text).unwrap().end(UnixMillis(1_000)).0;
        assert_eq!(end("2d"), 1_000 + 2 * 86_400_000);
        assert_eq!(end("1970-01-02"), 2 * 86_400_000);
    }

    #[test]
    fn wrong_command_lines_say_what_is_allowed() {
        for (line, part) in [
            ("site add --id a.b --name n --host h", "A-Z a-z 0-9 _ -"),
            ("site add --id a --name n --host h --consent maybe", "cookieless"),
            ("site cookies --id a --language nl", "en, de, fr"),
            ("init --host a.example --proxy squid", "nginx, caddy, apache, none"),
            ("init --host a.example --public-url stats.example.com", "https://stats.example.com"),
            ("key create --name n --role owner", "read, write, admin"),
            ("key create --name n --expires tomorrow", "90d"),
            ("key create --name n --expires 0d", "90d"),
            ("import --site shop --format iis x", "combined"),
            ("privacy erase --site shop --visitor x", "LF1.1."),
            ("privacy object --domain a.example --cidr 192.0.2.1", "cannot be used with"),
        ] {
            let error = Arguments::try_parse_from(std::iter::once("firmsight").chain(line.split(' '))).unwrap_err();
            assert!(error.to_string().contains(part), "{line}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
