//! The time of report queries.
use std::path::Path;
pub(crate) async fn run(_folder: &Path) {}
