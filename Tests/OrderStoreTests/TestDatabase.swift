// A real database for each test alone, with the product's own schema and a catalog.

import Foundation
import Logging
import OrderStore
import Orders
import PostgreSQL
import Testing

/// A database of a test, in which the test is superuser.
struct TestDatabase: Sendable {
    let name: String

    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    func connect() async throws -> Connection {
        var components = try #require(URLComponents(string: Self.address()))
        components.path = "/" + name
        let url = try #require(components.string)
        return try await Connection.connect(ConnectionConfiguration(url: url), logger: Self.logger)
    }

    /// Runs `body` with a connection that is closed afterwards.
    func withConnection<Value>(_ body: (Connection) async throws -> Value) async throws -> Value {
        let connection = try await connect()
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Runs `body` with a new database that has the schema and the catalog of ``TestCatalog``.
    static func withDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
        try await withEmpty { database in
            try await database.withConnection { connection in
                _ = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
                let changes = try await CatalogStore(connection: connection).apply(TestCatalog.file(), dryRun: false)
                    .changes
                #expect(!changes.isEmpty)
            }
            try await body(database)
        }
    }

    /// Runs `body` with a copy of this database, to which nobody may be connected.
    func withCopy(_ body: (TestDatabase) async throws -> Void) async throws {
        try await Self.withNew(template: name, body)
    }

    /// Runs `body` with a new database without a schema.
    ///
    /// - Parameter options: of its creation, such as its locale.
    static func withEmpty(
        _ options: String = "", _ body: (TestDatabase) async throws -> Void
    ) async throws {
        try await withNew(template: options.isEmpty ? "template1" : "template0 \(options)", body)
    }

    private static func withNew(template: String, _ body: (TestDatabase) async throws -> Void) async throws {
        let name = "test_\(UInt64.random(in: 0 ... .max))"
        let admin = try await Connection.connect(ConnectionConfiguration(url: address()), logger: logger)
        do {
            try await admin.execute(script: "CREATE DATABASE \(name) TEMPLATE \(template)")
            try await body(TestDatabase(name: name))
        } catch {
            try? await admin.execute(script: "DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            await admin.close()
            throw error
        }
        try await admin.execute(script: "DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        await admin.close()
    }

    private static func address() throws -> String {
        try #require(
            ProcessInfo.processInfo.environment["ADMIN_DATABASE_URL"],
            "set ADMIN_DATABASE_URL, for example by: eval \"$(deploy/local/env)\"; nothing here is worth running without a server"
        )
    }
}

enum TestCatalog {
    /// - Parameters:
    ///   - types: the product's certificate types.
    ///   - prices: more prices, each with a comma before it.
    static func file(types: String = #""ov", "ev""#, prices: String = "") throws -> CatalogFile {
        try CatalogFile(
            json: Data(
                """
                {"partners": [
                    {"id": "acme", "name": "Acme", "currency": "USD", "billingZone": "America/New_York",
                     "publishers": ["acme-user"], "resellers": [{"id": "east", "name": "East, \\"the\\" reseller"}]},
                    {"id": "nordwind", "name": "Nordwind", "currency": "EUR", "billingZone": "Europe/Berlin",
                     "publishers": ["nordwind-user"]}],
                 "products": [{"id": "pki", "name": "PKI", "certificateTypes": [\(types)], "terms": ["P1Y", "P1M"]}],
                 "prices": [
                    {"product": "pki", "certificateType": "ov", "term": "P1Y", "currency": "USD", "unitPrice": 19900,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ev", "term": "P1Y", "currency": "USD", "unitPrice": 49900,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ov", "term": "P1M", "currency": "USD", "unitPrice": 1999,
                     "effectiveFrom": "2020-01-01"},
                    {"product": "pki", "certificateType": "ov", "term": "P1Y", "currency": "EUR", "unitPrice": 18900,
                     "effectiveFrom": "2020-01-01"}\(prices)]}
                """.utf8))
    }
}
