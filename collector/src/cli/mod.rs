//! The `firmsight` command: what a person types and what they read back.
//!
//! Standard output carries results, standard error everything else. The exit status is 0 when done, 1
//! when it failed (with one sentence on standard error), 2 when the command line is wrong.

mod access;
mod arguments;
mod backups;
mod companies;
mod data_directory;
mod doctor;
mod geoip;
mod geoip_build;
mod hosts_file;
mod import;
mod init;
mod logging;
mod manual;
mod person;
mod resolve;
mod traces;

use crate::{
    config::{self, Config, ConfigError},
    control::NewKey,
    ingest::cookie_declaration::CookieDeclaration,
    objection::Objection,
    plain_text::for_terminal,
    serve::{
        self, ServeError,
        command::{Answer, Command, SiteChange},
        control_socket::{self, CallError},
        engine::Tables,
        reload,
        setup::SetupError,
    },
    site::{Site, SiteId},
    time::UnixMillis,
};
use access::Access;
use arguments::Arguments;
use clap::Parser;
use data_directory::Need;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use traces::Traces;

/// Why a command failed; its text is the sentence that the person reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}")]
    Refused(String),
    #[error("the running server gave an answer of another kind: restart it with this version of firmsight")]
    Answer,
    #[error("can't use the data directory {}: {source}", path.display())]
    DataDirectory { path: PathBuf, source: io::Error },
    #[error(
        "the data directory {} is in use by another process{}: wait until it is done, or stop it",
        path.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { path: PathBuf, holder: Option<u32> },
    #[error(
        "no data in {}: give the configuration of your installation with --config ({}), or begin one with `firmsight init`",
        folder.display(),
        file.as_ref().map_or_else(|| "no file was found".to_owned(), |file| format!("{} was read", file.display()))
    )]
    NoData { folder: PathBuf, file: Option<PathBuf> },
    #[error("can't work as {name}: {source}")]
    Owner { name: String, source: io::Error },
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: not of the form `IP name`", path.display())]
    HostsLine { path: PathBuf, line: usize },
    #[error("{0} file{s} left out, wholly or in part: the summary says which and why", s = if *.0 == 1 { "" } else { "s" })]
    LeftOut(usize),
    #[error("--log-format: {0}")]
    LogFormat(crate::import::format::LayoutError),
    #[error("there is no site {id}: add it with `firmsight site add --id {id} --name NAME --host HOST`", id = .0.as_str())]
    NoSite(SiteId),
    #[error("the site {id} has no host: set one with `firmsight site set --id {id} --host HOST`", id = .0.as_str())]
    NoHost(SiteId),
    #[error("can't write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{0} of the checks above found what doesn't work")]
    Doctor(u64),
    #[error("{0} is not given, and there is no terminal to ask on")]
    Missing(&'static str),
    #[error("can't read standard input: {0}")]
    Input(io::Error),
    #[error("can't write standard output: {0}")]
    Output(io::Error),
    #[error("inputs that are neither an IP address nor a host name nor AS<number>: {0}")]
    UnreadableInputs(u64),
    #[error("can't start: {0}")]
    Runtime(io::Error),
    #[error("can't start logging: {0}")]
    Log(String),
    #[error(transparent)]
    Profiles(#[from] firmsight_resolver::ProfilesError),
    #[error("nothing is known of {0}")]
    NoProfile(String),
    #[error(
        "{} is not among the data files: `cargo xtask data` fetches it, or name it in resolver.databases",
        geoip_data::LISTED_COMPANIES
    )]
    NoListedCompanies,
    #[error(transparent)]
    Build(#[from] firmsight_resolver::network_lists::BuildError),
    /// The command line is wrong in a way that its definition can't say.
    #[error("{0}")]
    Usage(&'static str),
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as with `| head`.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firmsight: {}", for_terminal(&error.to_string()));
            ExitCode::from(if matches!(error, CliError::Usage(_) | CliError::Missing(_)) { 2 } else { 1 })
        }
    }
}

