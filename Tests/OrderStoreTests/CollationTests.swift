// The order of text keys doesn't depend on the system's libraries.

import OrderStore
import PostgreSQL
import Testing

@Suite("Collation", .timeLimit(.minutes(1)))
struct CollationTests {
    @Test(
        "In a database in a language's order, text keys are in that of their bytes, and books of before come to be so")
    func keys() async throws {
        // In a language's order "a" comes before "B", and an update of the library may change it.
        try await TestDatabase.withEmpty("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'") { database in
            try await database.withConnection { connection in
                let before = OrderMigrations.all.prefix { $0.name != "collation" }
                _ = try await Migrator(migrations: Array(before)).apply(on: connection)
                #expect(try await Self.inLanguagesOrder(connection).contains("inbox"))
                _ = try await CatalogStore(connection: connection).apply(TestCatalog.file(), dryRun: false)
                try await Books(connection).writeHistory()
                _ = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
            }
            // In a session of its own, as one that prepared statements before is told to prepare them again.
            try await database.withConnection { connection in
                #expect(try await Self.inLanguagesOrder(connection) == [])
                let months = try await InboxMonths(connection: connection).make()
                #expect(months == [])
                _ = try await connection.query(Statement("SELECT make_inbox_month('2030-01-01')"))
                #expect(try await Self.inLanguagesOrder(connection) == [])
                let guards = try await connection.query(
                    Statement(
                        "SELECT count(*) FROM pg_trigger WHERE tgname IN ('inventory_key_immutable', 'invoices_key_immutable')"
                    ))
                #expect(try guards[0].int64(0) == 2)
                // The triggers that stood in the way are back, and the books are as they were.
                let findings = try await Audit(connection: connection).run(limit: 10)
                #expect(findings.filter { $0.breaches > 0 }.map(\.check.name) == [])
                // The catalog is found again by its keys.
                let again = try await CatalogStore(connection: connection).apply(TestCatalog.file(), dryRun: false)
                #expect(again.changes.isEmpty)
            }
        }
    }

    /// The tables with an index that is in another order than that of bytes; `inbox` for its months.
    private static func inLanguagesOrder(_ connection: Connection) async throws -> Set<String> {
        let rows = try await connection.query(
            Statement(
                """
                SELECT DISTINCT CASE WHEN t.relispartition THEN 'inbox' ELSE t.relname::text END
                FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid CROSS JOIN unnest(i.indcollation) AS used
                JOIN pg_collation AS c ON c.oid = used
                WHERE t.relnamespace = 'public'::regnamespace AND c.collname <> 'C'
                """))
        return Set(try rows.map { try $0.text(0) })
    }
}
