// The table `audits`: when the books were audited, and what was found.

public import Orders
public import PostgreSQL

/// What an audit of the whole database found.
public struct AuditRecord: Sendable, Hashable {
    public let finishedAt: Timestamp
    /// How many rows break an invariant.
    public let violations: Int64
    /// The checks that found any, by name.
    public let broken: [String]
    /// By the database's clock, when it was read.
    public let age: Duration

    /// Notes what an audit found.
    ///
    /// - Throws: ``StoreError`` when the database refuses, as it does where the user may only read.
    public static func add(
        _ findings: [AuditFinding], on connection: Connection
    ) async throws(StoreError) {
        let broken = findings.filter { $0.breaches > 0 }
        let statement = Statement(
            "INSERT INTO audits (violations, broken) VALUES ($1, $2)",
            .int8(broken.reduce(0) { $0 + $1.breaches }), .textArray(broken.map(\.check.name)))
        try await connection.run([statement], during: "noting the audit's result") { _ in }
    }

    /// The last one; nil before the first.
    public static func last(on connection: Connection) async throws(StoreError) -> AuditRecord? {
        let statement = Statement(
            name: "read last audit",
            """
            SELECT finished_at, violations, broken,
                   (extract(epoch FROM clock_timestamp() - finished_at) * 1000)::bigint
            FROM audits ORDER BY finished_at DESC LIMIT 1
            """)
        return try await connection.run([statement], during: "reading the last audit") { results in
            try results[0].first.map { row in
                var column = ColumnReader(row)
                return AuditRecord(
                    finishedAt: try column.timestamp(), violations: try column.int64(), broken: try column.textArray(),
                    age: .milliseconds(max(0, try column.int64())))
            }
        }
    }
}
