//! `firmsight resolve`: needs no data directory and no server.
//!
//! Lines are judged at the same time and printed in their order: they are read into small batches, a task each, whose
//! handles wait in a bounded channel that the printer empties from the front. So memory is bounded by the channel, and
//! a reader that waits makes the input wait. A batch ends where the input pauses, so that whoever types, or a program that
//! writes a line and waits for its answer, gets it at once. Where DNS is asked a batch is one line: what takes time there
//! is not this machine.

use super::{CliError, arguments, hosts_file};
use crate::{config::Config, plain_text::for_terminal, serve::setup};
use firmsight_resolver::{Resolver, Verdict, explain, to_json};
use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, BufRead, BufReader, BufWriter, Write},
    net::IpAddr,
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Batches under way at once.
const IN_FLIGHT: usize = 2_048;
/// Lines in a batch when no DNS is asked, and bytes read ahead for them.
const BATCH_LINES: usize = 128;
const READ_AHEAD_BYTES: usize = 1 << 16;
/// Longest input line, in bytes.
const MAX_LINE_BYTES: u64 = 4_096;

/// One thing to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Ip(IpAddr),
    Name(String),
    AutonomousSystem(u32),
    /// None of them.
    Unreadable,
}

impl Input {
    fn parse(text: &str) -> Self {
        if let Ok(ip) = text.parse() {
            return Self::Ip(ip);
        }
        if text.len() > 2
            && text.is_char_boundary(2)
            && text[..2].eq_ignore_ascii_case("as")
            && text[2..].bytes().all(|byte| byte.is_ascii_digit())
        {
            return text[2..].parse().map_or(Self::Unreadable, Self::AutonomousSystem);
        }
        let name = text.trim_end_matches('.');
        let is_name = (1..=253).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && name.bytes().any(|byte| byte.is_ascii_alphabetic())
            && name.split('.').all(|label| (1..=63).contains(&label.len()));
        if is_name { Self::Name(name.to_ascii_lowercase()) } else { Self::Unreadable }
    }
}

#[derive(Clone)]
struct Judge {
    resolver: Resolver,
    /// In place of DNS.
    names: Option<Arc<HashMap<IpAddr, String>>>,
}

impl Judge {
    async fn judge(self, input: Input) -> Option<Arc<Verdict>> {
        match (input, &self.names) {
            (Input::Ip(ip), Some(names)) => Some(match names.get(&ip.to_canonical()) {
                Some(name) => Arc::new(self.resolver.judge_named(Some(ip), name)),
                None => self.resolver.local(ip),
            }),
            (Input::Ip(ip), None) => Some(self.resolver.resolve(ip).await),
            (Input::Name(name), _) => Some(Arc::new(self.resolver.judge_named(None, &name))),
            (Input::AutonomousSystem(number), _) => {
                tokio::task::spawn_blocking(move || Arc::new(self.resolver.judge_asn(number))).await.ok()
            }
            (Input::Unreadable, _) => None,
        }
    }
}

/// What is printed for a batch.
#[derive(Default)]
struct Printed {
    output: String,
    /// For the person beside the output.
    beside: String,
    unreadable: u64,
}

/// How verdicts are shown.
#[derive(Clone, Copy)]
struct Form {
    json: bool,
    explain: bool,
}

pub(super) async fn run(config: &Config, arguments: arguments::Resolve) -> Result<(), CliError> {
    if arguments.inputs.is_empty() {
        return Err(CliError::Usage(
            "give an IP address, a host name or AS<number>, or - to read lines from standard input",
        ));
    }
    let names = arguments.hosts.as_deref().map(hosts_file::read).transpose()?.map(Arc::new);
    let with_dns = config.resolver.dns && !arguments.no_dns && names.is_none();
    let judge = Judge { resolver: setup::resolver(config, with_dns)?, names };
    let batches = Batches {
        judge,
        form: Form { json: arguments.json, explain: arguments.explain },
        lines: if with_dns { 1 } else { BATCH_LINES },
        runtime: tokio::runtime::Handle::current(),
    };
    let (sender, receiver) = mpsc::channel(if with_dns { IN_FLIGHT } else { IN_FLIGHT / BATCH_LINES });
    let reader = tokio::task::spawn_blocking(move || batches.read(&arguments.inputs, &sender));
    let unreadable = match print(receiver).await {
        // Whoever read the output has seen enough, as with `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(CliError::Output(error)),
        Ok(unreadable) => unreadable,
    };
    reader.await.map_err(|_| CliError::Output(io::ErrorKind::Other.into()))?.map_err(CliError::Input)?;
    match unreadable {
        0 => Ok(()),
        count => Err(CliError::UnreadableInputs(count)),
    }
}

/// Reads inputs and gives them to tasks.
struct Batches {
    judge: Judge,
    form: Form,
    lines: usize,
    runtime: tokio::runtime::Handle,
}