fn run(arguments: Arguments) -> Result<(), CliError> {
    let file = config::find(arguments.config.as_deref(), |name| std::env::var(name).ok(), Path::exists);
    // These read no configuration, or write it.
    let command = match arguments.command {
        arguments::Command::Config(arguments::Config::Example) => return print(config::EXAMPLE),
        arguments::Command::Manual => return manual::page(),
        arguments::Command::Completions { shell } => return manual::completions(shell),
        arguments::Command::Init(init) => return init::run(init, file),
        command => command,
    };
    let config = load(file.as_deref())?;
    data_directory::prepare(&config, Need::of(&command, file.is_some()), file.as_deref())?;
    let is_server = matches!(command, arguments::Command::Serve);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let traces_to = config.log.traces_to.get().filter(|_| is_server);
    let traces = traces_to.map(|address| Traces::to(address, runtime.handle().clone())).transpose()?;
    let set_log_level = logging::start(&config.log, is_server, traces.as_ref())?;
    let outcome = match command {
        arguments::Command::Doctor(arguments::List { json }) => {
            runtime.block_on(doctor::run(&config, file.as_deref(), json))
        }
        arguments::Command::Status(arguments::List { json }) => {
            runtime.block_on(doctor::status(&config, file.as_deref(), json))
        }
        command => {
            let configuration = reload::Source { read_again: Box::new(move || load(file.as_deref())), set_log_level };
            runtime.block_on(dispatch(config, configuration, command))
        }
    };
    if let Some(traces) = traces {
        traces.stop();
    }
    // A thread may still wait for standard input, which nobody needs any more.
    runtime.shutdown_background();
    outcome
}

/// Reads the file, where there is one, and the environment. Variables that are not UTF-8 can't be ours.
fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(file, environment)
}

async fn dispatch(config: Config, configuration: reload::Source, command: arguments::Command) -> Result<(), CliError> {
    use arguments::Command as Typed;
    match command {
        Typed::Serve => Ok(serve::run_until_signal(config, configuration).await?),
        Typed::Reload => reload(&config).await,
        Typed::Resolve(arguments) => resolve::run(&config, arguments).await,
        // `run` did these.
        Typed::Config(arguments::Config::Example)
        | Typed::Init(_)
        | Typed::Doctor(_)
        | Typed::Status(_)
        | Typed::Manual
        | Typed::Completions { .. } => Ok(()),
        Typed::Config(arguments::Config::Check) => {
            serve::check(&config).await?;
            print("the configuration is in order\n")
        }
        Typed::Geoip(arguments::Geoip::Status(arguments::List { json })) => geoip::status(&config, json),
        Typed::Geoip(arguments::Geoip::Update) => geoip::update(&config).await,
        Typed::Companies(arguments::Companies::Build(arguments)) => print(&companies::build(&config, arguments)?),
        Typed::Companies(arguments::Companies::Show(arguments)) => print(&companies::show(&config, &arguments)?),
        Typed::Geoip(arguments::Geoip::Build(arguments)) => print(&geoip_build::run(&arguments)?),
        Typed::Migrate(arguments) => {
            let mut config = config;
            if let Some(cluster) = arguments.cluster {
                config.clickhouse.cluster = cluster;
            }
            let (dry_run, cluster) = (arguments.dry_run, config.clickhouse.cluster.clone());
            let access = Access::open(&config, Tables::AsTheyAre).await?;
            let answer = access.execute(Command::Migrate { dry_run, cluster }).await;
            access.close().await;
            let answer = answer?;
            let Answer::Migrations(names) = answer else { return Err(CliError::Answer) };
            print(&match (names.is_empty(), dry_run) {
                (true, _) => "the tables are up to date\n".to_owned(),
                (false, true) => format!("would run: {}\n", names.join(", ")),
                (false, false) => format!("ran: {}\n", names.join(", ")),
            })
        }
        Typed::Site(command) => site(&config, command).await,
        Typed::Key(command) => key(&config, command).await,
        Typed::Person(command) => person::run(&config, command).await,
        Typed::Import(arguments) => {
            let access = Access::open(&config, Tables::UpToDate).await?;
            let (summary, outcome) = import::run(&config, &access, arguments).await;
            access.close().await;
            print(&summary)?;
            outcome
        }
        Typed::Backup { to } => {
            let Answer::BackedUp(made) = with_engine(&config, Command::BackUp(to)).await? else {
                return Err(CliError::Answer);
            };
            eprintln!("the key file {} is not in it: keep a copy of that apart", config.key_file().display());
            print(&format!("{}\n", made.place))
        }
        Typed::Backups(arguments::Backups::List { at, json }) => backups::list(&at, json),
        Typed::Backups(arguments::Backups::Prune { at, keep }) => backups::prune(&at, keep.into()),
        Typed::Restore { from } => {
            let access = Access::open(&config, Tables::AsTheyAre).await?;
            let outcome = access.execute(Command::Restore(from)).await;
            access.close().await;
            outcome?;
            print("restored\n")
        }
        Typed::Privacy(arguments::Privacy::Erase(visitor)) => {
            with_engine(&config, Command::EraseVisitor { site: visitor.site, visitor: visitor.visitor }).await?;
            print("erased\n")
        }
        Typed::Privacy(arguments::Privacy::Export(visitor)) => {
            let access = Access::open(&config, Tables::UpToDate).await?;
            let outcome = export(&access, visitor).await;
            access.close().await;
            outcome
        }
        Typed::Privacy(arguments::Privacy::Object { domain, cidr, visitor, take_back }) => {
            let objection = domain.or(cidr.map(Objection::of_network)).or(visitor.map(Objection::of_visitor));
            let objection = objection.ok_or(CliError::Usage("name a company, a network or a visitor"))?;
            let kind = objection.kind();
            if take_back {
                with_engine(&config, Command::TakeObjectionBack(objection)).await?;
                print(&format!("this {kind} is counted again\n"))
            } else {
                with_engine(&config, Command::Object(objection)).await?;
                print(&format!("this {kind} is not counted from now on; what is stored stays\n"))
            }
        }
    }
}

