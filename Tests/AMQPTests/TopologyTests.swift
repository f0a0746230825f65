// Declarations, bindings and an operator's look into queues.

import AMQP
import Testing

extension LiveTests {
    struct TopologyTests {
        @Test("What is bound receives, through exchanges and with headers, until it is unbound")
        func bindings() async throws {
            try await LiveBroker.withQueue { queue in
                let (source, middle) = ("\(queue).source", "\(queue).middle")
                try await LiveBroker.withTopology { topology async throws in
                    try await topology.declareExchange(
                        source, type: "topic", arguments: ["alternate-exchange": "amq.fanout"])
                    try await topology.declareExchange(middle, type: "headers", durable: false, autoDelete: true)
                    try await topology.bind(exchange: middle, to: source, routingKey: "a.#")
                    try await topology.bind(
                        queue: queue, to: middle, routingKey: "", arguments: ["x-match": "all", "colour": "red"])
                    try await LiveBroker.withPublisher { publisher async throws in
                        func publish(_ key: String, _ colour: String) async throws {
                            let properties = MessageProperties(headers: ["colour": .string(colour)])
                            let message = Message(properties: properties)
                            _ = try await publisher.publish([
                                OutgoingMessage(exchange: source, routingKey: key, message: message)
                            ])
                        }
                        try await publish("a.b", "red")
                        try await publish("a.b", "blue")
                        try await publish("b", "red")
                        #expect(try await topology.depth(ofQueue: queue)?.messages == 1)
                        try await topology.unbind(
                            queue: queue, from: middle, routingKey: "", arguments: ["x-match": "all", "colour": "red"])
                        try await topology.unbind(exchange: middle, from: source, routingKey: "a.#")
                        try await publish("a.b", "red")
                        #expect(try await topology.depth(ofQueue: queue)?.messages == 1)
                    }
                    #expect(try await topology.purgeQueue(queue) == 1)
                    try await topology.deleteExchange(source)
                    #expect(try await topology.exchangeExists(source) == false)
                }
            }
        }

        @Test("An exchange of type x-consistent-hash keeps a key on one queue")
        func consistentHash() async throws {
            try await LiveBroker.withQueue { first in
                try await LiveBroker.withQueue { second in
                    try await LiveBroker.withTopology { topology async throws in
                        let exchange = LiveBroker.uniqueName()
                        try await topology.declareExchange(exchange, type: "x-consistent-hash")
                        for queue in [first, second] {
                            try await topology.bind(queue: queue, to: exchange, routingKey: "1")
                        }
                        let messages = (0..<20).flatMap { key in
                            Array(
                                repeating: OutgoingMessage(
                                    exchange: exchange, routingKey: "key \(key)", isMandatory: true, message: Message()),
                                count: 5)
                        }
                        try await LiveBroker.withPublisher { publisher async throws in
                            #expect(try await publisher.publish(messages).allSatisfy { $0 == .confirmed })
                        }
                        let counts = [
                            try await topology.depth(ofQueue: first)?.messages ?? 0,
                            try await topology.depth(ofQueue: second)?.messages ?? 0,
                        ]
                        #expect(counts.reduce(0, +) == 100)
                        #expect(counts.allSatisfy { $0.isMultiple(of: 5) })
                        try await topology.deleteExchange(exchange)
                    }
                }
            }
        }

        @Test("Fetched messages are forgotten when acknowledged and come back when rejected")
        func get() async throws {
            try await LiveBroker.withQueue { queue in
                try await LiveBroker.withTopology { topology async throws in
                    #expect(try await topology.get(queue: queue) == nil)
                    try await LiveBroker.withPublisher { publisher in
                        let messages = ["a", "b"].map { body in
                            OutgoingMessage(exchange: "", routingKey: queue, message: Message(body: Array(body.utf8)))
                        }
                        _ = try await publisher.publish(messages)
                    }
                    let first = try #require(try await topology.get(queue: queue))
                    let second = try #require(try await topology.get(queue: queue))
                    #expect([first.remaining, second.remaining] == [1, 0])
                    #expect(first.delivery.message.body == Array("a".utf8))
                    try await topology.acknowledge(first.delivery.tag)
                    try await topology.reject(second.delivery.tag, requeue: true)
                    let again = try #require(try await topology.get(queue: queue))
                    #expect(again.delivery.isRedelivered && again.delivery.message.body == Array("b".utf8))
                }
            }
        }

        @Test("A queue's depth counts its messages and consumers, and deleting tells what went with it")
        func depth() async throws {
            try await LiveBroker.withTopology { topology async throws in
                let queue = try await topology.declareQueue("", durable: false, autoDelete: false)
                #expect(queue.hasPrefix("amq.gen"))
                try await LiveBroker.withPublisher { publisher in
                    let message = OutgoingMessage(exchange: "", routingKey: queue, message: Message())
                    _ = try await publisher.publish([message, message, message])
                }
                try await LiveBroker.withConsumer { consumer in
                    try await consumer.consume(queue: queue, consumerTag: "c", prefetch: 1)
                    _ = try await consumer.collect(1)
                    #expect(try await topology.depth(ofQueue: queue) == QueueDepth(messages: 2, consumers: 1))
                }
                #expect(try await topology.deleteQueue(queue) == 3)
                #expect(try await topology.depth(ofQueue: queue) == nil)
            }
        }
    }
}
