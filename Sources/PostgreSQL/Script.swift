// Runs SQL scripts of several statements, in the protocol that knows no parameters.

internal import CLibPQ

extension Connection {
    /// Runs a script of any number of statements, and drops their results. Without a `BEGIN` of its own the script is
    /// one transaction. The error's message names the line.
    public func execute(script: String) async throws(PostgreSQLError) {
        try await execute(script: script, name: "script", timeout: nil)
    }

    func execute(script: String, name: String, timeout: Duration?) async throws(PostgreSQLError) {
        if script.utf8.contains(0) {
            throw PostgreSQLError(
                .encoding, during: name, "Its text contains a zero byte.", advice: "Remove it from the script.")
        }
        try await withTurn(during: name, timeout: timeout) { deadline throws(PostgreSQLError) in
            guard let handle else { throw .closed(during: name) }
            guard PQsendQuery(handle.pointer, script) == 1 else { throw broken(handle, during: name) }
            var failure: PostgreSQLError?
            while let result = try await nextResult(handle, during: name, until: deadline) {
                switch result.status {
                case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                    break
                case PGRES_FATAL_ERROR:
                    if failure == nil {
                        var error = result.error(during: name, index: nil)
                        if let line = Self.line(of: result, in: script) { error.message += " (line \(line))" }
                        failure = error
                    }
                    try note(result, during: name, index: nil)
                default:
                    throw unexpected(result, during: name)
                }
            }
            if let failure { throw failure }
        }
    }

    private static func line(of result: ServerResult, in script: String) -> Int? {
        // The server counts characters as PostgreSQL does: Unicode scalars, from 1.
        guard let position = result.field(.position).flatMap(Int.init) else { return nil }
        return 1 + script.unicodeScalars.prefix(max(0, position - 1)).count { $0 == "\n" }
    }
}
