// The audit's check that time passes (invariant 7).

extension Audit {
    static let dueChecks = [
        AuditCheck(
            "overdue",
            "Nothing has been due for more than ten minutes: no renewal or expiry, no invoice to be closed.",
            offender: "subscription or invoice",
            // By the day on which its period ends in the partner's zone, which is what decides, and by the hint, which makes
            // the clock look. A zone that this server doesn't know is not asked; the hint is.
            """
            SELECT due.customer_id, due.what
            FROM (SELECT customer_id, 'subscription ' || subscription_id AS what, due_at, period_end
                  FROM subscriptions WHERE due_at IS NOT NULL
                  UNION ALL
                  SELECT customer_id, 'invoice ' || invoice_id, due_at, period_end FROM invoices WHERE state = 'open') AS due
            JOIN customers c USING (customer_id) JOIN partners p ON p.partner_id = c.partner_id
            LEFT JOIN pg_timezone_names zone ON zone.name = p.billing_zone
            CROSS JOIN (SELECT now - interval '10 minutes' AS since FROM present) AS present
            WHERE due.due_at < present.since OR due.period_end <= (present.since AT TIME ZONE zone.name)::date
            """)
    ]
}
