// Connecting, and what becomes of a connection that is refused, cut, late or closed.

import Foundation
import PostgreSQL
import Testing

@Suite struct ConnectionTests {
    @Test(
        "A wrong password and an unknown user are told apart from a server that isn't there",
        arguments: ["password", "user"])
    func refused(_ keyword: String) async throws {
        let url = try TestDatabase.url(with: [(keyword, "wr0ng-\(keyword)")])
        let error = try await databaseError {
            _ = try await Connection.connect(ConnectionConfiguration(url: url), logger: TestDatabase.logger)
        }
        #expect(error.code == .authenticationFailed)
        #expect(error.sqlState?.hasPrefix("28") == true)
        #expect(!error.isRetriable && !error.isConnectionUsable)
        #expect(keyword == "user" || !"\(error)".contains("wr0ng"))
        #expect(!"\(error)".contains("LOCATION"))
    }

    @Test("A database that doesn't exist is named by its code, and trying again is no use")
    func unknownDatabase() async throws {
        let url = try TestDatabase.url(with: [("dbname", "no_such_database")])
        let error = try await databaseError {
            _ = try await Connection.connect(ConnectionConfiguration(url: url), logger: TestDatabase.logger)
        }
        #expect(error.code == .connectionFailed && error.sqlState == "3D000" && !error.isRetriable)
    }

    @Test("A port that nobody listens on fails at once and can be tried again")
    func closedPort() async throws {
        let configuration = try ConnectionConfiguration(url: "host=127.0.0.1 port=1 user=u dbname=d")
        let error = try await databaseError {
            _ = try await Connection.connect(configuration, logger: TestDatabase.logger)
        }
        #expect(error.code == .connectionFailed && error.isRetriable)
        #expect(error.during == "connect to 127.0.0.1:1")
    }

    @Test("A server that answers nothing is given up after the connect timeout")
    func silentServer() async throws {
        let silent = try SilentServer()
        var configuration = try ConnectionConfiguration(url: "host=127.0.0.1 port=\(silent.port) user=u dbname=d")
        configuration.connectTimeout = .milliseconds(300)
        let start = ContinuousClock.now
        let error = try await databaseError {
            _ = try await Connection.connect(configuration, logger: TestDatabase.logger)
        }
        #expect(error.code == .connectionFailed && error.isRetriable)
        #expect(start.duration(to: .now) < .seconds(5))
    }

    @Test("Of several hosts the first that accepts is taken, past ones that are closed or silent")
    func severalHosts() async throws {
        let silent = try SilentServer()
        let address = try await TestDatabase.address()
        let url = try TestDatabase.url(with: [
            ("host", "127.0.0.1,127.0.0.1,\(address.host)"), ("port", "1,\(silent.port),\(address.port)"),
            ("target_session_attrs", "read-write"),
        ])
        var configuration = try ConnectionConfiguration(url: url)
        configuration.connectTimeout = .seconds(3)
        let connection = try await Connection.connect(configuration, logger: TestDatabase.logger)
        #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
        await connection.close()
    }

    @Test("A standby is asked for first where it is preferred, and one that must be isn't replaced by a primary")
    func sessionAttributes() async throws {
        let address = try await TestDatabase.address()
        func configuration(_ wanted: String) throws -> ConnectionConfiguration {
            try ConnectionConfiguration(
                url: TestDatabase.url(with: [
                    ("host", "\(address.host),\(address.host)"), ("port", address.port),
                    ("target_session_attrs", wanted),
                ]))
        }
        let connection = try await Connection.connect(configuration("prefer-standby"), logger: TestDatabase.logger)
        await connection.close()
        let error = try await databaseError {
            _ = try await Connection.connect(configuration("standby"), logger: TestDatabase.logger)
        }
        #expect(error.code == .connectionFailed)
    }

    @Test("The session has its name, its time limit and UTC")
    func session() async throws {
        var configuration = try ConnectionConfiguration(url: TestDatabase.url())
        configuration.applicationName = "name with spaces"
        configuration.statementTimeout = .milliseconds(12_345)
        let connection = try await Connection.connect(configuration, logger: TestDatabase.logger)
        let names = ["application_name", "statement_timeout", "timezone", "client_encoding"]
        let rows = try await connection.query(
            Statement(
                "SELECT array_agg(current_setting(n) ORDER BY o) FROM unnest($1) WITH ORDINALITY AS s (n, o)",
                .textArray(names)))
        #expect(try rows[0].textArray(0) == ["name with spaces", "12345ms", "UTC", "UTF8"])
        #expect(await connection.serverVersion >= 140_000)
        await connection.close()
    }

    @Test("A session ended by the server while a statement runs is noticed at once")
    func terminatedAtWork() async throws {
        try await TestDatabase.withConnection { victim in
            let process = await victim.serverProcess
            async let sleeping = databaseError { _ = try await victim.query(Statement("SELECT pg_sleep(30)")) }
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            try await Self.terminate(process)
            let error = try await sleeping
            #expect(start.duration(to: .now) < .seconds(2))
            #expect(error.code == .connectionLost && error.sqlState == "57P01")
            #expect(error.isRetriable && !error.isConnectionUsable)
            #expect(await !victim.isOpen)
            let next = try await databaseError { _ = try await victim.query(Statement("SELECT 1")) }
            #expect(next.code == .connectionClosed)
        }
    }

