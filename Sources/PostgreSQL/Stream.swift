// Reads a large result through a cursor, a chunk at a time, so that neither side holds more of it.

extension Connection {
    /// Runs a `SELECT` or `VALUES` and hands its rows to `body` in chunks of at most `chunk` rows, in bounded memory.
    ///
    /// Every chunk is a statement with a deadline of its own, and the time that `body` takes doesn't count. The rows are
    /// those of one moment. Uses the open transaction, or one of its own for as long as it takes. `body` may use the
    /// connection. Ends between two chunks when the task is cancelled.
    ///
    /// - Throws: ``PostgreSQLError``, what `body` throws, or `CancellationError`.
    public nonisolated(nonsending) func stream(
        _ statement: Statement, chunk: Int, _ body: nonisolated(nonsending) (Rows) async throws -> Void
    ) async throws {
        try await withSession(during: statement.name) {
            let ownsTransaction = await !isInTransaction
            if ownsTransaction { try await begin(during: statement.name) }
            do {
                try await readAll(statement, chunk: max(1, chunk), body)
                if ownsTransaction { _ = try await query(Statement("COMMIT")) }
            } catch {
                if ownsTransaction { _ = await rollBack() }
                throw error
            }
        }
    }

    private nonisolated(nonsending) func readAll(
        _ statement: Statement, chunk: Int, _ body: nonisolated(nonsending) (Rows) async throws -> Void
    ) async throws {
        let cursor = "stream_\(UInt64.random(in: 0 ... .max))"
        func step(_ sql: String, _ parameters: [Parameter] = []) -> Statement {
            Statement(name: statement.name, sql, parameters).unprepared
        }
        let declare = step("DECLARE \(cursor) NO SCROLL CURSOR FOR \(statement.sql)", statement.parameters)
        let fetch = step("FETCH FORWARD \(chunk) FROM \(cursor)")
        // All rows will be read, not the first tenth that the planner assumes.
        let plan = Statement("SELECT set_config('cursor_tuple_fraction', '1', true)")
        var rows = try await pipeline([plan, declare, fetch]).last
        while let chunkRows = rows, !chunkRows.isEmpty {
            try Task.checkCancellation()
            try await body(chunkRows)
            rows = chunkRows.count < chunk ? nil : try await query(fetch)
        }
        _ = try await query(step("CLOSE \(cursor)"))
    }
}
