//! `firmsight import`: files are read and parsed here, batches go to the engine, which may be a
//! running server's.

mod files;
mod follow;
mod report;

use super::{
    CliError,
    access::Access,
    arguments::{FormatChoice, Import},
    hosts_file,
};
use crate::{
    config::Config,
    import::{
        Batch, Summary,
        chunk::ChunkReader,
        format::{Forms, Reading, Recogniser, compile},
        page::PageRules,
    },
    serve::{
        command::{Answer, Command, Imported},
        setup,
    },
    site::Site,
    spool::record::ClientAddress,
    time::UnixMillis,
};
use report::Report;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// What may wait while a batch is stored.
const WAITING: usize = 1;
/// How long a follower waits for a server that is away.
const PAUSE: Duration = Duration::from_secs(2);

/// What the reading side has to say.
enum Found {
    /// To be stored.
    Batch(Batch),
    /// A file is done, or as far as it can be read.
    File { name: String, summary: Summary },
    /// A file is left out, in whole or from some point on.
    LeftOut(String),
}

/// Where the reading side says it; an error means that nobody listens any more.
type Sender = mpsc::Sender<Found>;

/// Imports; the text is the summary, which there is once anything was read, whatever happened then.
pub(super) async fn run(config: &Config, access: &Access, arguments: Import) -> (String, Result<(), CliError>) {
    let mut report = Report::default();
    let outcome = import(config, access, arguments, &mut report).await;
    let outcome = outcome.and_then(|()| match report.left_out() {
        0 => Ok(()),
        files => Err(CliError::LeftOut(files)),
    });
    (report.text(), outcome)
}

async fn import(config: &Config, access: &Access, arguments: Import, report: &mut Report) -> Result<(), CliError> {
    let names = arguments.hosts.as_deref().map(hosts_file::read).transpose()?;
    let Answer::Sites(sites) = access.execute(Command::ListSites).await? else {
        return Err(CliError::Answer);
    };
    let site = sites
        .into_iter()
        .find(|site| site.id == arguments.site)
        .ok_or_else(|| CliError::NoSite(arguments.site.clone()))?;
    if site.hosts.is_empty() {
        return Err(CliError::NoHost(site.id));
    }
    let site_id = site.id.clone();
    let reader = chunk_reader(config, &arguments, site)?;
    let (sender, mut found) = mpsc::channel(WAITING);
    let (follows, files) = (arguments.follow, arguments.files);
    let stop = Arc::new(AtomicBool::new(false));
    let reading = tokio::task::spawn_blocking({
        let stop = Arc::clone(&stop);
        move || {
            if follows {
                follow::follow(&files, &reader, &stop, &sender)
            } else {
                files::read(&files, &reader, &sender)
            }
        }
    });
    let signal = end_signal();
    tokio::pin!(signal);
    loop {
        let next = tokio::select! {
            next = found.recv() => next,
            () = &mut signal, if follows && !stop.load(Ordering::Relaxed) => {
                // What was read is stored, and the summary shown.
                stop.store(true, Ordering::Relaxed);
                continue;
            }
        };
        match next {
            None => break,
            Some(Found::File { name, summary }) => report.add_file(&name, summary),
            Some(Found::LeftOut(problem)) => report.leave_out(problem),
            Some(Found::Batch(batch)) => {
                let names = names.as_ref().map(|names| names_of(&batch, names));
                report.add_batch(store(access, batch, names, follows).await?);
            }
        }
    }
    reading.await.map_err(|_| CliError::Input(std::io::ErrorKind::Other.into()))?;
    let visits = report.visits.iter().copied().collect();
    match access.execute(Command::CountVisits { site: site_id, visits }).await? {
        Answer::Visits(count) => report.visit_count = count,
        _ => return Err(CliError::Answer),
    }
    Ok(())
}

/// Stores a batch; a follower outlives a server that is restarted.
async fn store(
    access: &Access,
    batch: Batch,
    names: Option<HashMap<IpAddr, String>>,
    follows: bool,
) -> Result<Imported, CliError> {
    let mut is_told = false;
    loop {
        match access.execute(Command::Import { batch: batch.clone(), names: names.clone() }).await {
            Ok(Answer::Imported(imported)) => return Ok(imported),
            Ok(_) => return Err(CliError::Answer),
            Err(error @ CliError::Call(_)) if follows => {
                if !std::mem::replace(&mut is_told, true) {
                    eprintln!("firmsight: {error}; trying again until the server is back");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Resolves when the person or the machine wants an end.
async fn end_signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { std::future::pending().await }
    }
}

fn chunk_reader(config: &Config, arguments: &Import, site: Site) -> Result<ChunkReader, CliError> {
    let trust = setup::proxy_trust(config)?;
    let forms = match (&arguments.log_format, arguments.format) {
        (Some(text), _) => Forms::Layout(compile(text, trust.header.as_str()).map_err(CliError::LogFormat)?),
        (None, FormatChoice::Auto) => Forms::Any,
        (None, FormatChoice::Fixed(format)) => Forms::Only(format),
    };
    let zone = arguments.timezone.clone();
    let collector_paths = vec![config.tracker.script_path.to_string(), config.tracker.endpoint_path.to_string()];
    Ok(ChunkReader {
        recogniser: Recogniser::new(forms, Reading { trust, zone }),
        rules: PageRules { site, collector_paths },
        now: UnixMillis::now(),
    })
}

/// The names that a batch needs, so that a long list travels once and in parts.
fn names_of(batch: &Batch, names: &HashMap<IpAddr, String>) -> HashMap<IpAddr, String> {
    batch
        .beacons
        .iter()
        .filter_map(|beacon| match &beacon.address {
            ClientAddress::Ip(ip) => names.get_key_value(&ip.to_canonical()),
            ClientAddress::HostName(_) => None,
        })
        .map(|(ip, name)| (*ip, name.clone()))
        .collect()
}
