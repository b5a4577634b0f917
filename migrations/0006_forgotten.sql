-- Visitors who withdrew: what they did until then is erased, and what still arrives of it is dropped. An
-- event is at most 7 days old when it is received, so that 30 days cover a spool that waited for weeks.
CREATE TABLE IF NOT EXISTS forgotten
(
    site String,
    visitor UInt64,
    until DateTime64(3, 'UTC'),
    made_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(until)
ORDER BY (site, visitor)
TTL made_at + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
