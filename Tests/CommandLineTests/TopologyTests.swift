// The topology on a real broker.

import AMQP
import Logging
import OrderWorker
import Testing

extension TestBroker {
    /// Applies a topology under the account that publishes here, as the workers' would.
    ///
    /// - Returns: what was made; and the number of partitions that was recorded, nil if none was.
    @discardableResult
    func apply(
        _ topology: Topology, on connection: TopologyConnection, previous: Int? = nil
    ) async throws -> (made: [String], recorded: [Int]) {
        var recorded: [Int] = []
        var change = TopologyChange(
            topology, on: connection, mover: CommandMover(try configuration, logger: Self.logger), previous: previous,
            patience: .seconds(2)
        ) {
            recorded.append($0)
        } noteUndrained: { _ in
        }
        return (try await change.apply(), recorded)
    }

    /// Takes all messages of a queue, and says their bodies' first bytes.
    func drain(_ queue: String) async throws -> [UInt8] {
        let consumer = try await ConsumerConnection.connect(configuration, logger: Self.logger)
        var bodies: [UInt8] = []
        do {
            try await consumer.consume(queue: queue, consumerTag: "test", prefetch: 1000)
            while case let events = try await consumer.nextBatch(maximum: 1000, until: .now + .milliseconds(500)),
                !events.isEmpty
            {
                for case .delivery(let delivery) in events {
                    bodies.append(delivery.message.body[0])
                    try await consumer.acknowledge(delivery.tag)
                }
            }
        } catch {
            await consumer.close()
            throw error
        }
        await consumer.close()
        return bodies
    }
}

@Suite("The topology", .timeLimit(.minutes(2)))
struct TopologyTests {
    private let topology = Topology(partitions: 3, retryDelay: .milliseconds(200))
    private let key = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"

    @Test("Names sort as they count")
    func names() {
        let names = Topology.partitionRange.map { Topology.queue(partition: $0 - 1) }
        #expect(names == names.sorted())
        #expect(names.first == "orders.00")
        #expect(names.last == "orders.99")
    }

