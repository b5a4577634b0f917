//! Other trackers, from their npm packages: what ours is measured against.

use crate::{data, error::Error, machine, tracker::Tools};
use geoip_data::{Package, Registry};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How a package becomes the one script that a page loads.
enum Script {
    /// The package has it ready.
    Delivered,
    /// The package has its source, which is minified as ours is.
    Minified,
    /// The package has modules; this program, which does what its guide shows first, is bundled and minified as ours is.
    Bundled(&'static str),
}

/// Another tracker.
pub(super) struct Peer {
    package: Package,
    /// The file that the page loads, or the bundle's or the minified one's source.
    file: &'static str,
    script: Script,
    /// What a reader must know of the row.
    pub(super) remark: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        package: Package {
            registry: Registry::Npm,
            name: "@plausible-analytics/tracker",
            version: "0.4.6",
            sha256: "7468407b0d7b7cca3a567288e0885fb43ac989aa851c1e2f2455c25115751c3f",
            files: &[("package/plausible.js", "plausible.js")],
            content: "Plausible's tracker",
            licence: "MIT",
            attribution: "",
        },
        file: "plausible.js",
        script: Script::Bundled(
            "import { init } from './plausible.js'; \
             init({ domain: 'www.shop.example', endpoint: '/collect', captureOnLocalhost: true });",
        ),
        remark: "bundled",
    },
    Peer {
        package: Package {
            registry: Registry::Npm,
            name: "plausible-tracker",
            version: "0.3.9",
            sha256: "29774a758f1753c3341bc38a29db79111ac762b1ab88de0a64d85ea022cc0ef7",
            files: &[
                ("package/build/module/index.js", "index.js"),
                ("package/build/module/lib/request.js", "lib/request.js"),
                ("package/build/module/lib/tracker.js", "lib/tracker.js"),
            ],
            content: "Plausible's earlier tracker",
            licence: "MIT",
            attribution: "",
        },
        file: "index.js",
        script: Script::Bundled(
            "import Plausible from './index.js'; Plausible({ domain: 'www.shop.example' }).enableAutoPageviews();",
        ),
        remark: "bundled",
    },
    Peer {
        package: Package {
            registry: Registry::Npm,
            name: "umami",
            version: "2.10.0",
            sha256: "1544b6862a5bf5e19dc58c8c382f8de3fd9f3f1c2b4110fbf7de9d7f4bd58850",
            files: &[("package/src/tracker/index.js", "index.js")],
            content: "Umami with its tracker's source",
            licence: "MIT",
            attribution: "",
        },
        file: "index.js",
        script: Script::Minified,
        remark: "its source, minified; newer versions are not on npm",
    },
    Peer {
        package: Package {
            registry: Registry::Npm,
            name: "@snowplow/browser-tracker",
            version: "4.10.1",
            sha256: "054661adc0326da5dffdf293ba29d552ae674e4813445ba0c1b1afbb42a4e6f8",
            files: &[("package/dist/index.umd.min.js", "index.umd.min.js")],
            content: "Snowplow's tracker",
            licence: "BSD-3-Clause",
            attribution: "",
        },
        file: "index.umd.min.js",
        script: Script::Delivered,
        remark: "as delivered",
    },
    Peer {
        package: Package {
            registry: Registry::Npm,
            name: "posthog-js",
            version: "1.449.2",
            sha256: "c65f98b94718e8c421256dc30fcc968fa5ac2463547b4175d480d0b226f80139",
            files: &[("package/dist/array.js", "array.js")],
            content: "PostHog's tracker",
            licence: "Apache-2.0 AND MIT",
            attribution: "",
        },
        file: "array.js",
        script: Script::Delivered,
        remark: "as delivered; loads more on demand",
    },
];

/// A peer's script, ready to be measured.
pub(super) struct Ready {
    pub(super) peer: &'static Peer,
    /// Where it lies.
    pub(super) path: PathBuf,
}

impl Ready {
    /// The package's name and version.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.peer.package.name, self.peer.package.version)
    }
}

/// Fetches the packages and makes their scripts.
pub(super) fn ready(tools: &Tools) -> Result<Vec<Ready>, Error> {
    let cache = geoip_data::cache_folder().ok_or_else(|| Error::Missing("HOME is not set".to_owned()))?.join("peers");
    PEERS.iter().map(|peer| one(peer, tools, &cache)).collect()
}

fn one(peer: &'static Peer, tools: &Tools, cache: &Path) -> Result<Ready, Error> {
    let folder = cache.join(peer.package.name.replace('/', "+"));
    data::install(&peer.package, &folder)?;
    let source = folder.join(peer.file);
    let made = folder.join("page.js");
    let text = match peer.script {
        Script::Delivered => return Ok(Ready { peer, path: source }),
        Script::Minified => tools.minified(&source)?,
        Script::Bundled(program) => {
            let entry = folder.join("entry.mjs");
            fs::write(&entry, program).map_err(Error::file(&entry))?;
            let mut esbuild = tools.command("esbuild");
            esbuild.args(["--bundle", "--format=iife", "--minify", "--target=es2020", "--log-level=warning"]);
            machine::output(esbuild.arg(&entry))?
        }
    };
    fs::write(&made, text).map_err(Error::file(&made))?;
    Ok(Ready { peer, path: made })
}
