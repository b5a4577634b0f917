-- Who is not counted on any site: companies, networks, visitors (as a hash of the client id). `document` is JSON.
CREATE TABLE IF NOT EXISTS objections
(
    id String,
    document String,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
