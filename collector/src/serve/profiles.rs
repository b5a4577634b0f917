//! The file of company profiles, followed while the server runs: a new one is checked and put in the old one's place; one
//! that is damaged is refused, and the old one stays.

use firmsight_resolver::{Profile, ProfileLookup, Profiles, ResolverError};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How often a look-up asks whether there is another file.
const PATIENCE: Duration = Duration::from_secs(5);

/// What tells one file from the next under the same name.
type Stamp = Option<(SystemTime, u64)>;

/// Looks profiles up in whatever file is there.
#[derive(Clone, Debug)]
pub(crate) struct FollowedProfiles {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// For private copies: whoever shortens the file must not end the server.
    copies: PathBuf,
    state: Mutex<State>,
    is_opening: AtomicBool,
}

#[derive(Debug)]
struct State {
    profiles: Option<Arc<Profiles>>,
    stamp: Stamp,
    asked: Instant,
}

impl FollowedProfiles {
    /// Opens the file, where there is one, by a private copy in the folder `copies`.
    ///
    /// # Errors
    /// When it is damaged, or can't be copied.
    pub(crate) fn open(path: PathBuf, copies: PathBuf) -> Result<Self, ResolverError> {
        let stamp = stamp(&path);
        let profiles = stamp.map(|_| Profiles::open_copy(&path, &copies).map(Arc::new)).transpose()?;
        let state = Mutex::new(State { profiles, stamp, asked: Instant::now() });
        Ok(Self { inner: Arc::new(Inner { path, copies, state, is_opening: AtomicBool::new(false) }) })
    }

    fn profiles(&self, now: Instant) -> Option<Arc<Profiles>> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.asked) >= PATIENCE {
            state.asked = now;
            let stamp = stamp(&self.inner.path);
            if stamp != state.stamp && !self.inner.is_opening.swap(true, Ordering::AcqRel) {
                state.stamp = stamp;
                let inner = Arc::clone(&self.inner);
                // Checking a large file takes a second, which no look-up waits for.
                let started = thread::Builder::new().name("company-profiles".to_owned()).spawn(move || inner.reopen());
                if started.is_err() {
                    self.inner.is_opening.store(false, Ordering::Release);
                }
            }
        }
        state.profiles.clone()
    }
}

impl Inner {
    fn reopen(&self) {
        match Profiles::open_copy(&self.path, &self.copies) {
            Ok(profiles) => {
                let companies = profiles.status().companies;
                self.state.lock().unwrap_or_else(PoisonError::into_inner).profiles = Some(Arc::new(profiles));
                tracing::info!(companies, "company profiles were replaced");
            }
            Err(error) => tracing::warn!(%error, "the new company profiles can't be used; the old ones stay"),
        }
        self.is_opening.store(false, Ordering::Release);
    }
}

impl ProfileLookup for FollowedProfiles {
    fn profile(&self, domain: &str) -> Option<Profile> {
        self.profiles(Instant::now())?.profile(domain)
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use firmsight_resolver::ProfileFileWriter;

    fn write(path: &Path, domains: &[&str]) {
        let mut writer = ProfileFileWriter::create(path).unwrap();
        for domain in domains {
            writer.add(&Profile { domain: (*domain).to_owned(), ..Profile::default() }).unwrap();
        }
        writer.finish(0, Vec::new()).unwrap();
    }

    /// Looks as a later caller would, until the file that is being opened is there.
    fn look(profiles: &FollowedProfiles, domain: &str) -> bool {
        let later = Instant::now() + 2 * PATIENCE;
        drop(profiles.profiles(later));
        while profiles.inner.is_opening.load(Ordering::Acquire) {
            thread::yield_now();
        }
        profiles.inner.state.lock().unwrap().asked = Instant::now();
        profiles.profile(domain).is_some()
    }

    #[test]
    fn a_new_file_is_taken_and_a_damaged_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("company-profiles");
        let profiles = FollowedProfiles::open(path.clone(), folder.path().join("copies")).unwrap();
        assert!(profiles.profile("acme.com").is_none());
        write(&path, &["acme.com"]);
        assert!(look(&profiles, "acme.com"));
        let damaged = folder.path().join("damaged");
        fs::write(&damaged, b"FIRMPROF and nothing").unwrap();
        fs::rename(&damaged, &path).unwrap();
        assert!(look(&profiles, "acme.com"), "the old ones stay");
        write(&path, &["beta.org", "gamma.net"]);
        assert!(look(&profiles, "beta.org") && profiles.profile("acme.com").is_none());
        assert!(FollowedProfiles::open(damaged, folder.path().join("copies")).is_ok(), "no file is no error");
    }
}
