// The real server that these tests run against, and a schema for each test alone.

import Foundation
import Logging
import PostgreSQL
import Testing

enum TestDatabase {
    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// The server named by OWNER_DATABASE_URL. Without it every test fails: nothing here is worth running without a server.
    static func url() throws -> String {
        try #require(
            ProcessInfo.processInfo.environment["OWNER_DATABASE_URL"],
            "set OWNER_DATABASE_URL to a database in which the user may create schemas and end sessions")
    }

    static func url(with options: [(keyword: String, value: String)]) throws -> String {
        let url = try url()
        if url.hasPrefix("postgres") {
            let pairs = options.map { option in
                let value = option.value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                return "\(option.keyword)=\(value)"
            }
            return url + (url.contains("?") ? "&" : "?") + pairs.joined(separator: "&")
        }
        return url + options.map { " \($0.keyword)='\($0.value)'" }.joined()
    }

    static func connect(statementTimeout: Duration = .seconds(60)) async throws -> Connection {
        var configuration = try ConnectionConfiguration(url: url())
        configuration.statementTimeout = statementTimeout
        return try await Connection.connect(configuration, logger: logger)
    }

    /// Runs `body` with a connection of its own.
    static func withConnection(
        statementTimeout: Duration = .seconds(60), _ body: (Connection) async throws -> Void
    ) async throws {
        let connection = try await connect(statementTimeout: statementTimeout)
        do {
            try await body(connection)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    /// Runs `body` with a connection and the name of a schema of its own, which its search path names.
    static func withSchema(_ body: (Connection, String) async throws -> Void) async throws {
        let schema = "test_\(UInt64.random(in: 0 ... .max))"
        try await withConnection { connection in
            try await connection.execute(script: "CREATE SCHEMA \(schema); SET search_path TO \(schema)")
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(connection, schema))
            } catch {
                result = .failure(error)
            }
            try await withConnection { cleaner in
                await connection.close()
                try await cleaner.execute(
                    script: "SET client_min_messages TO error; DROP SCHEMA IF EXISTS \(schema) CASCADE")
            }
            try result.get()
        }
    }

    /// Host and port under which the server can be named in a list of hosts.
    static func address() async throws -> (host: String, port: String) {
        var answer: (String, String)?
        try await withConnection { connection in
            let row = try await connection.query(
                Statement(
                    """
                    SELECT coalesce(host(inet_server_addr()),
                           split_part(current_setting('unix_socket_directories'), ',', 1)) AS host,
                           current_setting('port') AS port
                    """
                )
            ).first
            answer = try (#require(row).text("host"), #require(row).text("port"))
        }
        return try #require(answer)
    }
}

/// Runs `body` and returns the PostgreSQL error that it throws; anything else fails the test.
func databaseError(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async throws -> PostgreSQLError {
    let error = await #expect(throws: (any Error).self, sourceLocation: sourceLocation) { try await body() }
    return try #require(
        error as? PostgreSQLError ?? (error as? TransactionError)?.databaseError,
        "not a PostgreSQLError: \(error as Any)",
        sourceLocation: sourceLocation)
}
