//! How JavaScript calls the core: it reserves room for the input, writes it, runs, and reads the output before the
//! next call.
//!
//! Nothing outlives a call (the state travels as text), so memory is given out upwards and taken back all at once.
#![allow(unsafe_code)]

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    panic::PanicInfo,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const PAGE_BYTES: usize = 64 * 1024;

/// Where the next allocation begins; 0 before the first call.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static INPUT: AtomicUsize = AtomicUsize::new(0);
static OUTPUT_LENGTH: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// The first byte after stack and statics; the linker knows it.
    static __heap_base: u8;
}

struct Upwards;

// SAFETY: blocks never overlap, since each begins where the one before ended, and lie inside the memory, which is
// grown first; a page's script is one thread.
unsafe impl GlobalAlloc for Upwards {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let begin = NEXT.load(Relaxed).next_multiple_of(layout.align());
        let end = begin + layout.size();
        let have = wasm32::memory_size(0) * PAGE_BYTES;
        if end > have && wasm32::memory_grow(0, (end - have).div_ceil(PAGE_BYTES)) == usize::MAX {
            return ptr::null_mut();
        }
        NEXT.store(end, Relaxed);
        begin as *mut u8
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Upwards = Upwards;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}

/// Begins a call: takes all memory back and gives room for `length` bytes of input.
#[unsafe(no_mangle)]
extern "C" fn reserve(length: usize) -> usize {
    NEXT.store(&raw const __heap_base as usize, Relaxed);
    // SAFETY: the layout of bytes is valid for any length a browser can hand in.
    let input = unsafe { ALLOCATOR.alloc(Layout::from_size_align_unchecked(length, 1)) } as usize;
    INPUT.store(input, Relaxed);
    input
}

/// Runs on the `length` bytes written to what [`reserve`] gave; returns where the output begins.
#[unsafe(no_mangle)]
extern "C" fn run(length: usize) -> *const u8 {
    // SAFETY: `reserve` gave this room and nothing else points to it.
    let input = unsafe { core::slice::from_raw_parts(INPUT.load(Relaxed) as *const u8, length) };
    let output = crate::run(input);
    OUTPUT_LENGTH.store(output.len(), Relaxed);
    output.leak().as_ptr()
}

/// How long the output is, in bytes.
#[unsafe(no_mangle)]
extern "C" fn length() -> usize {
    OUTPUT_LENGTH.load(Relaxed)
}
