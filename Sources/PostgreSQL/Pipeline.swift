// Sends statements in one pipeline, reads while it writes, and collects their results up to the sync.

internal import CLibPQ
internal import SocketExecutor

extension Connection {
    /// Sends all statements at once with one sync, and returns their results in the same order: one round trip.
    ///
    /// Outside an explicit transaction the statements are one transaction. The first that fails ends the pipeline: those
    /// after it aren't run, and the error's ``PostgreSQLError/statementIndex`` and ``PostgreSQLError/during`` name it.
    /// An explicit transaction stays open, failed, until it is rolled back.
    public func pipeline(_ statements: [Statement]) async throws(PostgreSQLError) -> [Rows] {
        try await pipeline(statements, timeout: nil)
    }

    /// Runs one statement.
    public func query(_ statement: Statement) async throws(PostgreSQLError) -> Rows {
        let results = try await pipeline([statement])
        guard let rows = results.first else { throw .closed(during: statement.name) }
        return rows
    }

    func pipeline(_ statements: [Statement], timeout: Duration?) async throws(PostgreSQLError) -> [Rows] {
        if statements.isEmpty { return [] }
        try Self.check(statements)
        return try await withTurn(during: statements[0].name, timeout: timeout) {
            deadline throws(PostgreSQLError) in try await exchange(statements, until: deadline)
        }
    }

    // MARK: The exchange

    /// What the server answers, one after another.
    private enum Step {
        case prepare(Int, key: PreparedStatements.Key, name: String)
        case execute(Int)

        var index: Int {
            switch self {
            case .prepare(let index, _, _), .execute(let index): index
            }
        }
    }

    private func exchange(
        _ statements: [Statement], until deadline: ContinuousClock.Instant
    ) async throws(PostgreSQLError) -> [Rows] {
        guard let handle else { throw .closed(during: statements[0].name) }
        let steps = try queue(statements, on: handle)

        var results: [Rows] = []
        results.reserveCapacity(statements.count)
        var failure: PostgreSQLError?
        for step in steps {
            let statement = statements[step.index]
            while let result = try await nextResult(handle, during: statement.name, until: deadline) {
                switch result.status {
                case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                    if case .prepare(_, let key, let name) = step {
                        preparedStatements.add(key, name: name)
                    } else {
                        if result.isRollback && !statement.asksForRollback && failure == nil {
                            failure = Self.rolledBack(statement, index: step.index)
                        }
                        results.append(Rows(result: result))
                    }
                case PGRES_PIPELINE_ABORTED:
                    break
                case PGRES_FATAL_ERROR:
                    if failure == nil { failure = result.error(during: statement.name, index: step.index) }
                    try note(result, during: statement.name, index: step.index)
                default:
                    throw unexpected(result, during: statement.name)
                }
            }
        }
        failure = try await sync(handle, during: statements[statements.count - 1].name, until: deadline, failure)
        guard PQexitPipelineMode(handle.pointer) == 1 else {
            throw broken(handle, during: statements[0].name)
        }
        if let failure { throw failure }
        return results
    }

    private func queue(_ statements: [Statement], on handle: ConnectionHandle) throws(PostgreSQLError) -> [Step] {
        let pointer = handle.pointer
        var steps: [Step] = []
        steps.reserveCapacity(statements.count)
        var pending: [PreparedStatements.Key: String] = [:]
        var isQueued = PQenterPipelineMode(pointer) == 1
        for (index, statement) in statements.enumerated() where isQueued {
            let key = PreparedStatements.Key(statement)
            var name = statement.isPrepared ? preparedStatements[key] ?? pending[key] : nil
            if name == nil, statement.isPrepared, let new = preparedStatements.newName(pending: pending.count) {
                isQueued = PQsendPrepare(pointer, new, statement.sql, Int32(key.types.count), key.types) == 1
                pending[key] = new
                steps.append(.prepare(index, key: key, name: new))
                name = new
            }
            isQueued =
                isQueued
                && outgoing.withPointers(statement.parameters) { count, values, lengths, formats in
                    if let name { return PQsendQueryPrepared(pointer, name, count, values, lengths, formats, 1) }
                    return PQsendQueryParams(
                        pointer, statement.sql, count, key.types, values, lengths, formats, 1)
                } == 1
            steps.append(.execute(index))
        }
        // Half a pipeline can't be taken back.
        guard isQueued, PQpipelineSync(pointer) == 1 else { throw broken(handle, during: statements[0].name) }
        return steps
    }

