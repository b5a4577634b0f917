//! `firmsight resolve`: needs no data directory and no server.
//!
//! Inputs are judged at the same time and printed in their order: a task each, their handles in a
//! bounded channel that the printer empties from the front.

use super::{CliError, arguments, hosts_file};
use crate::{config::Config, serve::setup};
use firmsight_resolver::{Resolver, Verdict, explain, to_json};
use std::{
    collections::HashMap,
    io::{self, BufRead, BufWriter, Write},
    net::IpAddr,
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Inputs under way at once.
const IN_FLIGHT: usize = 2_048;
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

type Judged = (String, JoinHandle<Option<Arc<Verdict>>>);

pub(super) async fn run(config: &Config, arguments: arguments::Resolve) -> Result<(), CliError> {
    if arguments.inputs.is_empty() {
        return Err(CliError::Usage(
            "give an IP address, a host name or AS<number>, or - to read lines from standard input",
        ));
    }
    let names = arguments.hosts.as_deref().map(hosts_file::read).transpose()?.map(Arc::new);
    let with_dns = !arguments.no_dns && names.is_none();
    let judge = Judge { resolver: setup::resolver(config, with_dns)?, names };
    let (sender, receiver) = mpsc::channel::<Judged>(IN_FLIGHT);
    let runtime = tokio::runtime::Handle::current();
    let inputs = arguments.inputs.clone();
    let reader = tokio::task::spawn_blocking(move || read_inputs(&inputs, &judge, &runtime, &sender));
    let outcome = print(receiver, &arguments).await;
    let unreadable = match outcome {
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

fn read_inputs(
    inputs: &[String],
    judge: &Judge,
    runtime: &tokio::runtime::Handle,
    sender: &mpsc::Sender<Judged>,
) -> io::Result<()> {
    let send = |text: &str| {
        let judged = runtime.spawn(judge.clone().judge(Input::parse(text)));
        sender.blocking_send((text.to_owned(), judged)).is_ok()
    };
    for input in inputs {
        if input != "-" {
            if !send(input) {
                return Ok(());
            }
            continue;
        }
        let mut stdin = io::stdin().lock();
        let mut line = Vec::new();
        while io::Read::take(&mut stdin, MAX_LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if !text.is_empty() && !send(text) {
                return Ok(());
            }
            line.clear();
        }
    }
    Ok(())
}

/// Prints in order; gives how many inputs were unreadable.
async fn print(mut receiver: mpsc::Receiver<Judged>, arguments: &arguments::Resolve) -> io::Result<u64> {
    let mut output = BufWriter::new(io::stdout());
    let mut unreadable = 0;
    while let Some((input, judged)) = receiver.recv().await {
        match judged.await.ok().flatten() {
            Some(verdict) => {
                if arguments.json {
                    writeln!(output, "{}", to_json(&input, &verdict))?;
                }
                if arguments.explain {
                    // With --json the explanation is for the person beside it.
                    if arguments.json {
                        eprint!("{}", explain(&verdict))
                    } else {
                        write!(output, "{}", explain(&verdict))?
                    }
                } else if !arguments.json {
                    writeln!(output, "{}", one_line(&input, &verdict))?;
                }
            }
            None => {
                unreadable += 1;
                let problem = "neither an IP address nor a host name nor AS<number>";
                let shown: String = input.chars().take(120).collect();
                if arguments.json {
                    writeln!(
                        output,
                        "{}",
                        serde_json::json!({
                            "input": shown, "ip": null, "kind": "unknown", "company": null, "location": null, "asn": null,
                            "ptr": null, "evidence": [], "error": problem,
                        })
                    )?;
                } else {
                    writeln!(output, "{shown}: {problem}")?;
                }
            }
        }
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
}
