-- Company days moved to company_activity.
DROP TABLE IF EXISTS company_days;

-- Control data that belongs to a site: feeds, lists of companies, goals. `document` is JSON.
CREATE TABLE IF NOT EXISTS site_objects
(
    kind LowCardinality(String),
    id UUID,
    document String,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (kind, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What people noted about a company of a site. Columns rather than a document, because feeds filter by them.
CREATE TABLE IF NOT EXISTS company_marks
(
    site String,
    company_id UInt64,
    tags Array(String),
    -- ids of lists
    lists Array(String),
    assignee String,
    is_hidden Bool,
    is_followed Bool,
    -- JSON: an array of notes, each with its id, text, author and time
    notes String CODEC(ZSTD(1)),
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, company_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Asked exports, and what they found, in parts of a bounded size that are joined on download. Both go when they expire.
CREATE TABLE IF NOT EXISTS export_requests
(
    id UUID,
    -- the last part of the download's address
    file_name String,
    document String,
    expires_at DateTime('UTC'),
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY id
TTL expires_at
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS export_parts
(
    export_id UUID,
    part UInt32,
    body String CODEC(ZSTD(3)),
    expires_at DateTime('UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (export_id, part)
TTL expires_at
SETTINGS index_granularity = 1, fsync_after_insert = 1, fsync_part_directory = 1;
