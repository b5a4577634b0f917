//! How fast a list of networks becomes a file, and how much memory that takes: `list_build ROWS`. Rows are made up while
//! they are read, in random order, one organisation to about ten networks.

#![allow(clippy::unwrap_used, reason = "a measurement that fails has nothing to say")]

use firmsight_resolver::network_lists::{BuildOptions, ListForm, ListInput, build};
use std::{
    fs,
    io::{self, BufReader, Read, Write},
    net::Ipv4Addr,
    path::Path,
    time::Instant,
};

/// Text of rows that exist one at a time.
struct Rows {
    left: u64,
    state: u64,
    waiting: Vec<u8>,
    given: usize,
}

impl Read for Rows {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.waiting.len() {
            self.waiting.clear();
            self.given = 0;
            while self.waiting.len() < 1 << 16 && self.left > 0 {
                self.left -= 1;
                // Knuth's MMIX generator; its upper half is random enough.
                self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let random = self.state >> 16;
                let prefix = 20 + random % 11;
                let address = Ipv4Addr::from((random >> 8) as u32 & (u32::MAX << (32 - prefix)));
                let company = (random >> 20) % 5_000_000;
                writeln!(self.waiting, "{address}/{prefix},Company {company} Ltd,company-{company}.com")?;
            }
        }
        let part = &self.waiting[self.given..];
        let length = part.len().min(into.len());
        into[..length].copy_from_slice(&part[..length]);
        self.given += length;
        Ok(length)
    }
}

fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Seconds of processor time, in the program and in the kernel for it.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let rows: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("networks.mmdb");
    let header = &b"network,organization,domain\n"[..];
    let text = header.chain(Rows { left: rows, state: 1, waiting: Vec::new(), given: 0 });
    let input = ListInput { path: Path::new("made up"), form: ListForm::Csv, text: Box::new(BufReader::new(text)) };
    let options = BuildOptions {
        output: &output,
        built_at: 0,
        description: "measured",
        entries_in_memory: BuildOptions::ENTRIES_IN_MEMORY,
    };
    let before = status("VmHWM:");
    let started = Instant::now();
    // Of the process's own: pages of the result, which is mapped to be read back, are the kernel's to take.
    let mut own = 0;
    let report = build(vec![input], &options, &mut |_| own = own.max(status("RssAnon:"))).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{rows} rows, {} networks, {} records, {} nodes, {} MiB: {seconds:.0} s, {:.0} rows/s; {:.0} s of processor time; \
         peak {} MiB of its own, {} MiB with the pages of mapped files, before {} MiB",
        report.networks,
        report.records,
        report.nodes,
        fs::metadata(&output).unwrap().len() >> 20,
        rows as f64 / seconds,
        processor_seconds(),
        own >> 10,
        status("VmHWM:") >> 10,
        before >> 10,
    );
}
