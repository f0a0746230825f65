// The tables `barriers` and `fences`: what is known of what lies in the partitions' queues.

public import Orders
internal import PostgreSQL

/// How far the barrier has come that a lane's parked commands, or a fence, wait for.
public struct BarrierProgress: Sendable, Hashable {
    /// The last barrier that was begun.
    public let number: Int64
    /// The partitions that it still has to come out of.
    public let behind: [Int]
    /// Whether it was begun just now, by who asked: who else would send it through the queues?
    public let isNew: Bool

    public init(number: Int64, behind: [Int], isNew: Bool) {
        self.number = number
        self.behind = behind
        self.isNew = isNew
    }
}

/// A moment at which the broker was away: customers may come by other partitions since.
public struct Fence: Sendable, Hashable {
    public let since: Timestamp
    /// What has to be through before anything is applied that was published later.
    public let barrier: Int64

    public init(since: Timestamp, barrier: Int64) {
        self.since = since
        self.barrier = barrier
    }
}

extension BatchStore {
    /// Notes that the broker was away, from `since` at the latest: what was published later waits until what was before is
    /// through, unless another lane has noted the same.
    public func fence(since: Timestamp) async throws(StoreError) {
        try await connection.run(
            [BarrierTable.forgetFences, BarrierTable.fence(since: since)], during: "noting that the broker was away"
        ) { _ in }
    }
}

enum BarrierTable {
    /// The barrier that has come out of every partition's queue.
    static let through = """
        SELECT min(coalesce(b.passed, 0)) FROM topology t CROSS JOIN generate_series(0, t.partitions - 1) AS n (partition)
        LEFT JOIN barriers b ON b.partition = n.partition
        """

    /// How long a fence holds what nobody knows to have moved: should one partition stand still, all would stand with it.
    private static let fencePatience = "interval '30 seconds'"

    private static let standing = "barrier > (\(through)) AND created_at > now() - \(fencePatience)"

    /// Lanes that lose the same broker note it once: a fence's moment is a second early, and it is made after the loss.
    static func fence(since: Timestamp) -> Statement {
        Statement(
            name: "fence",
            """
            WITH begun AS (
                UPDATE topology SET barrier = barrier + 1
                WHERE NOT EXISTS (
                    SELECT FROM fences
                    WHERE since <= $1::timestamptz + interval '1 second' AND created_at >= $1 + interval '1 second')
                RETURNING barrier)
            INSERT INTO fences (barrier, since) SELECT barrier, $1 FROM begun
            """, [.timestamptz(since.microseconds)])
    }

    static let forgetFences = Statement(
        name: "forget fences", "DELETE FROM fences WHERE created_at < now() - interval '1 hour'")

    /// The last barrier, and the fences that stand.
    static let state = Statement(
        name: "read barriers",
        """
        SELECT coalesce((SELECT barrier FROM topology), 0),
               coalesce((SELECT array_agg(barrier ORDER BY barrier) FROM fences WHERE \(standing)), '{}'),
               coalesce((SELECT array_agg((extract(epoch FROM since) * 1000000)::bigint ORDER BY barrier)
                         FROM fences WHERE \(standing)), '{}')
        """)

    static func readState(_ row: Row?) throws -> (barrier: Int64, fences: [Fence]) {
        guard let row else { return (0, []) }
        var column = ColumnReader(row)
        let barrier = try column.int64()
        let barriers = try column.int64Array()
        let moments = try column.int64Array()
        return (
            barrier, zip(moments, barriers).map { Fence(since: Timestamp(microseconds: $0), barrier: $1) }
        )
    }

    static func passed(_ barriers: [Int: Int64]) -> Statement {
        let barriers = barriers.sorted { $0.key < $1.key }
        return Statement(
            name: "note barriers",
            """
            INSERT INTO barriers AS b (partition, passed) SELECT * FROM unnest($1::integer[], $2::bigint[])
            ON CONFLICT (partition) DO UPDATE SET passed = greatest(b.passed, excluded.passed)
            """,
            [.int4Array(barriers.map { Int32(clamping: $0.key) }), .int8Array(barriers.map(\.value))])
    }

    private static let needed = """
        SELECT coalesce(greatest(
            (SELECT max(needs) FROM parked WHERE partition = ANY ($1::integer[])),
            (SELECT max(barrier) FROM fences WHERE \(standing))), 0)
        """

    /// Begins a barrier where one is needed that was not begun yet. Lanes that do it at once begin one.
    static func begin(neededBy partitions: [Int]) -> Statement {
        Statement(
            name: "begin barrier",
            "UPDATE topology SET barrier = barrier + 1 WHERE barrier < (\(needed)) RETURNING barrier",
            [.int4Array(partitions.map { Int32(clamping: $0) })])
    }

    static func behind(neededBy partitions: [Int]) -> Statement {
        Statement(
            name: "read barrier's progress",
            """
            SELECT t.barrier, n.partition FROM topology t
            LEFT JOIN LATERAL (
                SELECT n.partition FROM generate_series(0, t.partitions - 1) AS n (partition)
                LEFT JOIN barriers b ON b.partition = n.partition
                WHERE coalesce(b.passed, 0) < (\(needed))) AS n ON true
            """, [.int4Array(partitions.map { Int32(clamping: $0) })])
    }

    static func readProgress(_ rows: Rows, isNew: Bool) throws -> BarrierProgress {
        var behind: [Int] = []
        var number: Int64 = 0
        for row in rows {
            var column = ColumnReader(row)
            number = try column.int64()
            if let partition = try column.optionalInt() { behind.append(partition) }
        }
        return BarrierProgress(number: number, behind: behind.sorted(), isNew: isNew)
    }
}
