//! `cargo xtask demo`: a collector, an example shop with a real consent banner, and visitors.

mod shop;
mod traffic;

use crate::{build, data, error::Error, machine};
use geoip_data::{Package, Registry};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The consent banner on the example pages, taken from its package at set-up.
const KLARO: Package = Package {
    registry: Registry::Npm,
    name: "klaro",
    version: "0.7.22",
    sha256: "da7f3f4a9e3931da6c32c2667312736837e702316ae03835a0e726ae94eb3f2a",
    files: &[("package/dist/klaro.js", "klaro.js"), ("package/LICENSE", "klaro-LICENSE.txt")],
    content: "a consent banner",
    licence: "BSD-3-Clause",
    attribution: "",
};

const SITE: &str = "demo";

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Visits that the traffic generator makes.
    #[arg(long, default_value_t = 400)]
    visits: u32,
    /// Show the result and stop, instead of serving until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Public listener of the collector.
    #[arg(long, default_value = "127.0.0.1:8080")]
    public: SocketAddr,
    /// Admin listener of the collector: reports API and metrics.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// The example shop.
    #[arg(long, default_value = "127.0.0.1:8090")]
    shop: SocketAddr,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    build::run()?;
    let vendor = geoip_data::cache_folder().ok_or_else(|| Error::Missing("HOME is not set".to_owned()))?.join("demo");
    data::install(&KLARO, &vendor)?;

    let folder = machine::target().join("demo");
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let config = write_configuration(&folder, arguments)?;
    eprintln!("starting the collector");
    let mut collector = Collector::start(&config, arguments.public)?;
    let key = prepare_site(&config, &folder)?;
    shop::serve(arguments.shop, &vendor, arguments.public)?;

    eprintln!("making {} visits through http://{}/lfa", arguments.visits, arguments.public);
    let sent = traffic::send(arguments.public, arguments.shop, SITE, arguments.visits)?;
    eprintln!(
        "sent {} beacons with {} events for {} visits, {} of them from homes and data centres",
        sent.beacons, sent.events, sent.visits, sent.visits_not_from_companies
    );
    let leads = wait_for_leads(arguments.admin, &key)?;
    println!("{}", explanation(arguments, &key, &leads));
    if !arguments.once {
        eprintln!("serving until Ctrl-C");
        collector.wait()?;
    }
    Ok(())
}

fn write_configuration(folder: &Path, arguments: &Arguments) -> Result<PathBuf, Error> {
    let path = folder.join("firmsight.toml");
    let text = format!(
        "# Made by `cargo xtask demo`. The example shop stands in front of the collector like a reverse proxy,\n\
         # so the loopback is a trusted proxy here.\n\
         data_dir = {:?}\n\n[public]\nlisten = \"{}\"\ntrusted_proxies = [\"loopback\"]\n\n\
         [admin]\nlisten = \"{}\"\nbase_url = \"http://{}\"\n",
        folder.join("data"),
        arguments.public,
        arguments.admin,
        arguments.admin
    );
    fs::write(&path, text).map_err(Error::file(&path))?;
    Ok(path)
}

fn firmsight(config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(build::binary());
    command.args(words).arg("--config").arg(config);
    command
}

/// The example site and a key for the reports, made on the first run and kept for the next.
fn prepare_site(config: &Path, folder: &Path) -> Result<String, Error> {
    let sites = machine::output(&mut firmsight(config, &["site", "list"]))?;
    if !sites.lines().any(|line| line.split_whitespace().any(|word| word == SITE)) {
        let add = ["site", "add", "--id", SITE, "--name", "Example shop", "--host", "localhost", "--host", "127.0.0.1"];
        machine::output(&mut firmsight(config, &add))?;
    }
    let kept = folder.join("key");
    if let Ok(key) = fs::read_to_string(&kept) {
        return Ok(key);
    }
    let key = machine::output(&mut firmsight(config, &["key", "create", "--name", "demo"]))?;
    fs::write(&kept, &key).map_err(Error::file(&kept))?;
    Ok(key)
}

/// The collector, ended with this process.
struct Collector {
    child: Child,
}

impl Collector {
    fn start(config: &Path, public: SocketAddr) -> Result<Self, Error> {
        let mut serve = machine::ended_with_us(&firmsight(config, &["serve"]));
        let child = machine::start(serve.stdin(Stdio::null()))?;
        let mut collector = Self { child };
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if ureq::get(format!("http://{public}/readyz")).call().is_ok() {
                return Ok(collector);
            }
            if let Ok(Some(status)) = collector.child.try_wait() {
                return Err(Error::Failed { command: "firmsight serve".to_owned(), status: status.to_string() });
            }
            thread::park_timeout(Duration::from_millis(100));
        }
        Err(Error::Other("the collector was not ready within 60 s".to_owned()))
    }

    fn wait(&mut self) -> Result<(), Error> {
        self.child.wait().map(drop).map_err(Error::file("firmsight serve"))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        machine::end(&mut self.child, "the collector");
    }
}

/// Asks the reports API until the visits have arrived there.
fn wait_for_leads(admin: SocketAddr, key: &str) -> Result<Vec<(String, u64)>, Error> {
    let address =
        format!("http://{admin}/accounts/{SITE}/leads?start_date=2000-01-01&end_date=2099-12-31&page[size]=100");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = 0;
    loop {
        let leads = leads(&address, key)?;
        let visits: u64 = leads.iter().map(|(_, visits)| visits).sum();
        if visits > 0 && visits == before || Instant::now() > deadline {
            return Ok(leads);
        }
        before = visits;
        thread::park_timeout(Duration::from_secs(3));
    }
}

fn leads(address: &str, key: &str) -> Result<Vec<(String, u64)>, Error> {
    let text = ureq::get(address)
        .header("Authorization", format!("Token token={key}"))
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string())
        .map_err(|error| Error::Other(format!("the reports API: {error}")))?;
    let document: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Error::Other(format!("the reports API: {error}")))?;
    let mut leads: Vec<(String, u64)> = document["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|lead| {
            let attributes = &lead["attributes"];
            (attributes["name"].as_str().unwrap_or_default().to_owned(), attributes["visits"].as_u64().unwrap_or(0))
        })
        .collect();
    leads.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    Ok(leads)
}

fn explanation(arguments: &Arguments, key: &str, leads: &[(String, u64)]) -> String {
    let mut text = format!("\n{} companies visited the example shop; the first ten:\n", leads.len());
    for (name, visits) in leads.iter().take(10) {
        text.push_str(&format!("  {visits:>4} visits  {name}\n"));
    }
    let (admin, shop) = (arguments.admin, arguments.shop);
    text.push_str(&format!(
        "\nThe example shop, with its consent banner:   http://{shop}/\n\
         The same, seen as if from inside Apple:      http://{shop}/?from=17.253.144.10\n\
         \nLook at the result:\n  \
         curl -H 'Authorization: Token token={key}' 'http://{admin}/accounts/{SITE}/leads?start_date=2000-01-01&end_date=2099-12-31'\n  \
         curl -H 'Authorization: Token token={key}' 'http://{admin}/accounts/{SITE}/visits?start_date=2000-01-01&end_date=2099-12-31'\n  \
         curl -H 'X-API-KEY: {key}' 'http://{admin}/companies?ip=17.253.144.10'\n  \
         curl 'http://{admin}/metrics'\n"
    ));
    text
}
