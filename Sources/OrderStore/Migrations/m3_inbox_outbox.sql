-- The inbox: each command once, with its outcome. The outbox: events that are committed and not yet published.

-- Kept for the retention time and dropped a month at a time. No index can be unique across months, so the owner of the
-- partition looks a command up before it records it; within a month the index of each month refuses a double.
CREATE TABLE inbox (
    received_at      timestamptz NOT NULL,
    sender           text NOT NULL, -- the partner that the publisher acts for: no partner can use up another's ids
    source           text NOT NULL,
    id               text NOT NULL,
    customer_id      uuid NOT NULL,
    partition        integer NOT NULL,
    type             text NOT NULL,
    publisher        text NOT NULL,
    effective_at     timestamptz NOT NULL,
    data             bytea NOT NULL,
    traceparent      text,
    tracestate       text,
    outcome_id       uuid NOT NULL,
    outcome_type     text NOT NULL,
    outcome_at       timestamptz NOT NULL,
    outcome_data     bytea NOT NULL
) PARTITION BY RANGE (received_at);

-- Catches what no month is there for; stays empty as long as months are made in time.
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;
CREATE UNIQUE INDEX inbox_default_key ON inbox_default (sender, source, id);

-- Makes the inbox's tables for this month and the `ahead` next ones.
CREATE FUNCTION make_inbox_months(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month date;
    name  text;
    made  integer := 0;
BEGIN
    FOR offset_ IN 0..ahead LOOP
        month := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => offset_))::date;
        name := 'inbox_' || to_char(month, 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)', name,
                month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('CREATE UNIQUE INDEX %I ON %I (sender, source, id)', name || '_key', name);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the inbox's months that ended before `oldest`.
CREATE FUNCTION drop_inbox_months(oldest timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name    text;
    dropped integer := 0;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_\d{4}_\d{2}$'
          AND to_date(substr(c.relname, 7), 'YYYY_MM') + interval '1 month' <= oldest AT TIME ZONE 'UTC'
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

SELECT make_inbox_months(2);

CREATE TABLE outbox (
    partition      integer NOT NULL,
    position       bigint GENERATED ALWAYS AS IDENTITY,
    event_id       uuid NOT NULL,
    type           text NOT NULL,
    time           timestamptz NOT NULL,
    customer_id    uuid NOT NULL,
    data           bytea NOT NULL,
    reply_to       text,
    correlation_id text,
    traceparent    text,
    tracestate     text,
    PRIMARY KEY (partition, position)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000); -- rows live for milliseconds
