// A transaction round a body of calls, whose own errors stay apart from those of beginning and ending it.

/// What failed in ``Connection/transaction(_:)``.
public enum TransactionError: Error {
    /// `BEGIN` failed: nothing was done.
    case begin(PostgreSQLError)
    /// The body threw, and the transaction was rolled back. `rollback` is set where even that failed; the connection is
    /// closed then, so that the server rolls back.
    case body(any Error, rollback: PostgreSQLError?)
    /// `COMMIT` failed: nothing was done, unless the code is `.connectionLost` or `.timedOut` and it can't be known.
    case commit(PostgreSQLError)

    /// The database's error, wherever it arose; nil when the body threw something else.
    public var databaseError: PostgreSQLError? {
        switch self {
        case .begin(let error), .commit(let error): error
        case .body(let error, _): error as? PostgreSQLError ?? (error as? TransactionError)?.databaseError
        }
    }
}

extension TransactionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .begin(let error): "The transaction couldn't begin: \(error)"
        case .body(let error, nil): "The transaction was rolled back: \(error)"
        case .body(let error, let rollback?): "The transaction failed: \(error) Its rollback failed too: \(rollback)"
        case .commit(let error): "The transaction couldn't be committed: \(error)"
        }
    }
}

extension Connection {
    /// Runs `body` in a transaction, with the connection kept from all other tasks, and commits when it returns.
    ///
    /// Transactions don't nest: a second one within, or an explicit `BEGIN` before, is an error.
    ///
    /// - Throws: ``TransactionError``.
    public nonisolated(nonsending) func transaction<Value>(
        _ body: nonisolated(nonsending) (Connection) async throws -> Value
    ) async throws(TransactionError) -> Value {
        do {
            return try await withSession(during: "transaction") {
                try await runTransaction(body)
            }
        } catch let error as TransactionError {
            throw error
        } catch let error as PostgreSQLError {
            throw .begin(error)
        } catch {
            throw .body(error, rollback: nil)
        }
    }

    private nonisolated(nonsending) func runTransaction<Value>(
        _ body: nonisolated(nonsending) (Connection) async throws -> Value
    ) async throws -> Value {
        try await begin(during: "transaction")
        let value: Value
        do {
            value = try await body(self)
        } catch {
            throw TransactionError.body(error, rollback: await rollBack())
        }
        do {
            _ = try await query(Statement("COMMIT"))
        } catch {
            if error.isConnectionUsable { _ = await rollBack() }
            throw TransactionError.commit(error)
        }
        return value
    }

    // MARK: Parts that streams use too

    func begin(during call: String) async throws(PostgreSQLError) {
        if isInTransaction {
            throw PostgreSQLError(
                .invalidUse, during: call, "A transaction is open already.",
                advice: "Commit it or roll it back first: transactions don't nest.")
        }
        _ = try await query(Statement("BEGIN"))
    }

    /// Rolls back whatever is open. Where that isn't possible, closes the connection, which makes the server do it.
    func rollBack() async -> PostgreSQLError? {
        guard isInTransaction else { return nil }
        do {
            _ = try await query(Statement("ROLLBACK"))
            return nil
        } catch {
            abandon()
            return error
        }
    }

    /// Keeps the connection for the current task while `body` runs.
    nonisolated(nonsending) func withSession<Value>(
        during call: String, _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Value {
        let limit = configuration.statementTimeout + Self.answerMargin
        guard let ticket = try await takeSession(during: call, until: .now.advanced(by: limit)) else {
            return try await body()
        }
        var held = Self.heldSessions
        held[number] = ticket
        let result: Result<Value, any Error>
        do {
            result = .success(try await Self.$heldSessions.withValue(held) { try await body() })
        } catch {
            result = .failure(error)
        }
        await releaseSession(ticket)
        return try result.get()
    }
}
