// The audit's checks of invoices (invariant 1).

extension Audit {
    static let invoiceChecks = [
        AuditCheck(
            "invoice-total", "An invoice's total is the sum of its lines, of which it has at least one.",
            offender: "invoice",
            """
            SELECT i.customer_id, i.invoice_id::text
            FROM invoices i
            LEFT JOIN (SELECT customer_id, invoice_id, sum(amount) AS total FROM transactions
                       WHERE invoice_id IS NOT NULL GROUP BY customer_id, invoice_id) AS lines
                USING (customer_id, invoice_id)
            WHERE i.total IS DISTINCT FROM lines.total
            """),
        AuditCheck(
            "transaction-on-invoice",
            "Every transaction with an amount is on exactly one invoice, of its own customer, and no other is on one.",
            offender: "transaction",
            """
            SELECT t.customer_id, t.transaction_id::text
            FROM transactions t LEFT JOIN invoices i USING (customer_id, invoice_id)
            WHERE (t.amount <> 0) <> (t.invoice_id IS NOT NULL)
               OR t.invoice_id IS NOT NULL AND i.customer_id IS NULL
            """),
        AuditCheck(
            "invoice-month",
            "An invoice covers one calendar month, and carries nothing dated after its end.",
            offender: "invoice",
            """
            SELECT customer_id, invoice_id::text FROM invoices
            WHERE period_start <> date_trunc('month', period_start)::date
               OR period_end <> (period_start + interval '1 month')::date
            UNION
            SELECT i.customer_id, i.invoice_id::text
            FROM transactions t JOIN invoices i USING (customer_id, invoice_id)
            WHERE t.date >= i.period_end
            """),
        AuditCheck(
            "open-invoice", "A customer has at most one invoice a month, and at most one that is open.",
            offender: "invoice",
            """
            SELECT customer_id, invoice_id::text
            FROM (SELECT customer_id, invoice_id, state, period_start,
                         count(*) FILTER (WHERE state = 'open') OVER (PARTITION BY customer_id) AS open_ones,
                         count(*) OVER (PARTITION BY customer_id, period_start) AS in_month
                  FROM invoices) AS counted
            WHERE state = 'open' AND open_ones > 1 OR in_month > 1
            """),
        AuditCheck(
            "invoice-number",
            "The closed invoices of a partner, month and kind are numbered from 1 to their series' last number, each once, "
                + "and so are all that a partner closed before there were series; open ones aren't numbered.",
            offender: "series",
            """
            SELECT NULL::uuid, coalesce(i.partner_id, s.partner_id) || ' '
                   || coalesce(i.series || ' ' || i.kind, to_char(s.month, 'YYYY-MM') || ' ' || s.kind, 'before series')
            FROM (SELECT partner_id, series, kind, min(period_start) AS month, count(*) AS closed,
                         count(DISTINCT number) AS numbers, min(number) AS first, max(number) AS last,
                         bool_or(series <> to_char(period_start, 'YYYY-MM')) AS is_foreign
                  FROM (SELECT partner_id, series, CASE WHEN series IS NOT NULL THEN kind END AS kind, period_start,
                               number
                        FROM invoices WHERE state = 'closed') AS closed
                  GROUP BY partner_id, series, kind) AS i
            FULL JOIN invoice_series s ON s.partner_id = i.partner_id AND s.kind = i.kind
                                      AND to_char(s.month, 'YYYY-MM') = i.series
            WHERE coalesce(i.last, 0) <> coalesce(s.last_number, CASE WHEN i.series IS NULL THEN i.last END, -1)
               OR (i.first, i.last, i.numbers) <> (1, i.closed, i.closed) OR i.is_foreign
            UNION ALL
            SELECT customer_id, 'invoice ' || invoice_id FROM invoices
            WHERE (state = 'closed') <> (number IS NOT NULL)
            """),
        AuditCheck(
            "currency", "All of a customer's money is in its partner's currency, on invoices of that partner.",
            offender: "invoice or transaction",
            """
            SELECT i.customer_id, 'invoice ' || i.invoice_id
            FROM invoices i JOIN customers c USING (customer_id) JOIN partners p ON p.partner_id = c.partner_id
            WHERE i.partner_id <> c.partner_id OR i.currency <> p.currency
            UNION ALL
            SELECT t.customer_id, 'transaction ' || t.transaction_id
            FROM transactions t JOIN customers c USING (customer_id) JOIN partners p ON p.partner_id = c.partner_id
            WHERE t.currency <> p.currency
            """),
    ]
}
