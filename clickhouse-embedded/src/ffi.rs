//! The calls that the compiler cannot check: all unsafe code of this crate.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::Path,
};

/// Runs the library's `main` with these arguments and returns when the engine has stopped.
///
/// # Errors
/// One sentence when the library can't be loaded or when the engine reports an error.
pub(crate) fn run_library(library: &Path, arguments: &[String]) -> Result<(), String> {
    type Main = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
    type ResultError = unsafe extern "C" fn(*mut c_void) -> *const c_char;

    let arguments: Vec<CString> = arguments
        .iter()
        .map(|argument| CString::new(argument.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| "an argument holds a NUL byte".to_owned())?;
    let count = c_int::try_from(arguments.len()).map_err(|_| "too many arguments".to_owned())?;
    let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());

    // SAFETY: loading runs the library's initialisers; that is trusted because the user (or set-up, by hash)
    // put this very file there. The process does nothing else.
    let library =
        unsafe { libloading::Library::new(library) }.map_err(|error| format!("cannot load the library: {error}"))?;
    // SAFETY: the types are those of `chdb.h` (26.7): `chdb_result * chdb_query_cmdline(int argc, char ** argv)`
    // and `const char * chdb_result_error(chdb_result *)`, the result being an opaque pointer.
    let (main, result_error) = unsafe {
        let missing = |error| format!("the library lacks chDB 26.7's interface: {error}");
        let main = library.get::<Main>(b"chdb_query_cmdline\0").map_err(missing)?;
        (main, library.get::<ResultError>(b"chdb_result_error\0").map_err(missing)?)
    };
    // SAFETY: `pointers` is an argv: `count` valid NUL-terminated strings and a null pointer, all alive
    // until the call returns, and only read by it.
    let result = unsafe { main(count, pointers.as_mut_ptr()) };
    if result.is_null() {
        return Err("the engine returned nothing".to_owned());
    }
    // SAFETY: `result` came from the call above and is not freed; the message is null or NUL-terminated and lives
    // as long as the result.
    let message = unsafe {
        let message = result_error(result);
        (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
    };
    message.map_or(Ok(()), Err)
}

/// Lets SIGTERM pass by: a service manager that signals the whole group must not stop the store before its parent,
/// which is still writing to it.
pub(crate) fn ignore_sigterm() {
    // SAFETY: SIG_IGN is a valid disposition and no handler of ours is replaced.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}

/// Ends the process at once, without the static destructors of a library of 500 MB, which may crash.
pub(crate) fn exit_at_once(status: c_int) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(status) }
}
