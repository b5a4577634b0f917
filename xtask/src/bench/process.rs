//! A server under measurement: started, asked for its processor time and memory by /proc, ended.

use crate::{error::Error, machine};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Linux reports processor time in ticks of 10 ms (USER_HZ is 100 on every supported machine).
const TICK: Duration = Duration::from_millis(10);

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    /// Anonymous memory, in kilobytes.
    pub(super) anonymous: u64,
}

/// A running server, ended with this value.
pub(super) struct Server {
    child: Child,
}

impl Server {
    pub(super) fn start(mut command: Command, reads_output: bool) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(if reads_output { Stdio::piped() } else { Stdio::null() });
        Ok(Self { child: machine::start(&mut command)? })
    }

    /// The first line of its standard output.
    pub(super) fn first_line(&mut self) -> Result<String, Error> {
        let output =
            self.child.stdout.take().ok_or_else(|| Error::Other("the server's output is not read".to_owned()))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(Error::file("the server's output"))?;
        Ok(line.trim().to_owned())
    }

    pub(super) fn wait_until_ready(&self, url: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if ureq::get(url).call().is_ok() {
                return Ok(());
            }
            thread::park_timeout(Duration::from_millis(100));
        }
        Err(Error::Other(format!("{url} did not answer within 60 s")))
    }

    pub(super) fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { cpu: cpu(self.child.id())?, anonymous: self.anonymous_kilobytes() })
    }

    pub(super) fn anonymous_kilobytes(&self) -> u64 {
        anonymous_kilobytes(self.child.id())
    }

    /// How many file descriptors it has open.
    pub(super) fn file_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    /// The embedded ClickHouse.
    pub(super) fn child(&self) -> Option<u32> {
        child_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        machine::end(&mut self.child, "a server under measurement");
    }
}

/// Processor time that a process has used, its ended children's left out.
pub(super) fn cpu(process: u32) -> Result<Duration, Error> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    // The command name, field 2, may hold spaces: count from its closing bracket. utime and stime are fields 14 and 15.
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |position: usize| fields.get(position).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    Ok(TICK * (ticks(11) + ticks(12)))
}

/// The first child of a process: the embedded ClickHouse, whatever it calls its main thread.
pub(super) fn child_of(own: u32) -> Option<u32> {
    fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent: u32 = text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == own).then_some(pid)
    })
}

/// Anonymous memory of a process, in kilobytes; 0 when it is gone.
pub(super) fn anonymous_kilobytes(pid: u32) -> u64 {
    status_kilobytes(pid, "RssAnon:")
}

/// Resident memory of a process, in kilobytes; 0 when it is gone.
pub(super) fn rss_kilobytes(pid: u32) -> u64 {
    status_kilobytes(pid, "VmRSS:")
}

fn status_kilobytes(pid: u32, field: &str) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}
