// A transaction round a body: what is kept, what is undone, and whose error is whose.

import PostgreSQL
import Testing

@Suite struct TransactionTests {
    struct Refusal: Error, Equatable {}

    private func count(_ connection: Connection) async throws -> Int64 {
        try await connection.query(Statement("SELECT count(*) FROM t"))[0].int64(0)
    }

    @Test("What the body did is kept when it returns and undone when it throws")
    func commitAndRollback() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8)")
            let value = try await connection.transaction { connection in
                _ = try await connection.query(Statement("INSERT INTO t VALUES (1)"))
                return "done"
            }
            #expect(value == "done")
            let error = await #expect(throws: TransactionError.self) {
                try await connection.transaction { connection in
                    _ = try await connection.query(Statement("INSERT INTO t VALUES (2)"))
                    throw Refusal()
                }
            }
            guard case .body(let cause, rollback: nil) = error else { throw try #require(error) }
            #expect(cause as? Refusal == Refusal())
            #expect(try await count(connection) == 1)
        }
    }

    @Test("A body that hides a failed statement's error fails at the commit")
    func hiddenError() async throws {
        try await TestDatabase.withConnection { connection in
            let error = await #expect(throws: TransactionError.self) {
                try await connection.transaction { connection in
                    _ = try await databaseError { _ = try await connection.query(Statement("SELECT 1 / 0")) }
                }
            }
            guard case .commit(let cause) = error else { throw try #require(error) }
            #expect(cause.code == .rolledBack)
            #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
        }
    }

    @Test("A constraint that the commit checks fails the commit")
    func deferredConstraint() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(
                script: "CREATE TABLE t (id int8, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)")
            let error = await #expect(throws: TransactionError.self) {
                try await connection.transaction { connection in
                    _ = try await connection.query(Statement("INSERT INTO t VALUES (1), (1)"))
                }
            }
            guard case .commit(let cause) = error else { throw try #require(error) }
            #expect(cause.constraint == "once")
            #expect(await !connection.isInTransaction)
        }
    }

    @Test("Transactions don't nest")
    func nested() async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                try await connection.transaction { connection in
                    try await connection.transaction { _ in }
                }
            }
            #expect(error.code == .invalidUse)
            #expect(await !connection.isInTransaction)
        }
    }

    @Test("A transaction on a lost connection fails at its beginning, its body isn't run")
    func lostBefore() async throws {
        let connection = try await TestDatabase.connect()
        await connection.close()
        let error = await #expect(throws: TransactionError.self) {
            try await connection.transaction { _ in Issue.record("the body was run") }
        }
        guard case .begin(let cause) = error else { throw try #require(error) }
        #expect(cause.code == .connectionClosed)
    }

    @Test("Other tasks' calls wait until the transaction is over")
    func exclusive() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        try await connection.transaction { connection in
                            let before = try await count(connection)
                            try await Task.sleep(for: .milliseconds(10))
                            _ = try await connection.query(Statement("INSERT INTO t VALUES ($1)", .int8(before)))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let rows = try await connection.query(Statement("SELECT array_agg(id ORDER BY id) FROM t"))
            #expect(try rows[0].int64Array(0) == Array(0..<10))
        }
    }

    @Test("Two connections' transactions may be nested in each other")
    func twoConnections() async throws {
        try await TestDatabase.withConnection { first in
            try await TestDatabase.withConnection { second in
                let sum = try await first.transaction { first in
                    try await second.transaction { second in
                        try await first.query(Statement("SELECT 1"))[0].int32(0)
                            + second.query(Statement("SELECT 2"))[0].int32(0)
                    }
                }
                #expect(sum == 3)
            }
        }
    }

    @Test("A cancelled task's transaction is rolled back, not left open")
    func cancelled() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8)")
            let task = Task {
                try await connection.transaction { connection in
                    _ = try await connection.query(Statement("INSERT INTO t VALUES (1)"))
                    try await Task.sleep(for: .seconds(30))
                }
            }
            try await Task.sleep(for: .milliseconds(200))
            task.cancel()
            await #expect(throws: TransactionError.self) { try await task.value }
            #expect(await !connection.isInTransaction)
            #expect(try await count(connection) == 0)
        }
    }
}
