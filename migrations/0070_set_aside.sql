-- What could not be counted and waits for a retry of its own: a visitor, or a company's day. Its base rows are stored.
CREATE TABLE IF NOT EXISTS set_aside
(
    -- visitor, company-day
    kind LowCardinality(String),
    site String,
    -- the visitor's key or the company's id
    id UInt64,
    -- the site's local day; 1970-01-01 for a visitor
    day Date,
    -- the event times that are not counted yet
    first DateTime64(3, 'UTC'),
    last DateTime64(3, 'UTC'),
    failures UInt32,
    reason String,
    since DateTime64(3, 'UTC'),
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (kind, site, id, day)
TTL toDateTime(since) + INTERVAL 90 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
