// The customers for whom something has fallen due, for the clock; and the lock that elects the clock.

public import Orders
public import PostgreSQL

/// A customer with something due.
public struct DueCustomer: Sendable, Hashable {
    public let id: CustomerID
    /// When the first of it fell due.
    public let since: Timestamp
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

    /// The customers with something due by `time`, the longest overdue first, at most `limit`, that are not among
    /// `excluded`.
    public func find(
        dueBy time: Timestamp, excluding excluded: [CustomerID] = [], limit: Int
    ) async throws(StoreError) -> [DueCustomer] {
        let statement = Statement(
            name: "find due customers",
            """
            SELECT customer_id, min(due_at) AS since
            FROM (SELECT customer_id, due_at FROM subscriptions WHERE due_at <= $1
                  UNION ALL
                  SELECT customer_id, due_at FROM invoices WHERE due_at <= $1) AS due
            WHERE customer_id <> ALL ($2::uuid[])
            GROUP BY customer_id ORDER BY since, customer_id LIMIT $3
            """, [.timestamptz(time.microseconds), .identifiers(excluded), .int8(Int64(limit))])
        return try await query(statement) { rows in
            try rows.map { row in
                var column = ColumnReader(row)
                return DueCustomer(id: try column.identifier(), since: try column.timestamp())
            }
        }
    }

    /// How many customers have something due by `time`.
    public func count(dueBy time: Timestamp) async throws(StoreError) -> Int {
        let statement = Statement(
            name: "count due customers",
            """
            SELECT count(DISTINCT customer_id)
            FROM (SELECT customer_id FROM subscriptions WHERE due_at <= $1
                  UNION ALL SELECT customer_id FROM invoices WHERE due_at <= $1) AS due
            """, [.timestamptz(time.microseconds)])
        return try await query(statement) { rows in Int(try rows.first?.int64(0) ?? 0) }
    }

    /// Makes the inbox's coming months and drops those that ended before `oldest`.
    public func keepInbox(since oldest: Timestamp) async throws(StoreError) {
        let statement = Statement(
            name: "keep inbox", "SELECT make_inbox_months(2), drop_inbox_months($1)",
            [.timestamptz(oldest.microseconds)])
        try await query(statement) { _ in }
    }

    private func query<Result>(
        _ statement: Statement, _ read: (Rows) throws -> Result
    ) async throws(StoreError) -> Result {
        try await connection.run([statement], during: "looking for what is due") { try read($0[0]) }
    }
}
