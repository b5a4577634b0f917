-- What was dropped, by site, UTC day and reason, for "why do I see nothing?". One row per spool segment
-- (or import batch), so that a retry replaces its own row instead of adding to the count.
CREATE TABLE IF NOT EXISTS drops
(
    site LowCardinality(String),
    day Date,
    reason LowCardinality(String),
    batch UUID,
    events UInt64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(day)
ORDER BY (site, day, reason, batch)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
