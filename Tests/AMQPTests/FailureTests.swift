// What goes wrong with a real broker, and how that is told.

import AMQP
import Foundation
import Testing

extension LiveTests {
    struct FailureTests {
        @Test("A wrong password is told as such, without showing it")
        func wrongPassword() async throws {
            let good = try #require(try LiveBroker.configuration().addresses.first)
            let url = "amqp://\(good.user):wr0ng@\(good.host):\(good.port)"
            let error = await #expect(throws: AMQPError.self) {
                try await PublisherConnection.connect(try ConnectionConfiguration(uris: url), logger: LiveBroker.logger)
            }
            #expect(error?.code == .authenticationFailed)
            #expect(error?.isRetriable == false)
            #expect(error?.description.contains("wr0ng") == false)
        }

        @Test("A virtual host that doesn't exist is told as such")
        func unknownVirtualHost() async throws {
            let url = try LiveBroker.url().replacing(#/(://[^/]*).*/#) { "\($0.1)/no-such-host" }
            let error = await #expect(throws: AMQPError.self) {
                try await ConsumerConnection.connect(try ConnectionConfiguration(uris: url), logger: LiveBroker.logger)
            }
            #expect(error?.code == .notAllowed)
            #expect(error?.brokerCode == 530)
        }

        @Test("An address where nobody listens fails at once, and the next address is tried")
        func unreachable() async throws {
            let error = await #expect(throws: AMQPError.self) {
                let nobody = try ConnectionConfiguration(uris: "amqp://127.0.0.1:1")
                return try await ConsumerConnection.connect(nobody, logger: LiveBroker.logger)
            }
            #expect(error?.code == .connectionFailed)
            #expect(error?.isRetriable == true)
            #expect(error?.description.contains("127.0.0.1:1") == true)

