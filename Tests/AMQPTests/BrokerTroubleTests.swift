// A broker that hangs up, blocks or goes silent. These tests control it through the command in `OW_RABBITMQCTL`.

import AMQP
import Foundation
import Testing

extension LiveTests {
    struct BrokerTroubleTests {
        @Test("When the broker closes the connection, everyone who waits on it is told at once", .controlsBroker)
        func brokerClosesConnection() async throws {
            try await LiveBroker.withVirtualHost { configuration in
                try await LiveBroker.withConsumer(configuration) { consumer in
                    let waiting = Task { try await consumer.nextBatch(maximum: 1, until: .now + .seconds(60)) }
                    let virtualHost = try #require(configuration.addresses.first?.virtualHost)
                    try await LiveBroker.control("close_all_connections", "--vhost", virtualHost, "a test")
                    let error = await #expect(throws: AMQPError.self) { try await waiting.value }
                    #expect(error?.code == .connectionClosed)
                    #expect(error?.brokerCode == 320)
                    #expect(error?.isRetriable == true)
                }
            }
        }

        @Test(
            "While the broker is blocked, publishing ends within the operation timeout, and so does closing",
            .controlsBroker)
        func blockedBroker() async throws {
            var configuration = try LiveBroker.configuration()
            configuration.operationTimeout = .seconds(2)
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withPublisher(configuration) { publisher in
                    try await LiveBroker.withAlarm {
                        let large = OutgoingMessage(
                            exchange: "", routingKey: queue,
                            message: Message(body: Array(repeating: 1, count: 5_000_000)))
                        let start = ContinuousClock.now
                        let error = await #expect(throws: AMQPError.self) {
                            _ = try await publisher.publish(Array(repeating: large, count: 10))
                        }
                        #expect(error?.code == .blocked)
                        #expect(error?.isRetriable == true)
                        #expect(start.duration(to: .now) < .seconds(4))
                        await publisher.close()
                        #expect(start.duration(to: .now) < .seconds(8))
                    }
                }
            }
        }

        @Test("Closing a publisher whose broker is blocked takes a few seconds at most", .controlsBroker)
        func closingWhileBlocked() async throws {
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withPublisher { publisher in
                    try await LiveBroker.withAlarm {
                        let small = OutgoingMessage(exchange: "", routingKey: queue, message: Message())
                        let publishing = try await publisher.publishWhileBlocked(small)
                        try await Task.sleep(for: .milliseconds(50))
                        let start = ContinuousClock.now
                        await publisher.close()
                        #expect(start.duration(to: .now) < .seconds(5))
                        let error = await #expect(throws: AMQPError.self) { try await publishing.value }
                        #expect(error?.isRetriable == true)
                    }
                }
            }
        }

        @Test("What was published while the broker was blocked is confirmed when it unblocks in time", .controlsBroker)
        func unblockedInTime() async throws {
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withPublisher { publisher in
                    let message = OutgoingMessage(exchange: "", routingKey: queue, message: Message(body: [1]))
                    let publishing = try await LiveBroker.withAlarm { try await publisher.publishWhileBlocked(message) }
                    #expect(try await publishing.value == [.confirmed, .confirmed])
                    #expect(await publisher.blockedReason == nil)
                }
            }
        }

        @Test("An idle connection lives on by heartbeats, though nobody reads from it")
        func heartbeats() async throws {
            var configuration = try LiveBroker.configuration()
            configuration.heartbeat = .seconds(1)
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withConsumer(configuration) { consumer in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1)
                    try await Task.sleep(for: .seconds(5))
                    try await LiveBroker.withPublisher { publisher in
                        let message = OutgoingMessage(exchange: "", routingKey: queue, message: Message())
                        _ = try await publisher.publish([message])
                    }
                    #expect(try await consumer.collect(1).count == 1)
                }
            }
        }

        @Test("A broker that goes silent is given up after two heartbeats")
        func silentBroker() async throws {
            var configuration = try LiveBroker.configuration()
            configuration.heartbeat = .seconds(1)
            let address = try #require(configuration.addresses.first)
            let relay = try Relay(to: address.host, port: address.port)
            var relayed = try ConnectionConfiguration(
                uris: try LiveBroker.url().replacing("\(address.host):\(address.port)", with: "127.0.0.1:\(relay.port)")
            )
            relayed.heartbeat = .seconds(1)
            try await LiveBroker.withConsumer(relayed) { consumer in
                relay.freeze()
                let start = ContinuousClock.now
                let error = await #expect(throws: AMQPError.self) {
                    try await consumer.nextBatch(maximum: 1, until: .now + .seconds(60))
                }
                #expect(error?.code == .connectionClosed)
                #expect((Duration.seconds(1)..<Duration.seconds(5)).contains(start.duration(to: .now)))
            }
            relay.stop()
        }

        @Test("A broker that stops reading doesn't hold a publisher beyond the operation timeout")
        func brokerStopsReading() async throws {
            let address = try #require(try LiveBroker.configuration().addresses.first)
            let relay = try Relay(to: address.host, port: address.port)
            var relayed = try ConnectionConfiguration(
                uris: try LiveBroker.url().replacing("\(address.host):\(address.port)", with: "127.0.0.1:\(relay.port)")
            )
            relayed.operationTimeout = .seconds(2)
            try await LiveBroker.withPublisher(relayed) { publisher in
                relay.freeze()
                let large = OutgoingMessage(
                    exchange: "", routingKey: "nowhere", message: Message(body: Array(repeating: 1, count: 5_000_000)))
                let start = ContinuousClock.now
                let error = await #expect(throws: AMQPError.self) {
                    _ = try await publisher.publish(Array(repeating: large, count: 10))
                }
                #expect(error?.code == .timedOut || error?.code == .connectionClosed)
                #expect(error?.isRetriable == true)
                #expect(start.duration(to: .now) < .seconds(4))
            }
            relay.stop()
        }
    }
}

extension PublisherConnection {
    /// Publishes until the broker has blocked the connection, and then once more.
    ///
    /// The broker blocks a connection only once it publishes, and may still confirm what made it do so.
    fileprivate func publishWhileBlocked(
        _ message: OutgoingMessage
    ) async throws -> Task<[PublishOutcome], any Error> {
        let first = Task { try await publish([message]) }
        while blockedReason == nil { try await Task.sleep(for: .milliseconds(20)) }
        return Task {
            let outcomes = try await publish([message])
            return try await first.value + outcomes
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// For a test that disturbs the broker: it runs only where that is allowed.
    static var controlsBroker: Self {
        .enabled(
            if: LiveBroker.controlCommand != nil,
            "set OW_RABBITMQCTL to a command that runs rabbitmqctl for the broker of AMQP_URL, which the tests disturb")
    }
}
