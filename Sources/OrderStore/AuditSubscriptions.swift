// The audit's checks of subscriptions, their inventory and their periods (invariants 2 and 4).

extension Audit {
    static let subscriptionChecks = [
        AuditCheck(
            "inventory",
            "A subscription holds what was ordered, added and renewed in its current period, less what was refunded of "
                + "it, and never less than nothing.",
            offender: "subscription and certificate type",
            """
            SELECT coalesce(held.customer_id, booked.customer_id),
                   coalesce(held.subscription_id, booked.subscription_id) || ' '
                   || coalesce(held.certificate_type, booked.certificate_type)
            FROM inventory held
            FULL JOIN (SELECT customer_id, subscription_id, t.certificate_type,
                              sum(CASE t.type WHEN 'refund' THEN -t.quantity ELSE t.quantity END) AS quantity
                       FROM transactions t JOIN subscriptions s USING (customer_id, subscription_id)
                       WHERE t.period_index = s.period_index
                         AND t.type IN ('order', 'inventoryAddition', 'renewal', 'refund')
                       GROUP BY customer_id, subscription_id, t.certificate_type) AS booked
                ON held.customer_id = booked.customer_id AND held.subscription_id = booked.subscription_id
                   AND held.certificate_type = booked.certificate_type
            WHERE coalesce(held.quantity, 0) <> coalesce(booked.quantity, 0) OR held.quantity < 0
            """),
        AuditCheck(
            "renewal-inventory",
            "A renewal inventory is one that was set in the current period, and is there if one was set.",
            offender: "subscription and certificate type",
            """
            SELECT coalesce(held.customer_id, booked.customer_id),
                   coalesce(held.subscription_id, booked.subscription_id) || ' '
                   || coalesce(held.certificate_type, booked.certificate_type)
            FROM (SELECT * FROM inventory WHERE renewal_quantity IS NOT NULL) AS held
            FULL JOIN (SELECT customer_id, subscription_id, t.certificate_type, array_agg(t.quantity) AS quantities
                       FROM transactions t JOIN subscriptions s USING (customer_id, subscription_id)
                       WHERE t.period_index = s.period_index AND t.type = 'renewalInventoryChange'
                       GROUP BY customer_id, subscription_id, t.certificate_type) AS booked
                ON held.customer_id = booked.customer_id AND held.subscription_id = booked.subscription_id
                   AND held.certificate_type = booked.certificate_type
            WHERE (held.renewal_quantity = ANY (booked.quantities)) IS NOT TRUE
            """),
        AuditCheck(
            "periods",
            "A subscription's periods follow on each other from its original start, without overlap or gap.",
            offender: "subscription and period",
            """
            SELECT customer_id, subscription_id || ' ' || period_index
            FROM (SELECT p.customer_id, p.subscription_id, p.period_index, p.span, s.original_start,
                         lag(p.period_index, 1, -1) OVER in_order AS index_before,
                         lag(upper(p.span), 1, s.original_start) OVER in_order AS end_before
                  FROM periods p JOIN subscriptions s USING (customer_id, subscription_id)
                  WINDOW in_order AS (PARTITION BY p.customer_id, p.subscription_id ORDER BY p.period_index)) AS ordered
            WHERE period_index <> index_before + 1 OR lower(span) <> end_before
            """),
        AuditCheck(
            "period-end", "A period ends a whole number of terms after the subscription's original start.",
            offender: "subscription and period",
            """
            SELECT p.customer_id, p.subscription_id || ' ' || p.period_index
            FROM periods p JOIN subscriptions s USING (customer_id, subscription_id)
            WHERE CASE WHEN s.term ~ '^P[1-9][0-9]{0,3}[YMD]$'
                       THEN upper(p.span) <> (s.original_start + s.term::interval * (p.period_index + 1))::date
                       ELSE true
                  END
            """),
        AuditCheck(
            "current-period", "A subscription is in the last of its periods.",
            offender: "subscription",
            """
            SELECT s.customer_id, s.subscription_id::text
            FROM subscriptions s
            LEFT JOIN (SELECT customer_id, subscription_id, max(period_index) AS last
                       FROM periods GROUP BY customer_id, subscription_id) AS l USING (customer_id, subscription_id)
            LEFT JOIN periods p ON p.customer_id = s.customer_id AND p.subscription_id = s.subscription_id
                               AND p.period_index = s.period_index
            WHERE (l.last = s.period_index AND p.span = daterange(s.period_start, s.period_end)) IS NOT TRUE
            """),
        AuditCheck(
            "transaction-period", "A transaction belongs to one of its subscription's periods.",
            offender: "transaction",
            """
            SELECT t.customer_id, t.transaction_id::text
            FROM transactions t LEFT JOIN periods p USING (customer_id, subscription_id, period_index)
            WHERE (p.span = daterange(t.period_start, t.period_end)) IS NOT TRUE
            """),
        AuditCheck(
            "renewal-once",
            "The first period begins with one order and each later one with one renewal, by one command, once per "
                + "certificate type.",
            offender: "subscription and period",
            """
            SELECT customer_id, subscription_id || ' ' || period_index
            FROM periods p
            FULL JOIN (SELECT customer_id, subscription_id, period_index, count(*) AS lines,
                              count(DISTINCT certificate_type) AS types,
                              min(command_source) <> max(command_source) OR min(command_id) <> max(command_id) AS is_twice,
                              bool_or((type = 'order') <> (period_index = 0)) AS is_other
                       FROM transactions WHERE type IN ('order', 'renewal')
                       GROUP BY customer_id, subscription_id, period_index) AS begun
                USING (customer_id, subscription_id, period_index)
            WHERE (begun.lines = begun.types AND NOT begun.is_twice AND NOT begun.is_other) IS NOT TRUE
            """),
        AuditCheck(
            "subscription-state",
            "A subscription is expired if it expired once, suspended if it was suspended once more than enabled, else "
                + "active.",
            offender: "subscription",
            """
            SELECT s.customer_id, s.subscription_id::text
            FROM subscriptions s
            LEFT JOIN (SELECT customer_id, subscription_id, count(*) FILTER (WHERE type = 'expiry') AS expiries,
                              count(*) FILTER (WHERE type = 'suspension')
                              - count(*) FILTER (WHERE type = 'enablement') AS suspended
                       FROM transactions WHERE type IN ('expiry', 'suspension', 'enablement')
                       GROUP BY customer_id, subscription_id) AS booked USING (customer_id, subscription_id)
            WHERE s.state IS DISTINCT FROM
                  CASE
                      WHEN coalesce(booked.suspended, 0) NOT IN (0, 1) OR booked.expiries > 1 THEN NULL
                      WHEN booked.expiries = 1 THEN 'expired'
                      WHEN booked.suspended = 1 THEN 'suspended'
                      ELSE 'active'
                  END
            """),
        AuditCheck(
            "orphan", "No row belongs to something that isn't there.",
            offender: "row",
            """
            SELECT customer_id, 'customer' FROM customers c
            WHERE NOT EXISTS (SELECT FROM partners p WHERE p.partner_id = c.partner_id)
            UNION ALL
            SELECT customer_id, 'subscription ' || subscription_id FROM subscriptions s
            WHERE NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = s.customer_id)
            UNION ALL
            SELECT customer_id, 'inventory of subscription ' || subscription_id FROM inventory i
            WHERE NOT EXISTS (SELECT FROM subscriptions s
                              WHERE s.customer_id = i.customer_id AND s.subscription_id = i.subscription_id)
            UNION ALL
            SELECT customer_id, 'period of subscription ' || subscription_id FROM periods p
            WHERE NOT EXISTS (SELECT FROM subscriptions s
                              WHERE s.customer_id = p.customer_id AND s.subscription_id = p.subscription_id)
            UNION ALL
            SELECT customer_id, 'transaction ' || transaction_id FROM transactions t
            WHERE NOT EXISTS (SELECT FROM subscriptions s
                              WHERE s.customer_id = t.customer_id AND s.subscription_id = t.subscription_id)
            UNION ALL
            SELECT customer_id, 'invoice ' || invoice_id FROM invoices i
            WHERE NOT EXISTS (SELECT FROM customers c WHERE c.customer_id = i.customer_id)
            """),
    ]
}
