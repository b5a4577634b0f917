//! Files that are whole: one after the other, each read by all processors.
//!
//! ```text
//! reader: unpacks, cuts into chunks ─┬─▶ workers: chunks ▸ what they hold ─┐
//!                                    └─ in the order of the file ──────────┴─▶ importer: batches and the summary
//! ```

use super::{Found, Sender};
use crate::{
    import::{
        Importer, Summary,
        chunk::{Chunk, ChunkReader, Lines},
        input::{ChunkSplitter, Member, for_each_member},
    },
    plain_text::for_terminal,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Chunks that may be under way beside those that workers hold.
const WAITING_CHUNKS: usize = 2;
/// More workers than this wait for the disk and the store.
const MAX_WORKERS: usize = 8;

/// A chunk and where what it holds is awaited.
type Job = (Lines, SyncSender<Chunk>);

/// Reads all files; one that is damaged leaves the others.
pub(super) fn read(files: &[PathBuf], reader: &ChunkReader, found: &Sender) {
    let progress = progress_bar(files);
    for path in files {
        progress.set_message(for_terminal(&path.display().to_string()).into_owned());
        let wrap = |file: Box<dyn Read>| Box::new(progress.wrap_read(file)) as Box<dyn Read>;
        let mut is_heard = true;
        let outcome = open(path).and_then(|file| {
            for_each_member(file, &wrap, &mut |member| {
                is_heard = read_member(path, member, reader, found).is_continue();
                if is_heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        if let Err(error) = outcome {
            is_heard &= say(found, Found::LeftOut(format!("{}: {error}", path.display()))).is_continue();
        }
        // The other side failed and says why.
        if !is_heard {
            break;
        }
    }
    progress.finish_and_clear();
}

pub(super) fn say(found: &Sender, what: Found) -> ControlFlow<()> {
    if found.blocking_send(what).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn open(path: &Path) -> io::Result<File> {
    if is_stdin(path) { Ok(io::stdin().as_fd().try_clone_to_owned()?.into()) } else { File::open(path) }
}

fn read_member(path: &Path, member: Member<'_>, reader: &ChunkReader, found: &Sender) -> ControlFlow<()> {
    let name = match member.name {
        Some(inside) => format!("{}/{inside}", path.display()),
        None => path.display().to_string(),
    };
    let (summary, outcome) = match member.text {
        Ok(text) => read_text(text, reader, found)?,
        Err(error) => (Summary::default(), Err(error)),
    };
    if let Err(error) = outcome {
        let rest = "what stood before was imported, and importing the whole file again adds only the rest";
        say(found, Found::LeftOut(format!("{name}: {error}; {rest}")))?;
    } else if summary.lines > 0 && summary.unparsable == summary.lines {
        let help = "the lines are of no known format: name one with --format, or describe it with --log-format";
        say(found, Found::LeftOut(format!("{name}: {help}")))?;
    }
    say(found, Found::File { name, summary })
}

/// What a text held, as far as it could be read.
fn read_text(
    text: Box<dyn Read + '_>,
    reader: &ChunkReader,
    found: &Sender,
) -> ControlFlow<(), (Summary, io::Result<()>)> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let (jobs, queue) = sync_channel::<Job>(WAITING_CHUNKS);
    let queue = Mutex::new(queue);
    let (order, in_order) = sync_channel::<Receiver<Chunk>>(workers + WAITING_CHUNKS);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&queue, reader));
        }
        let importing = scope.spawn(move || import(reader, &in_order, found));
        let outcome = split(text, jobs, order);
        match importing.join() {
            Ok(summary) => ControlFlow::Continue((summary?, outcome)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Hands out chunks until the text ends, is damaged, or nobody wants more.
fn split(text: Box<dyn Read + '_>, jobs: SyncSender<Job>, order: SyncSender<Receiver<Chunk>>) -> io::Result<()> {
    let mut splitter = ChunkSplitter::new(text);
    let hand_out = |lines| {
        let (result, awaited) = sync_channel(1);
        order.send(awaited).is_ok() && jobs.send((lines, result)).is_ok()
    };
    loop {
        match splitter.next_chunk() {
            Ok(Some(lines)) => {
                if !hand_out(lines) {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                if let Some(lines) = splitter.rest() {
                    hand_out(lines);
                }
                return Err(error);
            }
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, reader: &ChunkReader) {
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok((lines, result))) = job else { return };
        // Nobody waits for it when the import was given up.
        if result.send(reader.read(&lines)).is_err() {
            return;
        }
    }
}

/// Puts chunks together in their order.
fn import(reader: &ChunkReader, chunks: &Receiver<Receiver<Chunk>>, found: &Sender) -> ControlFlow<(), Summary> {
    let mut importer = Importer::new(reader.rules.site.id.clone());
    while let Ok(chunk) = chunks.recv() {
        let Ok(chunk) = chunk.recv() else { break };
        for batch in importer.add(chunk) {
            say(found, Found::Batch(batch))?;
        }
    }
    let (last, summary) = importer.finish();
    for batch in last {
        say(found, Found::Batch(batch))?;
    }
    ControlFlow::Continue(summary)
}

/// Shows bytes of the files as they are on disk; nothing where stderr is no terminal.
fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    let sizes = files.iter().map(|file| std::fs::metadata(file).map(|metadata| metadata.len()));
    let is_known = !files.iter().any(|file| is_stdin(file));
    let (bar, template) = if is_known {
        let total = sizes.filter_map(Result::ok).sum();
        (ProgressBar::new(total), "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}")
    } else {
        (ProgressBar::new_spinner(), "{spinner} {bytes} read  {msg}")
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

pub(super) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}
