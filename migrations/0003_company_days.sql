-- Derived from visits, rebuilt for the (site, company, day) touched. The day is the site's own local day.
CREATE TABLE IF NOT EXISTS company_days
(
    site LowCardinality(String),
    day Date,
    company_id UInt64,
    company_name LowCardinality(String),
    company_domain LowCardinality(String),
    company_industry LowCardinality(String),
    company_confidence Float32,
    country_code LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    visits UInt32,
    visitors UInt32,
    pageviews UInt32,
    visible_ms UInt64,
    first_visit_at DateTime64(3, 'UTC'),
    last_visit_at DateTime64(3, 'UTC'),
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYear(day)
ORDER BY (site, day, company_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
