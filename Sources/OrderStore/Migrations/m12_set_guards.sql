-- References and periods are guarded by the statement, not by the row.
--
-- A foreign key asks once per row and marks the row that is referred to as locked; the exclusion of periods that overlap
-- kept a GiST index. Together they were about a quarter of what the database did for an order. What they refused is refused
-- here, with a look-up per distinct key of a statement. That takes no lock, because what is referred to stays: it is never
-- deleted, and its key never changes. As in guard_new_transactions, OFFSET 0 makes each a look-up, whatever the planner
-- believes about the size of the tables.

CREATE TRIGGER subscriptions_never_deleted BEFORE DELETE ON subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_never_deleted BEFORE DELETE ON invoices
    FOR EACH ROW WHEN (OLD.state <> 'closed') EXECUTE FUNCTION refuse_change();

-- For those whose statement names such a column among what it sets; none of the worker's does.
CREATE TRIGGER customers_key_immutable BEFORE UPDATE OF customer_id ON customers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscriptions_key_immutable BEFORE UPDATE OF customer_id, subscription_id ON subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER inventory_key_immutable BEFORE UPDATE OF customer_id, subscription_id, certificate_type ON inventory
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoices_key_immutable BEFORE UPDATE OF customer_id, invoice_id, partner_id ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION guard_new_subscriptions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    SELECT m.customer_id INTO offender
    FROM (SELECT DISTINCT customer_id FROM made) AS m
    WHERE NOT EXISTS (SELECT FROM customers WHERE customer_id = m.customer_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a subscription is for customer %, whom there isn''t', offender.customer_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'subscription_of_customer';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER subscriptions_guarded AFTER INSERT ON subscriptions
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION guard_new_subscriptions();

CREATE FUNCTION guard_new_inventory() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    SELECT m.subscription_id INTO offender
    FROM (SELECT DISTINCT customer_id, subscription_id FROM made) AS m
    WHERE NOT EXISTS (
        SELECT FROM subscriptions
        WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'certificates are held by subscription %, which there isn''t', offender.subscription_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'inventory_of_subscription';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER inventory_guarded AFTER INSERT ON inventory
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION guard_new_inventory();

CREATE FUNCTION guard_new_invoices() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    SELECT m.invoice_id INTO offender
    FROM made AS m
    WHERE NOT EXISTS (
        SELECT FROM customers WHERE customer_id = m.customer_id AND partner_id = m.partner_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'invoice % is for a customer whom its partner doesn''t have', offender.invoice_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'invoice_of_customer';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER invoices_guarded AFTER INSERT ON invoices
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION guard_new_invoices();

-- A subscription's periods follow one another: each has ended when the next one, by index, begins. A new one is held against
-- its two neighbours, so that nothing depends on how many there are.
CREATE FUNCTION guard_new_periods() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
    later    CONSTANT boolean := EXISTS (SELECT FROM made WHERE period_index > 0);
BEGIN
    -- Two transactions that add periods to one subscription wait for each other here, so that each sees the other's. The
    -- first period of all needs no lock: there is only one with that index.
    IF later THEN
        PERFORM FROM (
            SELECT DISTINCT customer_id, subscription_id FROM made WHERE period_index > 0
            ORDER BY customer_id, subscription_id
        ) AS m
        CROSS JOIN LATERAL (
            SELECT subscription_id FROM subscriptions
            WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id FOR NO KEY UPDATE) AS s;
    END IF;

    SELECT m.subscription_id INTO offender
    FROM (SELECT DISTINCT customer_id, subscription_id FROM made) AS m
    WHERE NOT EXISTS (
        SELECT FROM subscriptions
        WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a period is of subscription %, which there isn''t', offender.subscription_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'period_of_subscription';
    END IF;

    SELECT m.subscription_id, m.period_index INTO offender
    FROM made AS m
    LEFT JOIN LATERAL (
        SELECT span FROM periods
        WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id AND period_index < m.period_index
        ORDER BY period_index DESC LIMIT 1) AS before ON true
    LEFT JOIN LATERAL (
        SELECT span FROM periods
        WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id AND period_index > m.period_index
        ORDER BY period_index LIMIT 1) AS after ON true
    WHERE upper(before.span) > lower(m.span) OR upper(m.span) > lower(after.span)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'period % of subscription % overlaps another', offender.period_index, offender.subscription_id
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'periods_apart';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER periods_guarded AFTER INSERT ON periods
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION guard_new_periods();
-- A period without a bound would be none of a subscription's, and nothing could be held against it.
ALTER TABLE periods ADD CONSTRAINT periods_bounded CHECK (NOT lower_inf(span) AND NOT upper_inf(span));

-- What no batch of new transactions may do to what was there before.
CREATE OR REPLACE FUNCTION guard_new_transactions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    SELECT m.subscription_id INTO offender
    FROM (SELECT DISTINCT customer_id, subscription_id FROM made) AS m
    WHERE NOT EXISTS (
        SELECT FROM subscriptions
        WHERE customer_id = m.customer_id AND subscription_id = m.subscription_id OFFSET 0)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a transaction is of subscription %, which there isn''t', offender.subscription_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'transaction_of_subscription';
    END IF;

    -- No line comes onto an invoice that was closed earlier. A transaction that closes the invoice itself has written
    -- its row, and may add its last lines in whatever order it writes the tables.
    SELECT m.invoice_id, i.invoice_id IS NULL AS is_missing INTO offender
    FROM (SELECT DISTINCT customer_id, invoice_id FROM made WHERE invoice_id IS NOT NULL) AS m
    LEFT JOIN LATERAL (
        SELECT invoice_id, state = 'closed' AND xmin <> pg_current_xact_id()::xid AS is_closed FROM invoices
        WHERE customer_id = m.customer_id AND invoice_id = m.invoice_id
        OFFSET 0) AS i ON true
    WHERE i.is_closed IS NOT FALSE
    LIMIT 1;
    IF FOUND AND offender.is_missing THEN
        RAISE EXCEPTION 'a line is on invoice %, which there isn''t', offender.invoice_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'line_on_invoice';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'invoice % is closed and takes no more lines', offender.invoice_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'closed_invoice_immutable';
    END IF;

    IF EXISTS (SELECT FROM made WHERE reverses IS NOT NULL) THEN
        -- Two transactions that refund the same charge wait for each other here, so that each sees the other's refunds.
        PERFORM FROM (
            SELECT DISTINCT customer_id, reverses FROM made WHERE reverses IS NOT NULL ORDER BY customer_id, reverses
        ) AS m
        CROSS JOIN LATERAL (
            SELECT transaction_id FROM transactions
            WHERE customer_id = m.customer_id AND transaction_id = m.reverses FOR NO KEY UPDATE) AS c;

        SELECT m.reverses INTO offender
        FROM (SELECT DISTINCT customer_id, reverses FROM made WHERE reverses IS NOT NULL) AS m
        WHERE NOT EXISTS (
            SELECT FROM transactions WHERE customer_id = m.customer_id AND transaction_id = m.reverses OFFSET 0)
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a refund is of transaction %, which there isn''t', offender.reverses
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'refund_of_charge';
        END IF;

        SELECT c.transaction_id, c.type INTO offender
        FROM (SELECT DISTINCT customer_id, reverses FROM made WHERE reverses IS NOT NULL) AS m
        CROSS JOIN LATERAL (
            SELECT * FROM transactions
            WHERE customer_id = m.customer_id AND transaction_id = m.reverses OFFSET 0) AS c
        CROSS JOIN LATERAL (
            SELECT sum(r.quantity) AS quantity, sum(-r.amount) AS amount,
                   bool_or((r.subscription_id, r.period_index, r.certificate_type, r.currency)
                           IS DISTINCT FROM (c.subscription_id, c.period_index, c.certificate_type, c.currency)) AS differs
            FROM transactions r WHERE r.customer_id = c.customer_id AND r.reverses = c.transaction_id) AS refunded
        WHERE c.type NOT IN ('order', 'inventoryAddition', 'renewal') OR refunded.differs
           OR refunded.quantity > c.quantity OR refunded.amount > c.amount
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'refunds of % transaction % exceed or contradict it', offender.type, offender.transaction_id
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'refund_within_charge';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

ALTER TABLE transactions
    DROP CONSTRAINT transactions_customer_id_subscription_id_fkey,
    DROP CONSTRAINT transactions_customer_id_invoice_id_fkey,
    DROP CONSTRAINT transactions_customer_id_reverses_fkey;
ALTER TABLE inventory DROP CONSTRAINT inventory_customer_id_subscription_id_fkey;
ALTER TABLE invoices DROP CONSTRAINT invoices_customer_id_fkey, DROP CONSTRAINT invoices_partner_id_fkey;
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_customer_id_fkey;
ALTER TABLE periods DROP CONSTRAINT periods_customer_id_subscription_id_span_excl;
-- The guard looks invoices up by their key.
DROP INDEX invoices_closed;
