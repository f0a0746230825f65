// The table `pauses`: partitions that an operator has stopped for a while.

public import Orders
public import PostgreSQL

/// A partition, or all of them, that no worker consumes until an operator says so.
public struct Pause: Sendable, Hashable {
    /// nil for all, those to come included.
    public let partition: Int?
    public let since: Timestamp

    /// The number that stands for all partitions.
    static let all: Int32 = -1

    /// The pauses that there are, that of all first.
    public static func read(on connection: Connection) async throws(StoreError) -> [Pause] {
        let statement = Statement(
            name: "read pauses", "SELECT partition, since FROM pauses ORDER BY partition")
        return try await connection.run([statement], during: "reading what is paused") { results in
            try results[0].map { row in
                let number = try row.int32(0)
                return Pause(
                    partition: number == all ? nil : Int(number),
                    since: Timestamp(microseconds: try row.timestamptz(1)))
            }
        }
    }

    /// Pauses a partition, or all. What is paused stays so.
    public static func add(_ partition: Int?, on connection: Connection) async throws(StoreError) {
        let statement = Statement(
            "INSERT INTO pauses (partition) VALUES ($1) ON CONFLICT DO NOTHING",
            .int4(partition.map { Int32(clamping: $0) } ?? all))
        try await connection.run([statement], during: "pausing") { _ in }
    }

    /// Ends the pause of a partition, or all pauses.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    public static func remove(_ partition: Int?, on connection: Connection) async throws(StoreError) -> Bool {
        let statement = Statement(
            "DELETE FROM pauses WHERE $1::integer IS NULL OR partition = $1 RETURNING partition",
            .int4(partition.map { Int32(clamping: $0) }))
        return try await connection.run([statement], during: "resuming") { !$0[0].isEmpty }
    }
}
