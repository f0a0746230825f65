// Commands that are published, and outcomes that come back, on a real broker.

import AMQP
import Foundation
import OrderWorker
import Testing

@testable import order_worker

@Suite("Publishing commands", .timeLimit(.minutes(2)))
struct CommandSenderTests {
    private func commands(_ count: Int) throws -> [CommandDocument] {
        try (0..<count).flatMap { index in
            let text = #"{"id":"\#(index)","source":"s","type":"x","data":{"customerId":"c-\#(index % 7)"}}"#
            return try CommandDocument.read(Array(text.utf8), name: "test")
        }
    }

    /// Sends, and returns the outcomes in the order in which they came.
    private func send(
        _ commands: [CommandDocument], to broker: TestBroker, timeout: Duration
    ) async throws -> [OutcomeLine] {
        let connection = try await CallerConnection.connect(broker.configuration, logger: TestBroker.logger)
        var lines: [OutcomeLine] = []
        do {
            try await CommandSender(connection, user: "admin", timeout: timeout).send(commands) { lines.append($0) }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return lines
    }

    @Test("Each outcome is reported with its command, however many there are and in whatever order they come")
    func outcomes() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareExchange(Topology.commands, type: "fanout")
                try await connection.declareQueue("all")
                try await connection.bind(queue: "all", to: Topology.commands, routingKey: "")
                let count = 3000
                async let lines = send(try commands(count), to: broker, timeout: .seconds(60))
                try await Self.answer(count, from: "all", broker)
                let received = try await lines
                #expect(Set(received.map(\.command.id)) == Set((0..<count).map(String.init)))
                #expect(received.count == count)
                for line in received {
                    guard case .event(let message) = line.outcome else {
                        Issue.record("\(line.text)")
                        continue
                    }
                    #expect(message.properties.messageID == "event-\(line.command.id)")
                }
                #expect(received.filter(\.outcome.isRejection).count == count / 10)
            }
        }
    }

    /// Answers commands as a worker would, in pairs of which the later comes first; each tenth is rejected.
    private static func answer(_ count: Int, from queue: String, _ broker: TestBroker) async throws {
        let consumer = try await ConsumerConnection.connect(broker.configuration, logger: TestBroker.logger)
        let publisher = try await PublisherConnection.connect(broker.configuration, logger: TestBroker.logger)
        try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1000)
        var answered = 0
        while answered < count {
            let events = try await consumer.nextBatch(maximum: 100, until: .now + .seconds(20))
            try #require(!events.isEmpty)
            var answers: [OutgoingMessage] = []
            for case .delivery(let delivery) in events.reversed() {
                let properties = delivery.message.properties
                #expect(properties.userID == "admin")
                let index = try #require(properties.correlationID.flatMap { Int($0) })
                answers.append(
                    OutgoingMessage(
                        exchange: "", routingKey: try #require(properties.replyTo),
                        message: Message(
                            properties: MessageProperties(
                                correlationID: properties.correlationID, messageID: "event-\(index)",
                                type: index.isMultiple(of: 10) ? "command.rejected" : "x.done"))))
                try await consumer.acknowledge(delivery.tag)
            }
            _ = try await publisher.publish(answers)
            answered += answers.count
        }
        await consumer.close()
        await publisher.close()
    }

    @Test("A command without an outcome is reported when its time is over")
    func noAnswer() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                _ = try await broker.apply(Topology(partitions: 1), on: connection)
                let began = ContinuousClock.now
                let lines = try await send(try commands(3), to: broker, timeout: .milliseconds(500))
                #expect(lines.map(\.command.id) == ["0", "1", "2"])
                #expect(lines.allSatisfy { if case .noAnswer = $0.outcome { true } else { false } })
                #expect(ContinuousClock.now - began >= .milliseconds(500))
            }
        }
    }

    @Test("A command that no queue takes is reported as not sent")
    func notRouted() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareExchange(Topology.commands, type: "fanout")
                let lines = try await send(try commands(1), to: broker, timeout: .seconds(5))
                #expect(lines.count == 1)
                #expect(lines.first?.text.contains("NOT SENT") == true)
                #expect(lines.first?.text.contains("topology apply") == true)
            }
        }
    }

    @Test("Without the exchange the error says so")
    func noExchange() async throws {
        try await TestBroker.withVirtualHost { broker in
            let error = await #expect(throws: AMQPError.self) {
                _ = try await send(try commands(1), to: broker, timeout: .seconds(5))
            }
            #expect(error?.code == .notFound)
        }
    }
}
