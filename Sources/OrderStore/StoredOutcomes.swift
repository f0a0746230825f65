// The stored outcomes of commands, to be published again.

public import Orders
public import PostgreSQL

/// Which stored outcomes are wanted.
public enum OutcomeSelection: Sendable, Hashable {
    /// The one with this event id.
    case event(EventID)
    /// All of a customer's.
    case customer(CustomerID)
    /// All of commands that were received then or later.
    case since(Timestamp)
}

/// An outcome as the inbox keeps it.
public struct StoredOutcome: Sendable, Hashable {
    public let event: StoredEvent
    public let trace: TraceContext
}

extension StoredOutcome {
    /// Hands them to `body` in the order in which their commands were received, some at a time. The inbox has no index by
    /// event, customer or time: it is read through, a month's table at a time where a time says which.
    public nonisolated(nonsending) static func read(
        _ selection: OutcomeSelection, on connection: Connection, chunk: Int = 200,
        _ body: nonisolated(nonsending) ([StoredOutcome]) async throws -> Void
    ) async throws(StoreError) {
        let (condition, parameter): (String, Parameter) =
            switch selection {
            case .event(let id): ("outcome_id = $1", .uuid(id.halves))
            case .customer(let id): ("customer_id = $1", .uuid(id.halves))
            case .since(let time): ("received_at >= $1", .timestamptz(time.microseconds))
            }
        let statement = Statement(
            """
            SELECT outcome_id, outcome_type, outcome_at, customer_id, outcome_data, traceparent, tracestate
            FROM inbox WHERE \(condition) ORDER BY received_at, \(InboxTable.sequence), outcome_id
            """, parameter)
        try await connection.readingSnapshot(during: "reading stored outcomes") { connection in
            try await connection.stream(statement, chunk: chunk) { rows in try await body(rows.map(read)) }
        }
    }

    private static func read(_ row: Row) throws -> StoredOutcome {
        var column = ColumnReader(row)
        return StoredOutcome(
            event: StoredEvent(
                id: try column.identifier(), type: try column.value(EventType.init(rawValue:)),
                time: try column.timestamp(), customerID: try column.identifier(), data: try column.bytes()),
            trace: TraceContext(traceparent: try column.optionalText(), tracestate: try column.optionalText()))
    }
}