    @Test("A session ended while idle is seen by isOpen, and by the next call")
    func terminatedIdle() async throws {
        try await TestDatabase.withConnection { victim in
            #expect(await victim.isOpen)
            try await Self.terminate(victim.serverProcess)
            var isOpen = true
            for _ in 0..<100 where isOpen {
                try await Task.sleep(for: .milliseconds(20))
                isOpen = await victim.isOpen
            }
            #expect(!isOpen)
        }
        try await TestDatabase.withConnection { victim in
            try await Self.terminate(victim.serverProcess)
            try await Task.sleep(for: .milliseconds(200))
            let error = try await databaseError { _ = try await victim.query(Statement("SELECT 1")) }
            #expect(error.code == .connectionLost && !error.isConnectionUsable)
        }
    }

    @Test("A statement beyond its time limit is cancelled, and the connection stays usable")
    func statementTimeout() async throws {
        try await TestDatabase.withConnection(statementTimeout: .milliseconds(200)) { connection in
            let error = try await databaseError { _ = try await connection.query(Statement("SELECT pg_sleep(30)")) }
            #expect(error.code == .timedOut && error.sqlState == "57014")
            #expect(error.isConnectionUsable && error.isRetriable)
            #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
        }
    }

    @Test("A server that gives no answer in time costs the connection")
    func answerTimeout() async throws {
        try await TestDatabase.withConnection(statementTimeout: .milliseconds(100)) { connection in
            let start = ContinuousClock.now
            let error = try await databaseError {
                _ = try await connection.pipeline([
                    Statement("SELECT set_config('statement_timeout', '0', false)"), Statement("SELECT pg_sleep(20)"),
                ])
            }
            #expect(start.duration(to: .now) < .seconds(8))
            #expect(error.code == .timedOut && !error.isConnectionUsable)
            #expect(await !connection.isOpen)
        }
    }

    @Test("A call that waits too long for its turn fails, and nothing was sent")
    func turnTimeout() async throws {
        try await TestDatabase.withConnection(statementTimeout: .milliseconds(100)) { connection in
            try await connection.transaction { connection in
                let other = Task { try await databaseErrorOfOtherTask(connection) }
                // Long enough for the other's deadline to pass.
                try await Task.sleep(for: .seconds(6))
                let error = try await other.value
                #expect(error.code == .timedOut && error.isConnectionUsable)
                #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
            }
        }
    }

    /// A task made within a transaction counts as part of it; this one is made to forget that.
    private func databaseErrorOfOtherTask(_ connection: Connection) async throws -> PostgreSQLError {
        try await withCheckedThrowingContinuation { continuation in
            OtherTask.run {
                do {
                    let error = try await databaseError { _ = try await connection.query(Statement("SELECT 2")) }
                    continuation.resume(returning: error)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    @Test("close ends a call that is under way, and is soon done")
    func close() async throws {
        let connection = try await TestDatabase.connect()
        async let sleeping = databaseError { _ = try await connection.query(Statement("SELECT pg_sleep(30)")) }
        try await Task.sleep(for: .milliseconds(200))
        let start = ContinuousClock.now
        await connection.close()
        #expect(start.duration(to: .now) < .seconds(7))
        #expect(try await sleeping.code == .connectionClosed)
        #expect(await !connection.isOpen)
        await connection.close()
    }

    @Test("A cancelled task's call goes on to its answer, and the connection stays whole")
    func cancellation() async throws {
        try await TestDatabase.withConnection { connection in
            let task = Task {
                try await connection.pipeline([Statement("SELECT pg_sleep(0.3)"), Statement("SELECT 7")])[1][0].int32(0)
            }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            #expect(try await task.value == 7)
            #expect(try await connection.query(Statement("SELECT 8"))[0].int32(0) == 8)
        }
    }

    @Test("Connections leave no descriptor behind, nor the thread that owns three of them")
    func leaks() async throws {
        func open() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let before = try open()
        for _ in 0..<40 {
            let connection = try await TestDatabase.connect()
            _ = try await connection.query(Statement("SELECT 1"))
            await connection.close()
        }
        // Other tests open and close theirs meanwhile, but hardly forty at once.
        for _ in 0..<200 where try open() > before + 80 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(try open() <= before + 80)
    }

    private static func terminate(_ process: Int32) async throws {
        try await TestDatabase.withConnection { other in
            _ = try await other.query(Statement("SELECT pg_terminate_backend($1)", .int4(process)))
        }
    }
}

/// Runs an operation in a task that inherits nothing from its maker.
enum OtherTask {
    static func run(_ operation: @escaping @Sendable () async -> Void) { Task.detached(operation: operation) }
}

/// A port whose connections are accepted by the kernel and answered by nobody.
final class SilentServer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, pointer, &size) == 0
            }
        }
        try #require(isListening)
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { Foundation.close(descriptor) }
}
