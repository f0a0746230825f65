-- Customers, and what each of them has had before: as many orders as :history says, a month apart, each with a subscription
-- of two certificate types, its transactions, and an invoice that is closed. Made by the database alone, set-based. No
-- commands: an audit would miss them.
INSERT INTO customers (customer_id, partner_id, company_name, address_line1, city, postal_code, state_or_province, country,
                       administrative_responsibility, administrator_email, created_at, event_sequence)
SELECT ('018f0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'acme', 'Bench Customer ' || n, '1 Main Street',
       'Springfield', '12345', 'NY', 'US', 'customerAdministered', 'admin@example.com', now(), 1
FROM generate_series(0, :customers - 1) AS n;

SELECT :history > 0 AS has_history \gset
\if :has_history
CREATE TEMPORARY TABLE earlier AS
SELECT c.customer_id, gen_random_uuid() AS subscription_id, gen_random_uuid() AS invoice_id, n,
       (date_trunc('month', now()) - make_interval(months => n))::date AS month
FROM customers AS c CROSS JOIN generate_series(1, :history) AS n;

INSERT INTO invoices (customer_id, invoice_id, partner_id, period_start, period_end, state, number, version, total, currency)
SELECT customer_id, invoice_id, 'acme', month, (month + interval '1 month')::date, 'closed',
       row_number() OVER (ORDER BY month, customer_id), 1, 995000, 'USD'
FROM earlier;
-- Ordered for three years, or the day on which they end would be overdue.
INSERT INTO subscriptions (customer_id, subscription_id, product, term, state, original_start, anchor_index, anchor_start,
                           period_index, period_start, period_end, auto_renewal, due_at)
SELECT customer_id, subscription_id, 'enterprise-pki', 'P3Y', 'active', current_date, 0, current_date, 0, current_date,
       (current_date + interval '3 years')::date, true, current_date + interval '3 years'
FROM earlier;
INSERT INTO inventory (customer_id, subscription_id, certificate_type, quantity)
SELECT customer_id, subscription_id, t, 25 FROM earlier CROSS JOIN (VALUES ('ov-ssl'), ('ev-ssl')) AS types (t);
-- The lines' invoices are closed, and nothing may be added to them afterwards; this is how it was, not an addition.
SET session_replication_role = replica;
INSERT INTO transactions (customer_id, transaction_id, subscription_id, type, product, period_index, period_start, period_end,
                          certificate_type, quantity, unit_price, days_charged, days_term, amount, currency, at, date,
                          booked_on, refundable_until, publisher, command_source, command_id, invoice_id)
SELECT customer_id, gen_random_uuid(), subscription_id, 'order', 'enterprise-pki', 0, current_date,
       (current_date + interval '3 years')::date, t, 25, 19900, 1095, 1095, 497500, 'USD', month, month, month, month + 30,
       'publisher', 'history', subscription_id::text, invoice_id
FROM earlier CROSS JOIN (VALUES ('ov-ssl'), ('ev-ssl')) AS types (t);
INSERT INTO periods (customer_id, subscription_id, period_index, span)
SELECT customer_id, subscription_id, 0, daterange(current_date, (current_date + interval '3 years')::date) FROM earlier;
\endif
VACUUM ANALYZE;
