// Large results in chunks.

import Foundation
import PostgreSQL
import Testing

@Suite struct StreamTests {
    @Test("A million rows pass in order and in little memory")
    func million() async throws {
        try await TestDatabase.withConnection { connection in
            let before = try Self.residentMegabytes()
            var peak = before
            var count: Int64 = 0
            let statement = Statement(
                name: "million", "SELECT i, repeat('x', 300) FROM generate_series(1, $1) AS i", [.int8(1_000_000)])
            try await connection.stream(statement, chunk: 2000) { rows in
                for row in rows {
                    count += 1
                    if try row.int64(0) != count { throw Misplaced() }
                }
                peak = max(peak, try Self.residentMegabytes())
            }
            #expect(count == 1_000_000)
            // All at once they would take more than 300 MB; other tests run beside this one.
            #expect(peak - before < 150)
            #expect(await !connection.isInTransaction)
        }
    }

    struct Misplaced: Error {}

    @Test("Every row comes once, whatever the chunk", arguments: [1, 2, 3, 7, 10, 11, 1000])
    func chunks(_ chunk: Int) async throws {
        try await TestDatabase.withConnection { connection in
            var sizes: [Int] = []
            var seen: [Int64] = []
            try await connection.stream(Statement("SELECT i FROM generate_series(1, 10) AS i"), chunk: chunk) { rows in
                sizes.append(rows.count)
                seen += try rows.map { row throws(PostgreSQLError) in try row.int64(0) }
            }
            #expect(seen == Array(1...10))
            #expect(sizes.allSatisfy { $0 <= chunk })
        }
    }

    @Test("The body may use the connection, inside the transaction that was open")
    func inTransaction() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8)")
            try await connection.transaction { connection in
                try await connection.stream(Statement("SELECT i FROM generate_series(1, 10) AS i"), chunk: 4) { rows in
                    for row in rows {
                        _ = try await connection.query(Statement("INSERT INTO t VALUES ($1)", .int8(try row.int64(0))))
                    }
                }
            }
            #expect(try await connection.query(Statement("SELECT count(*) FROM t"))[0].int64(0) == 10)
        }
    }

    @Test("An error of the statement or of the body ends the stream and its transaction")
    func errors() async throws {
        try await TestDatabase.withConnection { connection in
            let division = try await databaseError {
                try await connection.stream(Statement("SELECT 1 / (5 - i) FROM generate_series(1, 9) AS i"), chunk: 2) {
                    _ in
                }
            }
            #expect(division.sqlState == "22012")
            await #expect(throws: Misplaced.self) {
                try await connection.stream(Statement("SELECT 1"), chunk: 2) { _ in throw Misplaced() }
            }
            #expect(await !connection.isInTransaction)
            #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
        }
    }

    @Test("A cancelled stream ends between two chunks")
    func cancelled() async throws {
        try await TestDatabase.withConnection { connection in
            let task = Task {
                try await connection.stream(Statement("SELECT generate_series(1, 100000000)"), chunk: 10) { _ in }
            }
            try await Task.sleep(for: .milliseconds(200))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(await !connection.isInTransaction)
        }
    }

    private static func residentMegabytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(Int(fields[1])) * 4096 / 1_000_000
    }
}
