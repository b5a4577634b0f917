-- Control data: small versioned tables, written by one module only. `document` is JSON.
CREATE TABLE IF NOT EXISTS sites
(
    id String,
    document String,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS api_keys
(
    id UUID,
    document String,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Random keys of a UTC day under which visitors without an id are hashed; sealed with the master key,
-- destroyed 48 hours after they were made. Two collectors may make one each: all rows are kept and the
-- lowest version counts, which is the time it was made in milliseconds.
CREATE TABLE IF NOT EXISTS day_keys
(
    day Date,
    version UInt64,
    sealed String,
    created_at DateTime('UTC')
)
ENGINE = MergeTree
ORDER BY (day, version)
TTL created_at + INTERVAL 48 HOUR
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
