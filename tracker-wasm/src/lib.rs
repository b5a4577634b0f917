//! The browser part of Firmsight: everything the tracker decides.
//!
//! The core is one pure function, [`run`]: text in, text out. What goes in is the state it gave back last time,
//! what happened, a clock reading and randomness; what comes out is the next state and the effects to perform
//! (write a cookie, send a beacon, …). The JavaScript shell around it (`shell/lfa.js`) knows how to read the page
//! and how to perform an effect, and decides nothing.
//!
//! # Nothing is read without leave
//! The shell hands over nothing of the page by itself. Where a decision needs a reading (the cookies, the address,
//! the referrer), the function stops and asks for the [`Reading`](environment::Reading); the shell takes it and calls
//! again with the same input and the reading added. Since the function is pure, starting over costs nothing, and
//! since a step asks for a reading only after the consent rule allowed it, "nothing is read before consent" is a
//! property of this crate that native tests check.
//!
//! # Texts
//! Input: fields separated by [`FIELD`]: the state (empty at first), what happened, the clock in Unix milliseconds,
//! randomness as three random UUIDs, one slot per [`Reading`](environment::Reading) (empty: not taken; else `=`
//! and the value), then up to eight arguments. Output: the next state, then effects, separated by [`FIELD`]; or an
//! empty field, the number of the reading that is needed, and what must be known to take it. Parts of a field are
//! separated by [`PART`]; the shell replaces control characters in whatever comes from the page.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod boundary;
mod bytes;
pub mod consent;
pub mod cookies;
pub mod effects;
pub mod environment;
mod event;
mod page;
mod state;
mod tracker;

pub use tracker::run;

/// Room that [`run`] needs to write in: the effects, the queue of events and its copies, and one event at a time, each of
/// them of bounded length.
pub const ROOM_BYTES: usize = 16 * beacon::MAX_BODY_BYTES;

/// Separates the fields of input and output (ASCII unit separator).
pub const FIELD: u8 = 0x1f;
/// Separates the parts of one field (ASCII record separator).
pub const PART: u8 = 0x1e;
