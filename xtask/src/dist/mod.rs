//! `cargo xtask dist`: the release, as a folder, an archive and a Debian package, in target/dist.
//!
//! All three are made of one list of files, so that none can lack what another has; a test holds the Dockerfile to it, too.
//! Program, library and data files lie beside each other, because that is where the program looks for them.

mod debian_package;
mod third_party;

use crate::{build, data, error::Error, machine};
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The one processor and system that the embedded ClickHouse is published for.
const PLATFORM: &str = "x86_64-linux";

/// Shells that the program writes completions for, and the file's name.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "firmsight.bash"), ("zsh", "_firmsight"), ("fish", "firmsight.fish")];

/// A file of the release.
struct Content {
    /// Its place in the archive.
    name: String,
    source: Source,
    mode: u32,
}

enum Source {
    File(PathBuf),
    Text(String),
}

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pack this program, which was built with the tracker in it, instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let binary = match &arguments.binary {
        Some(binary) => {
            data::run()?;
            fs::canonicalize(binary).map_err(Error::file(binary))?
        }
        None => {
            build::run()?;
            build::binary()
        }
    };
    let folder = machine::target().join("dist");
    let unpacked = folder.join("firmsight");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(Error::file(&unpacked))?;
    }
    let contents = contents(&binary)?;
    for content in &contents {
        place(content, &unpacked)?;
    }
    let archive = folder.join(format!("firmsight-{VERSION}-{PLATFORM}.tar.gz"));
    pack(&contents, &unpacked, &archive)?;
    let package = debian_package::make(&unpacked, &folder)?;
    println!("{}\n{}\n{}", unpacked.display(), archive.display(), package.display());
    Ok(())
}

/// Everything that is in the release.
fn contents(binary: &Path) -> Result<Vec<Content>, Error> {
    let root = machine::root();
    let no_home = || Error::Missing("neither HOME nor XDG_CACHE_HOME is set".to_owned());
    let library = geoip_data::clickhouse_library().ok_or_else(no_home)?;
    let data = geoip_data::data_folder().ok_or_else(no_home)?;
    let file =
        |name: &str, source: PathBuf, mode| Content { name: name.to_owned(), source: Source::File(source), mode };
    let text = |name: &str, text: String| Content { name: name.to_owned(), source: Source::Text(text), mode: 0o644 };
    let mut contents = vec![
        file("firmsight", binary.to_owned(), 0o755),
        file("libchdb.so", library, 0o644),
        // Not `firmsight.toml`: that would be read as the configuration by who works in this folder.
        file("firmsight.example.toml", root.join("examples/firmsight.toml"), 0o644),
        file("firmsight.service", root.join("examples/systemd/firmsight.service"), 0o644),
        file("LICENSE-MIT", root.join("LICENSE-MIT"), 0o644),
        file("LICENSE-APACHE", root.join("LICENSE-APACHE"), 0o644),
        file("CHANGELOG.md", root.join("CHANGELOG.md"), 0o644),
        text("THIRD-PARTY.txt", third_party::notices()?),
        text("README.txt", README.to_owned()),
    ];
    let data_files = geoip_data::PACKAGES.iter().flat_map(|package| package.files);
    contents.extend(data_files.map(|(_, name)| file(&format!("geoip/{name}"), data.join(name), 0o644)));
    for example in
        ["nginx-stats-host.conf", "Caddyfile-stats-host", "apache-stats-host.conf", "nginx.conf", "Caddyfile"]
    {
        let name = format!("proxies/{example}");
        contents.push(file(&name, root.join("examples").join(&name), 0o644));
    }
    contents.push(text("firmsight.1", machine::output(Command::new(binary).arg("manual"))? + "\n"));
    for (shell, name) in COMPLETIONS {
        let script = machine::output(Command::new(binary).args(["completions", shell]))?;
        contents.push(text(&format!("completions/{name}"), script + "\n"));
    }
    Ok(contents)
}

/// What somebody reads who has unpacked the archive.
const README: &str = "\
Firmsight tells the owner of a website which companies visit it.

Begin here, in this folder:

    ./firmsight init

It asks what it must know, writes a configuration and prints the lines for your pages and your reverse proxy. Then:

    ./firmsight serve

For a machine that keeps running: copy this folder to /opt/firmsight, link /opt/firmsight/firmsight to /usr/bin/firmsight, make a
system user `firmsight`, and copy firmsight.service to /etc/systemd/system/. The Debian package does all that by itself.

The data files in geoip/ are of the day of the release. Newer ones: name sources in [geoip] of the configuration, then
`firmsight geoip update`. THIRD-PARTY.txt has everybody's licences and what to show where you show their data.
";

fn place(content: &Content, folder: &Path) -> Result<(), Error> {
    let target = folder.join(&content.name);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(Error::file(parent))?;
    }
    match &content.source {
        Source::File(path) => {
            fs::copy(path, &target).map_err(Error::file(path))?;
            let written = fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(Error::file(path))?;
            let copy = File::options().write(true).open(&target).map_err(Error::file(&target))?;
            copy.set_modified(written).map_err(Error::file(&target))?;
        }
        Source::Text(text) => fs::write(&target, text).map_err(Error::file(&target))?,
    }
    fs::set_permissions(&target, fs::Permissions::from_mode(content.mode)).map_err(Error::file(&target))
}

/// The archive: one folder, nobody's name in it.
fn pack(contents: &[Content], folder: &Path, archive: &Path) -> Result<(), Error> {
    let failed = Error::file(archive);
    let file = File::create(archive).map_err(Error::file(archive))?;
    let mut builder = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for content in contents {
        let path = folder.join(&content.name);
        let packed = File::open(&path).map_err(Error::file(&path))?;
        let mut header = tar::Header::new_gnu();
        // With its own time: a data file without a date in it is as old as that says.
        header.set_metadata_in_mode(&packed.metadata().map_err(Error::file(&path))?, tar::HeaderMode::Complete);
        header.set_mode(content.mode);
        header.set_uid(0);
        header.set_gid(0);
        let inside = format!("firmsight-{VERSION}-{PLATFORM}/{}", content.name);
        builder.append_data(&mut header, inside, packed).map_err(Error::file(archive))?;
    }
    builder.into_inner().and_then(GzEncoder::finish).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_copies_what_the_release_has() {
        let dockerfile = fs::read_to_string(machine::root().join("examples/docker/Dockerfile")).unwrap();
        // The program writes these; it need not be built for this test.
        let names: Vec<String> =
            contents(Path::new("/bin/true")).unwrap().into_iter().map(|content| content.name).collect();
        let copied: Vec<&str> = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix("COPY "))
            .flat_map(|line| {
                let mut words: Vec<&str> = line.split_whitespace().collect();
                words.pop();
                words
            })
            .collect();
        for source in &copied {
            let is_there = names.iter().any(|name| name == source || name.starts_with(&format!("{source}/")));
            assert!(is_there, "{source} is not in the release");
        }
        for needed in ["firmsight", "libchdb.so", "geoip"] {
            assert!(copied.contains(&needed), "the image lacks {needed}");
        }
    }
}
