// Dead letters whose headers can't be read don't end the list of the others.

import Foundation
import OrderWorker
import Testing

@testable import AMQP
@testable import order_worker

@Suite("Dead letters that can't be read", .timeLimit(.minutes(2)))
struct UnreadableDeadLetterTests {
    /// Runs `body` with a browser that can't read headers of more than 40,000 bytes.
    private func browse<Value>(
        _ broker: TestBroker, limit: UInt16 = .max, _ body: (inout DeadLetterBrowser) async throws -> Value
    ) async throws -> Value {
        var configuration = try broker.configuration
        configuration.largestIncomingFrame = 40_000
        configuration.keepsUnreadable = true
        let reading = configuration
        let topology = try await TopologyConnection.connect(broker.configuration, logger: TestBroker.logger)
        var browser = try await DeadLetterBrowser(topology: topology, ownUser: "admin", limit: limit) {
            try await ConsumerConnection.connect(reading, logger: TestBroker.logger)
        }
        let result: Result<Value, any Error>
        do {
            let value = try await body(&browser)
            try await browser.settle()
            result = .success(value)
        } catch {
            result = .failure(error)
        }
        await browser.close()
        try await DeadLetterSegments.waitForReturn(of: browser.total - browser.removed, on: topology)
        await topology.close()
        return try result.get()
    }

    private func all(_ browser: inout DeadLetterBrowser) async throws -> [HeldDeadLetter] {
        var letters: [HeldDeadLetter] = []
        while let letter = try await browser.next() { letters.append(letter) }
        return letters
    }

    private func ids(_ letters: [HeldDeadLetter]) -> [String] {
        letters.map { $0.record.isUnreadable ? "?" : $0.record.id }
    }

    @Test(
        "A letter whose headers can't be decoded is listed in its place, and the others before and after it",
        arguments: ["quorum", "classic"])
    func listed(kind: String) async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareQueue(
                    Topology.deadLetters, arguments: ["x-queue-type": .string(kind)])
            }
            var publishing = try broker.configuration
            publishing.largestFrame = 131_072
            let publisher = try await PublisherConnection.connect(publishing, logger: TestBroker.logger)
            for id in ["1", "2", "bad", "4", "5", "bad", "bad", "8"] {
                let size = id == "bad" ? 50_000 : 10
                let message = Message(
                    properties: MessageProperties(
                        messageID: id, headers: ["x": .string(String(repeating: "x", count: size))],
                        deliveryMode: .persistent), body: [1])
                _ = try await publisher.publish([
                    OutgoingMessage(exchange: "", routingKey: Topology.deadLetters, message: message)
                ])
            }
            await publisher.close()

            // Looking changes nothing.
            for _ in 0..<2 {
                let letters = try await browse(broker) { try await all(&$0) }
                #expect(ids(letters) == ["1", "2", "?", "4", "5", "?", "?", "8"])
                #expect(letters.map(\.record.place) == Array(1...8))
            }
            // One that can be read and one that can't are removed, and nothing else.
            try await browse(broker) { browser in
                let letters = try await all(&browser)
                try await browser.remove([letters[1], letters[2], letters[7]])
            }
            let left = try await browse(broker) { try await all(&$0) }
            #expect(ids(left) == ["1", "4", "5", "?", "?"])
        }
    }

    @Test("More dead letters than one consumer can hold are all seen, and stay in their order", arguments: [3, 100])
    func many(limit: UInt16) async throws {
        try await TestBroker.withVirtualHost { broker in
            try await broker.withConnection { connection in
                try await connection.declareQueue(Topology.deadLetters, arguments: ["x-queue-type": "quorum"])
            }
            let publisher = try await PublisherConnection.connect(broker.configuration, logger: TestBroker.logger)
            _ = try await publisher.publish(
                (1...10).map { number in
                    OutgoingMessage(
                        exchange: "", routingKey: Topology.deadLetters,
                        message: Message(
                            properties: MessageProperties(messageID: "\(number)", deliveryMode: .persistent), body: [1])
                    )
                })
            await publisher.close()
            for _ in 0..<2 {
                let letters = try await browse(broker, limit: limit) { try await all(&$0) }
                #expect(ids(letters) == (1...10).map(String.init))
            }
            try await browse(broker, limit: limit) { browser in
                let letters = try await all(&browser)
                try await browser.remove([letters[1], letters[4], letters[9]])
            }
            let left = try await browse(broker, limit: limit) { try await all(&$0) }
            #expect(ids(left) == ["1", "3", "4", "6", "7", "8", "9"])
        }
    }
}
