// Brings a database's schema to the program's version, once, however many processes try at the same time.

/// Applies migrations, and says where a database stands.
///
/// What was applied is recorded in the table `schema_migrations` of the migrator's schema, with the SHA-256 of each
/// migration's text, and with the oldest program that goes on working with it: so a program can tell of migrations that it
/// doesn't have whether they concern it. One process at a time migrates a schema: the others wait on an advisory lock.
public struct Migrator: Sendable {
    private let migrations: [Migration]
    private let schema: String
    private let lockTimeout: Duration
    private let statementTimeout: Duration

    /// - Parameters:
    ///   - migrations: all of the program's, in any order.
    ///   - schema: where the tables belong; made if it doesn't exist.
    ///   - lockTimeout: the longest wait for another process that migrates, and for each lock that a migration takes.
    ///   - statementTimeout: the longest that one migration may take.
    /// - Throws: `.invalidUse` for a version that occurs twice or isn't positive.
    public init(
        migrations: [Migration], schema: String = "public", lockTimeout: Duration = .seconds(60),
        statementTimeout: Duration = .seconds(3600)
    ) throws(PostgreSQLError) {
        let sorted = migrations.sorted { $0.version < $1.version }
        for (index, migration) in sorted.enumerated() {
            let isDouble = index > 0 && sorted[index - 1].version == migration.version
            if isDouble || migration.version < 1 {
                throw PostgreSQLError(
                    .invalidUse, during: Self.title(migration.version, migration.name),
                    isDouble ? "Two migrations have this version." : "Versions start at 1.",
                    advice: "Number the program's migrations anew.")
            }
        }
        self.migrations = sorted
        self.schema = schema
        self.lockTimeout = lockTimeout
        self.statementTimeout = statementTimeout
    }

    /// The version that ``apply(on:)`` leads to; 0 without migrations.
    public var latestVersion: Int { migrations.last?.version ?? 0 }

    /// Every migration that the program or the database knows, by version. Reads only.
    public func status(on connection: Connection) async throws(PostgreSQLError) -> [MigrationStatus] {
        let history = try await readHistory(on: connection)
        let known = migrations.map { migration in
            let state: MigrationStatus.State =
                switch history.applied[migration.version] {
                case nil: .pending
                case let entry? where entry.checksum == history.checksums[migration.version]: .applied(at: entry.at)
                default: .altered
                }
            return MigrationStatus(version: migration.version, name: migration.name, state: state)
        }
        let others = history.applied.filter { entry in !migrations.contains { $0.version == entry.key } }
        let unknown = others.map { version, entry in
            MigrationStatus(version: version, name: entry.name, state: .unknown(oldestProgram: entry.oldestProgram))
        }
        return (known + unknown).sorted { $0.version < $1.version }
    }

    /// What ``apply(on:)`` would do now. Reads only.
    ///
    /// - Throws: `.schemaTooNew` or `.migrationAltered`.
    public func plan(on connection: Connection) async throws(PostgreSQLError) -> [Migration] {
        try pending(await status(on: connection))
    }

    /// Checks that the database is at the program's version, or at a later one that the program works with. Reads only.
    ///
    /// - Returns: the database's version.
    /// - Throws: `.schemaTooOld`, `.schemaTooNew` or `.migrationAltered`.
    @discardableResult
    public func verify(on connection: Connection) async throws(PostgreSQLError) -> Int {
        let status = try await status(on: connection)
        let pending = try pending(status)
        guard let first = pending.first else { return status.last?.version ?? 0 }
        throw PostgreSQLError(
            .schemaTooOld, during: "checking the schema",
            "The database lacks \(pending.count) migration(s), from \(Self.title(first.version, first.name)) on.",
            advice: "Run the program's migrate command, then start again.")
    }

    /// Applies what is pending, each migration in a transaction of its own, in the order of their versions. The ones
    /// before a failure stay applied.
    ///
    /// - Returns: the migrations that this call applied.
    /// - Throws: `.schemaTooNew`, `.migrationAltered`, or the failed migration's error.
    public func apply(on connection: Connection) async throws(PostgreSQLError) -> [Migration] {
        var applied: [Migration] = []
        while let migration = try await applyNext(on: connection) {
            applied.append(migration)
        }
        return applied
    }

    // MARK: Applying

    private func applyNext(on connection: Connection) async throws(PostgreSQLError) -> Migration? {
        do {
            return try await connection.transaction { connection in
                try await lock(connection)
                guard let next = try await plan(on: connection).first else { return nil }
                try await run(next, on: connection)
                return next
            }
        } catch {
            guard let cause = error.databaseError else {
                throw PostgreSQLError(.invalidUse, during: "migrating", "\(error).", advice: "Migrate again.")
            }
            throw cause
        }
    }

    /// The lock ends with the transaction, so it can't be left behind. What others committed while we waited for it is
    /// seen by the statements that follow.
    private func lock(_ connection: Connection) async throws(PostgreSQLError) {
        let settings: [(name: String, value: String)] = [
            ("lock_timeout", "\(lockTimeout.settingMilliseconds)"),
            ("statement_timeout", "\(statementTimeout.settingMilliseconds)"),
            ("search_path", schema == "public" ? "public" : "\(Self.quoted(schema)), public"),
        ]
        let set = Statement(
            name: "migration settings",
            "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)",
            [.textArray(settings.map(\.name)), .textArray(settings.map(\.value))])
        let lock = Statement(
            name: "migration lock",
            "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('schema_migrations:' || $1, 0))) AS lock",
            [.text(schema)])
        do {
            _ = try await connection.pipeline([set, lock], timeout: lockTimeout)
        } catch {
            guard error.sqlState == SQLState.lockNotAvailable else { throw error }
            var error = error
            error.advice = "Another process has been migrating this schema for \(lockTimeout): wait for it, or end it."
            throw error
        }
    }