    /// Reads up to the sync. An error that comes only now is that of the commit that the sync implies.
    private func sync(
        _ handle: ConnectionHandle, during call: String, until deadline: ContinuousClock.Instant,
        _ earlier: PostgreSQLError?
    ) async throws(PostgreSQLError) -> PostgreSQLError? {
        var failure = earlier
        // More than a few empty answers would mean that libpq and this loop disagree about where they are.
        var emptyAnswers = 0
        while emptyAnswers < 3 {
            guard let result = try await nextResult(handle, during: call, until: deadline) else {
                emptyAnswers += 1
                continue
            }
            if result.status == PGRES_PIPELINE_SYNC { return failure }
            guard result.status == PGRES_FATAL_ERROR else { throw unexpected(result, during: call) }
            if failure == nil { failure = result.error(during: "commit after \(call)", index: nil) }
            try note(result, during: call, index: nil)
        }
        throw broken(handle, during: call)
    }

    // MARK: Results

    /// The next result, or nil at a statement's end. Sends what is unsent while it waits, so that neither side can block
    /// the other with full buffers.
    func nextResult(
        _ handle: ConnectionHandle, during call: String, until deadline: ContinuousClock.Instant
    ) async throws(PostgreSQLError) -> ServerResult? {
        while PQisBusy(handle.pointer) == 1 {
            let unsent = PQflush(handle.pointer)
            if unsent < 0 { throw broken(handle, during: call) }
            let ready = await executor.wait(
                for: unsent > 0 ? [.read, .write] : .read, on: handle.descriptor, until: deadline)
            guard self.handle === handle else { throw .closed(during: call) }
            if ready.isEmpty {
                abandon()
                throw PostgreSQLError(
                    .timedOut, during: call, "The server gave no answer in time; the connection was given up.",
                    advice: "Look for locks and a slow network. What was sent may or may not have taken effect.",
                    isConnectionUsable: false)
            }
            if ready.contains(.read) && PQconsumeInput(handle.pointer) == 0 { throw broken(handle, during: call) }
        }
        return PQgetResult(handle.pointer).map(ServerResult.init)
    }

    /// Draws an error's consequences for the connection.
    func note(_ result: ServerResult, during call: String, index: Int?) throws(PostgreSQLError) {
        if result.refusesPreparedStatement { preparedStatements.forgetAll() }
        let error = result.error(during: call, index: index)
        if !error.isConnectionUsable {
            abandon()
            throw error
        }
    }

    func broken(_ handle: ConnectionHandle, during call: String) -> PostgreSQLError {
        let text = handle.errorText
        abandon()
        return .lost(during: call, text)
    }

    /// A result that no statement of ours should have, such as that of COPY. What follows it isn't known.
    func unexpected(_ result: ServerResult, during call: String) -> PostgreSQLError {
        abandon()
        return PostgreSQLError(
            .invalidUse, during: call, "The server answered with \(String(cString: PQresStatus(result.status))).",
            advice: "COPY and replication commands can't be used here.", isConnectionUsable: false)
    }

    private static func rolledBack(_ statement: Statement, index: Int) -> PostgreSQLError {
        var error = PostgreSQLError(
            .rolledBack, during: statement.name, "The transaction had failed, and the server rolled it back.",
            advice: "See the error of the statement that failed before, and run the whole transaction again.")
        error.statementIndex = index
        return error
    }

    /// Refuses what libpq would send cut off, or after half of the pipeline.
    private static func check(_ statements: [Statement]) throws(PostgreSQLError) {
        for (index, statement) in statements.enumerated() {
            let size = statement.parameters.reduce(0) { $0 + ($1.bytes?.count ?? 0) }
            let fault: String? =
                if statement.parameters.count > 65_535 {
                    "It has more than 65535 parameters."
                } else if size > 1_000_000_000 {
                    "Its parameters are larger than the gigabyte that PostgreSQL takes."
                } else if statement.sql.utf8.contains(0) {
                    "Its text contains a zero byte."
                } else {
                    nil
                }
            guard let fault else { continue }
            var error = PostgreSQLError(
                .encoding, during: statement.name, fault, advice: "Pass many rows as arrays, in several batches.")
            error.statementIndex = index
            throw error
        }
    }
}
