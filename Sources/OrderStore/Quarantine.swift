// The table `quarantine`: events that the broker doesn't take, and those of the same customers that stand behind them.

public import Orders
public import PostgreSQL

/// Where an event stands in quarantine.
public struct QuarantinePosition: Sendable, Hashable {
    public let partition: Int
    public let position: Int64
}

/// An event that was released from quarantine and waits to be published.
public struct ReleasedEvent: Sendable, Hashable {
    public let position: QuarantinePosition
    public let entry: OutboxEntry
}

extension BatchStore {
    /// Moves events out of the outbox, in their order.
    ///
    /// - Parameter reason: why the broker doesn't take them; empty for what only stands behind another event of its
    ///   customer.
    public func quarantine(_ events: [OutboxPosition], reason: String) async throws(StoreError) {
        try await connection.run(
            [QuarantineTable.move(events, reason: reason)], during: "putting events into quarantine"
        ) { _ in }
    }

    /// Puts released events back that the broker refused once more.
    public func quarantineAgain(_ events: [QuarantinePosition], reason: String) async throws(StoreError) {
        try await connection.run(
            [QuarantineTable.refuseAgain(events, reason: reason)], during: "putting events into quarantine"
        ) { _ in }
    }

    /// Removes what was published of the quarantine, then reads what is released and whose events are still there.
    public func releasedEvents(
        partitions: [Int], published: [QuarantinePosition]
    ) async throws(StoreError) -> (events: [ReleasedEvent], quarantined: Set<CustomerID>) {
        let statements = [
            QuarantineTable.remove(published), QuarantineTable.released(partitions, bytes: 4 << 20),
            QuarantineTable.customers(partitions),
        ]
        return try await connection.run(statements, during: "reading the quarantine") { results in
            (try results[1].map(QuarantineTable.readReleased), Set(try results[2].map(QuarantineTable.readCustomer)))
        }
    }
}

/// An event in quarantine, for people.
public struct QuarantinedEvent: Sendable, Hashable {
    public let eventID: EventID
    public let type: String
    public let customerID: CustomerID
    public let partition: Int
    /// Bytes of its data.
    public let size: Int64
    /// Why the broker doesn't take it; empty where it only stands behind another event of its customer.
    public let reason: String
    public let isReleased: Bool
    public let since: Timestamp

    /// All of them, in the order in which they are published, at most `limit`.
    public static func read(
        on connection: Connection, limit: Int = 1000
    ) async throws(StoreError) -> [QuarantinedEvent] {
        let statement = Statement(
            """
            SELECT event_id, type, customer_id, partition, octet_length(data)::bigint, reason, released, quarantined_at
            FROM quarantine ORDER BY partition, position LIMIT $1
            """, .int8(Int64(limit)))
        return try await connection.run([statement], during: "reading the quarantine") { results in
            try results[0].map { row in
                var column = ColumnReader(row)
                return QuarantinedEvent(
                    eventID: try column.identifier(), type: try column.text(), customerID: try column.identifier(),
                    partition: try column.int(), size: try column.int64(), reason: try column.text(),
                    isReleased: try column.bool(), since: try column.timestamp())
            }
        }
    }

    /// Releases the events of a customer, or of all: their partitions' owners publish them, in order.
    ///
    /// - Parameter customer: nil for all.
    /// - Returns: how many were released.
    public static func release(
        _ customer: CustomerID?, on connection: Connection
    ) async throws(StoreError) -> Int {
        let statement = Statement(
            """
            UPDATE quarantine SET released = true
            WHERE NOT released AND ($1::uuid IS NULL OR customer_id = $1) RETURNING position
            """, .uuid(customer.map { ($0.high, $0.low) }))
        return try await connection.run([statement], during: "releasing from quarantine") { $0[0].count }
    }
}

enum QuarantineTable {
    private static let event = """
        event_id, type, time, customer_id, data, reply_to, correlation_id, traceparent, tracestate
        """

    /// What stands behind an event that is already being released is released with it.
    static func move(_ events: [OutboxPosition], reason: String) -> Statement {
        Statement(
            name: "move to quarantine",
            """
            WITH moved AS (
                DELETE FROM outbox o USING unnest($1::integer[], $2::bigint[]) AS p (partition, position)
                WHERE o.partition = p.partition AND o.position = p.position
                RETURNING o.*
            )
            INSERT INTO quarantine (partition, \(event), reason, released)
            SELECT partition, \(event), $3,
                   $3 = '' AND EXISTS (SELECT FROM quarantine q WHERE q.customer_id = moved.customer_id)
                           AND NOT EXISTS (
                               SELECT FROM quarantine q WHERE q.customer_id = moved.customer_id AND NOT q.released)
            FROM moved ORDER BY position
            """,
            [
                .int4Array(events.map { Int32(clamping: $0.partition) }), .int8Array(events.map(\.position)),
                .text(reason),
            ])
    }

    static func refuseAgain(_ events: [QuarantinePosition], reason: String) -> Statement {
        Statement(
            name: "refuse again",
            """
            UPDATE quarantine q SET released = false, reason = CASE WHEN $3 = '' THEN reason ELSE $3 END
            FROM unnest($1::integer[], $2::bigint[]) AS p (partition, position)
            WHERE q.partition = p.partition AND q.position = p.position
            """,
            [
                .int4Array(events.map { Int32(clamping: $0.partition) }), .int8Array(events.map(\.position)),
                .text(reason),
            ])
    }

    static func remove(_ events: [QuarantinePosition]) -> Statement {
        Statement(
            name: "remove from quarantine",
            """
            DELETE FROM quarantine q USING unnest($1::integer[], $2::bigint[]) AS p (partition, position)
            WHERE q.partition = p.partition AND q.position = p.position
            """,
            [.int4Array(events.map { Int32(clamping: $0.partition) }), .int8Array(events.map(\.position))])
    }

    /// What is released of the partitions' customers and stands behind nothing that isn't, in order.
    static func released(_ partitions: [Int], bytes: Int) -> Statement {
        Statement(
            name: "read released",
            """
            SELECT partition, position, \(event)
            FROM (
                SELECT *, sum(octet_length(data) + 512) OVER (ORDER BY position) - octet_length(data) - 512 AS before
                FROM (
                    SELECT q.* FROM quarantine q
                    WHERE q.partition = ANY ($1::integer[]) AND q.released
                      AND NOT EXISTS (
                          SELECT FROM quarantine b
                          WHERE b.customer_id = q.customer_id AND b.position < q.position AND NOT b.released)
                    ORDER BY q.position LIMIT 1000) AS oldest) AS waiting
            WHERE before < $2 ORDER BY position
            """, [.int4Array(partitions.map { Int32(clamping: $0) }), .int8(Int64(bytes))])
    }

    static func readReleased(_ row: Row) throws -> ReleasedEvent {
        let waiting = try OutboxTable.readWaiting(row)
        return ReleasedEvent(
            position: QuarantinePosition(partition: waiting.position.partition, position: waiting.position.position),
            entry: waiting.entry)
    }

    static func customers(_ partitions: [Int]) -> Statement {
        Statement(
            name: "read quarantined customers",
            "SELECT DISTINCT customer_id FROM quarantine WHERE partition = ANY ($1::integer[])",
            [.int4Array(partitions.map { Int32(clamping: $0) })])
    }

    static func readCustomer(_ row: Row) throws -> CustomerID {
        var column = ColumnReader(row)
        return try column.identifier()
    }
}
