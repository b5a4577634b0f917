//! What `init` has to know: from flags, else asked.

use super::{Plan, Proxy, SYSTEM_DATA, SYSTEM_FILE};
use crate::cli::{CliError, arguments::Init};
use crate::{config, site::SiteId};
use rustix::process;
use std::{
    env,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    str::FromStr,
};

/// Completes the flags. Without a terminal nothing is asked: what is missing is named then.
pub(super) fn plan(arguments: Init, file: Option<PathBuf>) -> Result<Plan, CliError> {
    let hosts = match arguments.hosts {
        hosts if hosts.is_empty() => {
            vec![ask("Host of the website's pages, as in the address bar (www.example.com)", "--host")?]
        }
        hosts => hosts,
    };
    let first_host = hosts.first().map(String::as_str).unwrap_or_default();
    let default_id = first_host.strip_prefix("www.").unwrap_or(first_host).replace(['.', ':'], "-");
    let site = match arguments.site {
        Some(site) => site,
        None => default_id.parse::<SiteId>().map_err(|error| CliError::Refused(format!("{error}; give --site ID")))?,
    };
    let proxy = match arguments.proxy {
        Some(proxy) => proxy,
        None => ask("Reverse proxy in front: nginx, caddy, apache or none", "--proxy")?,
    };
    let public_url = match arguments.public_url {
        Some(url) => url,
        None if proxy == Proxy::None => config::PublicUrl::default(),
        None => ask("URL by which browsers will reach Firmsight (https://stats.example.com)", "--public-url")?,
    };
    let is_root = process::geteuid().is_root();
    let home = || env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    Ok(Plan {
        file: file.unwrap_or_else(|| {
            let user_file = || config::user_file(|name| env::var(name).ok());
            if is_root { SYSTEM_FILE.into() } else { user_file().unwrap_or_else(|| "firmsight.toml".into()) }
        }),
        data_dir: match arguments.data_dir {
            Some(folder) => std::path::absolute(folder).map_err(CliError::Input)?,
            None if is_root => SYSTEM_DATA.into(),
            None => home().join(".local/share/firmsight"),
        },
        name: arguments.name.unwrap_or_else(|| first_host.to_owned()),
        reports_url: arguments
            .reports_url
            .map_or_else(|| "http://127.0.0.1:8081".to_owned(), |url| url.as_str().to_owned()),
        site,
        hosts,
        public_url,
        proxy,
    })
}

/// Asks until the answer can be read.
fn ask<T: FromStr<Err: std::fmt::Display>>(question: &str, flag: &'static str) -> Result<T, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Missing(flag));
    }
    loop {
        eprint!("{question}: ");
        io::stderr().flush().map_err(CliError::Output)?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).map_err(CliError::Input)? == 0 {
            return Err(CliError::Missing(flag));
        }
        match line.trim() {
            "" => {}
            answer => match answer.parse() {
                Ok(answer) => return Ok(answer),
                Err(error) => eprintln!("{error}"),
            },
        }
    }
}
