//! The `firmsight` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The embedded ClickHouse runs in a child that is this binary again.
    clickhouse_embedded::child_main_if_asked();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    give_back_memory();
    collector::cli::main()
}

/// Sets how glibc keeps memory that was freed. By itself it raises, each time a large piece is freed, the size from which on a
/// piece is mapped by itself, up to 32 MiB, and gives threads eight heaps a processor: what a spool segment needed for a moment
/// then stays in the heap of whichever thread read it. A threshold that is set, even to what it is at first, stays as it is.
/// 40 seconds of full load take 81 MB with one heap a processor and 101 to 109 MB with two, in the same processor time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back_memory() {
    const MAPPED_FROM_BYTES: libc::c_int = 128 << 10;
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get().min(64) as libc::c_int);
    // SAFETY: both set a number of the allocator, before any other thread runs. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, processors);
    }
}
