// A step of the schema's history, and where it stands in a database.

/// A change of the schema. Once released it is never edited: a mistake is corrected by a later migration.
public struct Migration: Sendable, Hashable {
    /// Its place in the history, from 1. Numbers may be left out.
    public let version: Int
    public let name: String
    /// A script of any number of statements, run in one transaction with the migrator's schema first in the search
    /// path. It must not begin or end a transaction.
    public let sql: String

    public init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
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
        /// In the database alone: a newer program applied it, or this one has lost it.
        case unknown
    }

    public let version: Int
    public let name: String
    public let state: State
}
