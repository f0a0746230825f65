// Every table is within the rights of roles and guarded against being emptied; installations of before keep working.

import OrderStore
import PostgreSQL
import Testing

@Suite("Roles", .timeLimit(.minutes(1)))
struct RoleTests {
    @Test("Each table of the schema can be read by a worker and a reader, and none can be emptied")
    func everyTable() async throws {
        try await Self.withRoles { database, worker, reader in
            try await database.withConnection { connection in
                _ = try await RoleGrants(connection: connection).grant([(worker, .worker), (reader, .reader)])
                #expect(try await Self.faults(of: worker, as: .worker, connection).isEmpty)
                #expect(try await Self.faults(of: reader, as: .reader, connection).isEmpty)
                // A table that a later migration brings has to be added to the rights, and to get the trigger.
                let lacking = try await connection.query(
                    Statement(
                        """
                        SELECT relname::text FROM pg_class AS c CROSS JOIN unnest($1::text[]) AS role
                        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                          AND (NOT relispartition AND NOT has_table_privilege(role, oid, 'SELECT')
                               OR NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'never_truncated'))
                        """, .textArray([worker, reader])))
                #expect(try lacking.map { try $0.text(0) } == [])
            }
        }
    }

    @Test("A role is told from what it lacks, what it has too much of, and from one that nothing limits")
    func faults() async throws {
        try await Self.withRoles { database, worker, reader in
            try await database.withConnection { connection in
                let missing = try await Self.faults(of: worker, as: .worker, connection)
                #expect(missing.contains { $0.text.hasPrefix("lacks SELECT, INSERT on") && $0.text.contains("inbox") })
                #expect(!missing.contains { $0.kind == .tooWide })
                _ = try await RoleGrants(connection: connection).grant([(worker, .worker), (reader, .reader)])
                let asReader = try await Self.faults(of: worker, as: .reader, connection)
                #expect(asReader.allSatisfy { $0.kind == .tooWide })
                #expect(asReader.contains { $0.mend.hasPrefix("REVOKE INSERT ON TABLE ") })
                try await connection.execute(script: "GRANT \(worker) TO \(reader)")
                let member = try await Self.faults(of: reader, as: .reader, connection)
                #expect(member.contains { $0.text.contains("by way of \(worker)") })
                for fault in member { #expect(fault.mend.hasSuffix(" FROM \(worker)")) }
                let owner = try await Self.faults(of: "postgres", as: .worker, connection)
                #expect(owner.allSatisfy { $0.kind == .unlimited } && owner.count == 2)
            }
        }
    }

    @Test(
        "A role that was given rows by hand before goes on through the migration, and can't delete what it never needed"
    )
    func installationOfBefore() async throws {
        try await Self.withRoles(migrations: 11) { database, worker, _ in
            try await database.withConnection { owner in
                try await owner.execute(
                    script: "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \(worker)")
                _ = try await Migrator(migrations: OrderMigrations.all).apply(on: owner)
                try await owner.execute(script: "SET SESSION AUTHORIZATION \(worker)")
                #expect(try await owner.query(Statement("SELECT make_inbox_month('2020-03-01') IS NULL")).count == 1)
                _ = try await InboxMonths(connection: owner).drop(olderThan: .seconds(31 * 86_400))
                let gone = try await owner.query(Statement("SELECT to_regclass('inbox_2020_03') IS NULL"))
                #expect(try gone[0].bool(0))
                try await owner.execute(script: "RESET SESSION AUTHORIZATION")
                _ = try await RoleGrants(connection: owner).grant([(worker, .worker)])
                #expect(try await Self.faults(of: worker, as: .worker, owner).isEmpty)
                let mayDelete = try await owner.query(
                    Statement("SELECT has_table_privilege($1, 'inbox', 'DELETE')", .text(worker)))
                #expect(try !mayDelete[0].bool(0))
            }
        }
    }

    private static func faults(
        of role: String, as purpose: RolePurpose, _ connection: Connection
    ) async throws -> [RightsFault] {
        try await RoleRights.faults(of: role, as: purpose, on: connection)
    }

    /// Runs `body` with a new database and two new roles.
    private static func withRoles(
        migrations: Int? = nil, _ body: (TestDatabase, _ worker: String, _ reader: String) async throws -> Void
    ) async throws {
        try await TestDatabase.withEmpty { database in
            let (worker, reader) = ("\(database.name)_worker", "\(database.name)_reader")
            try await database.withConnection { connection in
                let all = OrderMigrations.all
                _ = try await Migrator(migrations: Array(all.prefix(migrations ?? all.count))).apply(on: connection)
                try await connection.execute(script: "CREATE ROLE \(worker); CREATE ROLE \(reader)")
            }
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(database, worker, reader))
            } catch {
                outcome = .failure(error)
            }
            try await database.withConnection { connection in
                try await connection.execute(
                    script: "DROP OWNED BY \(worker), \(reader); DROP ROLE \(worker), \(reader)")
            }
            try outcome.get()
        }
    }
}
