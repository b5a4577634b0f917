//! How requests are read and shared parts of answers written: what the siblings have in common, and nothing of their own.

pub(crate) mod body;
pub(crate) mod dates;
pub(crate) mod location;
pub(crate) mod parameters;

pub(crate) use parameters::{FromPath, Parameters};
