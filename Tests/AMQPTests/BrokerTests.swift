// Publishing and consuming on a real broker.

import AMQP
import Testing

extension LiveTests {
    struct BrokerTests {
        private func outgoing(
            _ queue: String, _ body: String = "", isMandatory: Bool = false, properties: MessageProperties = .init()
        ) -> OutgoingMessage {
            OutgoingMessage(
                exchange: "", routingKey: queue, isMandatory: isMandatory,
                message: Message(properties: properties, body: Array(body.utf8)))
        }

        @Test("Every property, every kind of header and every byte of the body come through")
        func roundTrip() async throws {
            let message = Message(
                properties: MessageProperties(
                    contentType: "application/json", contentEncoding: "identity", correlationID: "c-1", replyTo: "r",
                    expiration: "60000", messageID: "m-ü", type: "t", userID: nil, appID: "a",
                    headers: [
                        "bool": true, "off": false, "integer": .integer(.min), "double": .double(-0.1),
                        "string": "żółć",
                        "long": .string(String(repeating: "x", count: 5000)), "bytes": .bytes([0, 255, 128]),
                        "timestamp": .timestamp(1_700_000_000), "decimal": .decimal(scale: 2, value: 12345),
                        "array": .array([1, "two", .array([]), .table(["three": 3])]),
                        "table": .table(["nested": .table(["deep": true]), "empty": .table([:])]), "void": .void,
                        "": "no name",
                    ],
                    deliveryMode: .persistent, priority: 9, timestamp: 1_700_000_001),
                body: (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    let outgoing = OutgoingMessage(exchange: "", routingKey: queue, message: message)
                    #expect(try await publisher.publish([outgoing]) == [.confirmed])
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "tag", prefetch: 10)
                    let delivery = try #require(try await consumer.collect(1).first)
                    #expect(delivery.message == message)
                    #expect(delivery.tag == 1 && delivery.consumerTag == "tag" && !delivery.isRedelivered)
                    #expect(delivery.exchange == "" && delivery.routingKey == queue)
                    try await consumer.acknowledge(delivery.tag)
                }
                let depth = try await LiveBroker.withTopology { try await $0.depth(ofQueue: queue) }
                #expect(depth == QueueDepth(messages: 0, consumers: 0))
            }
        }

