//! The half that is preloaded: stands before the C library's functions and writes down what went well.
#![allow(unsafe_code, reason = "these are the C library's own functions")]

use crate::journal::{Change, FREEZE_FILE, Inode, JOURNAL_FILE, JOURNAL_VARIABLE, ROOT_VARIABLE, frozen_file};
use libc::{AT_FDCWD, AT_REMOVEDIR, O_CREAT, c_char, c_int, c_uint, mode_t};
use std::{
    cell::Cell,
    ffi::{CStr, OsStr},
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// The journal of this process; none when the variables are not set.
struct Watch {
    root: PathBuf,
    folder: PathBuf,
    /// A change and its line are one step, so that lines are in the order of the changes.
    journal: Mutex<File>,
}

fn watch() -> Option<&'static Watch> {
    static WATCH: OnceLock<Option<Watch>> = OnceLock::new();
    WATCH
        .get_or_init(|| {
            let root = PathBuf::from(std::env::var_os(ROOT_VARIABLE)?);
            let folder = PathBuf::from(std::env::var_os(JOURNAL_VARIABLE)?);
            let journal = OpenOptions::new().create(true).append(true).open(folder.join(JOURNAL_FILE)).ok()?;
            Some(Watch { root, folder, journal: Mutex::new(journal) })
        })
        .as_ref()
}

thread_local! {
    /// What this library does to files itself is not written down.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `real`, and `watched` around it where the process is watched and the call is its own.
fn around(real: impl Fn() -> c_int, watched: impl FnOnce(&Watch, &mut File, &dyn Fn() -> c_int) -> c_int) -> c_int {
    if INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true) {
        return real();
    }
    let outcome = match watch() {
        Some(watch) => {
            let mut journal = watch.journal.lock().unwrap_or_else(PoisonError::into_inner);
            // What the library does in between must not hide why a call failed.
            let failure = Cell::new(0);
            let outcome = watched(watch, &mut journal, &|| {
                let outcome = real();
                if outcome < 0 {
                    // SAFETY: the thread's own number, always valid.
                    failure.set(unsafe { *libc::__errno_location() });
                }
                outcome
            });
            if outcome < 0 {
                // SAFETY: as above.
                unsafe { *libc::__errno_location() = failure.get() };
            }
            outcome
        }
        None => real(),
    };
    INSIDE.try_with(|inside| inside.set(false)).unwrap_or(());
    outcome
}

impl Watch {
    fn note(&self, journal: &mut File, change: &Change) {
        let line = format!("{change}\n");
        if journal.write_all(line.as_bytes()).is_err() {
            // A journal with a hole would make the cut take away too little.
            std::process::abort();
        }
    }

    /// Holds the journal's lock for ever: no file of this process changes any more.
    fn freeze(&self) -> ! {
        drop(fs::write(self.folder.join(frozen_file(std::process::id())), ""));
        loop {
            std::thread::park();
        }
    }

    /// The absolute path, where it is below the root.
    fn below(&self, folder: c_int, path: &CStr) -> Option<PathBuf> {
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let absolute = if path.is_absolute() {
            path.to_owned()
        } else if folder == AT_FDCWD {
            std::env::current_dir().ok()?.join(path)
        } else {
            fs::read_link(format!("/proc/self/fd/{folder}")).ok()?.join(path)
        };
        absolute.starts_with(&self.root).then_some(absolute)
    }

    /// Keeps what is about to lose its name, so that it can come back.
    fn keep(&self, path: &Path) -> Option<(Inode, bool)> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let is_folder = metadata.is_dir();
        let inode = Inode(metadata.ino());
        if metadata.is_file() {
            // Already kept under this name when the same file lost another.
            drop(fs::hard_link(path, self.folder.join(inode.0.to_string())));
        } else if metadata.file_type().is_socket() || metadata.file_type().is_fifo() {
            return None;
        }
        Some((inode, is_folder))
    }
}

/// The next function of this name behind ours.
macro_rules! real {
    ($name:ident, $signature:ty) => {{
        static REAL: OnceLock<usize> = OnceLock::new();
        let address = *REAL.get_or_init(|| {
            let name = concat!(stringify!($name), "\0");
            // SAFETY: the name ends with a zero byte.
            unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) as usize }
        });
        if address == 0 {
            std::process::abort();
        }
        // SAFETY: the C library's function of this name has this signature.
        unsafe { std::mem::transmute::<usize, $signature>(address) }
    }};
}

/// # Safety
/// As the C library's function: `path` ends with a zero byte.
unsafe fn text<'a>(path: *const c_char) -> &'a CStr {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(path) }
}

fn synced(fd: c_int, real: unsafe extern "C" fn(c_int) -> c_int) -> c_int {
    // SAFETY: the caller's descriptor goes on as it came.
    let call = || unsafe { real(fd) };
    around(call, |watch, journal, call| {
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        // Before the sync: what is added during it may miss it.
        let metadata = fs::metadata(format!("/proc/self/fd/{fd}"));
        if watch.folder.join(FREEZE_FILE).exists() && path.starts_with(&watch.root) {
            watch.freeze();
        }
        let outcome = call();
        if let (0, Ok(metadata), true) = (outcome, metadata, path.starts_with(&watch.root)) {
            let change = if metadata.is_dir() {
                Change::FolderSynced { path }
            } else {
                Change::FileSynced { inode: Inode(metadata.ino()), length: metadata.len() }
            };
            watch.note(journal, &change);
        }
        outcome
    })
}

