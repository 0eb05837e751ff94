-- The tables of `trashbin collect`. An event is written once, told from others by its id.
-- IF NOT EXISTS would ask for rights on the whole database even where the schema is there.
DO $$ BEGIN
    IF to_regnamespace('trashbin') IS NULL THEN CREATE SCHEMA trashbin; END IF;
END $$;

CREATE TABLE trashbin.version (number integer NOT NULL);
INSERT INTO trashbin.version VALUES (2);

CREATE TABLE trashbin.event (
    event_id uuid PRIMARY KEY,
    device_id text NOT NULL,
    store_id uuid NOT NULL,
    seq bigint NOT NULL,
    ts timestamptz NOT NULL,            -- the bin's clock
    received timestamptz NOT NULL DEFAULT clock_timestamp(),
    historical boolean NOT NULL,        -- it came late, on event/backlog
    body jsonb NOT NULL,                -- the whole event, as it was published
    event_type text NOT NULL GENERATED ALWAYS AS (body ->> 'event_type') STORED,
    mode text GENERATED ALWAYS AS (body ->> 'mode') STORED,
    reason text GENERATED ALWAYS AS (body ->> 'reason') STORED,
    label text GENERATED ALWAYS AS (body ->> 'label') STORED,
    bin text GENERATED ALWAYS AS (body ->> 'bin') STORED,
    top1 double precision GENERATED ALWAYS AS ((body ->> 'top1')::double precision) STORED,
    gap double precision GENERATED ALWAYS AS ((body ->> 'gap')::double precision) STORED,
    total_ms double precision
        GENERATED ALWAYS AS ((body #>> '{timing_ms,total}')::double precision) STORED,
    resolves uuid GENERATED ALWAYS AS ((body ->> 'resolves')::uuid) STORED,
    answer text GENERATED ALWAYS AS (body #>> '{answer,label}') STORED
);
CREATE INDEX event_ts ON trashbin.event (ts);
CREATE INDEX event_device ON trashbin.event (device_id, ts);
CREATE INDEX event_seq ON trashbin.event (store_id, seq);
CREATE INDEX event_resolves ON trashbin.event (resolves) WHERE resolves IS NOT NULL;

-- Each bin's stores: every event up to `complete` is here, or is told as lost. Bins whose cards
-- are copies of one begin with the same store.
CREATE TABLE trashbin.store (
    device_id text NOT NULL,
    store_id uuid NOT NULL,
    complete bigint NOT NULL,
    begun timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (device_id, store_id)
);

-- Events that neither we nor the bin have any more.
CREATE TABLE trashbin.lost (
    device_id text NOT NULL,
    store_id uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    told timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (device_id, store_id, first_seq)
);

-- Messages on the topics of events that are none; of these the newest 10,000.
CREATE TABLE trashbin.refused (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    received timestamptz NOT NULL DEFAULT clock_timestamp(),
    topic text NOT NULL,
    payload bytea NOT NULL,
    why text NOT NULL
);
