// The customers for whom something has fallen due, for the clock; and the lock that elects the clock.

public import Orders
public import PostgreSQL

/// A customer with something due.
public struct DueCustomer: Sendable, Hashable {
    public let id: CustomerID
    public let partnerID: String
    /// When the first of it fell due.
    public let since: Timestamp
    /// Whether that is an invoice's month that ended, rather than a subscription's period.
    public let isMonth: Bool

    public init(id: CustomerID, partnerID: String, since: Timestamp, isMonth: Bool) {
        self.id = id
        self.partnerID = partnerID
        self.since = since
        self.isMonth = isMonth
    }
}

/// Customers with something due, the longest overdue first.
public struct DuePage: Sendable {
    /// Where a page ends, and the next one begins.
    public struct Position: Sendable, Hashable {
        let dueAt: Timestamp
        let customer: CustomerID
    }

    /// Each customer once.
    public let customers: [DueCustomer]
    /// Where the next page begins; nil after the last.
    public let end: Position?
}

/// What the clock asks the database.
public struct DueCustomers: Sendable {
    private static let clockClass: Int32 = 0x6f77_636c  // "owcl"

    private let connection: Connection

    public init(connection: Connection) {
        self.connection = connection
    }

    /// Whether this session is the elected clock, from now on until it ends.
    public func elect() async throws(StoreError) -> Bool {
        // Taking a lock again that the session holds would count it twice: ask only once it isn't held.
        let statement = Statement(
            name: "elect clock",
            """
            SELECT EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND classid::bigint = $1::integer)
            OR pg_try_advisory_lock($1, 0)
            """, [.int4(Self.clockClass)])
        return try await query(statement) { rows in try rows.first?.bool(0) ?? false }
    }

    /// What time it is: the database's time, which decides.
    public func now() async throws(StoreError) -> Timestamp {
        try await query(Statement(name: "what time", "SELECT clock_timestamp()")) { rows in
            Timestamp(microseconds: try rows.first?.timestamptz(0) ?? 0)
        }
    }

    /// A page of the customers with something due by `time`. Each page costs the same, however much is due.
    ///
    /// A customer with several things due can be on several pages.
    ///
    /// - Parameters:
    ///   - position: where the page before ended; nil for the first.
    ///   - isWanted: what of it counts.
    public func find(
        dueBy time: Timestamp, from position: DuePage.Position? = nil, limit: Int,
        where isWanted: (DueCustomer) -> Bool = { _ in true }
    ) async throws(StoreError) -> DuePage {
        let statement = Statement(
            name: "find due customers",
            """
            SELECT due.due_at, due.customer_id,
                   (SELECT partner_id FROM customers AS c WHERE c.customer_id = due.customer_id), due.is_month
            FROM ((SELECT due_at, customer_id, false AS is_month FROM subscriptions
                   WHERE due_at <= $1 AND (due_at, customer_id) > ($2::timestamptz, $3::uuid)
                   ORDER BY due_at, customer_id LIMIT $4)
                  UNION ALL
                  (SELECT due_at, customer_id, true FROM invoices
                   WHERE due_at <= $1 AND (due_at, customer_id) > ($2::timestamptz, $3::uuid)
                   ORDER BY due_at, customer_id LIMIT $4)) AS due
            ORDER BY due.due_at, due.customer_id LIMIT $4
            """,
            [
                .timestamptz(time.microseconds), .timestamptz(position?.dueAt.microseconds ?? .min),
                .uuid(position?.customer.halves ?? (0, 0)), .int8(Int64(limit)),
            ])
        return try await query(statement) { rows in
            var customers: [DueCustomer] = []
            var seen: Set<CustomerID> = []
            var end: DuePage.Position?
            for row in rows {
                var column = ColumnReader(row)
                let since = try column.timestamp()
                let id: CustomerID = try column.identifier()
                end = DuePage.Position(dueAt: since, customer: id)
                let customer = DueCustomer(
                    id: id, partnerID: try column.text(), since: since, isMonth: try column.bool())
                if isWanted(customer), seen.insert(id).inserted { customers.append(customer) }
            }
            return DuePage(customers: customers, end: rows.count < limit ? nil : end)
        }
    }

    /// How many of these customers still have something due that was due by then.
    public func count(_ customers: [DueCustomer]) async throws(StoreError) -> Int {
        let statement = Statement(
            name: "count still due customers",
            """
            SELECT count(*) FROM unnest($1::uuid[], $2::timestamptz[], $3::boolean[]) AS asked (customer_id, since, is_month)
            WHERE CASE WHEN is_month
                THEN EXISTS (SELECT FROM invoices AS i WHERE i.customer_id = asked.customer_id AND i.due_at = asked.since)
                ELSE EXISTS (SELECT FROM subscriptions AS s
                             WHERE s.customer_id = asked.customer_id AND s.due_at = asked.since)
            END
            """,
            [
                .identifiers(customers.map(\.id)), .timestamps(customers.map(\.since)),
                .boolArray(customers.map(\.isMonth)),
            ])
        return try await query(statement) { rows in Int(try rows.first?.int64(0) ?? 0) }
    }

    /// How many customers have something due, each partner's by a time of its own.
    ///
    /// - Parameter endsDays: whether the times are ends of days: what begins with the next day isn't due by then, the
    ///   months that ended are.
    public func count(dueBy times: [String: Timestamp], endsDays: Bool = false) async throws(StoreError) -> Int {
        let partners = times.keys.sorted()
        let statement = Statement(
            name: "count due customers",
            """
            SELECT count(DISTINCT due.customer_id)
            FROM (SELECT customer_id, due_at, false AS is_month FROM subscriptions WHERE due_at <= $1
                  UNION ALL SELECT customer_id, due_at, true FROM invoices WHERE due_at <= $1) AS due
            JOIN customers AS c USING (customer_id)
            JOIN unnest($2::text[], $3::timestamptz[]) AS p (partner_id, through) ON p.partner_id = c.partner_id
            WHERE due.due_at < p.through OR due.due_at = p.through AND (due.is_month OR NOT $4)
            """,
            [
                .timestamptz(times.values.max()?.microseconds ?? .min), .textArray(partners),
                .timestamps(partners.compactMap { times[$0] }), .bool(endsDays),
            ])
        return try await query(statement) { rows in Int(try rows.first?.int64(0) ?? 0) }
    }

    private func query<Result>(
        _ statement: Statement, _ read: (Rows) throws -> Result
    ) async throws(StoreError) -> Result {
        try await connection.run([statement], during: "looking for what is due") { try read($0[0]) }
    }
}
