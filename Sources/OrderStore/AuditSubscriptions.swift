// The audit's checks of subscriptions, their inventory and their periods (invariants 2 and 4).

extension Audit {
    /// The periods that began when their subscription was enabled after its end: paid for by the command that enabled it.
    private static let begunByEnabling = """
        SELECT DISTINCT customer_id, subscription_id, period_index
        FROM transactions renewed JOIN transactions enabled
            USING (customer_id, subscription_id, period_index, command_source, command_id, publisher)
        WHERE renewed.type = 'renewal' AND enabled.type = 'enablement'
        """

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
            "A renewal inventory is one that was set in the current period, and is there if one was set and not cleared.",
            offender: "subscription and certificate type",
            """
            SELECT coalesce(held.customer_id, booked.customer_id),
                   coalesce(held.subscription_id, booked.subscription_id) || ' '
                   || coalesce(held.certificate_type, booked.certificate_type)
            FROM (SELECT * FROM inventory WHERE renewal_quantity IS NOT NULL) AS held
            FULL JOIN (SELECT customer_id, subscription_id, t.certificate_type, array_agg(t.quantity) AS quantities
                       FROM transactions t JOIN subscriptions s USING (customer_id, subscription_id)
                       WHERE t.period_index = s.period_index AND t.type = 'renewalInventoryChange'
                         AND t.certificate_type IS NOT NULL
                       GROUP BY customer_id, subscription_id, t.certificate_type) AS booked
                ON held.customer_id = booked.customer_id AND held.subscription_id = booked.subscription_id
                   AND held.certificate_type = booked.certificate_type
            LEFT JOIN (SELECT DISTINCT customer_id, subscription_id
                       FROM transactions t JOIN subscriptions s USING (customer_id, subscription_id)
                       WHERE t.period_index = s.period_index AND t.type = 'renewalInventoryChange'
                         AND t.certificate_type IS NULL) AS cleared
                ON cleared.customer_id = booked.customer_id AND cleared.subscription_id = booked.subscription_id
            WHERE (held.renewal_quantity = ANY (booked.quantities)) IS NOT TRUE
              AND (held.customer_id IS NOT NULL OR cleared.customer_id IS NULL)
            """),
        AuditCheck(
            "periods",
            "A subscription's periods follow on each other from its original start, without overlap, and without a gap but "
                + "one that a suspension left.",
            offender: "subscription and period",
            """
            SELECT customer_id, subscription_id || ' ' || period_index
            FROM (SELECT p.customer_id, p.subscription_id, p.period_index, p.span, e.customer_id IS NOT NULL AS is_enabled,
                         lag(p.period_index, 1, -1) OVER in_order AS index_before,
                         lag(upper(p.span), 1, s.original_start) OVER in_order AS end_before
                  FROM periods p JOIN subscriptions s USING (customer_id, subscription_id)
                  LEFT JOIN (\(begunByEnabling)) AS e ON e.customer_id = p.customer_id AND e.subscription_id = p.subscription_id
                                               AND e.period_index = p.period_index
                  WINDOW in_order AS (PARTITION BY p.customer_id, p.subscription_id ORDER BY p.period_index)) AS ordered
            WHERE period_index <> index_before + 1 OR lower(span) < end_before
               OR lower(span) > end_before AND NOT is_enabled
            """),
        AuditCheck(
            "period-end",
            "A period ends a whole number of terms after the subscription's original start, or after the day on which it was "
                + "enabled after its end.",
            offender: "subscription and period",
            """
            SELECT customer_id, subscription_id || ' ' || period_index
            FROM (SELECT p.customer_id, p.subscription_id, p.period_index, p.span, s.term, s.period_index AS current,
                         s.anchor_index, s.anchor_start,
                         coalesce(max(p.period_index) FILTER (WHERE e.customer_id IS NOT NULL) OVER so_far, 0) AS counted_index,
                         coalesce(max(lower(p.span)) FILTER (WHERE e.customer_id IS NOT NULL) OVER so_far, s.original_start)
                             AS counted_from
                  FROM periods p JOIN subscriptions s USING (customer_id, subscription_id)
                  LEFT JOIN (\(begunByEnabling)) AS e ON e.customer_id = p.customer_id AND e.subscription_id = p.subscription_id
                                               AND e.period_index = p.period_index
                  WINDOW so_far AS (PARTITION BY p.customer_id, p.subscription_id ORDER BY p.period_index)) AS counted
            WHERE CASE WHEN term ~ '^P[1-9][0-9]{0,3}[YMD]$'
                       THEN upper(span) <> (counted_from + term::interval * (period_index - counted_index + 1))::date
                       ELSE true
                  END
               OR period_index = current AND (anchor_index, anchor_start) <> (counted_index, counted_from)
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
