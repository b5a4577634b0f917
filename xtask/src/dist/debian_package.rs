//! The Debian package: the release's folder at the places Debian wants, and a user for the service. It brings no configuration:
//! `firmsight init` writes one, and the service waits for it.

use super::VERSION;
use crate::{error::Error, machine};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// From the release's folder to the package: files and folders.
const PLACES: &[(&str, &str)] = &[
    ("firmsight", "usr/lib/firmsight/firmsight"),
    ("libchdb.so", "usr/lib/firmsight/libchdb.so"),
    ("geoip", "usr/lib/firmsight/geoip"),
    ("firmsight.example.toml", "usr/share/doc/firmsight/firmsight.example.toml"),
    ("firmsight.service", "lib/systemd/system/firmsight.service"),
    ("proxies", "usr/share/doc/firmsight/proxies"),
    ("LICENSE-MIT", "usr/share/doc/firmsight/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/firmsight/LICENSE-APACHE"),
    ("THIRD-PARTY.txt", "usr/share/doc/firmsight/copyright"),
    ("firmsight.1", "usr/share/man/man1/firmsight.1"),
    ("completions/firmsight.bash", "usr/share/bash-completion/completions/firmsight"),
    ("completions/_firmsight", "usr/share/zsh/vendor-completions/_firmsight"),
    ("completions/firmsight.fish", "usr/share/fish/vendor_completions.d/firmsight.fish"),
];

const AFTER_INSTALL: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ]; then
    if ! getent passwd firmsight > /dev/null; then
        useradd --system --user-group --home-dir /var/lib/firmsight --no-create-home --shell /usr/sbin/nologin firmsight
    fi
    install --directory --owner firmsight --group firmsight --mode 0700 /var/lib/firmsight
    install --directory --mode 0755 /etc/firmsight
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # An upgrade goes on with the new program; a first installation waits for `firmsight init`.
        systemctl try-restart firmsight.service
    fi
fi
";

const BEFORE_REMOVE: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now firmsight.service || true
fi
";

const AFTER_REMOVE: &str = "#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
if [ \"$1\" = purge ]; then
    rm -rf /etc/firmsight /var/lib/firmsight
    if getent passwd firmsight > /dev/null; then
        userdel firmsight
    fi
fi
";

/// Makes the package of the release's folder; gives its path.
pub(super) fn make(release: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let root = folder.join("debian");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(Error::file(&root))?;
    }
    for (from, to) in PLACES {
        let (from, to) = (release.join(from), root.join(to));
        let parent = to.parent().unwrap_or(&root).to_owned();
        fs::create_dir_all(&parent).map_err(Error::file(&parent))?;
        machine::run(
            Command::new("cp").args(["--recursive", "--preserve=timestamps", "--reflink=auto"]).arg(&from).arg(&to),
        )?;
    }
    let bin = root.join("usr/bin");
    fs::create_dir_all(&bin).map_err(Error::file(&bin))?;
    symlink("../lib/firmsight/firmsight", bin.join("firmsight")).map_err(Error::file(&bin))?;
    control_files(&root.join("DEBIAN"))?;
    let package = folder.join(format!("firmsight_{VERSION}_amd64.deb"));
    // Everything belongs to root in it, whoever makes it. The library is a third of its size packed; fast is good enough.
    let options = ["--root-owner-group", "-Zxz", "-z1", "--build"];
    machine::run(Command::new("dpkg-deb").args(options).arg(&root).arg(&package))?;
    Ok(package)
}

fn control_files(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let control = format!(
        "Package: firmsight\nVersion: {VERSION}\nArchitecture: amd64\nSection: web\nPriority: optional\n\
         Maintainer: The Firmsight founders <founders@firmsight.invalid>\nDepends: libc6 (>= 2.34), libgcc-s1, passwd\n\
         Recommends: ca-certificates, tzdata\n\
         Description: which companies visit your website\n \
         A self-hosted collector with a tracker that waits for consent. It drops home\n \
         and mobile visitors, finds the company behind a visit by reverse DNS and\n \
         network data, and keeps visits per company in a ClickHouse that comes with it.\n"
    );
    for (name, text, mode) in [
        ("control", control.as_str(), 0o644),
        ("postinst", AFTER_INSTALL, 0o755),
        ("prerm", BEFORE_REMOVE, 0o755),
        ("postrm", AFTER_REMOVE, 0o755),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::file(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(Error::file(&path))?;
    }
    Ok(())
}
