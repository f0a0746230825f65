// Databases in which the books wouldn't be right or safe, each as it was tried.

import Foundation
import OrderStore
import PostgreSQL
import Testing

@Suite struct DatabaseConditionsTests {
    /// What is found in a database made like this, by a session with these options.
    private func faults(_ creation: String = "", options: String = "", after change: String = "") async throws
        -> [DatabaseFault]
    {
        let admin = try #require(ProcessInfo.processInfo.environment["ADMIN_DATABASE_URL"])
        let name = "fit_\(UInt64.random(in: 0 ... .max))"
        let server = try await Connection.connect(
            ConnectionConfiguration(url: admin), logger: TestDatabase.logger)
        try await server.execute(script: "CREATE DATABASE \(name) \(creation)")
        let result: Result<[DatabaseFault], any Error>
        do {
            if !change.isEmpty { try await server.execute(script: change.replacing("DATABASE", with: name)) }
            let base = admin.replacing(/\/[^\/?]*(\?.*)?$/, with: "/\(name)")
            let encoded = options.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            let url = options.isEmpty ? base : "\(base)?options=\(encoded)"
            let connection = try await Connection.connect(
                ConnectionConfiguration(url: url), logger: TestDatabase.logger)
            result = .success(try await DatabaseConditions.faults(on: connection))
            await connection.close()
        } catch {
            result = .failure(error)
        }
        try await server.execute(script: "DROP DATABASE \(name)")
        await server.close()
        return try result.get()
    }

    @Test("A database as it should be has no fault")
    func fit() async throws {
        #expect(try await faults("ENCODING 'UTF8' TEMPLATE template0") == [])
    }

    @Test("A LATIN1 database, which can't hold 東京, is no place for the books")
    func latin1() async throws {
        let found = try await faults("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        #expect(found.count == 1)
        #expect(found.allSatisfy { $0.isFatal && $0.text.contains("LATIN1") && $0.mend.contains("UTF8") })
    }

    @Test(
        "A search_path without public is a fault, with or without another schema", arguments: ["pg_catalog", "missing"])
    func searchPath(path: String) async throws {
        let found = try await faults(options: "-c search_path=\(path)")
        #expect(found.count == 1)
        #expect(found.allSatisfy { $0.isFatal && $0.text.contains("search_path (\(path))") })
    }

    @Test("synchronous_commit = off is a fault")
    func synchronousCommit() async throws {
        let found = try await faults(options: "-c synchronous_commit=off")
        #expect(found.count == 1)
        #expect(found.allSatisfy { $0.isFatal && $0.text.contains("synchronous_commit is off") })
    }

    @Test("A collation of another version than the system's is named, with how to mend it")
    func collation() async throws {
        let found = try await faults(
            "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' TEMPLATE template0",
            after: "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'DATABASE' AND "
                + "pg_database_collation_actual_version(oid) IS NOT NULL")
        // The C library gives C.UTF-8 a version in some releases only.
        #expect(found.allSatisfy { !$0.isFatal && $0.mend.contains("REFRESH COLLATION VERSION") })
    }
}
