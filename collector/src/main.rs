//! The `firmsight` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The embedded ClickHouse runs in a child that is this binary again.
    clickhouse_embedded::child_main_if_asked();
    collector::cli::main()
}
