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
            "A partner's closed invoices are numbered from 1 to its sequence's last number, each once; open ones aren't.",
            offender: "partner",
            """
            SELECT NULL::uuid, coalesce(i.partner_id, s.partner_id)
            FROM (SELECT partner_id, count(*) FILTER (WHERE state = 'closed') AS closed, count(number) AS numbered,
                         count(DISTINCT number) AS numbers, coalesce(min(number), 1) AS first,
                         coalesce(max(number), 0) AS last
                  FROM invoices GROUP BY partner_id) AS i
            FULL JOIN invoice_sequences s ON s.partner_id = i.partner_id
            WHERE s.last_number IS DISTINCT FROM coalesce(i.last, 0)
               OR (i.first, i.last, i.numbers, i.numbered) <> (1, i.closed, i.closed, i.closed)
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
