-- Base rows are written once and read by the key, so their size on disk matters more than the time to unpack them: ZSTD also
-- for what had ClickHouse's default of LZ4 (52 in place of 57 bytes for a pageview). Parts take it up as they are merged.
-- Neighbours in the sort order came at about the same time, so their versions differ in the lower half only.
ALTER TABLE events
    MODIFY COLUMN version CODEC(Delta, ZSTD(1)),
    MODIFY COLUMN visitor CODEC(ZSTD(1)),
    MODIFY COLUMN company_id CODEC(ZSTD(1)),
    MODIFY COLUMN company_name CODEC(ZSTD(1)),
    MODIFY COLUMN company_domain CODEC(ZSTD(1)),
    MODIFY COLUMN company_industry CODEC(ZSTD(1)),
    MODIFY COLUMN asn CODEC(ZSTD(1)),
    MODIFY COLUMN country_code CODEC(ZSTD(1)),
    MODIFY COLUMN region CODEC(ZSTD(1)),
    MODIFY COLUMN city CODEC(ZSTD(1)),
    MODIFY COLUMN source CODEC(ZSTD(1)),
    MODIFY COLUMN medium CODEC(ZSTD(1)),
    MODIFY COLUMN device CODEC(ZSTD(1)),
    MODIFY COLUMN browser CODEC(ZSTD(1)),
    MODIFY COLUMN os CODEC(ZSTD(1)),
    MODIFY COLUMN language CODEC(ZSTD(1));
