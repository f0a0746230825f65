// All of a customer: who it is, and what waits. Its subscriptions, invoices and transactions are reports.

public import Orders
public import PostgreSQL

/// A customer as the database has it.
public struct CustomerStory: Sendable {
    /// Names and values in the order in which they are shown; nil where there is none.
    public let members: [(name: String, value: String?)]
    /// Events of the customer that are not published: in the outbox, in quarantine.
    public let waitingEvents: Int64
    public let quarantinedEvents: Int64
    /// Commands of the customer that wait for its former partition.
    public let parkedCommands: Int64

    private static let columns: [(name: String, sql: String)] = [
        ("customerId", "c.customer_id::text"), ("partnerId", "c.partner_id"), ("resellerId", "c.reseller_id"),
        ("companyName", "c.company_name"), ("line1", "c.address_line1"), ("line2", "c.address_line2"),
        ("line3", "c.address_line3"), ("city", "c.city"), ("postalCode", "c.postal_code"),
        ("stateOrProvince", "c.state_or_province"), ("country", "c.country"),
        ("administrativeResponsibility", "c.administrative_responsibility"),
        ("customerAdminEmail", "c.administrator_email"),
        ("createdAt", "to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"),
        ("sequence", "c.event_sequence::text"), ("partition", "c.partition::text"),
    ]

    /// nil where there is no such customer.
    public static func read(
        _ customer: CustomerID, on connection: Connection
    ) async throws(StoreError) -> CustomerStory? {
        let statement = Statement(
            """
            SELECT (SELECT count(*) FROM outbox WHERE customer_id = $1),
                   (SELECT count(*) FROM quarantine WHERE customer_id = $1),
                   (SELECT count(*) FROM parked WHERE customer_id = $1),
                   \(columns.map(\.sql).joined(separator: ", "))
            FROM customers AS c WHERE c.customer_id = $1
            """, .uuid(customer.halves))
        return try await connection.run([statement], during: "looking for a customer") { results in
            try results[0].first.map { row in
                var column = ColumnReader(row)
                let (waiting, quarantined, parked) = (try column.int64(), try column.int64(), try column.int64())
                return CustomerStory(
                    members: try columns.map { ($0.name, try column.optionalText()) }, waitingEvents: waiting,
                    quarantinedEvents: quarantined, parkedCommands: parked)
            }
        }
    }

    /// Hands the customer's commands that are kept to `body`, the oldest first. The inbox has no index by customer: it is
    /// read through.
    public nonisolated(nonsending) static func commands(
        of customer: CustomerID, on connection: Connection, chunk: Int = 200,
        _ body: nonisolated(nonsending) ([InboxEntry]) async throws -> Void
    ) async throws(StoreError) {
        try await connection.readingSnapshot(during: "reading a customer's commands") { connection in
            try await connection.stream(InboxTable.of(customer), chunk: chunk) { rows in
                try await body(rows.compactMap { try InboxTable.read($0).entry })
            }
        }
    }
}
