// What a publisher can send to break, or to fill the memory of, whoever consumes it.

import Testing

@testable import AMQP

extension LiveTests {
    struct HostileMessageTests {
        /// A publisher that has agreed on the largest frames that the broker allows, as most clients do.
        private func publish(_ queue: String, headers: [String: FieldValue], body: String = "") async throws {
            var configuration = try LiveBroker.configuration()
            configuration.largestFrame = 131_072
            let message = Message(properties: MessageProperties(headers: headers), body: Array(body.utf8))
            let outcomes = try await LiveBroker.withPublisher(configuration) {
                try await $0.publish([OutgoingMessage(exchange: "", routingKey: queue, message: message)])
            }
            #expect(outcomes == [.confirmed])
        }

        private func nested(_ levels: Int) -> FieldValue {
            (0..<levels).reduce(.void) { value, _ in .array([value]) }
        }

        @Test("Headers as large as the broker lets them be are read, though our own frames are smaller")
        func largeHeaders() async throws {
            let headers: [String: FieldValue] = ["large": .string(String(repeating: "x", count: 125_000))]
            try await LiveBroker.withQueue { queue async throws in
                try await publish(queue, headers: headers)
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1)
                    #expect(try await consumer.collect(1).first?.message.properties.headers == headers)
                }
            }
        }

        @Test("Values are read up to the deepest level, and nothing below it")
        func deepHeaders() async throws {
            let deepest = FieldValue.maximumDepth
            try await LiveBroker.withQueue { queue async throws in
                try await publish(queue, headers: ["a": nested(deepest), "b": nested(deepest + 1), "c": nested(90)])
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1)
                    let headers = try await consumer.collect(1).first?.message.properties.headers
                    #expect(headers == ["a": nested(deepest), "b": nested(deepest), "c": nested(deepest)])
                }
            }
        }

        @Test("A consumer reads no more than it has room for, stays connected, and gets all in the end")
        func backpressure() async throws {
            let size = 1 << 20
            let count = 40
            var configuration = try LiveBroker.configuration()
            configuration.heartbeat = .seconds(1)
            try await LiveBroker.withQueue { queue async throws in
                let messages = (0..<count).map { number in
                    OutgoingMessage(
                        exchange: "", routingKey: queue,
                        message: Message(body: [UInt8](repeating: UInt8(number), count: size)))
                }
                _ = try await LiveBroker.withPublisher { try await $0.publish(messages) }
                try await LiveBroker.withConsumer(configuration) { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 100)
                    try await Task.sleep(for: .seconds(4))
                    let buffered = await consumer.buffered
                    #expect(buffered >= (16 << 20) && buffered < (16 << 20) + 2 * size)

                    var received: [UInt8] = []
                    while received.count < count {
                        let events = try await consumer.nextBatch(maximum: 100, until: .now + .seconds(10))
                        try #require(!events.isEmpty)
                        #expect(events.count * size < (16 << 20) + size)
                        for case .delivery(let delivery) in events { received.append(delivery.message.body[0]) }
                    }
                    #expect(received == (0..<count).map { UInt8($0) })
                }
            }
        }

        @Test("Without being asked for, a message whose headers can't be read stays in its queue")
        func unreadableHeadersKept() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await publish(queue, headers: ["large": .string(String(repeating: "x", count: 50_000))])
                var configuration = try LiveBroker.configuration()
                configuration.largestIncomingFrame = 40_000
                await #expect(throws: AMQPError.self) {
                    try await LiveBroker.withConsumer(configuration) { consumer async throws in
                        try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 10)
                        while true { _ = try await consumer.collect(1) }
                    }
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 10)
                    #expect(try await consumer.collect(1).count == 1)
                }
            }
        }

        @Test("A message whose headers can't be read is dead-lettered at once where that was asked for, and no other")
        func unreadableHeaders() async throws {
            try await LiveBroker.withQueue { letters async throws in
                let deadLettered: [String: FieldValue] = [
                    "x-dead-letter-exchange": "", "x-dead-letter-routing-key": .string(letters),
                ]
                try await LiveBroker.withQueue(arguments: deadLettered, "unreadableHeaders.queue") {
                    queue async throws in
                    try await publish(queue, headers: [:], body: "before")
                    try await publish(
                        queue, headers: ["large": .string(String(repeating: "x", count: 50_000))], body: "unreadable")
                    try await publish(queue, headers: [:], body: "after")

                    var configuration = try LiveBroker.configuration()
                    configuration.largestIncomingFrame = 40_000
                    configuration.rejectsUnreadable = true
                    await #expect {
                        try await LiveBroker.withConsumer(configuration) { consumer async throws in
                            try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 10)
                            while true { _ = try await consumer.collect(1) }
                        }
                    } throws: { error in
                        (error as? AMQPError).map { $0.isRetriable && $0.cause.contains("rejected") } ?? false
                    }
                    try await LiveBroker.withConsumer(configuration) { consumer async throws in
                        try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 10)
                        let bodies = try await consumer.collect(2).map {
                            String(decoding: $0.message.body, as: UTF8.self)
                        }
                        #expect(bodies == ["before", "after"])
                    }
                    let letter = try await LiveBroker.withTopology { try await $0.get(queue: letters) }
                    #expect(letter?.delivery.message.body == Array("unreadable".utf8))
                    #expect(letter?.remaining == 0)
                }
            }
        }
    }
}

extension ConsumerConnection {
    fileprivate var buffered: Int { link.buffered }
}