fn opened(folder: c_int, path: &CStr, flags: c_int, call: impl Fn() -> c_int) -> c_int {
    if flags & O_CREAT == 0 {
        return call();
    }
    around(call, |watch, journal, call| {
        let path = watch.below(folder, path);
        let is_there = path.as_ref().is_some_and(|path| fs::symlink_metadata(path).is_ok());
        let outcome = call();
        if let (0.., false, Some(path)) = (outcome, is_there, path)
            && let Ok(metadata) = fs::symlink_metadata(&path)
        {
            watch.note(journal, &Change::Created { path, inode: Inode(metadata.ino()) });
        }
        outcome
    })
}

fn made(folder: c_int, path: &CStr, call: impl Fn() -> c_int) -> c_int {
    opened(folder, path, O_CREAT, call)
}

fn removed(folder: c_int, path: &CStr, call: impl Fn() -> c_int) -> c_int {
    around(call, |watch, journal, call| {
        let path = watch.below(folder, path);
        let kept = path.as_ref().and_then(|path| watch.keep(path));
        let outcome = call();
        if let (0, Some(path), Some((inode, is_folder))) = (outcome, path, kept) {
            watch.note(journal, &Change::Removed { path, inode, is_folder });
        }
        outcome
    })
}

fn renamed(from: (c_int, &CStr), to: (c_int, &CStr), call: impl Fn() -> c_int) -> c_int {
    around(call, |watch, journal, call| {
        let paths = watch.below(from.0, from.1).zip(watch.below(to.0, to.1));
        let replaced = paths.as_ref().and_then(|(_, to)| watch.keep(to)).filter(|(_, is_folder)| !is_folder);
        let outcome = call();
        if let (0, Some((from, to))) = (outcome, paths) {
            watch.note(journal, &Change::Renamed { from, to, replaced: replaced.map(|(inode, _)| inode) });
        }
        outcome
    })
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    synced(fd, real!(fsync, unsafe extern "C" fn(c_int) -> c_int))
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    synced(fd, real!(fdatasync, unsafe extern "C" fn(c_int) -> c_int))
}

/// The functions that open a file take a third argument only where they create one; it is passed on unread.
macro_rules! open_functions {
    ($($name:ident),*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($name, unsafe extern "C" fn(*const c_char, c_int, mode_t) -> c_int);
            // SAFETY: the caller's arguments go on as they came.
            unsafe { opened(AT_FDCWD, text(path), flags, || real(path, flags, mode)) }
        }
    )*};
}
open_functions!(open, open64);

/// The same below a folder.
macro_rules! open_at_functions {
    ($($name:ident),*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($name, unsafe extern "C" fn(c_int, *const c_char, c_int, mode_t) -> c_int);
            // SAFETY: the caller's arguments go on as they came.
            unsafe { opened(folder, text(path), flags, || real(folder, path, flags, mode)) }
        }
    )*};
}
open_at_functions!(openat, openat64);

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    let real = real!(mkdir, unsafe extern "C" fn(*const c_char, mode_t) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { made(AT_FDCWD, text(path), || real(path, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdirat(folder: c_int, path: *const c_char, mode: mode_t) -> c_int {
    let real = real!(mkdirat, unsafe extern "C" fn(c_int, *const c_char, mode_t) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { made(folder, text(path), || real(folder, path, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    let real = real!(link, unsafe extern "C" fn(*const c_char, *const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { made(AT_FDCWD, text(to), || real(from, to)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn linkat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let real = real!(linkat, unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, c_int) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { made(to_folder, text(to), || real(from_folder, from, to_folder, to, flags)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    let real = real!(unlink, unsafe extern "C" fn(*const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { removed(AT_FDCWD, text(path), || real(path)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    let real = real!(rmdir, unsafe extern "C" fn(*const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { removed(AT_FDCWD, text(path), || real(path)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn remove(path: *const c_char) -> c_int {
    let real = real!(remove, unsafe extern "C" fn(*const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { removed(AT_FDCWD, text(path), || real(path)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    debug_assert!(flags & !AT_REMOVEDIR == 0, "no other flag exists");
    let real = real!(unlinkat, unsafe extern "C" fn(c_int, *const c_char, c_int) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { removed(folder, text(path), || real(folder, path, flags)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let real = real!(rename, unsafe extern "C" fn(*const c_char, *const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { renamed((AT_FDCWD, text(from)), (AT_FDCWD, text(to)), || real(from, to)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat(from_folder: c_int, from: *const c_char, to_folder: c_int, to: *const c_char) -> c_int {
    let real = real!(renameat, unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe { renamed((from_folder, text(from)), (to_folder, text(to)), || real(from_folder, from, to_folder, to)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    let real = real!(renameat2, unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, c_uint) -> c_int);
    // SAFETY: the caller's arguments go on as they came.
    unsafe {
        renamed((from_folder, text(from)), (to_folder, text(to)), || real(from_folder, from, to_folder, to, flags))
    }
}
