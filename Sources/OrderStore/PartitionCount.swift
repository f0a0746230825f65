// How many partitions there are, as the whole installation knows it.

public import PostgreSQL

/// The number of partitions in the table `topology`, which `order-worker topology apply` writes once they can be served.
///
/// It lives in the database, and not in each worker's settings, so that all workers agree on it, and learn of another one
/// at the same moment.
public enum PartitionCount {
    /// The number of partitions, 1…100; nil where the topology was never applied.
    ///
    /// - Throws: ``StoreError`` when the database can't be asked.
    public static func read(on connection: Connection) async throws(StoreError) -> Int? {
        let statement = Statement(name: "read partition count", "SELECT partitions FROM topology")
        return try await connection.run([statement], during: "reading the number of partitions") { results in
            try results[0].first.map { Int(try $0.int32(0)) }
        }
    }

    /// Notes that partitions are about to be added: those that there are may hold commands of customers that move.
    ///
    /// - Throws: ``StoreError/Code/moving`` while customers still move because of an earlier change: of two moves at a time
    ///   nobody could tell which command came first.
    public static func noteUndrained(_ partitions: Range<Int>, on connection: Connection) async throws(StoreError) {
        let statement = Statement(
            name: "note undrained",
            """
            UPDATE topology SET undrained = $1
            WHERE undrained = '{}' AND NOT EXISTS (SELECT FROM parked) RETURNING partitions
            """, [.int4Array(partitions.map { Int32(clamping: $0) })])
        let isNoted = try await connection.run([statement], during: "noting what has to drain") { results in
            results[0].first != nil
        }
        guard !isNoted else { return }
        throw StoreError(
            .moving, during: "adding partitions",
            detail: "customers still move because of an earlier change of the topology",
            advice: "Nothing was changed. Let the workers finish what waits (order-worker doctor), then apply again.")
    }

    /// What a lane has to know of the topology.
    static var state: Statement {
        Statement(
            name: "read topology",
            "SELECT partitions, undrained, ARRAY (SELECT partition::bigint FROM pauses) FROM topology")
    }

    static func readState(_ rows: Rows) throws -> TopologyState {
        guard let row = rows.first else { return TopologyState(count: nil, undrained: [], paused: []) }
        let count = Int(try row.int32(0))
        let pauses = Set(try row.int64Array(2).map(Int.init))
        return TopologyState(
            count: count, undrained: Set(try row.int64Array(1).map(Int.init)),
            paused: pauses.contains(Int(Pause.all)) ? Set(0..<count) : pauses)
    }

    /// Notes that partitions hold nothing any more from before.
    static func drained(_ partitions: Set<Int>) -> Statement {
        Statement(
            name: "note drained",
            """
            UPDATE topology
            SET undrained = (SELECT coalesce(array_agg(p), '{}') FROM unnest(undrained) AS p WHERE p <> ALL ($1))
            """, [.int4Array(partitions.sorted().map { Int32(clamping: $0) })])
    }

    /// Stores the number of partitions. Workers that see it serve just so many.
    ///
    /// - Parameter count: 1…100.
    /// - Throws: ``StoreError`` when the database refuses.
    public static func write(_ count: Int, on connection: Connection) async throws(StoreError) {
        let statement = Statement(
            name: "write partition count",
            """
            INSERT INTO topology (partitions) VALUES ($1)
            ON CONFLICT (is_only) DO UPDATE SET partitions = excluded.partitions, applied_at = excluded.applied_at
            """, [.int4(Int32(clamping: count))])
        try await connection.run([statement], during: "storing the number of partitions") { _ in }
    }
}

/// The topology, as a lane looks at it again and again.
struct TopologyState {
    let count: Int?
    let undrained: Set<Int>
    /// The partitions that an operator has paused.
    let paused: Set<Int>
}
