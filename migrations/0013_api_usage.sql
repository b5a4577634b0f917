-- Requests of each key by UTC day, one row per process that counted (instance), replaced as its count grows. Kept for 12
-- months and the one that has begun.
CREATE TABLE IF NOT EXISTS api_usage
(
    day Date,
    key_id UUID,
    instance UUID,
    requests UInt64,
    refused UInt64,
    last_used_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(day)
ORDER BY (key_id, day, instance)
TTL day + toIntervalDay(400)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
