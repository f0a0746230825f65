// Which server errors are worth another attempt, proved by making the server report each.

import PostgreSQL
import Testing

@Suite struct ErrorTests {
    @Test(
        "Trying again is advised for conditions that pass, and for nothing else",
        arguments: [
            ("40001", true), ("40P01", true), ("55P03", true), ("57014", true), ("25006", true), ("08006", true),
            ("53300", true), ("53100", true), ("22012", false), ("23505", false), ("42P01", false), ("42501", false),
            ("XX000", false), ("P0001", false), ("25P02", false),
        ])
    func retriable(_ sqlState: String, _ isRetriable: Bool) async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                try await connection.execute(
                    script:
                        "DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '\(sqlState)', HINT = 'think'; END $$")
            }
            #expect(error.sqlState == sqlState)
            #expect(error.isRetriable == isRetriable)
            #expect(error.isConnectionUsable)
            #expect(error.message == "refused" && error.hint == "think" && !error.advice.isEmpty)
        }
    }

    @Test("Of a deadlock one side fails and may try again, the other goes on")
    func deadlock() async throws {
        try await TestDatabase.withSchema { first, schema in
            try await first.execute(script: "CREATE TABLE t (id int8); INSERT INTO t VALUES (1), (2)")
            try await TestDatabase.withConnection { second in
                try await second.execute(script: "SET search_path TO \(schema)")
                func take(_ id: Int64) -> Statement { Statement("SELECT FROM t WHERE id = $1 FOR UPDATE", .int8(id)) }
                _ = try await first.pipeline([Statement("BEGIN"), take(1)])
                _ = try await second.pipeline([Statement("BEGIN"), take(2)])
                async let one = Self.outcome { _ = try await first.query(take(2)) }
                async let other = Self.outcome { _ = try await second.query(take(1)) }
                let errors = await [one, other].compactMap(\.self)
                #expect(errors.count == 1)
                #expect(errors.first?.sqlState == "40P01" && errors.first?.isRetriable == true)
            }
        }
    }

    @Test("What an error says about itself leaves out the row that the server's detail quotes")
    func detail() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (email text CONSTRAINT once UNIQUE)")
            let insert = Statement("INSERT INTO t VALUES ($1)", .text("someone@example.com"))
            _ = try await connection.query(insert)
            let error = try await databaseError { _ = try await connection.query(insert) }
            #expect(error.constraint == "once")
            #expect(error.detail?.contains("someone@example.com") == true)
            #expect(!"\(error)".contains("someone@example.com"))
        }
    }

    private static func outcome(_ body: () async throws -> Void) async -> PostgreSQLError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? PostgreSQLError
        }
    }
}