/// Has the running server read its configuration again; says what it took and what it didn't.
async fn reload(config: &Config) -> Result<(), CliError> {
    let Answer::Reloaded(changes) = control_socket::call(&config.data_dir, &Command::Reload).await? else {
        return Err(CliError::Answer);
    };
    let mut text = String::new();
    if !changes.taken.is_empty() {
        text += &format!("in force: {}\n", changes.taken.join(", "));
    }
    if !changes.after_restart.is_empty() {
        text += &format!("after a restart: {}\n", changes.after_restart.join(", "));
    }
    if text.is_empty() {
        text += "nothing changed in the configuration; data files and name servers were looked at\n";
    }
    print(&text)
}

/// Prints part after part, so that no visitor is too large.
async fn export(access: &Access, arguments::Visitor { site, visitor }: arguments::Visitor) -> Result<(), CliError> {
    let mut from = 0;
    loop {
        let answer = access.execute(Command::ExportVisitor { site: site.clone(), visitor, from }).await?;
        let Answer::Lines(lines) = answer else { return Err(CliError::Answer) };
        if lines.is_empty() {
            return Ok(());
        }
        from += lines.lines().count() as u64;
        print(&lines)?;
    }
}

async fn with_engine(config: &Config, command: Command) -> Result<Answer, CliError> {
    let access = Access::open(config, Tables::UpToDate).await?;
    let outcome = access.execute(command).await;
    access.close().await;
    outcome
}

