//! The `firmsight` binary.

fn main() {
    clickhouse_embedded::child_main_if_asked();
}
