// What waits in the outbox, for people.

public import PostgreSQL

/// The events of one partition that are committed and not yet known to be published.
public struct OutboxBacklog: Sendable, Hashable {
    public let partition: Int
    public let events: Int64
    /// When the oldest was made, in microseconds since 1970-01-01T00:00:00Z.
    public let oldest: Int64
    /// How old that is by the database's clock, in microseconds; below zero where the worker's clock is ahead of it.
    public let age: Int64

    /// What waits, a value for each partition that has anything, in their order.
    ///
    /// An event's own time says when it took effect, which may lie in the past, so its age is told by its id: of version
    /// 7, with the milliseconds at which a worker made it in the first 48 bits.
    public static func read(on connection: Connection) async throws(StoreError) -> [OutboxBacklog] {
        let statement = Statement(
            """
            SELECT partition, events, made * 1000, (extract(epoch FROM now()) * 1000000)::bigint - made * 1000
            FROM (
                SELECT partition, count(*) AS events,
                       ('x0000' || left(replace(min(event_id::text), '-', ''), 12))::bit(64)::bigint AS made
                FROM outbox GROUP BY partition) AS waiting
            ORDER BY partition
            """)
        return try await connection.run([statement], during: "reading the outbox") { results in
            try results.first?.map { row in
                var column = ColumnReader(row)
                return OutboxBacklog(
                    partition: try column.int(), events: try column.int64(), oldest: try column.int64(),
                    age: try column.int64())
            } ?? []
        }
    }
}
