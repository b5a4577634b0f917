-- What tells the master key of this store from any other: derived from it, and no way back. The earliest row counts.
CREATE TABLE IF NOT EXISTS master_key
(
    made_at DateTime64(3, 'UTC'),
    check_value String
)
ENGINE = MergeTree
ORDER BY (made_at, check_value)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
