-- Guards: what must never happen, whatever the code above does. Each fires once per statement and costs next to nothing
-- where there is nothing to refuse; the worker's own rules refuse the same things earlier and in words.

-- Rows that are only ever added.
CREATE TRIGGER customers_never_deleted BEFORE DELETE ON customers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER periods_immutable BEFORE UPDATE OR DELETE ON periods
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- For each row, because only such triggers are passed on to the months, which can be written directly too. Months are
-- dropped, not emptied.
CREATE TRIGGER inbox_immutable BEFORE UPDATE ON inbox
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Holds what a new line must not be on, so that a batch asks once per invoice and finds nothing.
CREATE INDEX invoices_closed ON invoices (customer_id, invoice_id) WHERE state = 'closed';

-- What no batch of new transactions may do to those that were there before.
CREATE FUNCTION guard_new_transactions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    -- No line comes onto an invoice that was closed earlier. A transaction that closes the invoice itself has written
    -- its row, and may add its last lines in whatever order it writes the tables. OFFSET 0 makes it a look-up per invoice,
    -- whatever the planner believes about how many closed invoices there are.
    SELECT i.invoice_id INTO offender
    FROM (SELECT DISTINCT customer_id, invoice_id FROM made WHERE invoice_id IS NOT NULL) AS m
    CROSS JOIN LATERAL (
        SELECT invoice_id FROM invoices
        WHERE customer_id = m.customer_id AND invoice_id = m.invoice_id AND state = 'closed'
          AND xmin <> pg_current_xact_id()::xid
        OFFSET 0) AS i
    LIMIT 1;
    IF FOUND THEN
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

CREATE TRIGGER transactions_guarded AFTER INSERT ON transactions
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION guard_new_transactions();
