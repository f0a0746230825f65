// Migrations: fresh, repeated, altered, newer, failing, and several processes at once.

import PostgreSQL
import Testing

@Suite struct MigratorTests {
    static let first = Migration(version: 1, name: "tables", sql: "CREATE TABLE a (id int8); CREATE TABLE b (id int8);")
    static let second = Migration(version: 2, name: "index", sql: "CREATE INDEX a_id ON a (id); SELECT pg_sleep(0.1);")
    static let third = Migration(version: 5, name: "column", sql: "ALTER TABLE b ADD COLUMN name text")

    private func migrator(_ schema: String, _ migrations: Migration...) throws -> Migrator {
        try Migrator(migrations: migrations, schema: schema, lockTimeout: .seconds(20))
    }

    @Test("A fresh database gets all, a second run nothing, a later one what is new")
    func freshAndRepeated() async throws {
        try await TestDatabase.withSchema { connection, schema in
            let two = try migrator(schema, Self.second, Self.first)
            let old = try await databaseError { try await two.verify(on: connection) }
            #expect(old.code == .schemaTooOld && !old.isRetriable)
            #expect(try await two.plan(on: connection) == [Self.first, Self.second])
            #expect(try await two.apply(on: connection) == [Self.first, Self.second])
            #expect(try await two.apply(on: connection) == [])
            try await two.verify(on: connection)

            let three = try migrator(schema, Self.first, Self.second, Self.third)
            let states = try await three.status(on: connection)
            #expect(states.map(\.version) == [1, 2, 5])
            guard case .applied(let at) = states[0].state else { throw try #require(states as? any Error) }
            #expect(at > 1_600_000_000_000_000)
            #expect(states[2].state == .pending)
            #expect(try await three.apply(on: connection) == [Self.third])
            #expect(three.latestVersion == 5)
            let tables = try await connection.query(
                Statement(
                    "SELECT array_agg(tablename::text ORDER BY tablename) FROM pg_tables WHERE schemaname = $1",
                    .text(schema)))
            #expect(try tables[0].textArray(0) == ["a", "b", "schema_migrations"])
        }
    }

    @Test("The schema is made where it doesn't exist, whatever its name")
    func makesSchema() async throws {
        try await TestDatabase.withConnection { connection in
            let schema = "test \"odd\" \(UInt64.random(in: 0 ... .max))"
            let migrator = try migrator(schema, Self.first)
            #expect(try await migrator.plan(on: connection) == [Self.first])
            #expect(try await migrator.apply(on: connection) == [Self.first])
            try await migrator.verify(on: connection)
            let quoted = "\"" + schema.replacing("\"", with: "\"\"") + "\""
            try await connection.execute(script: "SET client_min_messages TO error; DROP SCHEMA \(quoted) CASCADE")
        }
    }

    @Test("A migration that isn't what was applied stops everything")
    func altered() async throws {
        try await TestDatabase.withSchema { connection, schema in
            _ = try await migrator(schema, Self.first, Self.second).apply(on: connection)
            let altered = Migration(version: 1, name: "tables", sql: Self.first.sql + " ")
            for migrator in [
                try migrator(schema, altered, Self.second, Self.third),  // another text
                try migrator(schema, Self.second, Self.third),  // one is lost
            ] {
                for error in [
                    try await databaseError { _ = try await migrator.apply(on: connection) },
                    try await databaseError { try await migrator.verify(on: connection) },
                ] {
                    #expect(error.code == .migrationAltered && !error.isRetriable && error.isConnectionUsable)
                    #expect(error.message.contains("1 tables"))
                }
            }
        }
    }

    @Test("A migration that comes before an applied one is refused")
    func outOfOrder() async throws {
        try await TestDatabase.withSchema { connection, schema in
            _ = try await migrator(schema, Self.first, Self.third).apply(on: connection)
            let error = try await databaseError {
                _ = try await migrator(schema, Self.first, Self.second, Self.third).apply(on: connection)
            }
            #expect(error.code == .migrationAltered && error.message.contains("2 index"))
        }
    }

    @Test("A database newer than the program is refused")
    func newer() async throws {
        try await TestDatabase.withSchema { connection, schema in
            _ = try await migrator(schema, Self.first, Self.second, Self.third).apply(on: connection)
            let old = try migrator(schema, Self.first, Self.second)
            for error in [
                try await databaseError { _ = try await old.apply(on: connection) },
                try await databaseError { try await old.verify(on: connection) },
            ] {
                #expect(error.code == .schemaTooNew && error.message.contains("5 column"))
                #expect(!error.advice.isEmpty)
            }
        }
    }

    @Test("An old program goes on through later migrations that name it, and is refused by one that doesn't")
    func compatible() async throws {
        try await TestDatabase.withSchema { connection, schema in
            let old = try migrator(schema, Self.first, Self.second)
            _ = try await old.apply(on: connection)
            let harmless = Migration(version: 5, name: "column", sql: Self.third.sql, oldestProgram: 2)
            let later = try migrator(schema, Self.first, Self.second, harmless)
            #expect(try await later.apply(on: connection) == [harmless])
            #expect(try await old.verify(on: connection) == 5)
            #expect(try await old.apply(on: connection) == [])
            #expect(try await old.status(on: connection).last?.state == .unknown(oldestProgram: 2))

            let tooOld = try migrator(schema, Self.first)
            let error = try await databaseError { try await tooOld.verify(on: connection) }
            #expect(
                error.code == .schemaTooNew && error.message.contains("5 column, which needs a program at 2 or later"))

            let breaking = Migration(version: 6, name: "break", sql: "DROP TABLE a")
            _ = try await migrator(schema, Self.first, Self.second, harmless, breaking).apply(on: connection)
            for migrator in [old, later] {
                let error = try await databaseError { try await migrator.verify(on: connection) }
                #expect(error.code == .schemaTooNew && error.message.contains("6 break, which needs a program at 6"))
            }
        }
    }

