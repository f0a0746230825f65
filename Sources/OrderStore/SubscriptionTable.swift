// The tables `subscriptions`, `inventory` and `periods`: what a customer subscribed to and holds.

internal import Orders
internal import PostgreSQL

enum SubscriptionTable {
    /// The subscriptions that are named, those of charges that are named, and those of the customers that may be due: by
    /// the hint, or because their period ends, in whatever zone, by the day of `now`.
    ///
    /// - Parameter limit: how many of those may be loaded whose period ends: of the first customers, of each those that end
    ///   first.
    static func load(
        customers: [CustomerID], named: [(CustomerID, SubscriptionID)], charges: [(CustomerID, TransactionID)],
        dueBy now: Timestamp, limit: Int = .max
    ) -> Statement {
        Statement(
            name: "load subscriptions",
            """
            WITH wanted AS (
                SELECT *, false AS is_due FROM unnest($1::uuid[], $2::uuid[]) AS named (customer_id, subscription_id)
                UNION ALL
                SELECT t.customer_id, t.subscription_id, false
                FROM unnest($3::uuid[], $4::uuid[]) AS c (customer_id, transaction_id)
                CROSS JOIN LATERAL (
                    SELECT customer_id, subscription_id FROM transactions
                    WHERE customer_id = c.customer_id AND transaction_id = c.transaction_id OFFSET 0) AS t
                UNION ALL
                (SELECT s.customer_id, s.subscription_id, false
                 FROM unnest($5::uuid[]) AS c (customer_id)
                 CROSS JOIN LATERAL (
                     SELECT customer_id, subscription_id FROM subscriptions
                     WHERE customer_id = c.customer_id AND due_at <= $6 AND period_end > $7 OFFSET 0) AS s
                 LIMIT $8)
                UNION ALL
                (SELECT s.customer_id, s.subscription_id, true
                 FROM unnest($5::uuid[]) WITH ORDINALITY AS c (customer_id, place)
                 CROSS JOIN LATERAL (
                     SELECT customer_id, subscription_id, period_end FROM subscriptions
                     WHERE customer_id = c.customer_id AND period_end <= $7 AND due_at IS NOT NULL
                     ORDER BY period_end, subscription_id LIMIT $8) AS s
                 ORDER BY c.place, s.period_end, s.subscription_id LIMIT $8)
            )
            \(select)
            """,
            [
                .identifiers(named.map(\.0)), .identifiers(named.map(\.1)), .identifiers(charges.map(\.0)),
                .identifiers(charges.map(\.1)), .identifiers(customers), .timestamptz(now.microseconds),
                .date(now.latestDate.days), .int8(Int64(limit)),
            ])
    }

    /// The subscriptions with auto-renewal that are suspended and whose period ends by a day.
    static func loadSuspended(of customers: [CustomerID], endingBy day: CalendarDate) -> Statement {
        Statement(
            name: "load suspended subscriptions",
            """
            WITH wanted AS (
                SELECT customer_id, subscription_id, false AS is_due FROM subscriptions
                WHERE customer_id = ANY ($1::uuid[]) AND state = 'suspended' AND auto_renewal AND period_end <= $2)
            \(select)
            ORDER BY s.subscription_id
            """, [.identifiers(customers), .date(day.days)])
    }

    /// What is read of the subscriptions in `wanted`.
    private static let select = """
        SELECT s.customer_id, s.subscription_id, s.product, s.term, s.state, s.original_start, s.period_index,
               s.period_start, s.period_end, s.auto_renewal, s.due_at, s.anchor_index, s.anchor_start, i.types,
               i.quantities, i.renewal_quantities, wanted.is_due
        FROM (SELECT customer_id, subscription_id, bool_or(is_due) AS is_due FROM wanted GROUP BY 1, 2) AS wanted
        CROSS JOIN LATERAL (
            SELECT * FROM subscriptions
            WHERE customer_id = wanted.customer_id AND subscription_id = wanted.subscription_id OFFSET 0) AS s
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(certificate_type), '{}') AS types,
                   coalesce(array_agg(quantity), '{}') AS quantities,
                   coalesce(array_agg(coalesce(renewal_quantity, -1)), '{}') AS renewal_quantities
            FROM inventory
            WHERE customer_id = s.customer_id AND subscription_id = s.subscription_id) AS i
        """

    /// Whether the row of ``load(customers:named:charges:dueBy:limit:)`` is of those whose period ends.
    static func readIsDue(_ row: Row) throws -> Bool { try row.bool(.index(16)) }

