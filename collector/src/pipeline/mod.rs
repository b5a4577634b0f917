//! Spool to rows to visits to company days.

pub mod attribution;
pub mod device;
pub mod rows;
pub mod visits;

#[cfg(test)]
mod fixtures;