    @Test(
        "A history without a word of old programs is one that needs its own program, and gets the column when it goes on"
    )
    func historyOfBefore() async throws {
        try await TestDatabase.withSchema { connection, schema in
            _ = try await migrator(schema, Self.first, Self.second).apply(on: connection)
            try await connection.execute(script: "ALTER TABLE \(schema).schema_migrations DROP COLUMN oldest_program")
            let error = try await databaseError { try await migrator(schema, Self.first).verify(on: connection) }
            #expect(error.code == .schemaTooNew && error.message.contains("2 index, which needs a program at 2"))
            let three = try migrator(schema, Self.first, Self.second, Self.third)
            #expect(try await three.apply(on: connection) == [Self.third])
            try await three.verify(on: connection)
            let oldest = try await connection.query(
                Statement("SELECT array_agg(oldest_program ORDER BY version) FROM \(schema).schema_migrations"))
            #expect(try oldest[0].optionalInt64Array(0) == [nil, nil, 5])
        }
    }

    @Test("A migration that fails leaves nothing of itself, and those before it stay")
    func failing() async throws {
        try await TestDatabase.withSchema { connection, schema in
            let bad = Migration(version: 2, name: "bad", sql: "CREATE TABLE c (id int8);\nCREATE TABLE a (id int8);")
            let error = try await databaseError {
                _ = try await migrator(schema, Self.first, bad).apply(on: connection)
            }
            #expect(error.sqlState == "42P07" && error.during == "2 bad")
            #expect(await !connection.isInTransaction)
            #expect(try await migrator(schema, Self.first, Self.second).plan(on: connection) == [Self.second])
            let rows = try await connection.query(
                Statement("SELECT to_regclass($1) IS NULL", .text("\(schema).c")))
            #expect(try rows[0].bool(0))
        }
    }

    @Test("A migration that ends its transaction itself is refused")
    func committing() async throws {
        try await TestDatabase.withSchema { connection, schema in
            let bad = Migration(version: 1, name: "bad", sql: "CREATE TABLE c (id int8); COMMIT;")
            let error = try await databaseError { _ = try await migrator(schema, bad).apply(on: connection) }
            #expect(error.code == .invalidUse && error.during == "1 bad")
        }
    }

    @Test("Several processes at once apply each migration once")
    func concurrent() async throws {
        try await TestDatabase.withSchema { _, schema in
            let migrator = try migrator(schema, Self.first, Self.second, Self.third)
            let applied = try await withThrowingTaskGroup(of: [Migration].self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        let connection = try await TestDatabase.connect()
                        let applied = try await migrator.apply(on: connection)
                        await connection.close()
                        return applied
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.map(\.version).sorted() == [1, 2, 5])
        }
    }

    @Test("The wait for another process that migrates has an end")
    func lockTimeout() async throws {
        try await TestDatabase.withSchema { connection, schema in
            let impatient = try Migrator(migrations: [Self.first], schema: schema, lockTimeout: .milliseconds(200))
            let slow = Migration(version: 1, name: "slow", sql: "SELECT pg_sleep(3), '\(schema)'")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await TestDatabase.withConnection { other in
                        _ = try await Migrator(migrations: [slow], schema: schema).apply(on: other)
                    }
                }
                let isRunning = Statement("SELECT count(*) FROM pg_stat_activity WHERE query = $1", .text(slow.sql))
                while try await connection.query(isRunning)[0].int64(0) == 0 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                let error = try await databaseError { _ = try await impatient.apply(on: connection) }
                #expect(error.sqlState == "55P03" && error.isRetriable)
                try await group.waitForAll()
            }
        }
    }

    @Test("Versions that occur twice or aren't positive are refused", arguments: [[1, 1], [0], [-3, 1], [2, 1, 2]])
    func versions(_ versions: [Int]) {
        let error = #expect(throws: PostgreSQLError.self) {
            try Migrator(migrations: versions.map { Migration(version: $0, name: "m", sql: "") })
        }
        #expect(error?.code == .invalidUse)
    }
}
