// The topology on a real broker.

import AMQP
import OrderWorker
import Testing

@Suite("The topology", .timeLimit(.minutes(2)))
struct TopologyTests {
    private let topology = Topology(partitions: 3, retryDelay: .milliseconds(200))

    @Test("Applying makes everything once; then nothing differs, and applying again changes nothing")
    func apply() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                let missing = try await topology.check(on: connection)
                #expect(missing.count == 8)
                #expect(missing.contains("The queue orders.2 doesn't exist."))
                #expect(try await topology.check(on: connection) == missing, "a check makes nothing")
                let made = try await topology.apply(on: connection)
                #expect(made.count == 8)
                #expect(made.contains("exchange orders (x-consistent-hash)"))
                #expect(try await topology.check(on: connection).isEmpty)
                #expect(try await topology.apply(on: connection).isEmpty)
            }
        }
    }

    @Test("A queue with other properties is named with what differs, and the connection goes on")
    func differences() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareQueue("orders.1", arguments: ["x-queue-type": "quorum"])
                let error = await #expect(throws: TopologyError.self) { try await topology.apply(on: connection) }
                #expect(error?.code == .exists)
                #expect(error?.during.contains("orders.1") == true)
                try await connection.deleteQueue("orders.1")
                _ = try await topology.apply(on: connection)
                try await connection.deleteQueue("orders.1")
                try await connection.declareQueue("orders.1", arguments: ["x-queue-type": "quorum"])
                let differences = try await topology.check(on: connection)
                #expect(differences.count == 1)
                #expect(differences.first?.contains("orders.1") == true)
                #expect(differences.first?.contains("x-") == true)
            }
        }
    }

    @Test("The number of partitions never shrinks, and grows only while nothing is under way")
    func partitionCount() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                _ = try await topology.apply(on: connection)
                let fewer = Topology(partitions: 2, retryDelay: .milliseconds(200))
                let error = await #expect(throws: TopologyError.self) { try await fewer.apply(on: connection) }
                #expect(error?.code == .partitionsDiffer)
                #expect(try await fewer.check(on: connection).contains { $0.contains("orders.2") })

                try await broker.publish(
                    OutgoingMessage(exchange: "", routingKey: "orders.0", isMandatory: true, message: Message()))
                let more = Topology(partitions: 4, retryDelay: .milliseconds(200))
                await #expect(throws: TopologyError.self) { try await more.apply(on: connection) }
                try await connection.purgeQueue("orders.0")
                #expect(try await more.apply(on: connection) == ["queue orders.3"])
            }
        }
    }

    @Test("A customer's commands go to one partition, and come back to it from the retry queue")
    func routing() async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                _ = try await topology.apply(on: connection)
                let key = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"
                let message = Message(properties: MessageProperties(deliveryMode: .persistent), body: [1])
                try await broker.publish(
                    OutgoingMessage(exchange: Topology.commands, routingKey: key, isMandatory: true, message: message))
                let first = try await arrival(on: connection)
                try await connection.purgeQueue(Topology.queue(partition: first))
                try await broker.publish(
                    OutgoingMessage(exchange: Topology.retry, routingKey: key, isMandatory: true, message: message))
                #expect(try await connection.depth(ofQueue: Topology.queue(partition: first))?.messages == 0)
                #expect(try await arrival(on: connection) == first)
                #expect(try await connection.depth(ofQueue: Topology.deadLetters)?.messages == 0)
            }
        }
    }

    /// Waits for a command to arrive, and says in which partition it did.
    private func arrival(on connection: TopologyConnection) async throws -> Int {
        for _ in 0..<500 {
            for partition in 0..<topology.partitions {
                let depth = try await connection.depth(ofQueue: Topology.queue(partition: partition))
                if depth?.messages ?? 0 > 0 { return partition }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the command didn't arrive")
        return -1
    }
}
