// A real database for each test alone, with the product's own schema and a catalog.

import Foundation
import Logging
import OrderStore
import Orders
import PostgreSQL
import Testing

enum TestDatabase {
    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private static func address(_ variable: String) throws -> String {
        try #require(
            ProcessInfo.processInfo.environment[variable],
            "set \(variable), for example by: eval \"$(deploy/local/env)\"; nothing here is worth running without a server"
        )
    }

    private static func connect(_ url: String, database: String? = nil) async throws -> Connection {
        var url = url
        if let database, var components = URLComponents(string: url) {
            components.path = "/" + database
            url = components.string ?? url
        }
        return try await Connection.connect(ConnectionConfiguration(url: url), logger: logger)
    }

    /// Runs `body` with connections to a new database that has the schema and a catalog: ``TestCatalog``'s where none
    /// is given.
    static func withDatabase(
        catalog: CatalogFile? = nil,
        _ body: (_ connect: @escaping @Sendable () async throws -> Connection) async throws -> Void
    ) async throws {
        try await withEmptyDatabase { connect in
            let first = try await connect()
            _ = try await Migrator(migrations: OrderMigrations.all).apply(on: first)
            let changes = try await CatalogStore(connection: first).apply(
                catalog ?? TestCatalog.file(), dryRun: false)
            #expect(!changes.changes.isEmpty)
            await first.close()
            try await body(connect)
        }
    }

    /// Runs `body` with connections to a new database without a schema.
    static func withEmptyDatabase(
        _ body: (_ connect: @escaping @Sendable () async throws -> Connection) async throws -> Void
    ) async throws {
        let name = "test_\(UInt64.random(in: 0 ... .max))"
        let url = try address("ADMIN_DATABASE_URL")
        let admin = try await connect(url)
        do {
            try await admin.execute(script: "CREATE DATABASE \(name)")
            try await body { try await connect(url, database: name) }
        } catch {
            try? await admin.execute(script: "DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            await admin.close()
            throw error
        }
        try await admin.execute(script: "DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        await admin.close()
    }
}

enum TestCatalog {
    static func file() throws -> CatalogFile {
        try CatalogFile(
            json: Data(
                """
                {"partners": [
                    {"id": "acme", "name": "Acme", "currency": "USD", "billingZone": "America/New_York",
                     "publishers": ["acme-user"], "resellers": [{"id": "east", "name": "East"}]},
                    {"id": "nordwind", "name": "Nordwind", "currency": "EUR", "billingZone": "Europe/Berlin",
                     "publishers": ["nordwind-user"]}],
                 "products": [{"id": "pki", "name": "PKI", "certificateTypes": ["ov", "ev"], "terms": ["P1Y", "P1M"]}],
                 "prices": [
                    {"product": "pki", "certificateType": "ov", "term": "P1Y", "currency": "USD", "unitPrice": 19900,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ev", "term": "P1Y", "currency": "USD", "unitPrice": 49900,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ov", "term": "P1Y", "currency": "EUR", "unitPrice": 18900,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ov", "term": "P1M", "currency": "EUR", "unitPrice": 1900,
                     "effectiveFrom": "2020-01-01"}]}
                """.utf8))
    }
}
