-- What a visit lacked for reports: its length as the API counts it (whole seconds from page to page), and the names
-- of its events that goals can be made of.
ALTER TABLE visits
    ADD COLUMN IF NOT EXISTS visit_length UInt32 DEFAULT toUInt32(arraySum(arrayMap(
        (at, next) -> intDiv(greatest(toUnixTimestamp64Milli(next) - toUnixTimestamp64Milli(at), 0), 1000),
        arrayPopBack(route_at), arrayPopFront(route_at)))) AFTER visible_ms,
    ADD COLUMN IF NOT EXISTS event_names Array(LowCardinality(String)) AFTER visit_length;

-- Company days, in place of the table company_days. Derived from visits, rebuilt for the (site, company, day) touched;
-- the day is the site's own local day. A partition is a month, so that a window of time reads its months alone; within
-- it a company's days stand together, so that one company is found by the sort key and texts compress to nothing.
-- The sets hold each value once; '' stands for none (a direct visit, no campaign).
CREATE TABLE IF NOT EXISTS company_activity
(
    site LowCardinality(String),
    company_id UInt64 CODEC(Delta, ZSTD(1)),
    day Date CODEC(Delta, ZSTD(1)),
    company_name LowCardinality(String),
    company_domain LowCardinality(String),
    company_industry LowCardinality(String),
    company_confidence Float32 CODEC(ZSTD(1)),
    country_code LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    visits UInt32 CODEC(T64, ZSTD(1)),
    -- visits of one pageview
    bounces UInt32 CODEC(T64, ZSTD(1)),
    visitors UInt32 CODEC(T64, ZSTD(1)),
    pageviews UInt32 CODEC(T64, ZSTD(1)),
    visible_ms UInt64 CODEC(T64, ZSTD(1)),
    visit_length UInt64 CODEC(T64, ZSTD(1)),
    first_visit_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    last_visit_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    sources Array(LowCardinality(String)),
    mediums Array(LowCardinality(String)),
    campaigns Array(LowCardinality(String)),
    terms Array(LowCardinality(String)),
    countries Array(LowCardinality(String)),
    regions Array(LowCardinality(String)),
    cities Array(LowCardinality(String)),
    paths Array(String) CODEC(ZSTD(1)),
    event_names Array(LowCardinality(String)),
    version UInt64 CODEC(Delta, ZSTD(1)),
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (site, company_id, day)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024, fsync_after_insert = 1,
    fsync_part_directory = 1;

INSERT INTO company_activity
SELECT entry.site, entry.company_id, entry.day, any(entry.company_name), any(entry.company_domain), any(entry.company_industry),
    any(entry.company_confidence), any(entry.country_code), any(entry.region), any(entry.city), any(entry.visits),
    toUInt32(countIf(visit.pageviews <= 1)), any(entry.visitors), any(entry.pageviews), any(entry.visible_ms), sum(visit.visit_length), any(entry.first_visit_at),
    any(entry.last_visit_at), groupUniqArray(visit.source), groupUniqArray(visit.medium), groupUniqArray(visit.campaign),
    groupUniqArray(visit.term),
    groupUniqArray(visit.country_code), groupUniqArray(visit.region), groupUniqArray(visit.city),
    groupUniqArrayArray(1000)(visit.route_path), groupUniqArrayArray(1000)(visit.event_names), any(entry.version), 0
FROM (SELECT * FROM company_days FINAL) AS entry
INNER JOIN (SELECT * FROM visits FINAL) AS visit ON visit.site = entry.site AND visit.company_id = entry.company_id
WHERE visit.started_at BETWEEN entry.first_visit_at AND entry.last_visit_at
GROUP BY entry.site, entry.company_id, entry.day;

-- One row per company of a site, over all time. Derived from company_activity, rebuilt for the companies touched. Name,
-- domain, industry and place are those of the latest day. What follows `active_days` is the company's profile, from data
-- about companies rather than from visits; null where nothing is known.
CREATE TABLE IF NOT EXISTS companies
(
    site LowCardinality(String),
    company_id UInt64,
    name String CODEC(ZSTD(1)),
    domain String CODEC(ZSTD(1)),
    industry LowCardinality(String),
    confidence Float32,
    country_code LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    first_visit_at DateTime64(3, 'UTC'),
    last_visit_at DateTime64(3, 'UTC'),
    visits UInt64,
    pageviews UInt64,
    visible_ms UInt64,
    active_days UInt32,
    legal_name Nullable(String),
    employees_min Nullable(UInt32),
    -- null where the range is open
    employees_max Nullable(UInt32),
    -- in whole units of the currency (ISO 4217)
    revenue_amount Nullable(UInt64),
    revenue_currency Nullable(String),
    revenue_year Nullable(Int16),
    street Nullable(String),
    postcode Nullable(String),
    address_city Nullable(String),
    address_region Nullable(String),
    address_country_code Nullable(String),
    phone Nullable(String),
    website_url Nullable(String),
    linkedin_url Nullable(String),
    twitter_url Nullable(String),
    facebook_url Nullable(String),
    logo_url Nullable(String),
    legal_entity_identifier Nullable(String),
    description Nullable(String),
    founded Nullable(Int16),
    parent_name Nullable(String),
    parent_domain Nullable(String),
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (site, company_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024, fsync_after_insert = 1,
    fsync_part_directory = 1;

INSERT INTO companies (site, company_id, name, domain, industry, confidence, country_code, region, city, first_visit_at,
    last_visit_at, visits, pageviews, visible_ms, active_days, version, is_deleted)
SELECT entry.site, entry.company_id, argMax(entry.company_name, entry.day), argMax(entry.company_domain, entry.day),
    argMax(entry.company_industry, entry.day), argMax(entry.company_confidence, entry.day),
    argMax(entry.country_code, entry.day), argMax(entry.region, entry.day), argMax(entry.city, entry.day),
    min(entry.first_visit_at), max(entry.last_visit_at), sum(entry.visits), sum(entry.pageviews), sum(entry.visible_ms),
    toUInt32(count()), max(entry.version), 0
FROM company_activity AS entry FINAL
GROUP BY entry.site, entry.company_id;
