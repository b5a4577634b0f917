//! Programs that the build and the tests need beside Rust: found on PATH, else installed from Debian's packages.

use crate::{error::Error, machine};
use std::{env, fs, io::Write, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// A program, the Debian package that has it and what it is for.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) purpose: &'static str,
}

/// What the tests start for real.
pub(crate) const FOR_TESTS: &[Program] = &[
    Program { name: "chromium", package: "chromium", purpose: "a real browser for the tracker's tests" },
    Program { name: "firefox-esr", package: "firefox-esr", purpose: "another real browser for the tracker's tests" },
    Program { name: "nsd", package: "nsd", purpose: "a real DNS server for the resolver's tests" },
    Program {
        name: "python3",
        package: "python3-venv",
        purpose: "an API fuzzer and clients of the reports API in tests",
    },
    Program { name: "curl", package: "curl", purpose: "the manual's examples, which tests run" },
    Program { name: "nginx", package: "nginx-light", purpose: "a reverse proxy in front of the collector in tests" },
    Program { name: "caddy", package: "caddy", purpose: "a reverse proxy in front of the collector in tests" },
    Program { name: "apache2", package: "apache2", purpose: "a reverse proxy in front of the collector in tests" },
    Program { name: "openssl", package: "openssl", purpose: "certificates of the reverse proxies in tests" },
    Program { name: "promtool", package: "prometheus", purpose: "checks metrics and alarm rules" },
    Program { name: "faketime", package: "faketime", purpose: "moves the clock of a collector under test" },
    Program { name: "php", package: "php-cli", purpose: "checks and runs the WordPress example" },
];

/// Whether a program is on PATH or where Debian keeps servers.
pub(crate) fn has(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|folder| folder.join(name).is_file())
}

/// Installs what is missing where that is possible, else says what to type.
pub(crate) fn ensure(programs: &[Program]) -> Result<(), Error> {
    let missing: Vec<&Program> = programs.iter().filter(|program| !has(program.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for program in &missing {
        eprintln!("missing: {} ({})", program.name, program.purpose);
    }
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    install(&packages)
}

/// Installs Debian packages as root, without starting the servers among them.
pub(crate) fn install(packages: &[&str]) -> Result<(), Error> {
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !has("apt-get") || machine::output(Command::new("id").arg("-u"))? != "0" {
        return Err(Error::Missing(format!("not everything needed is installed; as root: {by_hand}")));
    }
    eprintln!("installing Debian packages: {}", packages.join(" "));
    let _kept_quiet = ServersStayDown::new()?;
    machine::output(Command::new("apt-get").args(["update", "--quiet"]))?;
    machine::output(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages),
    )?;
    Ok(())
}

/// While it lives, packages that are installed start no servers (Debian's policy-rc.d).
struct ServersStayDown {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl ServersStayDown {
    fn new() -> Result<Self, Error> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        let mut file = fs::File::create(POLICY).map_err(Error::file(POLICY))?;
        file.write_all(b"#!/bin/sh\nexit 101\n").map_err(Error::file(POLICY))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).map_err(Error::file(POLICY))?;
        Ok(Self { ours: true })
    }
}

impl Drop for ServersStayDown {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            eprintln!(
                "could not remove {POLICY}: remove it by hand, or no server starts when its package is installed"
            );
        }
    }
}
