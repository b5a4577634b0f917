//! `firmsight init`: from nothing to a configuration, a data directory with a site in it, and the lines for page and proxy.
//!
//! What is there already is kept: an existing configuration is used as it is, an existing site stays. So it can be run again,
//! with other flags, to see the proxy's lines once more. What must be known and was not given is asked where there is a terminal.

mod proxy;
mod questions;

pub(super) use proxy::Proxy;

use super::{CliError, arguments::Init, data_directory, print};
use crate::{
    config::{self, Config, PublicUrl},
    serve::lock::{Attempt, DataDirectoryLock},
    site::SiteId,
};
use rustix::process;
use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

/// Where a machine's installation has its configuration and its data.
const SYSTEM_FILE: &str = "/etc/firmsight/firmsight.toml";
const SYSTEM_DATA: &str = "/var/lib/firmsight";
/// The user that the packages make for the service.
const SERVICE_USER: &str = "firmsight";

/// What has to be known.
struct Plan {
    file: PathBuf,
    data_dir: PathBuf,
    site: SiteId,
    name: String,
    hosts: Vec<String>,
    public_url: PublicUrl,
    reports_url: String,
    proxy: Proxy,
}

/// Does it; `file` is the configuration that was named or found.
pub(super) fn run(arguments: Init, file: Option<PathBuf>) -> Result<(), CliError> {
    let (timezone, consent) = (arguments.timezone.clone(), arguments.consent);
    let plan = questions::plan(arguments, file)?;
    let config = configuration(&plan)?;
    make_data_directory(&config.data_dir)?;
    add_site(&plan, &timezone, consent.as_str())?;
    print(&next_steps(&plan, &config))
}

/// Writes the file where there is none, then reads it.
fn configuration(plan: &Plan) -> Result<Config, CliError> {
    let path = &plan.file;
    if path.exists() {
        eprintln!("firmsight: {} is there and stays as it is", path.display());
    } else {
        let failed = |source| CliError::Write { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        // Passwords and tokens will be written into it.
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).map_err(failed)?;
        file.write_all(text(plan).as_bytes()).map_err(failed)?;
        if let Some((_, group)) = service_user() {
            chown(path, None, Some(group)).map_err(failed)?;
        }
        eprintln!("firmsight: wrote {}", path.display());
    }
    let environment =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(config::load(Some(path), environment)?)
}

/// The configuration of this plan; every other key stays at its default.
fn text(plan: &Plan) -> String {
    let (listen, trusted) = match plan.proxy {
        Proxy::None => ("0.0.0.0:8080", ""),
        _ => ("127.0.0.1:8080", "trusted_proxies = [\"loopback\"]\n"),
    };
    format!(
        "# Written by `firmsight init`. `firmsight config example` prints every key with its default; what is not here is at it.\n\
         data_dir = {:?}\n\n[public]\nlisten = \"{listen}\"\nbase_url = \"{}\"\n{trusted}\n\
         [admin]\nlisten = \"127.0.0.1:8081\"\nbase_url = \"{}\"\n",
        plan.data_dir, plan.public_url, plan.reports_url
    )
}

/// Makes the directory with its lock, which shows that it is one; the service's user owns it where there is such a user.
fn make_data_directory(folder: &Path) -> Result<(), CliError> {
    let failed = |source| CliError::DataDirectory { path: folder.to_owned(), source };
    let is_new = !folder.exists();
    data_directory::keep_private();
    match DataDirectoryLock::try_take(folder).map_err(failed)? {
        Attempt::HeldBy(_) => return Ok(()),
        Attempt::Taken(lock) => drop(lock),
    }
    let owner = if is_new { service_user() } else { data_directory::other_owner(folder) };
    if let Some((user, group)) = owner {
        for path in [folder.to_owned(), folder.join("lock")] {
            chown(path, Some(user), Some(group)).map_err(failed)?;
        }
    }
    Ok(())
}

/// The user and group of the packages' service, where root runs this.
fn service_user() -> Option<(u32, u32)> {
    if !process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> =
        passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == SERVICE_USER)?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// Adds the site by a command of its own, which works as the owner of the directory.
fn add_site(plan: &Plan, timezone: &str, consent: &str) -> Result<(), CliError> {
    let program = env::current_exe().map_err(CliError::Runtime)?;
    let command = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--config").arg(&plan.file).args(words);
        command
    };
    let listed = command(&["site", "list", "--json"]).stderr(std::process::Stdio::inherit()).output();
    let listed = listed.map_err(CliError::Runtime)?;
    let is_there = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .any(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|site| site["id"] == plan.site.as_str()));
    if is_there {
        eprintln!("firmsight: the site {} is there and stays as it is", plan.site);
        return Ok(());
    }
    let mut add = command(&["site", "add", "--id", plan.site.as_str(), "--name", &plan.name, "--timezone", timezone]);
    add.args(["--consent", consent]);
    plan.hosts.iter().for_each(|host| {
        add.args(["--host", host]);
    });
    let status = add.stdout(io::stderr()).status().map_err(CliError::Runtime)?;
    // The command said why.
    if status.success() { Ok(()) } else { Err(CliError::Refused("the site was not added".to_owned())) }
}

/// What to put where, and what to type next.
fn next_steps(plan: &Plan, config: &Config) -> String {
    let file = plan.file.display();
    let base = config.public.base_url.get().map_or_else(|| format!("http://{}", config.public.listen), str::to_owned);
    let script = config.tracker.script_path.as_str();
    let mut text = format!(
        "\nOn every page of {}, before </head>:\n\n    <script async src=\"{base}{script}\" data-site=\"{}\"></script>\n",
        plan.hosts.join(", "),
        plan.site
    );
    if let Some(lines) = plan.proxy.lines(&base, config.admin.base_url.as_str()) {
        text += &format!("\n{lines}");
    }
    text += &format!(
        "\nThen:\n  1. start it: {}\n  2. see what is missing: firmsight --config {file} doctor\n  \
         3. make a key for the reports: firmsight --config {file} key create --name reports\n",
        if plan.file == Path::new(SYSTEM_FILE) {
            "systemctl enable --now firmsight".to_owned()
        } else {
            format!("firmsight --config {file} serve")
        }
    );
    if config.admin.base_url.as_str().contains("127.0.0.1") {
        text += "Links in reports lead to this machine alone while [admin].base_url is a loopback address.\n";
    }
    text
}
