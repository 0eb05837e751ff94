-- The events of `trashbin collect` in one partition a day (UTC), for PostgreSQL 14 and later:
--   psql trashbin -f by-day.sql
-- once, after collect has made its tables; it may be running. An event_id is a UUIDv7, which begins
-- with its time: so the days are ranges of it, and it stays unique over all of them.
-- What is there already, and what has an id of another kind or of a day that nobody added, lies in
-- event_other.
--
-- Each day, for instance by cron, add one that is to come, and forget one that is old:
--   SELECT trashbin.add_day(current_date + 7);
--   DROP TABLE trashbin.event_2026_01_31;
BEGIN;

ALTER TABLE trashbin.event RENAME TO event_other;
CREATE TABLE trashbin.event (LIKE trashbin.event_other INCLUDING ALL) PARTITION BY RANGE (event_id);
ALTER TABLE trashbin.event ATTACH PARTITION trashbin.event_other DEFAULT;

-- Whoever may write or read the events still may, whoever runs this.
DO $$
DECLARE
    allowed record;
BEGIN
    EXECUTE format(
        'ALTER TABLE trashbin.event OWNER TO %I',
        (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'trashbin.event_other'::regclass)
    );
    FOR allowed IN
        SELECT privilege_type AS what,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS whom
        FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = 'trashbin.event_other'::regclass
    LOOP
        EXECUTE format('GRANT %s ON trashbin.event TO %s', allowed.what, allowed.whom);
    END LOOP;
END
$$;

-- Fails where event_other holds events of that day: add days before they come.
CREATE FUNCTION trashbin.add_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first uuid := trashbin.first_id(day);
    after uuid := trashbin.first_id(day + 1);
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS trashbin.%I PARTITION OF trashbin.event FOR VALUES FROM (%L) TO (%L)',
        'event_' || to_char(day, 'YYYY_MM_DD'), first, after
    );
END
$$;

CREATE FUNCTION trashbin.first_id(day date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (
        lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || repeat('0', 20)
    )::uuid
$$;

SELECT trashbin.add_day((now() AT TIME ZONE 'UTC')::date + n) FROM generate_series(1, 7) AS n;

COMMIT;
