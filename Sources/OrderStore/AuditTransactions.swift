// The audit's checks of charges and refunds (invariants 3 and 4).

extension Audit {
    static let transactionChecks = [
        AuditCheck(
            "charge",
            "A charge is its unit price times its quantity times the part of the term that was left, rounded half up: "
                + "between zero and the full price.",
            offender: "transaction",
            """
            SELECT customer_id, transaction_id::text
            FROM transactions
            WHERE type IN ('order', 'inventoryAddition', 'renewal')
              AND (quantity > 0 AND unit_price >= 0
                   AND days_term = period_end - period_start
                   AND days_charged = greatest(0, period_end - greatest(period_start, date))
                   AND amount BETWEEN 0 AND unit_price::numeric * quantity
                   AND amount = div(2 * unit_price::numeric * quantity * days_charged + days_term, 2 * days_term))
                  IS NOT TRUE
            """),
        AuditCheck(
            "refunded-quantity", "No more certificates of a charge are refunded than were bought.",
            offender: "transaction",
            """
            SELECT c.customer_id, c.transaction_id::text
            FROM (SELECT customer_id, reverses, sum(quantity) AS quantity, bool_and(quantity > 0) AS is_positive
                  FROM transactions WHERE reverses IS NOT NULL GROUP BY customer_id, reverses) AS refunded
            JOIN transactions c ON c.customer_id = refunded.customer_id AND c.transaction_id = refunded.reverses
            WHERE (refunded.quantity <= c.quantity AND refunded.is_positive) IS NOT TRUE
            """),
        AuditCheck(
            "refunded-amount",
            "What is refunded of a charge is the refunded certificates' share of it, rounded half up: all of it for all "
                + "of them, and never more.",
            offender: "transaction",
            """
            SELECT c.customer_id, c.transaction_id::text
            FROM (SELECT customer_id, reverses, -sum(amount) AS amount, least(sum(quantity), max(bought)) AS quantity,
                         bool_or(amount > 0) AS is_charged_again
                  FROM (SELECT r.customer_id, r.reverses, r.amount, r.quantity, c.quantity AS bought
                        FROM transactions r
                        JOIN transactions c ON c.customer_id = r.customer_id AND c.transaction_id = r.reverses) AS r
                  GROUP BY customer_id, reverses) AS refunded
            JOIN transactions c ON c.customer_id = refunded.customer_id AND c.transaction_id = refunded.reverses
            WHERE c.quantity > 0
              AND (refunded.is_charged_again
                   OR refunded.amount <> div(2 * c.amount::numeric * refunded.quantity + c.quantity, 2 * c.quantity::numeric))
            """),
        AuditCheck(
            "refund-target",
            "A refund reverses a charge of the same subscription, period, certificate type and currency; nothing else "
                + "reverses anything.",
            offender: "transaction",
            """
            SELECT r.customer_id, r.transaction_id::text
            FROM transactions r
            LEFT JOIN transactions c ON c.customer_id = r.customer_id AND c.transaction_id = r.reverses
            WHERE (r.type = 'refund') <> (r.reverses IS NOT NULL)
               OR r.type = 'refund'
                  AND (c.type IN ('order', 'inventoryAddition', 'renewal')
                       AND r.subscription_id = c.subscription_id AND r.period_index = c.period_index
                       AND r.certificate_type = c.certificate_type AND r.product = c.product
                       AND r.currency = c.currency) IS NOT TRUE
            """),
    ]
}