            let both = try ConnectionConfiguration(uris: "amqp://127.0.0.1:1,\(try LiveBroker.url())")
            try await LiveBroker.withPublisher(both) { publisher async throws in
                #expect(await publisher.blockedReason == nil)
            }
        }

        @Test("A host name that doesn't exist fails")
        func unknownHost() async throws {
            let error = await #expect(throws: AMQPError.self) {
                let nowhere = try ConnectionConfiguration(uris: "amqp://no-such-host.invalid")
                return try await ConsumerConnection.connect(nowhere, logger: LiveBroker.logger)
            }
            #expect(error?.code == .connectionFailed)
        }

        @Test("A host that accepts and then says nothing is given up after the connect timeout")
        func silentHost() async throws {
            let silent = try SilentServer()
            var configuration = try ConnectionConfiguration(uris: "amqp://127.0.0.1:\(silent.port)")
            configuration.connectTimeout = .milliseconds(300)
            let taken = await ContinuousClock().measure {
                let error = await #expect(throws: AMQPError.self) {
                    try await ConsumerConnection.connect(configuration, logger: LiveBroker.logger)
                }
                #expect(error?.code == .connectionFailed)
            }
            #expect(taken < .seconds(2))
        }

        @Test("An exchange type that no plugin provides is a command that the broker doesn't know")
        func unknownExchangeType() async throws {
            try await LiveBroker.withTopology { topology async throws in
                let error = await #expect(throws: AMQPError.self) {
                    try await topology.declareExchange(LiveBroker.uniqueName(), type: "x-no-such-type")
                }
                #expect(error?.code == .commandInvalid)
                #expect(error?.during.contains("x-no-such-type") == true)
            }
        }

        @Test("After a command failed alone, the topology connection goes on")
        func topologySurvives() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withTopology { topology async throws in
                    #expect(try await topology.depth(ofQueue: "no.such.queue") == nil)
                    #expect(try await topology.exchangeExists("no.such.exchange") == false)
                    #expect(try await topology.exchangeExists("amq.topic"))
                    let error = await #expect(throws: AMQPError.self) {
                        try await topology.declareQueue(queue, durable: false)
                    }
                    #expect(error?.code == .preconditionFailed)
                    #expect(error?.during == "declaring the queue \(queue)")
                    #expect(try await topology.depth(ofQueue: queue)?.messages == 0)
                }
            }
        }

        @Test(
            "A command that fails while a fetched message is unsettled ends the connection, so that no tag goes astray")
        func fetchedTagsDieWithTheConnection() async throws {
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withPublisher { publisher in
                    let message = OutgoingMessage(exchange: "", routingKey: queue, message: Message())
                    _ = try await publisher.publish([message])
                }
                try await LiveBroker.withTopology { topology async throws in
                    let fetched = try #require(try await topology.get(queue: queue))
                    #expect(try await topology.depth(ofQueue: "no.such.queue") == nil)
                    let error = await #expect(throws: AMQPError.self) {
                        try await topology.acknowledge(fetched.delivery.tag)
                    }
                    #expect(error?.code == .notFound)
                }
                try await LiveBroker.withTopology { topology async throws in
                    let again = try #require(try await topology.get(queue: queue))
                    #expect(again.delivery.isRedelivered)
                    try await topology.acknowledge(again.delivery.tag)
                    #expect(try await topology.depth(ofQueue: "no.such.queue") == nil)
                    #expect(try await topology.get(queue: queue) == nil)
                }
            }
        }

        @Test("Commands of several callers on one topology connection each get their own answer")
        func concurrentCommands() async throws {
            try await LiveBroker.withTopology { topology async throws in
                let name = LiveBroker.uniqueName()
                try await withThrowingTaskGroup { group in
                    for index in 0..<20 {
                        group.addTask {
                            let given = try await topology.declareQueue(
                                "\(name).\(index)", durable: false, exclusive: true)
                            #expect(given == "\(name).\(index)")
                            #expect(try await topology.depth(ofQueue: given)?.messages == 0)
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }

        @Test("Publishing to an exchange that doesn't exist fails, and so does all that comes after")
        func unknownExchange() async throws {
            try await LiveBroker.withPublisher { publisher async throws in
                let message = OutgoingMessage(exchange: "no.such.exchange", routingKey: "", message: Message())
                for _ in 0..<2 {
                    let error = await #expect(throws: AMQPError.self) { try await publisher.publish([message]) }
                    #expect(error?.code == .notFound)
                    #expect(error?.brokerCode == 404)
                }
            }
        }

        @Test("Consuming a queue that doesn't exist fails")
        func unknownQueue() async throws {
            try await LiveBroker.withConsumer { consumer async throws in
                let error = await #expect(throws: AMQPError.self) {
                    try await consumer.consume(queue: "no.such.queue", consumerTag: "c", prefetch: 1)
                }
                #expect(error?.code == .notFound)
                #expect(error?.during == "consuming from the queue no.such.queue")
            }
        }

        @Test("A queue that another consumes exclusively is locked for now")
        func exclusiveConsumer() async throws {
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withConsumer { first in
                    try await first.consume(queue: queue, consumerTag: "c", prefetch: 1, isExclusive: true)
                    try await LiveBroker.withConsumer { second in
                        let error = await #expect(throws: AMQPError.self) {
                            try await second.consume(queue: queue, consumerTag: "c", prefetch: 1)
                        }
                        #expect(error?.code == .resourceLocked)
                        #expect(error?.isRetriable == true)
                    }
                }
            }
        }

        @Test("Acknowledging a delivery that never was ends the connection and whoever waits on it")
        func unknownDelivery() async throws {
            try await LiveBroker.withConsumer { consumer async throws in
                let waiting = Task { try await consumer.nextBatch(maximum: 1, until: .now + .seconds(30)) }
                try await Task.sleep(for: .milliseconds(50))
                try await consumer.acknowledge(99)
                let error = await #expect(throws: AMQPError.self) { try await waiting.value }
                #expect(error?.code == .preconditionFailed)
                let later = await #expect(throws: AMQPError.self) { try await consumer.acknowledge(through: 1) }
                #expect(later?.code == .preconditionFailed)
            }
        }

        @Test("A connection that was closed refuses everything, and closing it again does nothing")
        func closed() async throws {
            try await LiveBroker.withPublisher { publisher async throws in
                await publisher.close()
                let message = OutgoingMessage(exchange: "", routingKey: "x", message: Message())
                let error = await #expect(throws: AMQPError.self) { try await publisher.publish([message]) }
                #expect(error?.code == .connectionClosed)
            }
        }

        @Test("Closing ends a wait for deliveries")
        func closingEndsWaits() async throws {
            try await LiveBroker.withConsumer { consumer async throws in
                let waiting = Task { try await consumer.nextBatch(maximum: 1, until: .now + .seconds(30)) }
                try await Task.sleep(for: .milliseconds(50))
                await consumer.close()
                let error = await #expect(throws: AMQPError.self) { try await waiting.value }
                #expect(error?.code == .connectionClosed)
            }
        }
    }
}

/// Accepts connections and never says a word.
final class SilentServer {
    let port: Int
    private let descriptor: Int32

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            guard bind(listener, generic, length) == 0, listen(listener, 4) == 0 else { return -1 }
            return getsockname(listener, generic, &length)
        }
        descriptor = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        try #require(status == 0)
    }

    deinit {
        Glibc.close(descriptor)
    }
}
