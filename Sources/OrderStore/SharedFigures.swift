// Figures of the database that all workers share, for metrics.

internal import Orders
public import PostgreSQL

/// What waits in the database, and for how long. Reading them costs the same whatever there is: each count ends at a limit,
/// and each age is found by an index.
public struct SharedFigures: Sendable, Hashable {
    /// Counts end here: one more stands for all that are more.
    public static let countLimit = 10_000
    /// Customers with something due are counted up to this.
    public static let dueLimit = 1000

    public struct Partition: Sendable, Hashable {
        public let number: Int
        public let hasOwner: Bool
        /// Whether an operator has paused it.
        public let isPaused: Bool
        /// Events in the outbox.
        public let waiting: Int64
        /// How old the oldest of them is; nil where there is none.
        public let oldest: Duration?
    }

    /// Empty where the topology was never applied.
    public let partitions: [Partition]
    /// Events in quarantine.
    public let quarantined: Int64
    /// Parked commands.
    public let parked: Int64
    /// Customers with something due.
    public let due: Int
    /// For how long the first of it has been due.
    public let lag: Duration
    public let audit: AuditRecord?

    public static func read(on connection: Connection) async throws(StoreError) -> SharedFigures {
        let due = DueCustomers(connection: connection)
        let now = try await due.now()
        let page = try await due.find(dueBy: now, limit: dueLimit)
        let audit = try await AuditRecord.last(on: connection)
        return try await connection.run([partitionStatement, countStatement], during: "reading shared figures") {
            results in
            let counts = try results[1].map { (quarantined: try $0.int64(0), parked: try $0.int64(1)) }
            return SharedFigures(
                partitions: try results[0].map(partition), quarantined: counts.first?.quarantined ?? 0,
                parked: counts.first?.parked ?? 0, due: page.customers.count,
                lag: page.customers.first.map { max(.zero, .microseconds(now.microseconds - $0.since.microseconds)) }
                    ?? .zero, audit: audit)
        }
    }

    private static func partition(_ row: Row) throws -> Partition {
        var column = ColumnReader(row)
        return Partition(
            number: try column.int(), hasOwner: try column.bool(), isPaused: try column.bool(),
            waiting: try column.int64(),
            oldest: try column.optionalInt64().map { .milliseconds(max(0, $0)) })
    }

    /// An event's own time says when it took effect, which may lie in the past, so its age is told by its id: of version 7,
    /// with the milliseconds at which a worker made it in the first 48 bits.
    private static var partitionStatement: Statement {
        Statement(
            name: "read partitions' figures",
            """
            WITH owned AS MATERIALIZED (
                SELECT objid::bigint::integer AS partition FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1::integer
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
            SELECT p.partition, EXISTS (SELECT FROM owned WHERE owned.partition = p.partition),
                   EXISTS (SELECT FROM pauses WHERE pauses.partition IN (p.partition, $3::integer)),
                   (SELECT count(*) FROM (SELECT FROM outbox WHERE partition = p.partition LIMIT $2::bigint + 1) AS counted),
                   (extract(epoch FROM clock_timestamp()) * 1000)::bigint
                       - ('x0000' || left(replace(oldest.event_id::text, '-', ''), 12))::bit(64)::bigint
            FROM topology AS t CROSS JOIN LATERAL generate_series(0, t.partitions - 1) AS p (partition)
            LEFT JOIN LATERAL (
                SELECT event_id FROM outbox WHERE partition = p.partition ORDER BY position LIMIT 1) AS oldest ON true
            ORDER BY p.partition
            """, [.int4(PartitionOwnership.partitionClass), .int8(Int64(countLimit)), .int4(Pause.all)])
    }

    private static var countStatement: Statement {
        Statement(
            name: "count what waits",
            """
            SELECT (SELECT count(*) FROM (SELECT FROM quarantine LIMIT $1::bigint + 1) AS counted),
                   (SELECT count(*) FROM (SELECT FROM parked LIMIT $1::bigint + 1) AS counted)
            """, [.int8(Int64(countLimit))])
    }
}