        @Test("What isn't set isn't sent")
        func emptyMessage() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { _ = try await $0.publish([outgoing(queue)]) }
                let fetched = try await LiveBroker.withTopology { try await $0.get(queue: queue) }
                #expect(fetched?.delivery.message == Message())
                #expect(fetched?.remaining == 0)
            }
        }

        @Test(
            "Bodies of any size up to several frames come through",
            arguments: [0, 1, 32_759, 32_760, 32_761, 3_000_000])
        func bodySizes(size: Int) async throws {
            let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try await LiveBroker.withQueue { queue async throws in
                let message = OutgoingMessage(exchange: "", routingKey: queue, message: Message(body: body))
                let outcomes = try await LiveBroker.withPublisher { try await $0.publish([message, message]) }
                #expect(outcomes == [.confirmed, .confirmed])
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 2)
                    #expect(try await consumer.collect(2).map(\.message.body) == [body, body])
                }
            }
        }

        @Test("Publishes under way at once each get their own outcomes, and keep their order")
        func concurrentPublishes() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    try await withThrowingTaskGroup { group in
                        for task in 0..<20 {
                            group.addTask {
                                let messages = (0..<50).map { index in
                                    let isLost = (task + index).isMultiple(of: 7)
                                    return OutgoingMessage(
                                        exchange: "", routingKey: isLost ? "nowhere" : queue, isMandatory: true,
                                        message: Message(body: Array("\(task) \(index)".utf8)))
                                }
                                let outcomes = try await publisher.publish(messages)
                                for (index, outcome) in outcomes.enumerated() {
                                    let isLost = (task + index).isMultiple(of: 7)
                                    #expect(outcome == (isLost ? .returned(code: 312, text: "NO_ROUTE") : .confirmed))
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1000)
                    let expected = (0..<20).reduce(0) { sum, task in
                        sum + (0..<50).count { !(task + $0).isMultiple(of: 7) }
                    }
                    var last: [Int: Int] = [:]
                    let deliveries = try await consumer.collect(expected)
                    #expect(deliveries.count == expected)
                    for delivery in deliveries {
                        let parts = String(decoding: delivery.message.body, as: UTF8.self).split(separator: " ").map {
                            Int($0)
                        }
                        let (task, index) = (try #require(parts[0]), try #require(parts[1]))
                        #expect(last[task, default: -1] < index)
                        last[task] = index
                    }
                    try await consumer.acknowledge(through: try #require(deliveries.last?.tag))
                }
            }
        }

        @Test("A message that no queue takes is returned if it is mandatory, and confirmed otherwise")
        func unroutable() async throws {
            let outcomes = try await LiveBroker.withPublisher { publisher async throws in
                try await publisher.publish([
                    outgoing("nowhere.at.all"), outgoing("nowhere.at.all", "body", isMandatory: true),
                ])
            }
            #expect(outcomes == [.confirmed, .returned(code: 312, text: "NO_ROUTE")])
        }

        @Test("A message that a full queue refuses is rejected")
        func refused() async throws {
            try await LiveBroker.withQueue(arguments: ["x-max-length": 1, "x-overflow": "reject-publish"]) {
                queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    #expect(try await publisher.publish([outgoing(queue)]) == [.confirmed])
                    #expect(try await publisher.publish([outgoing(queue), outgoing(queue)]) == [.rejected, .rejected])
                }
            }
        }

        @Test("A message that can't be encoded is refused before anything is sent, and the connection goes on")
        func unencodable() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    let unencodable = [
                        outgoing(String(repeating: "x", count: 256)),
                        outgoing(queue, properties: .init(messageID: String(repeating: "x", count: 256))),
                        outgoing(queue, properties: .init(headers: [String(repeating: "x", count: 256): 1])),
                        outgoing(
                            queue, properties: .init(headers: ["big": .bytes(.init(repeating: 0, count: 40_000))])),
                    ]
                    for message in unencodable {
                        let error = await #expect(throws: AMQPError.self) {
                            _ = try await publisher.publish([outgoing(queue), message])
                        }
                        #expect(error?.code == .invalidArgument)
                    }
                    #expect(try await publisher.publish([outgoing(queue)]) == [.confirmed])
                    let largest = outgoing(
                        queue, properties: .init(headers: ["big": .bytes(.init(repeating: 0, count: 32_600))]))
                    #expect(try await publisher.publish([largest]) == [.confirmed])
                }
                let depth = try await LiveBroker.withTopology { try await $0.depth(ofQueue: queue) }
                #expect(depth?.messages == 2)
            }
        }

        @Test(
            "A rejected delivery comes again, marked; one that isn't acknowledged comes again after the connection closed"
        )
        func redelivery() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher {
                    _ = try await $0.publish([outgoing(queue, "a"), outgoing(queue, "b")])
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1)
                    let first = try #require(try await consumer.collect(1).first)
                    try await consumer.reject(first.tag, requeue: true)
                    let again = try #require(try await consumer.collect(1).first)
                    #expect(again.isRedelivered && again.message == first.message)
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 10)
                    let all = try await consumer.collect(2)
                    #expect(all.map(\.isRedelivered) == [true, false])
                    #expect(all.map(\.message.body) == [Array("a".utf8), Array("b".utf8)])
                }
            }
        }

        @Test("The prefetch bounds what is delivered and not acknowledged")
        func prefetch() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    _ = try await publisher.publish((0..<10).map { outgoing(queue, "\($0)") })
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 3)
                    #expect(try await consumer.collect(3).map(\.tag) == [1, 2, 3])
                    #expect(try await consumer.nextBatch(maximum: 10, until: .now + .milliseconds(200)).isEmpty)
                    try await consumer.acknowledge([1, 3])
                    #expect(try await consumer.collect(2).map(\.tag) == [4, 5])
                    try await consumer.acknowledge(through: 5)
                    #expect(try await consumer.collect(3).map(\.tag) == [6, 7, 8])
                }
            }
        }

        @Test("After cancelling a consumer no delivery comes for it, and those that came stay")
        func cancel() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    _ = try await publisher.publish((0..<5).map { outgoing(queue, "\($0)") })
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 5)
                    #expect(try await consumer.collect(1).count == 1)
                    try await consumer.cancel(consumerTag: "c")
                    #expect(try await consumer.collect(4).map(\.tag) == [2, 3, 4, 5])
                    try await consumer.acknowledge(through: 5)
                    try await LiveBroker.withPublisher { _ = try await $0.publish([outgoing(queue)]) }
                    #expect(try await consumer.nextBatch(maximum: 1, until: .now + .milliseconds(200)).isEmpty)
                }
            }
        }

        @Test("A consumer is told when its queue is deleted")
        func brokerCancels() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "mine", prefetch: 5)
                    try await LiveBroker.withTopology { _ = try await $0.deleteQueue(queue) }
                    let events = try await consumer.nextBatch(maximum: 5, until: .now + .seconds(5))
                    #expect(events == [.cancelled(consumerTag: "mine")])
                }
            }
        }

        @Test("A batch waits until something arrives, and ends at its deadline or when woken")
        func batchWaits() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 5)
                    let start = ContinuousClock.now
                    #expect(try await consumer.nextBatch(maximum: 5, until: start + .milliseconds(150)).isEmpty)
                    #expect((Duration.milliseconds(150)..<Duration.seconds(1)).contains(start.duration(to: .now)))

                    async let woken = consumer.nextBatch(maximum: 5, until: .now + .seconds(30))
                    try await Task.sleep(for: .milliseconds(50))
                    await consumer.wake()
                    #expect(try await woken.isEmpty)

                    await consumer.wake()
                    #expect(try await consumer.nextBatch(maximum: 5, until: .now + .seconds(30)).isEmpty)

                    async let filled = consumer.nextBatch(maximum: 5, until: .now + .seconds(30))
                    try await LiveBroker.withPublisher { _ = try await $0.publish([outgoing(queue)]) }
                    #expect(try await filled.count == 1)
                }
            }
        }

        @Test("A batch never holds more than asked for, and the rest comes next")
        func batchMaximum() async throws {
            try await LiveBroker.withQueue { queue async throws in
                try await LiveBroker.withPublisher { publisher async throws in
                    _ = try await publisher.publish((0..<7).map { outgoing(queue, "\($0)") })
                }
                try await LiveBroker.withConsumer { consumer async throws in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 100)
                    var tags: [UInt64] = []
                    while tags.count < 7 {
                        let batch = try await consumer.nextBatch(maximum: 3, until: .now + .seconds(5)).deliveries
                        try #require((1...3).contains(batch.count))
                        tags += batch.map(\.tag)
                    }
                    #expect(tags == Array(1...7))
                }
            }
        }
    }
}
