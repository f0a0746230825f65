// The real broker that the tests talk to.

import AMQP
import Foundation
import Logging
import Testing

/// All that talks to the broker, one after the other, because some of it disturbs the broker.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct LiveTests {}

/// The broker that the environment variable `AMQP_URL` names.
enum LiveBroker {
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func url() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["AMQP_URL"] else {
            throw Missing(description: "set AMQP_URL to a RabbitMQ that the tests may use: amqp://user:password@host")
        }
        return url
    }

    static func configuration() throws -> ConnectionConfiguration {
        var configuration = try ConnectionConfiguration(uris: try url())
        configuration.connectionName = "AMQPTests"
        configuration.connectTimeout = .seconds(5)
        configuration.operationTimeout = .seconds(10)
        return configuration
    }

    /// A name that no other test uses.
    static func uniqueName(_ purpose: String = #function) -> String {
        "test.\(purpose.prefix { $0 != "(" }).\(UUID().uuidString.prefix(8))"
    }

    /// Runs `body` with a connection for declarations, and closes it.
    static func withTopology<Result: Sendable>(
        _ body: (TopologyConnection) async throws -> Result
    ) async throws -> Result {
        let topology = try await TopologyConnection.connect(try configuration(), logger: logger)
        return try await closing(topology.close) { try await body(topology) }
    }

    static func withPublisher<Result: Sendable>(
        _ configuration: ConnectionConfiguration? = nil, _ body: (PublisherConnection) async throws -> Result
    ) async throws -> Result {
        let publisher = try await PublisherConnection.connect(
            try configuration ?? self.configuration(), logger: logger)
        return try await closing(publisher.close) { try await body(publisher) }
    }

    static func withConsumer<Result: Sendable>(
        _ configuration: ConnectionConfiguration? = nil, _ body: (ConsumerConnection) async throws -> Result
    ) async throws -> Result {
        let consumer = try await ConsumerConnection.connect(
            try configuration ?? self.configuration(), logger: logger)
        return try await closing(consumer.close) { try await body(consumer) }
    }

    /// Runs `body` with a new durable queue, and deletes it.
    static func withQueue<Result: Sendable>(
        arguments: [String: FieldValue] = [:], _ purpose: String = #function,
        _ body: (String) async throws -> Result
    ) async throws -> Result {
        let name = uniqueName(purpose)
        try await withTopology { topology in
            _ = try await topology.declareQueue(name, arguments: arguments)
        }
        return try await closing({
            try? await withTopology { topology in _ = try await topology.deleteQueue(name) }
        }) {
            try await body(name)
        }
    }

    private static func closing<Result: Sendable>(
        _ close: () async -> Void, _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            let result = try await body()
            await close()
            return result
        } catch {
            await close()
            throw error
        }
    }

    // MARK: Control

    /// A command that runs rabbitmqctl for the broker.
    static var controlCommand: String? { ProcessInfo.processInfo.environment["OW_RABBITMQCTL"] }

    static func control(_ arguments: String...) async throws {
        let command = try #require(controlCommand)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "exec \(command) \"$@\"", "rabbitmqctl"] + arguments
        process.standardOutput = FileHandle.nullDevice
        let status = await withCheckedContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(returning: -1) }
        }
        if status != 0 { throw Missing(description: "\(command) \(arguments) failed with status \(status)") }
    }

    /// Runs `body` while the broker has a memory alarm.
    static func withAlarm<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await control("set_vm_memory_high_watermark", "0.00001")
        do {
            let result = try await body()
            try await control("set_vm_memory_high_watermark", "0.4")
            return result
        } catch {
            try await control("set_vm_memory_high_watermark", "0.4")
            throw error
        }
    }

    /// Runs `body` with a virtual host of its own, and deletes it.
    static func withVirtualHost(_ body: (ConnectionConfiguration) async throws -> Void) async throws {
        let configuration = try configuration()
        let user = try #require(configuration.addresses.first?.user)
        let name = uniqueName()
        try await control("add_vhost", name)
        try await control("set_permissions", "--vhost", name, user, ".*", ".*", ".*")
        var own = try ConnectionConfiguration(uris: try url().replacing(#/(://[^/]*).*/#) { "\($0.1)/\(name)" })
        own.operationTimeout = configuration.operationTimeout
        do {
            try await body(own)
            try await control("delete_vhost", name)
        } catch {
            try await control("delete_vhost", name)
            throw error
        }
    }
}

extension [ConsumerEvent] {
    var deliveries: [Delivery] {
        compactMap { event in
            if case .delivery(let delivery) = event { delivery } else { nil }
        }
    }
}

extension ConsumerConnection {
    /// Collects deliveries until there are `count`, or five seconds have passed.
    func collect(_ count: Int) async throws -> [Delivery] {
        var deliveries: [Delivery] = []
        let deadline = ContinuousClock.now + .seconds(5)
        while deliveries.count < count, ContinuousClock.now < deadline {
            deliveries += try await nextBatch(maximum: count - deliveries.count, until: deadline).deliveries
        }
        return deliveries
    }
}