    @Test("Applying makes everything once; then nothing differs, and applying again changes nothing")
    func apply() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                let missing = try await topology.check(on: connection)
                #expect(missing.count == 13)
                #expect(missing.contains("The queue orders.02 doesn't exist."))
                #expect(try await topology.check(on: connection) == missing, "a check makes nothing")
                let (made, recorded) = try await broker.apply(topology, on: connection)
                #expect(made.count == 13)
                #expect(made.contains("made exchange orders (x-consistent-hash)"))
                #expect(made.contains("made exchange orders.02 (fanout)"))
                #expect(recorded == [3])
                #expect(try await topology.check(on: connection).isEmpty)
                #expect(try await broker.apply(topology, on: connection, previous: 3).made.isEmpty)
            }
        }
    }

    @Test("A queue with other properties is named with what differs, and the connection goes on")
    func differences() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareQueue("orders.01", arguments: ["x-queue-type": "quorum"])
                let error = await #expect(throws: TopologyError.self) {
                    try await broker.apply(topology, on: connection)
                }
                #expect(error?.code == .exists)
                #expect(error?.during.contains("orders.01") == true)
                #expect(
                    try await topology.check(on: connection).count == 1, "it keeps nothing else from being made")
                try await connection.deleteQueue("orders.01")
                try await broker.apply(topology, on: connection)
                try await connection.deleteQueue("orders.01")
                try await connection.declareQueue("orders.01", arguments: ["x-queue-type": "quorum"])
                let differences = try await topology.check(on: connection)
                #expect(differences.count == 1)
                #expect(differences.first?.contains("orders.01") == true)
                #expect(differences.first?.contains("x-") == true)
            }
        }
    }

    @Test("Partitions are added while commands are under way, and taken away only when their queues are empty")
    func partitionCount() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await broker.apply(topology, on: connection)
                try await broker.publish(
                    OutgoingMessage(
                        exchange: "orders.00", routingKey: key, isMandatory: true, message: Message(body: [1])))
                let more = Topology(partitions: 4, retryDelay: .milliseconds(200))
                let (made, recorded) = try await broker.apply(more, on: connection, previous: 3)
                #expect(made == ["made exchange orders.03 (fanout)", "made queue orders.03"])
                #expect(recorded == [4])
                #expect(try await topology.check(on: connection).contains { $0.contains("orders.03") })

                try await broker.publish(
                    OutgoingMessage(
                        exchange: "orders.03", routingKey: key, isMandatory: true, message: Message(body: [2])))
                let error = await #expect(throws: TopologyError.self) {
                    try await broker.apply(topology, on: connection, previous: 4)
                }
                #expect(error?.code == .partitionsDiffer)
                #expect(error?.cause.contains("orders.03") == true)
                #expect(try await broker.drain("orders.03") == [2])
                let fewer = try await broker.apply(topology, on: connection, previous: 4)
                #expect(fewer.made == ["deleted queue orders.03"])
                #expect(fewer.recorded.last == 3)
                #expect(try await topology.check(on: connection).isEmpty)
                #expect(try await broker.drain("orders.00") == [1])
            }
        }
    }

    @Test("What comes while a queue is missing is kept, and sent on before what comes after the queue is restored")
    func missingQueue() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await broker.apply(topology, on: connection)
                let queue = try await partition(on: connection, broker)
                try await connection.deleteQueue(queue)
                for number in 1...20 as ClosedRange<UInt8> { try await send(number, broker) }
                #expect(try await connection.depth(ofQueue: Topology.unrouted)?.messages == 20)
                let (made, _) = try await broker.apply(topology, on: connection, previous: 3)
                #expect(made == ["made queue \(queue)"])
                try await send(21, broker)
                #expect(try await broker.drain(queue) == Array(1...21))
                #expect(try await connection.depth(ofQueue: Topology.unrouted)?.messages == 0)
            }
        }
    }

    @Test(
        "Commands under the names of before are moved to today's, in their order, for each customer",
        arguments: [3, 12])
    func namesOfBefore(count: Int) async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                // As the version before declared it.
                try await connection.declareExchange(Topology.commands, type: "x-consistent-hash")
                try await connection.declareQueue(
                    Topology.deadLetters, arguments: ["x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000])
                for partition in 0..<count {
                    let queue = "orders.\(partition)"
                    try await connection.declareQueue(
                        queue,
                        arguments: [
                            "x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once",
                            "x-overflow": "reject-publish", "x-single-active-consumer": true, "x-delivery-limit": 100,
                            "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.dead",
                        ])
                    try await connection.bind(queue: queue, to: Topology.commands, routingKey: "1")
                }
                let customers = (0..<20 as Range<UInt8>).map { "customer-\($0)" }
                for round in 0..<5 as Range<UInt8> {
                    for (index, customer) in customers.enumerated() {
                        try await broker.publish(
                            OutgoingMessage(
                                exchange: Topology.commands, routingKey: customer, isMandatory: true,
                                message: Message(body: [UInt8(index) * 10 + round])))
                    }
                }
                let today = Topology(partitions: count)
                let (made, recorded) = try await broker.apply(today, on: connection)
                #expect(made.contains("moved what was in orders.0"))
                #expect(recorded == [count])
                #expect(try await today.check(on: connection).isEmpty)
                #expect(try await connection.depth(ofQueue: "orders.0") == nil)

                // And those that come from now on come after them.
                for (index, customer) in customers.enumerated() {
                    try await broker.publish(
                        OutgoingMessage(
                            exchange: Topology.commands, routingKey: customer, isMandatory: true,
                            message: Message(body: [UInt8(index) * 10 + 5])))
                }
                var found: [UInt8: [UInt8]] = [:]
                for partition in 0..<count {
                    let bodies = try await broker.drain(Topology.queue(partition: partition))
                    for (customer, own) in Dictionary(grouping: bodies, by: { $0 / 10 }) {
                        #expect(found[customer] == nil, "a customer's commands are in one partition")
                        found[customer] = own.map { $0 % 10 }
                    }
                }
                #expect(found.count == customers.count)
                #expect(found.values.allSatisfy { $0 == [0, 1, 2, 3, 4, 5] })
            }
        }
    }

    @Test("A move waits until nobody consumes the queues of before")
    func moveWhileConsumed() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareQueue("orders.0", arguments: ["x-queue-type": "quorum"])
                let consumer = try await ConsumerConnection.connect(broker.configuration, logger: TestBroker.logger)
                try await consumer.consume(queue: "orders.0", consumerTag: "old worker", prefetch: 1)
                let error = await #expect(throws: TopologyError.self) {
                    try await broker.apply(topology, on: connection)
                }
                #expect(error?.code == .inUse)
                await consumer.close()
            }
        }
    }

    @Test("A customer's commands go to one partition, and come back to it from the retry queue")
    func routing() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await broker.apply(topology, on: connection)
                let first = try await partition(on: connection, broker)
                try await broker.publish(
                    OutgoingMessage(
                        exchange: Topology.retry, routingKey: key, isMandatory: true,
                        message: Message(properties: MessageProperties(deliveryMode: .persistent), body: [1])))
                #expect(try await connection.depth(ofQueue: first)?.messages == 0)
                #expect(try await arrival(on: connection) == first)
                #expect(try await connection.depth(ofQueue: Topology.deadLetters)?.messages == 0)
            }
        }
    }

    private func send(_ body: UInt8, _ broker: TestBroker) async throws {
        try await broker.publish(
            OutgoingMessage(
                exchange: Topology.commands, routingKey: key, isMandatory: true,
                message: Message(properties: MessageProperties(deliveryMode: .persistent), body: [body])))
    }

    /// The queue of the customer's partition, which is empty afterwards.
    private func partition(on connection: TopologyConnection, _ broker: TestBroker) async throws -> String {
        try await send(0, broker)
        let queue = try await arrival(on: connection)
        try await connection.purgeQueue(queue)
        return queue
    }

    /// Waits for a command to arrive, and says in which partition's queue it did.
    private func arrival(on connection: TopologyConnection) async throws -> String {
        for _ in 0..<500 {
            for partition in 0..<topology.partitions {
                let queue = Topology.queue(partition: partition)
                if try await connection.depth(ofQueue: queue)?.messages ?? 0 > 0 { return queue }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the command didn't arrive")
        return ""
    }
}
