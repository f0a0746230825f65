-- What a batch of 200 orders writes, written by the database alone, set-based, in one transaction: the same tables,
-- indexes, triggers and checks, the same number of rows, values of about the same size. It is told everything: no
-- reading, no deciding, no messages. Variables: customers (how many there are), partition.
\set first random(0, :customers - 1)
BEGIN;
CREATE TEMPORARY TABLE IF NOT EXISTS batch (
    n integer, customer_id uuid, subscription_id uuid, invoice_id uuid, source text, id text) ON COMMIT DELETE ROWS;
INSERT INTO batch
SELECT n, ('018f0000-0000-7000-8000-' || lpad(to_hex(c), 12, '0'))::uuid, gen_random_uuid(),
       ('018f0000-0001-7000-8000-' || lpad(to_hex(c), 12, '0'))::uuid, 'bench', gen_random_uuid()::text
FROM (SELECT n, (:first::integer + n * 97) % :customers::integer AS c FROM generate_series(1, 200) AS n) AS s;
UPDATE customers c SET event_sequence = c.event_sequence + 2 FROM batch b WHERE c.customer_id = b.customer_id;
INSERT INTO invoices (customer_id, invoice_id, partner_id, period_start, period_end, state, version, total, currency, due_at)
SELECT customer_id, invoice_id, 'acme', date_trunc('month', now())::date, (date_trunc('month', now()) + interval '1 month')::date,
       'open', 1, 1000, 'USD', date_trunc('month', now()) + interval '1 month'
FROM batch
ON CONFLICT (customer_id, invoice_id) DO UPDATE SET version = invoices.version + 1, total = invoices.total + 1000;
INSERT INTO subscriptions (customer_id, subscription_id, product, term, state, original_start, anchor_index,
                           anchor_start, period_index, period_start, period_end, auto_renewal, due_at)
SELECT customer_id, subscription_id, 'enterprise-pki', 'P1Y', 'active', current_date, 0, current_date, 0, current_date,
       current_date + 365, true, current_date + 365
FROM batch;
INSERT INTO inventory (customer_id, subscription_id, certificate_type, quantity)
SELECT customer_id, subscription_id, t, 25 FROM batch CROSS JOIN (VALUES ('ov-ssl'), ('ev-ssl')) AS types (t);
INSERT INTO transactions (customer_id, transaction_id, subscription_id, type, product, period_index, period_start, period_end,
                          certificate_type, quantity, unit_price, days_charged, days_term, amount, currency, at, date,
                          booked_on, refundable_until, publisher, command_source, command_id, invoice_id)
SELECT customer_id, gen_random_uuid(), subscription_id, 'order', 'enterprise-pki', 0, current_date, current_date + 365, t, 25,
       19900, 365, 365, 497500, 'USD', now(), current_date, current_date, current_date + 30, 'publisher', source, id, invoice_id
FROM batch CROSS JOIN (VALUES ('ov-ssl'), ('ev-ssl')) AS types (t);
INSERT INTO periods (customer_id, subscription_id, period_index, span)
SELECT customer_id, subscription_id, 0, daterange(current_date, current_date + 365) FROM batch;
INSERT INTO inbox (received_at, sender, source, id, customer_id, partition, type, publisher, effective_at, data, outcome_id,
                   outcome_type, outcome_at, outcome_data)
SELECT now(), 'acme', source, id, customer_id, :partition::integer, 'subscription.order', 'publisher', now(),
       convert_to(repeat('command ', :command_size::integer / 8), 'UTF8'), gen_random_uuid(), 'subscription.ordered', now(),
       convert_to(repeat(md5(id), :outcome_size::integer / 32), 'UTF8')
FROM batch;
DELETE FROM outbox WHERE partition = :partition::integer;
INSERT INTO outbox (partition, event_id, type, time, customer_id, data)
SELECT :partition::integer, gen_random_uuid(), t, now(), customer_id,
       convert_to(repeat(md5(id), (CASE t WHEN 'invoice.updated' THEN :invoice_size::integer ELSE :outcome_size::integer END) / 32), 'UTF8')
FROM batch CROSS JOIN (VALUES ('subscription.ordered'), ('invoice.updated')) AS types (t);
COMMIT;
