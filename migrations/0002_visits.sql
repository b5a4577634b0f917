-- Derived from events, rebuilt for the visitors touched. A visit that a rebuild no longer finds gets a
-- row with is_deleted = 1. The page route is kept in the row, so that reports never read events.
CREATE TABLE IF NOT EXISTS visits
(
    site LowCardinality(String),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    -- derived from the first pageview's event id
    visit_id UInt64,
    ended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    visitor UInt64,
    has_client Bool,
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
    source LowCardinality(String),
    medium LowCardinality(String),
    campaign String CODEC(ZSTD(1)),
    term String CODEC(ZSTD(1)),
    referrer String CODEC(ZSTD(1)),
    device LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    language LowCardinality(String),
    pageviews UInt32,
    events UInt32,
    visible_ms UInt64,
    email String CODEC(ZSTD(1)),
    first_name String CODEC(ZSTD(1)),
    last_name String CODEC(ZSTD(1)),
    -- one element per pageview, oldest first; all arrays have the same length
    route_at Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    route_scheme Array(LowCardinality(String)),
    route_host Array(LowCardinality(String)),
    route_path Array(String) CODEC(ZSTD(1)),
    route_query Array(String) CODEC(ZSTD(1)),
    route_title Array(String) CODEC(ZSTD(1)),
    route_visible_ms Array(UInt32) CODEC(ZSTD(1)),
    route_scroll Array(UInt8) CODEC(ZSTD(1)),
    version UInt64,
    is_deleted UInt8,
    INDEX by_company company_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_visitor visitor TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYear(started_at)
ORDER BY (site, started_at, visit_id)
-- Small granules: one company's visits are found through the bloom filter, which skips whole granules.
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024, fsync_after_insert = 1,
    fsync_part_directory = 1;
