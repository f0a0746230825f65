// What a database has to be like, apart from its schema, for the books to be right and safe in it.

public import PostgreSQL

/// Something about a database, or about how a session begins in it, that isn't as it has to be.
public struct DatabaseFault: Sendable, Hashable {
    /// Whether the program can't work with it, or would lose what it has acknowledged. Otherwise it is worth a word.
    public let isFatal: Bool
    /// What is wrong, in words that continue a sentence.
    public let text: String
    /// What to do about it.
    public let mend: String
}

/// Looks at a database and at the session that a user gets in it.
public enum DatabaseConditions {
    /// What isn't as it has to be; empty for a database that is fit.
    public nonisolated(nonsending) static func faults(on connection: Connection) async throws(StoreError)
        -> [DatabaseFault]
    {
        do throws(PostgreSQLError) {
            let rows = try await connection.query(
                Statement(
                    """
                    SELECT pg_encoding_to_char(encoding)::text, current_schema()::text, current_setting('search_path'),
                           current_setting('synchronous_commit'), current_setting('fsync'), datname::text,
                           datcollversion, pg_database_collation_actual_version(oid)
                    FROM pg_database WHERE datname = current_database()
                    """))
            guard let row = rows.first else { return [] }
            var column = ColumnReader(row)
            return faults(
                encoding: try column.text(), schema: try column.optionalText(), searchPath: try column.text(),
                commit: try column.text(), fsync: try column.text(), name: try column.text(),
                collation: (try column.optionalText(), try column.optionalText()))
        } catch {
            throw StoreError(error, during: "looking at the database")
        }
    }

    /// Refuses a database in which the books wouldn't be right or safe.
    ///
    /// - Returns: what is only worth a word.
    /// - Throws: ``StoreError`` with the code `unfitDatabase` that says what is wrong and how to mend it.
    public nonisolated(nonsending) static func requireFit(
        on connection: Connection
    ) async throws(StoreError) -> [DatabaseFault] {
        let faults = try await faults(on: connection)
        let fatal = faults.filter(\.isFatal)
        if !fatal.isEmpty {
            throw StoreError(
                .unfitDatabase, during: "looking at the database", detail: fatal.map(\.text).joined(separator: "; "),
                advice: "To mend it: \(fatal.map(\.mend).joined(separator: "; ")).")
        }
        return faults
    }

    private static func faults(
        encoding: String, schema: String?, searchPath: String, commit: String, fsync: String, name: String,
        collation: (recorded: String?, actual: String?)
    ) -> [DatabaseFault] {
        var faults: [DatabaseFault] = []
        if encoding != "UTF8" {
            faults.append(
                DatabaseFault(
                    isFatal: true, text: "the database's encoding is \(encoding), which can't hold every name",
                    mend: "create it anew with ENCODING 'UTF8' TEMPLATE template0"))
        }
        if schema != "public" {
            let place = schema.map { "in the schema '\($0)'" } ?? "in no schema"
            faults.append(
                DatabaseFault(
                    isFatal: true,
                    text: "the user's search_path (\(searchPath)) puts its tables \(place), not in public",
                    mend: "ALTER ROLE … IN DATABASE … SET search_path = public, and see that the schema exists"))
        }
        if commit == "off" {
            faults.append(
                DatabaseFault(
                    isFatal: true,
                    text: "synchronous_commit is off: a crash would lose commands that were acknowledged",
                    mend: "SET it on for the user, the database or the server, and in the connection's options"))
        }
        if fsync == "off" {
            faults.append(
                DatabaseFault(isFatal: false, text: "fsync is off: a crash would lose orders", mend: "set fsync = on"))
        }
        if let recorded = collation.recorded, let actual = collation.actual, recorded != actual {
            faults.append(
                DatabaseFault(
                    isFatal: false,
                    text:
                        "its collation is of version \(recorded), the system's of \(actual): indexes may be out of order",
                    mend: "REINDEX DATABASE \(name), then ALTER DATABASE \(name) REFRESH COLLATION VERSION"))
        }
        return faults
    }
}
