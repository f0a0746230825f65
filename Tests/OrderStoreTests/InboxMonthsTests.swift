// The inbox's months beside readers, with rows that no month was there for, and by a role that only reads and writes rows.

import Foundation
import OrderStore
import PostgreSQL
import Testing

@Suite("The inbox's months", .timeLimit(.minutes(1)))
struct InboxMonthsTests {
    /// Takes the last month away, as if it had not been made yet.
    private static let unmakeLast = """
        DO $$ BEGIN
            EXECUTE format('DROP TABLE inbox_%s', to_char(now() AT TIME ZONE 'UTC' + interval '2 months', 'YYYY_MM'));
        END $$
        """

    private static func insert(id: String, at time: String = "now()") -> String {
        """
        INSERT INTO inbox (received_at, sender, source, id, customer_id, partition, type, publisher, effective_at, data,
                           outcome_id, outcome_type, outcome_at, outcome_data)
        VALUES (\(time), 'acme', 'test', '\(id)', gen_random_uuid(), 0, 'x', 'user x', now(), '', gen_random_uuid(), 'y',
                now(), '')
        """
    }

    @Test("While a reader holds the inbox, a month is given up after 200 ms, and nobody else waits for the reader")
    func reader() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { clock in
                try await clock.execute(script: Self.unmakeLast)
                try await database.withConnection { reader in
                    try await reader.execute(
                        script: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM inbox")
                    let months = InboxMonths(connection: clock)
                    async let attempt = failure(of: { _ = try await months.make() })
                    try await database.withConnection { lane in
                        for number in 0..<20 {
                            // Behind a month that waited for the reader this would wait for it too, for ever.
                            try await lane.execute(script: Self.insert(id: "\(number)"))
                            _ = try await lane.query(Statement("SELECT count(*) FROM inbox WHERE id = 'x'"))
                        }
                    }
                    #expect(await attempt?.cause?.sqlState == "55P03")
                    try await reader.execute(script: "COMMIT")
                    #expect(try await months.make().count == 1)
                    #expect(try await months.make().isEmpty)
                }
            }
        }
    }

    @Test("Rows that came when no month was there are moved into the one that is made, and found there once")
    func rowsOfDefault() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await connection.execute(script: Self.unmakeLast)
                let months = ["now() + interval '2 months'", "now() - interval '5 months'"]
                for (number, month) in months.enumerated() {
                    try await connection.execute(script: Self.insert(id: "\(number)", at: month))
                }
                #expect(try await count("inbox_default", on: connection) == 2)
                #expect(try await InboxMonths(connection: connection).make().count == 2)
                #expect(try await count("inbox_default", on: connection) == 0)
                #expect(try await count("inbox", on: connection) == 2)
                // What is found there is as safe as in any month: neither doubled nor changed.
                await #expect(throws: PostgreSQLError.self) {
                    try await connection.execute(script: Self.insert(id: "0", at: months[0]))
                }
                await #expect(throws: PostgreSQLError.self) {
                    try await connection.execute(script: "UPDATE inbox SET type = 'z'")
                }
            }
        }
    }

    @Test("A role that only reads and writes rows makes and drops months; one that only reads doesn't")
    func roles() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let role = "\(database.name)_worker"
                try await connection.execute(script: Self.unmakeLast)
                try await connection.execute(
                    script: """
                        SELECT make_inbox_month((now() - interval '7 months')::date);
                        CREATE ROLE \(role);
                        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \(role);
                        CREATE ROLE \(role)_reader;
                        GRANT SELECT ON ALL TABLES IN SCHEMA public TO \(role)_reader
                        """)
                let result: Result<Void, any Error>
                do {
                    try await connection.execute(script: "SET SESSION AUTHORIZATION \(role)_reader")
                    let months = InboxMonths(connection: connection)
                    let refusal = await #expect(throws: StoreError.self) { try await months.make() }
                    #expect(refusal?.cause?.sqlState == "42501")
                    await #expect(throws: StoreError.self) { try await months.drop(olderThan: .seconds(90 * 86_400)) }
                    try await connection.execute(script: "RESET SESSION AUTHORIZATION")

                    try await connection.execute(script: "SET SESSION AUTHORIZATION \(role)")
                    #expect(try await months.make().count == 1)
                    #expect(try await months.drop(olderThan: .seconds(90 * 86_400)) == 1)
                    // Two whole months ahead, besides what is left of this one.
                    #expect(try await months.made() > .seconds(59 * 86_400))
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                try await connection.execute(
                    script: """
                        RESET SESSION AUTHORIZATION;
                        DROP OWNED BY \(role), \(role)_reader; DROP ROLE \(role), \(role)_reader
                        """)
                try result.get()
            }
        }
    }

    @Test("What isn't a month old is never dropped, whatever retention is asked for")
    func recent() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let months = InboxMonths(connection: connection)
                let before = try await count("pg_inherits", on: connection)
                #expect(try await months.drop(olderThan: .zero) == 0)
                #expect(try await count("pg_inherits", on: connection) == before)
            }
        }
    }

    private func failure(of call: () async throws -> Void) async -> StoreError? {
        do {
            try await call()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    private func count(_ table: String, on connection: Connection) async throws -> Int64 {
        try await connection.query(Statement("SELECT count(*) FROM \(table)")).first?.int64(0) ?? -1
    }
}
