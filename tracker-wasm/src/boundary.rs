//! How JavaScript calls the core: it reserves room for the input, writes it, runs, and reads the output before the
//! next call.
//!
//! Nothing outlives a call (the state travels as text), so memory is laid out anew each time: after the stack and the
//! statics the input, then room to write in.
#![allow(unsafe_code)]

use crate::ROOM_BYTES;
use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    panic::PanicInfo,
    ptr, slice,
};

const PAGE_BYTES: usize = 64 * 1024;

unsafe extern "C" {
    /// The first byte after stack and statics; the linker knows it.
    static __heap_base: u8;
}

/// The crate `beacon` can allocate; nothing that is called here does.
struct Never;

// SAFETY: it gives nothing out.
unsafe impl GlobalAlloc for Never {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Never = Never;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}

fn input() -> usize {
    &raw const __heap_base as usize
}

/// Begins a call: gives where `length` bytes of input are to be written.
#[unsafe(no_mangle)]
extern "C" fn reserve(length: usize) -> usize {
    let pages = (input() + length + ROOM_BYTES).div_ceil(PAGE_BYTES);
    let have = wasm32::memory_size(0);
    // Where no memory is to be had, what follows traps, which the shell takes for a call that did nothing.
    if pages > have {
        wasm32::memory_grow(0, pages - have);
    }
    input()
}

/// Runs on the `length` bytes written to what [`reserve`] gave; returns where the output begins, which ends before the
/// first zero.
#[unsafe(no_mangle)]
extern "C" fn run(length: usize) -> *const u8 {
    // SAFETY: `reserve` made sure of both blocks, they don't overlap, nothing else points to them, and WebAssembly's
    // memory is always initialised.
    let (input, room) = unsafe {
        let room = slice::from_raw_parts_mut((input() + length) as *mut u8, ROOM_BYTES);
        (slice::from_raw_parts(input() as *const u8, length), room)
    };
    crate::run(input, room).as_ptr()
}
