-- A worker with a role of its own, which only reads and writes rows; nothing is emptied, whoever asks for it.

-- The roles that `migrate` gives the rights of a worker or of a reader, each time anew, as later tables need rights too.
CREATE TABLE granted_roles (
    role_name text PRIMARY KEY,
    purpose   text NOT NULL CHECK (purpose IN ('worker', 'reader'))
);

-- It locks the charges that are refunded, for which their reader would need the right to change them.
ALTER FUNCTION guard_new_transactions() SECURITY DEFINER;

CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the table % is never emptied', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation',
        HINT = 'Where it must be, the tables'' owner can disable the trigger never_truncated.';
END
$$;

-- Those that a batch writes come first, in its order, so that a worker and this migration never wait for each other.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'invoice_series', 'customers', 'parked', 'invoices', 'subscriptions', 'inventory', 'transactions', 'periods', 'inbox']
        || ARRAY(SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
                 WHERE inhparent = 'inbox'::regclass ORDER BY 1)
        || ARRAY[
        'outbox', 'quarantine', 'topology', 'barriers', 'fences', 'pauses', 'audits', 'catalog_versions', 'partners',
        'publishers', 'resellers', 'products', 'product_certificate_types', 'product_terms', 'certificate_type_sales', 'term_sales',
        'prices', 'granted_roles', 'schema_migrations']
    LOOP
        EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()', name);
    END LOOP;
END
$$;

-- As before; and the month is never emptied either. Such a trigger isn't passed on to it.
CREATE OR REPLACE FUNCTION make_inbox_month(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
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
    EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I '
        'FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()', name);
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

-- As before, but for who may call it: whoever may write to the inbox, without the right to delete what it likes of it.
CREATE OR REPLACE FUNCTION drop_inbox_months(oldest timestamptz) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET lock_timeout = '200ms' AS $$
DECLARE
    name    text;
    dropped integer := 0;
BEGIN
    IF NOT has_table_privilege(session_user, 'inbox', 'INSERT') THEN
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

-- Whatever schema the tables are in: nobody can put others before them, not even temporary ones, where a guard looks.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'guard_new_subscriptions()', 'guard_new_inventory()', 'guard_new_invoices()', 'guard_new_periods()',
        'guard_new_transactions()', 'make_inbox_month(date)', 'drop_inbox_months(timestamptz)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
