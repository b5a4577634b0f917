//! `--follow`: files that grow, each in a thread of its own, until somebody ends it.

use super::{
    Found, Sender,
    files::{is_stdin, say},
};
use crate::{
    import::{
        Importer,
        chunk::ChunkReader,
        input::{Followed, Follower},
    },
    plain_text::for_terminal,
};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Between two looks at a file with nothing new.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a pageview waits for others at most.
const FLUSH_AFTER: Duration = Duration::from_secs(2);

pub(super) fn follow(files: &[PathBuf], reader: &ChunkReader, stop: &AtomicBool, found: &Sender) {
    thread::scope(|scope| {
        for path in files {
            scope.spawn(move || {
                if follow_one(path, reader, stop, found).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            });
        }
    });
}

/// Breaks when nobody listens.
fn follow_one(path: &Path, reader: &ChunkReader, stop: &AtomicBool, found: &Sender) -> ControlFlow<()> {
    let name = path.display().to_string();
    if is_stdin(path) {
        return say(found, Found::LeftOut("-: standard input needs no --follow: it is read until it ends".to_owned()));
    }
    let mut follower = match Follower::open(path) {
        Ok(follower) => follower,
        Err(error) => return say(found, Found::LeftOut(format!("{name}: {error}"))),
    };
    let mut importer = Importer::new(reader.rules.site.id.clone());
    let mut flushed = Instant::now();
    let mut problem = None;
    while !stop.load(Ordering::Relaxed) {
        match follower.look() {
            Ok(Followed::Lines(lines)) => {
                for batch in importer.add(reader.read(&lines)) {
                    say(found, Found::Batch(batch))?;
                }
                problem = None;
            }
            Ok(Followed::NewFile) => {
                let before = std::mem::replace(&mut importer, Importer::new(reader.rules.site.id.clone()));
                finish(before, &name, found)?;
            }
            Ok(Followed::Nothing) => thread::park_timeout(PAUSE),
            Err(error) => {
                // It may be readable again; said once, and in the summary if it stays so.
                let text = format!("{name}: {error}");
                if problem.as_ref() != Some(&text) {
                    eprintln!("firmsight: {}", for_terminal(&text));
                }
                problem = Some(text);
                thread::park_timeout(PAUSE);
            }
        }
        if flushed.elapsed() >= FLUSH_AFTER {
            flushed = Instant::now();
            if let Some(batch) = importer.flush() {
                say(found, Found::Batch(batch))?;
            }
        }
    }
    if let Some(problem) = problem {
        say(found, Found::LeftOut(problem))?;
    }
    finish(importer, &name, found)
}

fn finish(importer: Importer, name: &str, found: &Sender) -> ControlFlow<()> {
    let (last, summary) = importer.finish();
    for batch in last {
        say(found, Found::Batch(batch))?;
    }
    say(found, Found::File { name: name.to_owned(), summary })
}
