//! `cargo xtask bench page-cost`: what trackers cost a page in Chromium on a processor slowed down four times. The measuring
//! is done by `tracker-wasm/tests/browser/page-cost.js`.

use super::peers;
use crate::{
    browser, debian,
    error::Error,
    machine,
    tracker::{self, Tools},
};

pub(super) fn run(loads: u32) -> Result<(), Error> {
    debian::ensure(debian::FOR_TESTS)?;
    tracker::run()?;
    browser::install()?;
    let peers = peers::ready(&Tools::ready()?)?;
    let mut node = browser::node("page-cost.js");
    node.arg(loads.to_string());
    for ready in peers {
        node.arg(format!("{}={}", ready.title(), ready.path.display()));
    }
    machine::run(&mut node)
}
