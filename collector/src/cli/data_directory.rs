//! Which commands may make a data directory, and as which user they work in one.
//!
//! Only `serve` and `init` make a data directory, and `site add` and `key create` while there is no configuration file at all:
//! a command typed in the wrong folder must not begin an empty installation and then report on it. Run by root beside a service
//! user, a command takes the identity of the directory's owner, so that the service still reads what the command wrote.

use super::{
    CliError,
    arguments::{Command, Companies, Geoip, Key, Site},
};
use crate::{config::Config, serve::control_socket};
use rustix::{fs::Mode, process};
use std::{
    fs, io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
};

/// Any of these in a folder shows that a collector worked there.
const TRACES: [&str; 4] = ["lock", "master.key", "control.snapshot", "clickhouse"];
/// What a collector writes is for its own user alone.
const PRIVATE_UMASK: u32 = 0o077;

/// What a command needs of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It doesn't touch it.
    Nothing,
    /// One that a collector made.
    Data,
    /// The folder alone: what was in it comes back.
    Folder,
    /// It is made where it is missing.
    Made,
}

impl Need {
    /// The rule of the contract; `has_file` says whether there is a configuration file.
    pub(super) fn of(command: &Command, has_file: bool) -> Self {
        match command {
            Command::Resolve(_)
            | Command::Config(_)
            | Command::Backups(_)
            | Command::Init(_)
            | Command::Doctor(_)
            | Command::Status(_)
            | Command::Manual
            | Command::Completions { .. }
            | Command::Geoip(Geoip::Status(_) | Geoip::Build(_))
            | Command::Companies(Companies::Show(_)) => Self::Nothing,
            Command::Companies(Companies::Build(build)) if build.output.is_some() => Self::Nothing,
            Command::Serve => Self::Made,
            Command::Site(Site::Add(_)) | Command::Key(Key::Create { .. }) if !has_file => Self::Made,
            Command::Restore { .. } => Self::Folder,
            _ => Self::Data,
        }
    }
}

/// Refuses a directory that the command may not make, and takes its owner's identity where root typed the command.
/// Returns as another process in the latter case, with the same command line.
pub(super) fn prepare(config: &Config, need: Need, file: Option<&Path>) -> Result<(), CliError> {
    if need == Need::Nothing {
        return Ok(());
    }
    keep_private();
    let folder = &config.data_dir;
    let is_there = match need {
        Need::Data => has_traces(folder),
        _ => fs::metadata(folder).map(|metadata| metadata.is_dir()),
    };
    match is_there {
        Ok(true) => as_owner(folder),
        Ok(false) => no_data(folder, need, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => no_data(folder, need, file),
        Err(source) => Err(CliError::DataDirectory { path: absolute(folder), source }),
    }
}

/// Has what this process makes from now on be its user's alone, backups included.
pub(super) fn keep_private() {
    process::umask(Mode::from_raw_mode(PRIVATE_UMASK));
}

/// Whether a collector worked in this folder.
pub(super) fn has_traces(folder: &Path) -> io::Result<bool> {
    // Listing fails where the folder is another user's, and says so.
    fs::read_dir(folder)?;
    Ok(TRACES.iter().any(|name| folder.join(name).exists()))
}

fn no_data(folder: &Path, need: Need, file: Option<&Path>) -> Result<(), CliError> {
    let folder = absolute(folder);
    if need == Need::Made {
        let configured = if file.is_some() { "" } else { ", because no configuration file names another" };
        eprintln!("firmsight: the data goes to the new directory {}{configured}", folder.display());
        return Ok(());
    }
    Err(CliError::NoData { folder, file: file.map(absolute) })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Runs this command again as the directory's owner where root runs it and somebody else owns it, and no server will carry
/// it out.
fn as_owner(folder: &Path) -> Result<(), CliError> {
    let metadata = fs::metadata(folder).map_err(|source| CliError::DataDirectory { path: absolute(folder), source })?;
    let (user, group) = (metadata.uid(), metadata.gid());
    let is_answered = || std::os::unix::net::UnixStream::connect(control_socket::path(folder)).is_ok();
    if !process::geteuid().is_root() || user == 0 || is_answered() {
        return Ok(());
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = user_name(&passwd, user).map_or_else(|| format!("user {user}"), str::to_owned);
    eprintln!("firmsight: working as {name}, who owns {}", absolute(folder).display());
    // Set-uid programs aside, this drops root's supplementary groups too.
    let program = std::env::current_exe().map_err(CliError::Runtime)?;
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).uid(user).gid(group).exec();
    Err(CliError::Owner { name, source: error })
}

/// The user and group that a folder belongs to, where root runs this and they are not root's.
pub(super) fn other_owner(folder: &Path) -> Option<(u32, u32)> {
    let metadata = fs::metadata(folder).ok()?;
    (process::geteuid().is_root() && metadata.uid() != 0).then(|| (metadata.uid(), metadata.gid()))
}

/// A user's name in the text of `/etc/passwd`.
fn user_name(passwd: &str, id: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::arguments::Arguments, *};
    use clap::Parser;

    #[test]
    fn only_serve_makes_a_directory_and_adding_does_while_there_is_no_file() {
        for (line, with_file, without) in [
            ("serve", Need::Made, Need::Made),
            ("site add --id a --name a --host a.example", Need::Data, Need::Made),
            ("key create --name a", Need::Data, Need::Made),
            ("site list", Need::Data, Need::Data),
            ("backup --to /backups", Need::Data, Need::Data),
            ("import --site a access.log", Need::Data, Need::Data),
            ("migrate", Need::Data, Need::Data),
            ("reload", Need::Data, Need::Data),
            ("geoip update", Need::Data, Need::Data),
            ("companies build --owner a.csv", Need::Data, Need::Data),
            ("companies build --owner a.csv --output b", Need::Nothing, Need::Nothing),
            ("restore --from /backups/a", Need::Folder, Need::Folder),
            ("resolve 192.0.2.1", Need::Nothing, Need::Nothing),
            ("config check", Need::Nothing, Need::Nothing),
        ] {
            let words = std::iter::once("firmsight").chain(line.split(' '));
            let command = Arguments::try_parse_from(words).unwrap().command;
            assert_eq!((Need::of(&command, true), Need::of(&command, false)), (with_file, without), "{line}");
        }
    }

    #[test]
    fn a_users_name_is_found_by_its_id() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nfirmsight:x:998:997::/var/lib/firmsight:/usr/sbin/nologin\n";
        assert_eq!(user_name(passwd, 998), Some("firmsight"));
        assert_eq!(user_name(passwd, 997), None);
    }
}
