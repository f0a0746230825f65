// Statements of one pipeline: order, failure, transactions across pipelines, size, and calls from many tasks.

import PostgreSQL
import Testing

@Suite struct PipelineTests {
    @Test("Results come in the order of the statements")
    func order() async throws {
        try await TestDatabase.withConnection { connection in
            let results = try await connection.pipeline((0..<50).map { Statement("SELECT $1", .int8(Int64($0))) })
            #expect(try results.map { rows throws(PostgreSQLError) in try rows[0].int64(0) } == Array(0..<50))
            #expect(try await connection.pipeline([]).isEmpty)
        }
    }

    @Test("A statement is prepared once for each text and types, and statements made unnecessary aren't kept")
    func prepared() async throws {
        try await TestDatabase.withConnection { connection in
            let one = Statement("SELECT $1 AS one", .int8(1))
            for _ in 0..<3 { _ = try await connection.pipeline([one, one]) }
            _ = try await connection.query(Statement("SELECT $1 AS one", .text("1")))
            let count = Statement(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1 AS one' AND NOT from_sql")
            #expect(try await connection.query(count)[0].int64(0) == 2)
        }
    }

    @Test("No more than 256 statements are kept prepared, and the others work as well")
    func manyTexts() async throws {
        try await TestDatabase.withConnection { connection in
            let results = try await connection.pipeline((0..<300).map { Statement("SELECT \($0) + $1", .int4(1)) })
            #expect(try results[299][0].int32(0) == 300)
            let count = Statement("SELECT count(*) FROM pg_prepared_statements")
            #expect(try await connection.query(count)[0].int64(0) == 256)
        }
    }

    @Test("A statement that fails names itself, ends the pipeline, undoes it, and leaves the connection usable")
    func failureInTheMiddle() async throws {
        try await TestDatabase.withSchema { connection, schema in
            try await connection.execute(
                script: "CREATE TABLE t (id int8 CONSTRAINT positive CHECK (id > 0), CONSTRAINT once PRIMARY KEY (id))")
            let error = try await databaseError {
                _ = try await connection.pipeline([
                    Statement(name: "first", "INSERT INTO t VALUES (1)"),
                    Statement(name: "second", "INSERT INTO t VALUES ($1)", [.int8(-1)]),
                    Statement(name: "third", "INSERT INTO t VALUES ($1)", [.int8(2)]),
                ])
            }
            #expect(error.code == .server && error.sqlState == "23514")
            #expect(error.during == "second" && error.statementIndex == 1)
            #expect(error.constraint == "positive" && error.table == "t" && error.schema == schema)
            #expect(!error.isRetriable && error.isConnectionUsable)
            // The third was neither run nor taken for prepared.
            let results = try await connection.pipeline([
                Statement("SELECT count(*) FROM t"), Statement("INSERT INTO t VALUES ($1)", .int8(2)),
            ])
            #expect(try results[0][0].int64(0) == 0)
            #expect(results[1].affectedRows == 1)
        }
    }

    @Test("A statement that can't be parsed fails like one that can't be run")
    func syntaxError() async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                _ = try await connection.pipeline([Statement("SELECT 1"), Statement("SELEKT 2"), Statement("SELECT 3")])
            }
            #expect(error.sqlState == "42601" && error.statementIndex == 1 && error.during == "SELEKT 2")
            #expect(try await connection.query(Statement("SELECT 3"))[0].int32(0) == 3)
        }
    }

    @Test("A constraint that is checked at the end of the pipeline fails the pipeline")
    func deferredConstraint() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(
                script: """
                    CREATE TABLE parent (id int8 PRIMARY KEY);
                    CREATE TABLE child (id int8 REFERENCES parent DEFERRABLE INITIALLY DEFERRED)
                    """)
            let error = try await databaseError {
                _ = try await connection.pipeline([Statement("INSERT INTO child VALUES (1)"), Statement("SELECT 1")])
            }
            #expect(error.sqlState == "23503")
            #expect(try await connection.query(Statement("SELECT count(*) FROM child"))[0].int64(0) == 0)
        }
    }

    @Test("A transaction may span pipelines, and be rolled back after an error in the second")
    func transactionAcrossPipelines() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (id int8 PRIMARY KEY)")
            let insert = Statement("INSERT INTO t SELECT unnest($1)", .int8Array([1, 2, 3]))
            let count = Statement("SELECT count(*) FROM t")

            _ = try await connection.pipeline([Statement("BEGIN"), count])
            #expect(await connection.isInTransaction)
            _ = try await connection.pipeline([insert, Statement("COMMIT")])
            #expect(await !connection.isInTransaction)
            #expect(try await connection.query(count)[0].int64(0) == 3)

            _ = try await connection.pipeline([Statement("BEGIN"), Statement("DELETE FROM t WHERE id = 3")])
            let error = try await databaseError {
                _ = try await connection.pipeline([insert, Statement("COMMIT")])
            }
            #expect(error.sqlState == "23505" && error.statementIndex == 0 && error.isConnectionUsable)
            #expect(await connection.isInTransaction)
            _ = try await connection.query(Statement("ROLLBACK"))
            #expect(await !connection.isInTransaction)
            #expect(try await connection.query(count)[0].int64(0) == 3)
        }
    }

    @Test(
        "A COMMIT that the server answers with ROLLBACK is an error",
        arguments: ["COMMIT", " /* x */ end", "-- x\nCOMMIT"])
    func commitOfFailedTransaction(_ commit: String) async throws {
        try await TestDatabase.withConnection { connection in
            _ = try await connection.query(Statement("BEGIN"))
            _ = try await databaseError { _ = try await connection.query(Statement("SELECT 1 / 0")) }
            let error = try await databaseError { _ = try await connection.query(Statement(commit)) }
            #expect(error.code == .rolledBack && error.isConnectionUsable)
            #expect(await !connection.isInTransaction)
        }
    }

    @Test("A ROLLBACK is none", arguments: ["ROLLBACK", "abort", "-- why\n /* because */ rollback"])
    func rollback(_ rollback: String) async throws {
        try await TestDatabase.withConnection { connection in
            _ = try await connection.query(Statement("BEGIN"))
            #expect(try await connection.query(Statement(rollback)).commandTag == "ROLLBACK")
        }
    }

    @Test("Ten megabytes out and in again pass without either side blocking the other")
    func large() async throws {
        try await TestDatabase.withConnection { connection in
            let text = String(repeating: "0123456789", count: 100_000)
            let results = try await connection.pipeline((0..<10).map { _ in Statement("SELECT $1", .text(text)) })
            #expect(results.count == 10)
            #expect(try results.allSatisfy { rows throws(PostgreSQLError) in try rows[0].text(0) == text })
            let array = try await connection.query(
                Statement("SELECT sum(length(x)) FROM unnest($1) AS x", .textArray(Array(repeating: text, count: 12))))
            #expect(try array[0].int64(0) == 12_000_000)
        }
    }

    @Test("Calls from many tasks at once don't mix")
    func concurrent() async throws {
        try await TestDatabase.withConnection { connection in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<50 {
                    group.addTask {
                        for call in 0..<5 {
                            let mark = Int64(task * 100 + call)
                            let results = try await connection.pipeline([
                                Statement("SELECT set_config('test.mark', $1, false)", .text("\(mark)")),
                                Statement("SELECT pg_sleep(0.0005)"),
                                Statement("SELECT current_setting('test.mark')::int8"),
                            ])
                            #expect(try results[2][0].int64(0) == mark)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("Calls are served in the order they came")
    func fifo() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (place bigserial, mark int8)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await connection.query(Statement("SELECT pg_sleep(0.5)")) }
                for mark in 0..<20 {
                    try await Task.sleep(for: .milliseconds(10))
                    group.addTask {
                        _ = try await connection.query(
                            Statement("INSERT INTO t (mark) VALUES ($1)", .int8(Int64(mark))))
                    }
                }
                try await group.waitForAll()
            }
            let marks = try await connection.query(Statement("SELECT array_agg(mark ORDER BY place) FROM t"))
            #expect(try marks[0].int64Array(0) == Array(0..<20))
        }
    }

    @Test("A statement that the schema's change made useless is prepared again")
    func schemaChange() async throws {
        try await TestDatabase.withSchema { connection, _ in
            try await connection.execute(script: "CREATE TABLE t (a int8)")
            let all = Statement("SELECT * FROM t")
            #expect(try await connection.query(all).columnNames == ["a"])
            try await connection.execute(script: "ALTER TABLE t ADD COLUMN b int8")
            let changed = try await databaseError { _ = try await connection.query(all) }
            #expect(changed.isRetriable && changed.isConnectionUsable)
            #expect(try await connection.query(all).columnNames == ["a", "b"])
            try await connection.execute(script: "DEALLOCATE ALL")
            let forgotten = try await databaseError { _ = try await connection.query(all) }
            #expect(forgotten.isRetriable && forgotten.isConnectionUsable)
            #expect(try await connection.query(all).columnNames == ["a", "b"])
        }
    }

    @Test("COPY is refused, and doesn't hang")
    func copy() async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError { try await connection.execute(script: "COPY (SELECT 1) TO STDOUT") }
            #expect(error.code == .invalidUse && !error.isConnectionUsable)
        }
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                _ = try await connection.query(Statement("COPY (SELECT 1) TO STDOUT"))
            }
            #expect(!error.isConnectionUsable)
        }
    }

    @Test("A script runs as one transaction, and its error names the line")
    func script() async throws {
        try await TestDatabase.withSchema { connection, _ in
            let error = try await databaseError {
                try await connection.execute(script: "CREATE TABLE t (id int8);\n\nSELECT é FROM t;")
            }
            #expect(error.sqlState == "42703" && error.message.contains("(line 3)"))
            let gone = try await connection.query(Statement("SELECT to_regclass('t') IS NULL"))
            #expect(try gone[0].bool(0))
        }
    }

    @Test("What libpq would cut off is refused before anything is sent")
    func zeroByte() async throws {
        try await TestDatabase.withConnection { connection in
            let error = try await databaseError {
                _ = try await connection.pipeline([Statement("SELECT 1"), Statement("SELECT 2\0 + 1")])
            }
            #expect(error.code == .encoding && error.statementIndex == 1 && error.isConnectionUsable)
            let inText = try await databaseError {
                _ = try await connection.query(Statement("SELECT $1", .text("a\0b")))
            }
            #expect(inText.sqlState == "22021")
        }
    }
}
