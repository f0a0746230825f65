// Runs statements for the store, and tells their errors as the store's.

internal import PostgreSQL

extension Connection {
    /// Runs statements in one round trip and reads their results.
    ///
    /// - Parameter during: what is being done, for the error.
    nonisolated func run<Result>(
        _ statements: [Statement], during: String, _ read: ([Rows]) throws -> Result
    ) async throws(StoreError) -> Result {
        do {
            return try read(try await pipeline(statements))
        } catch let error as PostgreSQLError {
            throw StoreError(error, during: during)
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.unreadableRow, during: during, detail: "\(error)", advice: "Report it: this is a defect.")
        }
    }
}
