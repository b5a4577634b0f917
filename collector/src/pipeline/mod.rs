//! Spool to rows to visits to company days.

pub mod attribution;
pub mod device;
pub mod forget;
pub mod local_day;
pub mod rebuild;
pub mod retry;
pub mod rows;
pub mod steps;
pub mod verdicts;
pub mod visits;

#[cfg(test)]
mod fixtures;
