-- Who read company data and who changed what. No address, no query string, nothing of what was found. The
-- retention is configurable and set again at each start.
CREATE TABLE IF NOT EXISTS audit
(
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id UUID,
    -- the key's id; all zeros for the command line
    actor UUID,
    actor_name LowCardinality(String),
    -- read, create, change, remove
    action LowCardinality(String),
    endpoint LowCardinality(String),
    -- empty where it is no single site
    site LowCardinality(String),
    -- what was changed, such as a key's id
    object String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, id)
TTL toDateTime(at) + toIntervalDay(730)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
