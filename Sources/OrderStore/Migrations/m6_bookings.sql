-- When things count and when they were booked, by the calendar; and invoice numbers in series of their own.

-- The day up to which what fell due was settled, instead of an instant: it is the latest day on which something was, which
-- the books tell without asking a time zone.
ALTER TABLE customers ADD COLUMN settled_through date;
UPDATE customers c SET settled_through = s.day
FROM (SELECT customer_id, max(day) AS day
      FROM (SELECT customer_id, period_end FROM invoices WHERE state = 'closed'
            UNION ALL SELECT customer_id, lower(span) FROM periods WHERE period_index > 0
            UNION ALL SELECT customer_id, period_end FROM subscriptions WHERE state = 'expired') AS settled (customer_id, day)
      GROUP BY customer_id) AS s
WHERE s.customer_id = c.customer_id;
ALTER TABLE customers DROP COLUMN settled_at;

-- What may be due is found by the hint and by the day; both by customer, however much the customer has had before.
CREATE INDEX subscriptions_due_of_customer ON subscriptions (customer_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX subscriptions_ending_of_customer ON subscriptions (customer_id, period_end) WHERE due_at IS NOT NULL;

-- The day on which each transaction was booked, and until when a charge can be refunded. Of what there is already, both
-- were the same day, and the partner's present window counts from it.
ALTER TABLE transactions ADD COLUMN booked_on date, ADD COLUMN refundable_until date;
ALTER TABLE transactions DISABLE TRIGGER transactions_immutable;
UPDATE transactions t
SET booked_on = t.date,
    refundable_until = CASE WHEN t.type IN ('order', 'inventoryAddition', 'renewal') THEN t.date + p.refund_window_days END
FROM customers c JOIN partners p USING (partner_id) WHERE c.customer_id = t.customer_id;
ALTER TABLE transactions ENABLE TRIGGER transactions_immutable;
ALTER TABLE transactions
    ALTER COLUMN booked_on SET NOT NULL,
    ADD CONSTRAINT transactions_booked CHECK (booked_on >= date),
    ADD CONSTRAINT transactions_refundable CHECK (
        CASE WHEN type IN ('order', 'inventoryAddition', 'renewal') THEN refundable_until >= booked_on
             ELSE refundable_until IS NULL
        END IS TRUE);

-- A series of numbers for each partner, month and kind. A row appears when its first invoice falls due.
CREATE TABLE invoice_series (
    partner_id  text NOT NULL REFERENCES partners,
    month       date NOT NULL CHECK (extract(day FROM month) = 1),
    kind        text NOT NULL CHECK (kind IN ('invoice', 'creditNote')),
    last_number bigint NOT NULL CHECK (last_number >= 0),
    PRIMARY KEY (partner_id, month, kind)
) WITH (fillfactor = 50); -- few rows, each changed by every batch that closes an invoice: room to do it in place

-- Invoices that were closed before keep their numbers, which counted through for a partner: they have no series.
DROP TABLE invoice_sequences;
ALTER TABLE invoices
    ADD COLUMN series text,
    ADD COLUMN kind text GENERATED ALWAYS AS (
        CASE WHEN state = 'closed' THEN CASE WHEN total < 0 THEN 'creditNote' ELSE 'invoice' END END) STORED,
    ADD CONSTRAINT invoices_series CHECK (series IS NULL OR state = 'closed' AND series ~ '^[0-9]{4}-[0-9]{2}$');
DROP INDEX invoices_number;
CREATE UNIQUE INDEX invoices_number ON invoices (partner_id, series, kind, number) WHERE series IS NOT NULL;
CREATE UNIQUE INDEX invoices_number_without_series ON invoices (partner_id, number) WHERE series IS NULL AND number IS NOT NULL;
