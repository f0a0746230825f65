// The real broker that these tests run against, and a virtual host for each test alone.

import AMQP
import Foundation
import FoundationNetworking
import Logging
import Testing

/// A virtual host of a test's own, made and deleted through the broker's management API.
struct TestBroker {
    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// How the administrator connects to the virtual host.
    let url: String

    /// Runs `body` with a new virtual host. Without the variables every test fails: nothing here is worth running
    /// without a broker.
    static func withVirtualHost(_ body: (TestBroker) async throws -> Void) async throws {
        let environment = ProcessInfo.processInfo.environment
        let management = try #require(
            environment["RABBITMQ_MANAGEMENT_URL"], "set RABBITMQ_MANAGEMENT_URL to a broker's management API")
        let amqp = try #require(environment["ADMIN_AMQP_URL"], "set ADMIN_AMQP_URL to an administrator's AMQP URL")
        let name = "test-\(UInt64.random(in: 0 ... .max))"
        let user = try #require(try AMQP.ConnectionConfiguration(uris: amqp).addresses.first?.user)
        try await request("PUT", "\(management)/api/vhosts/\(name)", body: #"{"default_queue_type": "classic"}"#)
        let result: Result<Void, any Error>
        do {
            try await request(
                "PUT", "\(management)/api/permissions/\(name)/\(user)",
                body: #"{"configure": ".*", "write": ".*", "read": ".*"}"#)
            let base = amqp.replacing(/\/[^\/]*$/, with: "")
            result = .success(try await body(TestBroker(url: "\(base)/\(name)")))
        } catch {
            result = .failure(error)
        }
        try await request("DELETE", "\(management)/api/vhosts/\(name)", body: nil)
        try result.get()
    }

    private static func request(_ method: String, _ text: String, body: String?) async throws {
        var components = try #require(URLComponents(string: text))
        let login = "\(components.user ?? ""):\(components.password ?? "")"
        (components.user, components.password) = (nil, nil)
        var request = URLRequest(url: try #require(components.url), timeoutInterval: 30)
        request.httpMethod = method
        request.httpBody = body.map { Data($0.utf8) }
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue("Basic \(Data(login.utf8).base64EncodedString())", forHTTPHeaderField: "Authorization")
        let (data, response) = try await URLSession.shared.data(for: request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        try #require((200..<300).contains(status), "\(method): \(status) \(String(decoding: data, as: UTF8.self))")
    }

    var configuration: AMQP.ConnectionConfiguration {
        get throws { try AMQP.ConnectionConfiguration(uris: url) }
    }

    /// Runs `body` with a connection for declarations.
    func withConnection(_ body: (TopologyConnection) async throws -> Void) async throws {
        let connection = try await TopologyConnection.connect(configuration, logger: Self.logger)
        do {
            try await body(connection)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    /// Publishes one message and expects the broker to take it.
    func publish(_ message: OutgoingMessage) async throws {
        let publisher = try await PublisherConnection.connect(configuration, logger: Self.logger)
        let outcomes: [PublishOutcome]
        do {
            outcomes = try await publisher.publish([message])
        } catch {
            await publisher.close()
            throw error
        }
        await publisher.close()
        try #require(outcomes == [.confirmed])
    }
}
