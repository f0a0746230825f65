// The table `inbox`: each command once, with its outcome.

public import Orders
internal import PostgreSQL

/// What identifies a command in the inbox: its key, within what its sender may speak for.
public struct InboxKey: Sendable, Hashable {
    /// The partner that the publisher acts for; ``unknown`` or ``worker`` where there is none.
    public let sender: String
    public let command: CommandKey

    public init(sender: String, command: CommandKey) {
        self.sender = sender
        self.command = command
    }

    /// The sender of commands whose publisher acts for no partner.
    public static let unknown = ""
    /// The sender of the worker's own commands; no partner's id can be this.
    public static let worker = "*"
}

/// A command as it was received, and what came of it.
public struct InboxEntry: Sendable, Hashable {
    public let receivedAt: Timestamp
    public let key: InboxKey
    public let customerID: CustomerID
    /// The queue that it came from.
    public let partition: Int
    public let type: String
    /// ``Publisher/name``.
    public let publisher: String
    public let effectiveAt: Timestamp
    /// The command's data as received.
    public let data: [UInt8]
    public let trace: TraceContext
    public let outcome: StoredEvent
    /// The version of the catalog by which it is decided; kept for people, and nil where it was read for anything else.
    public let catalogVersion: Int64?

    public init(
        receivedAt: Timestamp, key: InboxKey, customerID: CustomerID, partition: Int, type: String,
        publisher: String, effectiveAt: Timestamp, data: [UInt8], trace: TraceContext, outcome: StoredEvent,
        catalogVersion: Int64? = nil
    ) {
        self.receivedAt = receivedAt
        self.key = key
        self.customerID = customerID
        self.partition = partition
        self.type = type
        self.publisher = publisher
        self.effectiveAt = effectiveAt
        self.data = data
        self.trace = trace
        self.outcome = outcome
        self.catalogVersion = catalogVersion
    }
}

enum InboxTable {
    /// Finds the commands that were received before, in whichever month. As soon as there are more than `bytes` of them and
    /// their outcomes, only their keys.
    static func find(_ keys: [InboxKey], bytes: Int) -> Statement {
        Statement(
            name: "find in inbox",
            """
            SELECT sender, source, id, received_at, customer_id, partition, type, publisher, effective_at,
                   CASE WHEN is_read THEN data END, traceparent, tracestate, outcome_id, outcome_type, outcome_at,
                   CASE WHEN is_read THEN outcome_data END
            FROM (
                SELECT i.*, k.place = 1 OR sum(octet_length(i.data) + octet_length(i.outcome_data)::bigint)
                           OVER (ORDER BY k.place) <= $4 AS is_read
                FROM (
                    SELECT sender, source, id, place
                    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (sender, source, id, place)
                ) AS k
                CROSS JOIN LATERAL (
                    SELECT * FROM inbox WHERE sender = k.sender AND source = k.source AND id = k.id OFFSET 0) AS i
            ) AS found
            """,
            [
                .textArray(keys.map(\.sender)), .textArray(keys.map(\.command.source)),
                .textArray(keys.map(\.command.id)), .int8(Int64(bytes)),
            ])
    }

    /// Everything that is kept, a customer's commands together.
    static let byCustomer = Statement(
        name: "replay inbox",
        """
        SELECT sender, source, id, received_at, customer_id, partition, type, publisher, effective_at, data, traceparent,
               tracestate, outcome_id, outcome_type, outcome_at, outcome_data
        FROM inbox ORDER BY customer_id
        """, [])

    /// The number of an outcome among its customer's events: those of one transaction were received at the same time. A
    /// quotation mark within a text of JSON has a backslash before it, so this can only be the member.
    static let sequence = """
        substring(convert_from(outcome_data, 'UTF8') FROM '"sequence":([0-9]+)')::bigint
        """

    /// What is kept of a customer's commands, the oldest first.
    static func of(_ customer: CustomerID) -> Statement {
        Statement(
            """
            SELECT sender, source, id, received_at, customer_id, partition, type, publisher, effective_at, data, traceparent,
                   tracestate, outcome_id, outcome_type, outcome_at, outcome_data
            FROM inbox WHERE customer_id = $1 ORDER BY received_at, \(sequence), outcome_id
            """, .uuid(customer.halves))
    }

    /// A command that was received before.
    enum Found {
        case entry(InboxEntry)
        case postponed(InboxKey)

        /// nil where it wasn't read.
        var entry: InboxEntry? { if case .entry(let entry) = self { entry } else { nil } }
    }

    static func read(_ row: Row) throws -> Found {
        var column = ColumnReader(row)
        let key = InboxKey(
            sender: try column.text(),
            command: CommandKey(source: try column.text(), id: try column.text()))
        let receivedAt = try column.timestamp()
        let customerID: CustomerID = try column.identifier()
        let partition = try column.int()
        let type = try column.text()
        let publisher = try column.text()
        let effectiveAt = try column.timestamp()
        guard let data = try column.optionalBytes() else { return .postponed(key) }
        return .entry(
            InboxEntry(
                receivedAt: receivedAt, key: key, customerID: customerID, partition: partition, type: type,
                publisher: publisher, effectiveAt: effectiveAt, data: data,
                trace: TraceContext(traceparent: try column.optionalText(), tracestate: try column.optionalText()),
                outcome: StoredEvent(
                    id: try column.identifier(), type: try column.value(EventType.init(rawValue:)),
                    time: try column.timestamp(),
                    customerID: customerID, data: try column.bytes())))
    }

    static func record(_ entries: [InboxEntry]) -> Statement {
        Statement(
            name: "record in inbox",
            """
            INSERT INTO inbox (
                received_at, sender, source, id, customer_id, partition, type, publisher, effective_at, data, traceparent,
                tracestate, outcome_id, outcome_type, outcome_at, outcome_data, catalog_version)
            SELECT * FROM unnest(
                $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::integer[], $7::text[],
                $8::text[], $9::timestamptz[], $10::bytea[], $11::text[], $12::text[], $13::uuid[], $14::text[],
                $15::timestamptz[], $16::bytea[], $17::bigint[])
            """,
            [
                .timestamps(entries.map(\.receivedAt)), .textArray(entries.map(\.key.sender)),
                .textArray(entries.map(\.key.command.source)), .textArray(entries.map(\.key.command.id)),
                .identifiers(entries.map(\.customerID)),
                .int4Array(entries.map { Int32(clamping: $0.partition) }), .textArray(entries.map(\.type)),
                .textArray(entries.map(\.publisher)), .timestamps(entries.map(\.effectiveAt)),
                .byteaArray(entries.map(\.data)), .textArray(entries.map(\.trace.traceparent)),
                .textArray(entries.map(\.trace.tracestate)), .identifiers(entries.map(\.outcome.id)),
                .textArray(entries.map(\.outcome.type.rawValue)), .timestamps(entries.map(\.outcome.time)),
                .byteaArray(entries.map(\.outcome.data)), .int8Array(entries.map(\.catalogVersion)),
            ])
    }
}