    static func read(_ row: Row) throws -> Subscription {
        var column = ColumnReader(row)
        let customerID: CustomerID = try column.identifier()
        let id: SubscriptionID = try column.identifier()
        let product = try column.text()
        let term = try column.value { Term($0) }
        let state = try column.value(SubscriptionState.init(rawValue:))
        let originalStart = try column.date()
        let period = Period(index: try column.int(), start: try column.date(), end: try column.date())
        let autoRenewal = try column.bool()
        let dueAt = try column.optionalTimestamp()
        let anchor = PeriodAnchor(index: try column.int(), start: try column.date())
        let types = try column.textArray()
        let quantities = zip(types, try column.int64Array()).filter { $0.1 > 0 }
        let renewalQuantities = zip(types, try column.int64Array()).filter { $0.1 >= 0 }
        return Subscription(
            id: id, customerID: customerID, product: product, term: term, state: state, originalStart: originalStart,
            anchor: anchor, period: period, autoRenewal: autoRenewal,
            inventory: Dictionary(uniqueKeysWithValues: quantities),
            renewalInventory: Dictionary(uniqueKeysWithValues: renewalQuantities), dueAt: dueAt)
    }

    static func store(_ subscriptions: [Subscription]) -> Statement {
        Statement(
            name: "store subscriptions",
            """
            INSERT INTO subscriptions (
                customer_id, subscription_id, product, term, state, original_start, period_index, period_start,
                period_end, auto_renewal, due_at, anchor_index, anchor_start)
            SELECT * FROM unnest(
                $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::integer[], $8::date[],
                $9::date[], $10::boolean[], $11::timestamptz[], $12::integer[], $13::date[])
            ON CONFLICT (customer_id, subscription_id) DO UPDATE SET
                state = excluded.state, period_index = excluded.period_index, period_start = excluded.period_start,
                period_end = excluded.period_end, auto_renewal = excluded.auto_renewal, due_at = excluded.due_at,
                anchor_index = excluded.anchor_index, anchor_start = excluded.anchor_start
            """,
            [
                .identifiers(subscriptions.map(\.customerID)), .identifiers(subscriptions.map(\.id)),
                .textArray(subscriptions.map(\.product)), .textArray(subscriptions.map(\.term.description)),
                .textArray(subscriptions.map(\.state.rawValue)), .dates(subscriptions.map(\.originalStart)),
                .int4Array(subscriptions.map { Int32(clamping: $0.period.index) }),
                .dates(subscriptions.map(\.period.start)), .dates(subscriptions.map(\.period.end)),
                .boolArray(subscriptions.map(\.autoRenewal)), .timestamps(subscriptions.map(\.dueAt)),
                .int4Array(subscriptions.map { Int32(clamping: $0.anchor.index) }),
                .dates(subscriptions.map(\.anchor.start)),
            ])
    }

    /// What the subscriptions hold. A type that a subscription no longer holds is set to 0.
    static func storeInventory(_ subscriptions: [Subscription], dropped: [DroppedType]) -> Statement {
        var rows: [(customer: CustomerID, subscription: SubscriptionID, type: String, held: Int64, renewal: Int64?)] =
            dropped.map { ($0.customerID, $0.subscriptionID, $0.certificateType, 0, nil) }
        for subscription in subscriptions {
            for type in subscription.certificateTypes.sorted() {
                rows.append(
                    (
                        subscription.customerID, subscription.id, type, subscription.inventory[type] ?? 0,
                        subscription.renewalInventory[type]
                    ))
            }
        }
        return Statement(
            name: "store inventory",
            """
            INSERT INTO inventory (customer_id, subscription_id, certificate_type, quantity, renewal_quantity)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
            ON CONFLICT (customer_id, subscription_id, certificate_type) DO UPDATE SET
                quantity = excluded.quantity, renewal_quantity = excluded.renewal_quantity
            """,
            [
                .identifiers(rows.map(\.customer)), .identifiers(rows.map(\.subscription)),
                .textArray(rows.map(\.type)), .int8Array(rows.map(\.held)), .int8Array(rows.map(\.renewal)),
            ])
    }

    /// The periods that transactions began. A period that exists already, or that overlaps another, is refused.
    static func storePeriods(begunBy transactions: [Transaction]) -> Statement? {
        let begun = transactions.filter { $0.type == .order || $0.type == .renewal }
        guard !begun.isEmpty else { return nil }
        return Statement(
            name: "store periods",
            """
            INSERT INTO periods (customer_id, subscription_id, period_index, span)
            SELECT DISTINCT customer_id, subscription_id, period_index, daterange(period_start, period_end)
            FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::date[], $5::date[])
                AS begun (customer_id, subscription_id, period_index, period_start, period_end)
            """,
            [
                .identifiers(begun.map(\.customerID)), .identifiers(begun.map(\.subscriptionID)),
                .int4Array(begun.map { Int32(clamping: $0.period.index) }), .dates(begun.map(\.period.start)),
                .dates(begun.map(\.period.end)),
            ])
    }
}

extension Timestamp {
    /// The latest date that it is anywhere at this instant: no zone is a day or more ahead of UTC.
    var latestDate: CalendarDate {
        CalendarDate(days: Int32(clamping: microseconds / 86_400_000_000 + 1))
    }
}
