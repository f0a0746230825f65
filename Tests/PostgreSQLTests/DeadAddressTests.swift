// Host names of which some addresses are dead: those are given up in time for the others.

import Foundation
import SocketExecutor
import Testing

@testable import PostgreSQL

@Suite(.timeLimit(.minutes(2))) struct DeadAddressTests {
    /// The server under a name with a dead address before the real one.
    private func configuration(_ dead: String) async throws -> ConnectionConfiguration {
        let address = try await TestDatabase.address()
        let url = try TestDatabase.url(with: [("host", "db.test"), ("port", address.port)])
        var configuration = try ConnectionConfiguration(url: url)
        configuration.connectTimeout = .seconds(2)
        configuration.lookUp = { host in
            host == "db.test" ? .success([dead, address.host]) : .failure(.init(cause: "unknown"))
        }
        return configuration
    }

    @Test(
        "A host name with a dead first address (DROP): the second is tried with its share of the time",
        arguments: [BlackHole.Kind.drops, .accepts])
    func deadFirstAddress(kind: BlackHole.Kind) async throws {
        let port = try #require(Int(try await TestDatabase.address().port))
        let address = kind == .drops ? "127.0.0.12" : "127.0.0.13"
        let hole = try BlackHole(kind, address, port: port)
        let start = ContinuousClock.now
        let connection = try await Connection.connect(try await configuration(address), logger: TestDatabase.logger)
        let taken = start.duration(to: .now)
        #expect(try await connection.query(Statement("SELECT 1"))[0].int32(0) == 1)
        await connection.close()
        withExtendedLifetime(hole) {}
        #expect(taken > .milliseconds(900) && taken < .seconds(4))
    }

    @Test(
        "Who is cancelled while connecting doesn't wait for a black hole, a silent host or the resolver",
        arguments: ["drops", "accepts", "resolver"])
    func cancelled(kind: String) async throws {
        let (host, port) = ("127.0.0.14", ["drops": 49_991, "accepts": 49_992, "resolver": 49_993][kind] ?? 0)
        let hole = try BlackHole(kind == "drops" ? .drops : .accepts, host, port: port)
        var configuration = try ConnectionConfiguration(url: "postgresql://a:b@db.test:\(port)/x")
        configuration.connectTimeout = .seconds(20)
        configuration.lookUp = { _ in
            if kind == "resolver" { sleep(8) }
            return .success([host])
        }
        let tried = configuration
        let connecting = Task { try await Connection.connect(tried, logger: TestDatabase.logger) }
        try await Task.sleep(for: .milliseconds(300))
        let asked = ContinuousClock.now
        connecting.cancel()
        let result = await connecting.result
        #expect(throws: PostgreSQLError.self) { try result.get() }
        withExtendedLifetime(hole) {}
        #expect(asked.duration(to: .now) < .seconds(5))
    }

    @Test("A name without an address, and a resolver that doesn't answer, are told as such")
    func unresolved() async throws {
        var configuration = try ConnectionConfiguration(url: "postgresql://a:b@no-such-host.invalid/x")
        let unknown = try await databaseError {
            _ = try await Connection.connect(configuration, logger: TestDatabase.logger)
        }
        #expect(unknown.code == .connectionFailed && unknown.message.contains("can't be resolved"))
        configuration.connectTimeout = .milliseconds(300)
        configuration.lookUp = { _ in
            sleep(8)
            return .success(["127.0.0.1"])
        }
        let slow = configuration
        let start = ContinuousClock.now
        let silent = try await databaseError {
            _ = try await Connection.connect(slow, logger: TestDatabase.logger)
        }
        #expect(silent.message == "the resolver gave no answer in time.")
        #expect(start.duration(to: .now) < .seconds(6))
    }

    @Test("PGOPTIONS and a service file's options count, beside what every session needs")
    func sessionOptions() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("services-\(UUID().uuidString)")
        try "[orders]\noptions=-c order_worker.from_service=7\n".write(to: file, atomically: true, encoding: .utf8)
        // Nothing else here has services, or looks at such a setting.
        setenv("PGSERVICEFILE", file.path, 1)
        setenv("PGOPTIONS", "-c order_worker.from_environment=5", 1)
        defer { unsetenv("PGOPTIONS") }
        for (service, name, value) in [("orders", "from_service", "7"), ("", "from_environment", "5")] {
            let url = try TestDatabase.url(with: service.isEmpty ? [] : [("service", service)])
            let connection = try await Connection.connect(
                ConnectionConfiguration(url: url), logger: TestDatabase.logger)
            let settings = "SELECT current_setting('order_worker.\(name)'), current_setting('timezone')"
            let row = try await connection.query(Statement(settings))[0]
            #expect(try row.text(0) == value && row.text(1) == "UTC")
            await connection.close()
        }
        let error = #expect(throws: PostgreSQLError.self) {
            try ConnectionConfiguration(url: TestDatabase.url(with: [("service", "missing")]))
        }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test(
        "Beyond this machine the database has to prove who it is, unless something else was said",
        arguments: [
            ("postgresql://a@db/x", "10.0.0.1", "verify-full"), ("postgresql://a@db/x", "fd00::1", "verify-full"),
            ("host=10.0.0.1 user=a", "10.0.0.1", "verify-full"), ("hostaddr=10.0.0.1 user=a", "", "verify-full"),
            ("postgresql://a@localhost/x", "127.0.0.1", nil), ("postgresql://a@localhost/x", "::1", nil),
            ("host=/run/postgresql user=a", "", nil), ("user=a", "", nil),
            ("postgresql://a@db/x?sslmode=disable", "10.0.0.1", "disable"),
            ("postgresql://a@db/x?sslmode=prefer", "10.0.0.1", "prefer"),
            ("postgresql://a@localhost/x?sslmode=verify-full", "127.0.0.1", "verify-full"),
        ] as [(String, String, String?)])
    func securityByDefault(url: String, address: String, mode: String?) throws {
        let configuration = try ConnectionConfiguration(url: url)
        let attempt = try #require(configuration.attempts.first)
        let secured = configuration.secured(attempt.parameters, at: address)
        #expect(secured["sslmode"] == mode)
        #expect((secured["sslrootcert"] != nil) == (mode == "verify-full"))
        #expect(mode != "verify-full" || secured["host"]?.isEmpty == false)
    }

    @Test(
        "What no server could make right is refused as configuration, not waited for",
        arguments: ["sslmode=sometimes", "channel_binding=x", "target_session_attrs=x"])
    func refusedAtOnce(option: String) {
        let error = #expect(throws: PostgreSQLError.self) {
            try ConnectionConfiguration(url: "postgresql://a:b@127.0.0.1:1/x?\(option)")
        }
        #expect(error?.code == .invalidConfiguration)
    }
}

/// An address on loopback where nothing answers.
final class BlackHole {
    enum Kind: Sendable {
        /// Packets that ask for a connection are dropped, as a firewall does: the queue of those that wait is full.
        case drops
        /// Connections are made, and nothing is ever said.
        case accepts
    }

    private var descriptors: [Int32] = []

    init(_ kind: Kind, _ host: String, port: Int) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptors = [listener]
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                if bind(listener, generic, size) != 0 || listen(listener, kind == .drops ? 0 : 16) != 0 { return false }
                guard kind == .drops else { return true }
                // One waits to be accepted; there is no room for others.
                let first = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                descriptors.append(first)
                return connect(first, generic, size) == 0
            }
        }
        try #require(isListening)
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
