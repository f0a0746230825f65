-- The inbox's months without a queue behind a reader; what is due, by key.
--
-- Who reads `inbox` for long (a dump, an audit) holds a weak lock on it and on every month. A strong lock that waits for
-- it would make every worker wait behind it. So a strong lock is waited for 200 ms at most and tried again later, there
-- is always more than a month's time for it, and nothing that takes long is done under one.
--
-- The functions run with the rights of the tables' owner, so that a worker can have a role that only reads and writes
-- rows. What a caller may have done by them is what it may do by itself, but for drop_inbox_months: see there.

-- The months for which the inbox should have a table and has none: this one and the `ahead` next ones, and those of rows
-- that no month was there for.
CREATE FUNCTION missing_inbox_months(ahead integer) RETURNS SETOF date LANGUAGE sql STABLE SECURITY DEFINER AS $$
    WITH wanted AS (
        SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n))::date AS month
        FROM generate_series(0, ahead) AS n
        UNION
        SELECT DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC')::date FROM inbox_default
        WHERE received_at < (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead + 1))
            AT TIME ZONE 'UTC')
    SELECT month FROM wanted WHERE to_regclass('inbox_' || to_char(month, 'YYYY_MM')) IS NULL ORDER BY month
$$;

-- Makes the inbox's table for a month, with the rows of it that lie in `inbox_default`.
CREATE FUNCTION make_inbox_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET lock_timeout = '200ms' AS $$
DECLARE
    name    text := 'inbox_' || to_char(month, 'YYYY_MM');
    since   timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    until   timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    columns text;
BEGIN
    IF NOT has_table_privilege(session_user, 'inbox', 'INSERT') THEN
        RAISE EXCEPTION 'permission denied to make a month of the inbox' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = 'inbox'::regclass AND attnum > 0 AND NOT attisdropped;
    -- A table of its own until the end: so far nobody waits for anything. The constraint spares the reading of the new
    -- table when it becomes a part of the inbox.
    EXECUTE format('CREATE TABLE %I (LIKE inbox INCLUDING DEFAULTS INCLUDING CONSTRAINTS, '
        'CONSTRAINT %I CHECK (received_at >= %L AND received_at < %L))', name, name || '_month', since, until);
    -- In the form in which a dump restores it, as of the other months.
    EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM inbox_default WHERE received_at >= %L AND received_at < %L',
        name, columns, columns, since, until);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (sender, source, id)', name || '_key', name);
    -- From here on others wait. The lock comes first, or the statements below would raise weaker ones to it.
    LOCK TABLE inbox_default IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM inbox_default WHERE received_at >= since AND received_at < until) THEN
        EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM inbox_default AS d WHERE received_at >= %L AND received_at < %L '
            'AND NOT EXISTS (SELECT FROM %I AS m WHERE (m.sender, m.source, m.id) = (d.sender, d.source, d.id))',
            name, columns, columns, since, until, name);
        -- Not truncated: a reader that began before would miss the rows, which it can't see in the new table.
        DELETE FROM inbox_default WHERE received_at >= since AND received_at < until;
    END IF;
    EXECUTE format('ALTER TABLE inbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, since, until);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', name, name || '_month');
END
$$;

-- Makes what is missing at once; for versions that ask so.
CREATE OR REPLACE FUNCTION make_inbox_months(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month date;
    made  integer := 0;
BEGIN
    FOR month IN SELECT * FROM missing_inbox_months(ahead) LOOP
        PERFORM make_inbox_month(month);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the inbox's months that ended before `oldest`, and no later than 31 days ago: whoever may write to the inbox can
-- call it. Detached concurrently it can't be: that can't be done in a function, nor beside a default partition.
CREATE OR REPLACE FUNCTION drop_inbox_months(oldest timestamptz) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET lock_timeout = '200ms' AS $$
DECLARE
    name    text;
    dropped integer := 0;
BEGIN
    IF NOT has_table_privilege(session_user, 'inbox', 'DELETE') THEN
        RAISE EXCEPTION 'permission denied to drop a month of the inbox' USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_\d{4}_\d{2}$'
          AND to_date(substr(c.relname, 7), 'YYYY_MM') + interval '1 month'
              <= least(oldest, now() - interval '31 days') AT TIME ZONE 'UTC'
        ORDER BY c.relname
        LIMIT 1
    LOOP
        EXECUTE format('ALTER TABLE inbox DETACH PARTITION %I', name);
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

-- Until when the inbox has a table for every month.
CREATE FUNCTION inbox_months_until() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT min(month) AT TIME ZONE 'UTC' FROM (
        SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n) AS month
        FROM generate_series(0, 120) AS n) AS months
    WHERE to_regclass('inbox_' || to_char(month, 'YYYY_MM')) IS NULL
$$;

-- Whatever schema the tables are in: nobody can put others before them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'missing_inbox_months(integer)', 'make_inbox_month(date)', 'make_inbox_months(integer)',
        'drop_inbox_months(timestamptz)', 'inbox_months_until()']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;

-- The clock reads what is due page by page, in this order; many things fall due at the same moment.
CREATE INDEX subscriptions_due_by_customer ON subscriptions (due_at, customer_id) WHERE due_at IS NOT NULL;
CREATE INDEX invoices_due_by_customer ON invoices (due_at, customer_id) WHERE due_at IS NOT NULL;
DROP INDEX subscriptions_due, invoices_due;
