// Host names of which some addresses are dead: those are given up in time for the others.

import Foundation
import SocketExecutor
import Testing

@testable import AMQP

extension LiveTests {
    struct DeadAddressTests {
        /// The broker under a name with these addresses.
        private func configuration(_ addresses: [String]) throws -> ConnectionConfiguration {
            let broker = try #require(try LiveBroker.configuration().addresses.first)
            let url = try LiveBroker.url().replacing("@\(broker.host):", with: "@broker.test:")
            var configuration = try ConnectionConfiguration(uris: url)
            configuration.connectTimeout = .seconds(2)
            configuration.lookUp = { host in
                host == "broker.test" ? .success(addresses) : .failure(.init(cause: "unknown"))
            }
            return configuration
        }

        @Test(
            "A host name with a dead first address (DROP): the second is tried with its share of the time",
            arguments: [BlackHole.Kind.drops, .accepts])
        func deadFirstAddress(kind: BlackHole.Kind) async throws {
            let broker = try #require(try LiveBroker.configuration().addresses.first)
            let dead = try BlackHole(kind, "127.0.0.2", port: broker.port)
            let taken = try await ContinuousClock().measure {
                try await LiveBroker.withPublisher(try configuration(["127.0.0.2", broker.host])) {
                    publisher async throws in
                    #expect(await publisher.blockedReason == nil)
                }
            }
            withExtendedLifetime(dead) {}
            #expect(taken > .milliseconds(900) && taken < .seconds(4))
        }

        @Test("Where all addresses are dead, the time isn't longer, and each is named")
        func allDead() async throws {
            let holes = try ["127.0.0.3", "127.0.0.4"].map { try BlackHole(.drops, $0, port: 49_999) }
            var configuration = try ConnectionConfiguration(uris: "amqp://a:b@broker.test:49999")
            configuration.connectTimeout = .seconds(1)
            configuration.lookUp = { _ in .success(["127.0.0.3", "127.0.0.4", "127.0.0.5"]) }
            var message = ""
            let taken = await ContinuousClock().measure {
                let error = await #expect(throws: AMQPError.self) {
                    try await ConsumerConnection.connect(configuration, logger: LiveBroker.logger)
                }
                message = error?.cause ?? ""
            }
            withExtendedLifetime(holes) {}
            #expect(taken < .seconds(6))
            #expect(
                message
                    == "127.0.0.3: connection timed out; 127.0.0.4: connection timed out; 127.0.0.5: connection refused"
            )
        }

        @Test("A refused password isn't tried at the host's other addresses")
        func refusedOnce() async throws {
            let broker = try #require(try LiveBroker.configuration().addresses.first)
            var configuration = try ConnectionConfiguration(
                uris: "amqp://\(broker.user):wrong@broker.test:\(broker.port)")
            let dead = try BlackHole(.drops, "127.0.0.2", port: broker.port)
            configuration.lookUp = { _ in .success([broker.host, "127.0.0.2"]) }
            let error = await #expect(throws: AMQPError.self) {
                try await ConsumerConnection.connect(configuration, logger: LiveBroker.logger)
            }
            withExtendedLifetime(dead) {}
            #expect(error?.code == .authenticationFailed)
        }

        @Test(
            "Who is cancelled while connecting doesn't wait for a black hole, a silent host or the resolver",
            arguments: ["drops", "accepts", "resolver"])
        func cancelled(kind: String) async throws {
            var configuration = try ConnectionConfiguration(uris: "amqp://a:b@broker.test:49998")
            configuration.connectTimeout = .seconds(20)
            configuration.lookUp = { _ in
                if kind == "resolver" { sleep(8) }
                return .success(["127.0.0.6"])
            }
            let hole = try BlackHole(kind == "drops" ? .drops : .accepts, "127.0.0.6", port: 49_998)
            let tried = configuration
            let connecting = Task {
                try await PublisherConnection.connect(tried, logger: LiveBroker.logger)
            }
            try await Task.sleep(for: .milliseconds(300))
            let taken = await ContinuousClock().measure {
                connecting.cancel()
                let result = await connecting.result
                #expect(throws: AMQPError.self) { try result.get() }
            }
            withExtendedLifetime(hole) {}
            #expect(taken < .seconds(5))
        }

        @Test("A resolver that doesn't answer is waited for no longer than for a connection")
        func silentResolver() async throws {
            var configuration = try ConnectionConfiguration(uris: "amqp://a:b@broker.test")
            configuration.connectTimeout = .milliseconds(300)
            configuration.lookUp = { _ in
                sleep(8)
                return .success(["127.0.0.1"])
            }
            let tried = configuration
            let taken = await ContinuousClock().measure {
                let error = await #expect(throws: AMQPError.self) {
                    try await PublisherConnection.connect(tried, logger: LiveBroker.logger)
                }
                #expect(error?.cause == "the resolver gave no answer in time")
            }
            #expect(taken < .seconds(6))
        }
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
