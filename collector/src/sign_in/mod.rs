//! Who is at the other end of a browser: passwords, sessions, delays after failures, and whether a request comes from our own
//! pages. A core: the clock, randomness and stored people are arguments; the dashboard speaks HTTP.
//!
//! # What an attacker meets
//! - **Guessing**: a check costs 19 MiB and some tens of milliseconds (`password`), equally for addresses that nobody has;
//!   failures delay the next try, by account and by network (`delays`).
//! - **A stolen database** holds argon2id hashes. **A stolen cookie** ends with its time, with the person's next password or
//!   role, and with "sign out everywhere" (`session`). A cookie can't be forged without the master key, nor fixed before
//!   sign-in: each sign-in seals a new one.
//! - **Another site in the same browser** can't post (`origin`: Origin and token), can't frame (CSP), and can't read by giving its
//!   own name our address, because a request must name a host that is ours (`origin`).

pub mod delays;
pub mod origin;
pub mod password;
pub mod session;