    private func run(_ migration: Migration, on connection: Connection) async throws(PostgreSQLError) {
        let title = Self.title(migration.version, migration.name)
        let exists = try await connection.query(
            Statement(
                """
                SELECT to_regnamespace(quote_ident($1)) IS NOT NULL, to_regclass($2) IS NOT NULL AND NOT EXISTS (
                    SELECT FROM pg_attribute WHERE attrelid = to_regclass($2) AND attname = 'oldest_program')
                """, .text(schema), .text(table)))
        let makeSchema = try exists.first?.bool(0) == true ? "" : "CREATE SCHEMA \(Self.quoted(schema));"
        // Only where it is missing: until the migration's end nobody else could read the table.
        let makeColumn =
            try exists.first?.bool(1) == true ? "ALTER TABLE \(table) ADD COLUMN oldest_program bigint;" : ""
        let makeTable = """
            \(makeSchema)
            CREATE TABLE IF NOT EXISTS \(table) (
                version bigint PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                oldest_program bigint
            );
            \(makeColumn)
            """
        try await connection.execute(script: makeTable, name: "making schema_migrations", timeout: nil)
        try await connection.execute(script: migration.sql, name: title, timeout: statementTimeout)
        guard await connection.isInTransaction else {
            throw PostgreSQLError(
                .invalidUse, during: title, "The script ended the transaction that it runs in; it isn't recorded.",
                advice: "Remove COMMIT and ROLLBACK from the script, undo what it did, and migrate again.")
        }
        let record = Statement(
            name: "record of \(title)",
            """
            INSERT INTO \(table) (version, name, checksum, oldest_program)
            VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'), $4)
            """,
            [
                .int8(Int64(migration.version)), .text(migration.name), .text(migration.sql),
                .int8(Int64(migration.oldestProgram)),
            ])
        _ = try await connection.query(record.unprepared)
    }

    // MARK: Reading

    private struct History {
        var applied: [Int: (name: String, checksum: String, at: Int64, oldestProgram: Int)] = [:]
        /// The program's own, computed by the server as it did when it recorded them.
        var checksums: [Int: String] = [:]
    }

    private func readHistory(on connection: Connection) async throws(PostgreSQLError) -> History {
        let checksums = Statement(
            name: "checksums of migrations",
            """
            SELECT version, encode(sha256(convert_to(sql, 'UTF8')), 'hex') AS checksum
            FROM unnest($1::bigint[], $2::text[]) AS m (version, sql)
            """,
            [.int8Array(migrations.map { Int64($0.version) }), .textArray(migrations.map(\.sql))])
        let exists = Statement("SELECT to_regclass($1) IS NOT NULL AS has_history", .text(table))
        let answers = try await connection.pipeline([checksums, exists])
        var history = History()
        for row in answers[0] {
            history.checksums[Int(try row.int64("version"))] = try row.text("checksum")
        }
        guard try answers[1].first?.bool("has_history") == true else { return history }
        // By way of JSON, as a database that no program migrated since then doesn't have the column yet.
        for row in try await connection.query(
            Statement(
                """
                SELECT version, name, checksum, applied_at,
                       coalesce((to_jsonb(m) ->> 'oldest_program')::bigint, version) AS oldest_program
                FROM \(table) AS m
                """
            ).unprepared)
        {
            history.applied[Int(try row.int64("version"))] = (
                try row.text("name"), try row.text("checksum"), try row.timestamptz("applied_at"),
                Int(try row.int64("oldest_program"))
            )
        }
        return history
    }

    /// What is left to do, if the database's history is the beginning of the program's, or goes on from it in a way that the
    /// program works with.
    private func pending(_ status: [MigrationStatus]) throws(PostgreSQLError) -> [Migration] {
        for entry in status.reversed() {
            guard case .unknown(let oldest) = entry.state, entry.version > latestVersion, oldest > latestVersion else {
                continue
            }
            throw Self.tooNew(Self.title(entry.version, entry.name), needs: oldest, program: latestVersion)
        }
        let lastApplied = status.last { $0.state != .pending }?.version ?? 0
        for entry in status {
            let fault: String? =
                switch entry.state {
                case .altered: "was applied with another text than this program has."
                case .unknown where entry.version < latestVersion: "was applied, but this program doesn't have it."
                case .pending where entry.version < lastApplied: "wasn't applied, though a later one was."
                default: nil
                }
            guard let fault else { continue }
            throw PostgreSQLError(
                .migrationAltered, during: "checking the schema",
                "The migration \(Self.title(entry.version, entry.name)) \(fault)",
                advice: "Restore the migration as it was released, and put the change into a new one after the last.")
        }
        return migrations.filter { $0.version > lastApplied }
    }

    /// A database that needs a newer program.
    ///
    /// - Parameter migration: the one that needs it.
    public static func tooNew(_ migration: String, needs oldest: Int, program: Int) -> PostgreSQLError {
        PostgreSQLError(
            .schemaTooNew, during: "checking the schema",
            "The database has the migration \(migration), which needs a program at \(oldest) or later; this one is at "
                + "\(program).",
            advice: "Run a program at least as new as the one that migrated the database.")
    }

    private var table: String { "\(Self.quoted(schema)).schema_migrations" }

    private static func title(_ version: Int, _ name: String) -> String { "\(version) \(name)" }

    private static func quoted(_ name: String) -> String {
        "\"\(name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
    }
}
