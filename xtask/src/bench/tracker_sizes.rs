//! `cargo xtask bench tracker`: what a page has to fetch, ours and others', compressed by the same code.

use super::peers;
use crate::{
    error::Error,
    tracker::{self, Tools},
};
use std::fs;

pub(super) fn run() -> Result<(), Error> {
    tracker::run()?;
    let peers = peers::ready(&Tools::ready()?)?;
    println!("\nBytes; gzip -9, brotli -q 11\n");
    println!("| tracker | what | raw | gzip | brotli |\n|---|---|---|---|---|");
    for (what, parts) in tracker::weighed()? {
        row("Firmsight", &what, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    for ready in peers {
        let script = fs::read(&ready.path).map_err(Error::file(&ready.path))?;
        row(&ready.title(), ready.peer.remark, &[&script]);
    }
    Ok(())
}

fn row(tracker: &str, what: &str, parts: &[&[u8]]) {
    let sum = |size: fn(&[u8]) -> usize| parts.iter().map(|part| size(part)).sum::<usize>();
    println!("| {tracker} | {what} | {} | {} | {} |", sum(<[u8]>::len), sum(tracker::gzip), sum(tracker::brotli));
}