impl Batches {
    fn read(&self, inputs: &[String], sender: &mpsc::Sender<JoinHandle<Printed>>) -> io::Result<()> {
        for input in inputs {
            let goes_on = if input == "-" {
                let stdin = BufReader::with_capacity(READ_AHEAD_BYTES, io::stdin().lock());
                self.read_lines(stdin, sender)?
            } else {
                self.send(vec![input.clone()], sender)
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Gives whether anybody still prints.
    fn read_lines<R: io::Read>(
        &self,
        mut input: BufReader<R>,
        sender: &mpsc::Sender<JoinHandle<Printed>>,
    ) -> io::Result<bool> {
        let mut batch = Vec::with_capacity(self.lines);
        while let Some(line) = read_line(&mut input)? {
            if !line.is_empty() {
                batch.push(line);
            }
            let is_full = batch.len() >= self.lines || !input.buffer().contains(&b'\n');
            if is_full && !batch.is_empty() && !self.send(std::mem::take(&mut batch), sender) {
                return Ok(false);
            }
        }
        Ok(batch.is_empty() || self.send(batch, sender))
    }

    fn send(&self, lines: Vec<String>, sender: &mpsc::Sender<JoinHandle<Printed>>) -> bool {
        let (judge, form) = (self.judge.clone(), self.form);
        let task = self.runtime.spawn(async move {
            let mut printed = Printed::default();
            for line in lines {
                let verdict = judge.clone().judge(Input::parse(&line)).await;
                printed.add(&line, verdict.as_deref(), form);
            }
            printed
        });
        sender.blocking_send(task).is_ok()
    }
}

/// The next line without its end and surrounding spaces; `None` at the end of the input. What a line has beyond
/// [`MAX_LINE_BYTES`] is skipped: it is no address either way.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if io::Read::take(&mut *input, MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE_BYTES {
        input.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
}

impl Printed {
    fn add(&mut self, input: &str, verdict: Option<&Verdict>, form: Form) {
        let written = match verdict {
            Some(verdict) => self.add_verdict(input, verdict, form),
            None => self.add_problem(input, form),
        };
        // Writing to a String can't fail.
        debug_assert!(written.is_ok());
    }

    fn add_verdict(&mut self, input: &str, verdict: &Verdict, form: Form) -> std::fmt::Result {
        match form {
            Form { json: true, explain: beside } => {
                if beside {
                    self.beside.push_str(&explain(verdict));
                }
                writeln!(self.output, "{}", to_json(input, verdict))
            }
            Form { explain: true, .. } => self.output.write_str(&explain(verdict)),
            Form { .. } => writeln!(self.output, "{}", one_line(input, verdict)),
        }
    }

    fn add_problem(&mut self, input: &str, form: Form) -> std::fmt::Result {
        self.unreadable += 1;
        let problem = "neither an IP address nor a host name nor AS<number>";
        let shown: String = input.chars().take(120).collect();
        if form.json {
            let line = serde_json::json!({
                "input": shown, "ip": null, "kind": "unknown", "company": null, "location": null, "asn": null,
                "ptr": null, "evidence": [], "error": problem,
            });
            writeln!(self.output, "{line}")
        } else {
            writeln!(self.output, "{shown}: {problem}")
        }
    }
}

/// Prints in order; gives how many inputs were unreadable.
async fn print(mut receiver: mpsc::Receiver<JoinHandle<Printed>>) -> io::Result<u64> {
    let mut output = BufWriter::new(io::stdout());
    let mut unreadable = 0;
    while let Some(batch) = receiver.recv().await {
        let printed = batch.await.map_err(io::Error::other)?;
        eprint!("{}", for_terminal(&printed.beside));
        output.write_all(for_terminal(&printed.output).as_bytes())?;
        unreadable += printed.unreadable;
        if receiver.is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(unreadable)
}

fn one_line(input: &str, verdict: &Verdict) -> String {
    let company = verdict.company.as_ref().map_or_else(
        || "no company".to_owned(),
        |company| {
            let domain = company.domain.as_deref().map(|domain| format!(" ({domain})")).unwrap_or_default();
            format!("{}{domain}, {:.0} % sure", company.name, company.confidence.get() * 100.0)
        },
    );
    let place = [&verdict.location.city, &verdict.location.country_code];
    let place = place.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    format!("{input}\t{}\t{company}\t{place}", verdict.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_addresses_names_or_as_numbers() {
        for (text, expected) in [
            ("192.0.2.1", Input::Ip("192.0.2.1".parse().unwrap())),
            ("2001:db8::1", Input::Ip("2001:db8::1".parse().unwrap())),
            ("AS714", Input::AutonomousSystem(714)),
            ("as714", Input::AutonomousSystem(714)),
            ("AS99999999999", Input::Unreadable),
            ("Mail.Example.COM.", Input::Name("mail.example.com".into())),
            ("as", Input::Name("as".into())),
            ("asx.example", Input::Name("asx.example".into())),
            ("", Input::Unreadable),
            ("12", Input::Unreadable),
            ("1.2.3.4.5", Input::Unreadable),
            ("a..b", Input::Unreadable),
            ("ü.example", Input::Unreadable),
            ("a b", Input::Unreadable),
        ] {
            assert_eq!(Input::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_read_whole_and_what_is_too_long_is_one_unreadable_line() {
        let long = "9".repeat(3 * MAX_LINE_BYTES as usize);
        let text = format!("192.0.2.1\r\n\n  AS714 \n{long}\nlast");
        let mut input = text.as_bytes();
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            lines.push(line.chars().take(12).collect::<String>());
        }
        assert_eq!(lines, ["192.0.2.1", "", "AS714", "999999999999", "last"]);
    }
}
