-- Those who sign in to the dashboard, as documents like sites and keys.
CREATE TABLE IF NOT EXISTS people
(
    id UUID,
    document String,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
