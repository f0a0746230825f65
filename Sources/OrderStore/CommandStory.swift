// A command's whole story, as the database knows it.

internal import Orders
public import PostgreSQL

/// What is known of a command: how it came, what was decided, what it wrote, and where its outcome is.
public struct CommandStory: Sendable {
    /// Whether the outcome is announced.
    public enum Announcement: Sendable, Hashable {
        case published
        /// It is in the outbox: its partition's owner publishes it.
        case waiting
        /// The broker doesn't take it, or another of its customer's before it; with the reason, empty where it only stands
        /// behind another.
        case quarantined(String, isReleased: Bool)
    }

    /// A transaction that the command made.
    public struct Written: Sendable, Hashable {
        public let type: String
        public let subscriptionID: String
        public let certificateType: String?
        public let quantity: Int64?
        /// In minor units.
        public let amount: Int64
        public let currency: String
        public let transactionID: String
        public let invoiceID: String?
    }

    public let entry: InboxEntry
    /// The version of the catalog by which it was decided; nil where a version of the program decided it that noted none.
    public let catalogVersion: Int64?
    public let written: [Written]
    public let announcement: Announcement

    /// The commands with this id, of whichever sender: an id is one's own within its source.
    ///
    /// The inbox has its index by sender, source and id, so each sender and source that there is is asked for it.
    ///
    /// - Parameter source: only those of this source.
    public static func find(
        id: String, source: String?, on connection: Connection
    ) async throws(StoreError) -> [CommandStory] {
        let statement = Statement(
            """
            WITH RECURSIVE senders AS (
                (SELECT sender, source FROM inbox ORDER BY sender, source LIMIT 1)
                UNION ALL
                SELECT next.sender, next.source FROM senders CROSS JOIN LATERAL (
                    SELECT sender, source FROM inbox WHERE (sender, source) > (senders.sender, senders.source)
                    ORDER BY sender, source LIMIT 1) AS next)
            SELECT i.sender, i.source, i.id, i.received_at, i.customer_id, i.partition, i.type, i.publisher,
                   i.effective_at, i.data, i.traceparent, i.tracestate, i.outcome_id, i.outcome_type, i.outcome_at,
                   i.outcome_data, i.catalog_version,
                   EXISTS (SELECT FROM outbox AS o
                           WHERE o.partition = i.partition AND o.customer_id = i.customer_id AND o.event_id = i.outcome_id),
                   q.reason, q.released
            FROM senders AS s CROSS JOIN LATERAL (
                SELECT * FROM inbox WHERE sender = s.sender AND source = s.source AND id = $1 OFFSET 0) AS i
            LEFT JOIN quarantine AS q ON q.customer_id = i.customer_id AND q.event_id = i.outcome_id
            WHERE $2::text IS NULL OR s.source = $2
            ORDER BY i.received_at
            """, .text(id), .text(source))
        let found = try await connection.run([statement], during: "looking for a command") { try $0[0].map(read) }
        var stories: [CommandStory] = []
        for (entry, catalogVersion, announcement) in found {
            stories.append(
                CommandStory(
                    entry: entry, catalogVersion: catalogVersion, written: try await written(by: entry, on: connection),
                    announcement: announcement))
        }
        return stories
    }

    private static func read(_ row: Row) throws -> (InboxEntry, Int64?, Announcement) {
        guard let entry = try InboxTable.read(row).entry else {
            throw StoreError(
                .unreadableRow, during: "looking for a command", detail: "its data is missing",
                advice: "Report it: this is a defect.")
        }
        let announcement: Announcement
        if let reason = try row.optionalText(18) {
            announcement = .quarantined(reason, isReleased: try row.bool(19))
        } else {
            announcement = try row.bool(17) ? .waiting : .published
        }
        return (entry, try row.optionalInt64(16), announcement)
    }

    private static func written(
        by entry: InboxEntry, on connection: Connection
    ) async throws(StoreError) -> [Written] {
        let statement = Statement(
            """
            SELECT type, subscription_id::text, certificate_type, quantity, amount, currency, transaction_id::text,
                   invoice_id::text
            FROM transactions WHERE customer_id = $1 AND command_source = $2 AND command_id = $3 AND publisher = $4
            ORDER BY transaction_id
            """, .uuid(entry.customerID.halves), .text(entry.key.command.source), .text(entry.key.command.id),
            .text(entry.publisher))
        return try await connection.run([statement], during: "looking for what a command wrote") { results in
            try results[0].map { row in
                var column = ColumnReader(row)
                return Written(
                    type: try column.text(), subscriptionID: try column.text(),
                    certificateType: try column.optionalText(), quantity: try column.optionalInt64(),
                    amount: try column.int64(), currency: try column.text(), transactionID: try column.text(),
                    invoiceID: try column.optionalText())
            }
        }
    }
}
