// A step of the schema's history, and where it stands in a database.

/// A change of the schema. Once released it is never edited: a mistake is corrected by a later migration.
public struct Migration: Sendable, Hashable {
    /// Its place in the history, from 1. Numbers may be left out.
    public let version: Int
    public let name: String
    /// A script of any number of statements, run in one transaction with the migrator's schema first in the search
    /// path. It must not begin or end a transaction.
    public let sql: String
    /// The oldest program that goes on working once this is applied, by the latest version that it has itself. What the
    /// database is given so is what such a program needs of it; a program that is older is refused.
    public let oldestProgram: Int

    /// - Parameter oldestProgram: nil where only programs that have this migration work with it.
    public init(version: Int, name: String, sql: String, oldestProgram: Int? = nil) {
        self.version = version
        self.name = name
        self.sql = sql
        self.oldestProgram = oldestProgram ?? version
    }
}

/// Where one migration stands.
public struct MigrationStatus: Sendable, Hashable {
    public enum State: Sendable, Hashable {
        /// Applied at this time, in microseconds since 1970-01-01 00:00 UTC.
        case applied(at: Int64)
        case pending
        /// Applied in another form than the program has.
        case altered
        /// In the database alone: a newer program applied it, or this one has lost it. A program that is at
        /// `oldestProgram` at least goes on working with it.
        case unknown(oldestProgram: Int)
    }

    public let version: Int
    public let name: String
    public let state: State
}
