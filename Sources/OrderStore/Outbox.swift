// The table `outbox`: events that are committed and not yet known to be published.

internal import Orders
internal import PostgreSQL

/// An event on its way out.
public struct OutboxEntry: Sendable, Hashable {
    public let partition: Int
    public let event: StoredEvent
    /// Where else the event goes, with which correlation id: the command's `reply_to`.
    public let replyTo: String?
    public let correlationID: String?
    public let trace: TraceContext

    public init(partition: Int, event: StoredEvent, replyTo: String?, correlationID: String?, trace: TraceContext) {
        self.partition = partition
        self.event = event
        self.replyTo = replyTo
        self.correlationID = correlationID
        self.trace = trace
    }
}

/// Where an event stands in the outbox.
public struct OutboxPosition: Sendable, Hashable {
    public let partition: Int
    public let position: Int64
}

/// An event that waits in the outbox.
public struct WaitingEvent: Sendable, Hashable {
    public let position: OutboxPosition
    public let entry: OutboxEntry
}

enum OutboxTable {
    /// Adds the entries in their order. Answers partition and position of each.
    static func add(_ entries: [OutboxEntry]) -> Statement {
        Statement(
            name: "add to outbox",
            """
            INSERT INTO outbox (
                partition, event_id, type, time, customer_id, data, reply_to, correlation_id, traceparent, tracestate)
            SELECT partition, event_id, type, time, customer_id, data, reply_to, correlation_id, traceparent, tracestate
            FROM unnest(
                $1::integer[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::bytea[], $7::text[],
                $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
                AS e (partition, event_id, type, time, customer_id, data, reply_to, correlation_id, traceparent,
                      tracestate, place)
            ORDER BY place
            RETURNING partition, position
            """,
            [
                .int4Array(entries.map { Int32(clamping: $0.partition) }), .identifiers(entries.map(\.event.id)),
                .textArray(entries.map(\.event.type.rawValue)), .timestamps(entries.map(\.event.time)),
                .identifiers(entries.map(\.event.customerID)), .byteaArray(entries.map(\.event.data)),
                .textArray(entries.map(\.replyTo)), .textArray(entries.map(\.correlationID)),
                .textArray(entries.map(\.trace.traceparent)), .textArray(entries.map(\.trace.tracestate)),
            ])
    }

    static func readPosition(_ row: Row) throws -> OutboxPosition {
        var column = ColumnReader(row)
        return OutboxPosition(partition: try column.int(), position: try column.int64())
    }

    /// Removes what was published.
    static func remove(_ positions: [OutboxPosition]) -> Statement {
        Statement(
            name: "remove from outbox",
            """
            DELETE FROM outbox WHERE ctid = ANY (ARRAY (
                SELECT o.ctid
                FROM unnest($1::integer[], $2::bigint[]) AS p (partition, position)
                CROSS JOIN LATERAL (
                    SELECT ctid FROM outbox WHERE partition = p.partition AND position = p.position OFFSET 0) AS o))
            """,
            [
                .int4Array(positions.map { Int32(clamping: $0.partition) }), .int8Array(positions.map(\.position)),
            ])
    }

    /// What waits in a partition, in order, until there are more than `bytes` of it.
    static func waiting(partition: Int, bytes: Int) -> Statement {
        Statement(
            name: "read outbox",
            """
            SELECT partition, position, event_id, type, time, customer_id, data, reply_to, correlation_id, traceparent,
                   tracestate
            FROM (
                SELECT *, sum(octet_length(data) + 512) OVER (ORDER BY position) - octet_length(data) - 512 AS before
                FROM (SELECT * FROM outbox WHERE partition = $1 ORDER BY position LIMIT 1000) AS oldest) AS waiting
            WHERE before < $2 ORDER BY position
            """, [.int4(Int32(clamping: partition)), .int8(Int64(bytes))])
    }

    static func readWaiting(_ row: Row) throws -> WaitingEvent {
        var column = ColumnReader(row)
        let position = OutboxPosition(partition: try column.int(), position: try column.int64())
        let event = StoredEvent(
            id: try column.identifier(), type: try column.value(EventType.init(rawValue:)),
            time: try column.timestamp(),
            customerID: try column.identifier(), data: try column.bytes())
        return WaitingEvent(
            position: position,
            entry: OutboxEntry(
                partition: position.partition, event: event, replyTo: try column.optionalText(),
                correlationID: try column.optionalText(),
                trace: TraceContext(traceparent: try column.optionalText(), tracestate: try column.optionalText())))
    }
}
