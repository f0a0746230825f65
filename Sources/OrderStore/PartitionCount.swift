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