async fn site(config: &Config, typed: arguments::Site) -> Result<(), CliError> {
    match typed {
        arguments::Site::Add(site) => {
            let site = Site {
                id: site.id,
                name: site.name,
                hosts: site.hosts,
                timezone: site.timezone,
                consent: site.consent,
                identify: site.identify,
                own_networks: site.own_networks,
                client_id_life: site.client_id_life,
            };
            let id = site.id.clone();
            with_engine(config, Command::AddSite(site)).await?;
            print(&format!("site {id} is in force\n"))
        }
        arguments::Site::Set(site) => {
            let change = SiteChange {
                name: site.name,
                hosts: site.hosts,
                timezone: site.timezone,
                consent: site.consent,
                identify: site.identify,
                own_networks: site.own_networks,
                client_id_life: site.client_id_life,
            };
            with_engine(config, Command::SetSite(site.id.clone(), change)).await?;
            print(&format!("site {} is in force\n", site.id))
        }
        arguments::Site::List(arguments::List { json }) => {
            let Answer::Sites(sites) = with_engine(config, Command::ListSites).await? else {
                return Err(CliError::Answer);
            };
            let line = |site: &Site| match json {
                true => serde_json::json!(site).to_string(),
                false => format!(
                    "{}\t{}\t{}\t{}\t{}",
                    site.id,
                    site.name,
                    site.hosts.join(" "),
                    site.timezone,
                    site.consent.as_str()
                ),
            };
            print(&sites.iter().map(|site| line(site) + "\n").collect::<String>())
        }
        arguments::Site::Cookies(arguments::SiteCookies { id, format, language }) => {
            let Answer::Sites(sites) = with_engine(config, Command::ListSites).await? else {
                return Err(CliError::Answer);
            };
            let site = sites.iter().find(|site| site.id == id).ok_or(CliError::NoSite(id))?;
            let endpoint_path = config.tracker.endpoint_path.as_str();
            let life = config.tracker.client_id_life;
            let declaration = CookieDeclaration::of(site, endpoint_path, life, language);
            print(&match format {
                arguments::DeclarationFormat::Html => declaration.to_html(),
                arguments::DeclarationFormat::Json => serde_json::json!(declaration).to_string() + "\n",
            })
        }
        arguments::Site::Remove { id, purge } => {
            with_engine(config, Command::RemoveSite { id: id.clone(), purge }).await?;
            print(&if purge {
                format!("site {id} is removed, and everything that was stored of it is deleted; its id is free\n")
            } else {
                format!(
                    "site {id} is removed: its beacons are refused from now on. What was stored of it stays until retention \
                     takes it, and its id can't be given again before; --purge deletes all of it now\n"
                )
            })
        }
    }
}

async fn key(config: &Config, typed: arguments::Key) -> Result<(), CliError> {
    match typed {
        arguments::Key::Create { name, sites, role, expires, requests_per_minute, requests_per_month } => {
            let sites = (!sites.is_empty()).then_some(sites);
            let expires_at = expires.map(|expires| expires.end(UnixMillis::now()));
            let key = NewKey { name, sites, role, expires_at, requests_per_minute, requests_per_month, user: None };
            match with_engine(config, Command::CreateKey(key)).await? {
                Answer::Token(token) => print(&format!("{token}\n")),
                _ => Err(CliError::Answer),
            }
        }
        arguments::Key::List(arguments::List { json }) => {
            let Answer::Keys(keys) = with_engine(config, Command::ListKeys).await? else {
                return Err(CliError::Answer);
            };
            let line = |key: &serve::command::ListedKey| {
                let role = serde_json::json!(key.role);
                let time = |at: UnixMillis| {
                    jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
                };
                let created = time(key.created_at);
                let (expires, last_used) = (key.expires_at.map(time), key.last_used_at.map(time));
                let sites: Option<Vec<&str>> =
                    key.sites.as_ref().map(|sites| sites.iter().map(SiteId::as_str).collect());
                if json {
                    let id = key.id;
                    serde_json::json!({
                        "id": id, "name": key.name, "sites": sites, "role": role, "created_at": created,
                        "expires_at": expires, "last_used_at": last_used,
                    })
                    .to_string()
                } else {
                    let sites = sites.map_or_else(|| "all sites".to_owned(), |sites| sites.join(" "));
                    let expires = expires.map_or_else(|| "never expires".to_owned(), |end| format!("expires {end}"));
                    let used = last_used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
                    let role = role.as_str().unwrap_or_default();
                    format!("{}\t{}\t{role}\t{sites}\t{created}\t{expires}\t{used}", key.id, key.name)
                }
            };
            print(&keys.iter().map(|key| line(key) + "\n").collect::<String>())
        }
        arguments::Key::Revoke { id } => {
            with_engine(config, Command::RevokeKey(id.clone())).await?;
            print(&format!("key {id} is revoked\n"))
        }
    }
}

/// The one way to standard output: what came from outside can't steer the terminal.
fn print(text: &str) -> Result<(), CliError> {
    let mut output = io::stdout().lock();
    output.write_all(for_terminal(text).as_bytes()).and_then(|()| output.flush()).map_err(CliError::Output)
}
