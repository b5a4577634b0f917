-- Base rows: one per event, counted once whatever was retried. The sort and partition keys hold only
-- what a retry repeats exactly (site, the client's own clock, event id). The first arrival wins: the
-- version is counted down from the time of receipt, so that a late repeat never changes a stored event.
CREATE TABLE IF NOT EXISTS events
(
    site LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_id UUID,
    type LowCardinality(String),
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1)),
    -- keyed hash of the client id where there is one, else of address and user agent under the day's key
    visitor UInt64,
    has_client Bool,
    consent LowCardinality(String),
    page UUID,
    scheme LowCardinality(String),
    host LowCardinality(String),
    path String CODEC(ZSTD(1)),
    query String CODEC(ZSTD(1)),
    title String CODEC(ZSTD(1)),
    referrer String CODEC(ZSTD(1)),
    source LowCardinality(String),
    medium LowCardinality(String),
    campaign String CODEC(ZSTD(1)),
    term String CODEC(ZSTD(1)),
    visible_ms UInt32,
    scroll UInt8,
    name String CODEC(ZSTD(1)),
    props String CODEC(ZSTD(1)),
    network_kind LowCardinality(String),
    company_id UInt64,
    company_name LowCardinality(String),
    company_domain LowCardinality(String),
    company_industry LowCardinality(String),
    company_source LowCardinality(String),
    company_confidence Float32,
    country_code LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    asn UInt32,
    device LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    language LowCardinality(String),
    version UInt64,
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_visitor visitor TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(at)
ORDER BY (site, at, event_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
