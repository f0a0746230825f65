// What is believed of a dead letter, and what it becomes when it is sent again.

import AMQP
import Foundation
import OrderContract
import Testing

@testable import order_worker

@Suite("A dead letter")
struct DeadLetterTests {
    /// As the broker puts it aside, from `orders`, with the user who published it.
    private static func givenUp(
        by user: String?, reason: String = "delivery_limit", exchange: String = "orders",
        headers: [String: FieldValue] = [:]
    ) -> Message {
        let death: [String: FieldValue] = [
            "count": 1, "reason": .string(reason), "queue": "orders.03", "time": .timestamp(1_800_000_000),
            "exchange": .string(exchange), "routing-keys": .array(["key"]),
        ]
        var all = headers
        all["x-death"] = .array([.table(death)])
        return Message(
            properties: MessageProperties(
                messageID: "id-1", type: "customer.create", userID: user, headers: all, timestamp: 1_700_000_000),
            body: [1, 2, 3])
    }

    /// As a worker puts it aside.
    private static func putAside(for user: String, headers: [String: FieldValue] = [:]) -> Message {
        let own: [String: FieldValue] = [
            DeadLetter.reason: "message_too_large", DeadLetter.message: "No.", DeadLetter.violations: "[]",
            DeadLetter.routingKey: "key", DeadLetter.user: .string(user), DeadLetter.expiration: "1000",
        ]
        return Message(
            properties: MessageProperties(
                correlationID: "c", replyTo: "r", messageID: "id-1", type: "customer.create", userID: "worker",
                headers: own.merging(headers) { $1 }, deliveryMode: .persistent),
            body: [1, 2, 3])
    }

    private static let forged: [String: FieldValue] = [
        DeadLetter.user: "victim", DeadLetter.reason: "forged", DeadLetter.routingKey: "forged",
        DeadLetter.headersLeftOut: true,
    ]

    private func record(_ message: Message) -> DeadLetterRecord {
        DeadLetterRecord(message, place: 1, ownUser: "worker")
    }

    private func replayed(_ message: Message) throws -> OutgoingMessage {
        try DeadLetterReplay.make(message, record(message), ownUser: "worker").get()
    }

    @Test("What the broker gave up tells its reason, its time, and what it was published with")
    func broker() {
        let record = record(Self.givenUp(by: "shop"))
        #expect(record.origin == .broker)
        #expect(record.reason == "delivery_limit")
        #expect(record.routingKey == "key")
        #expect(record.user == "shop")
        #expect(record.deadLetteredAt == Date(timeIntervalSince1970: 1_800_000_000))
        #expect(record.sentAt == Date(timeIntervalSince1970: 1_700_000_000))
        #expect((record.id, record.type, record.size) == ("id-1", "customer.create", 3))
    }

    @Test("What a worker put aside tells what the worker noted")
    func worker() {
        let record = record(Self.putAside(for: "shop"))
        #expect(record.origin == .worker)
        #expect(record.reason == "message_too_large")
        #expect(record.routingKey == "key")
        #expect(record.user == "shop")
        #expect(record.deadLetteredAt == nil)
    }

    /// A message and whose it is.
    struct Owner: Sendable {
        let message: Message
        let user: String?
    }

    @Test(
        "It belongs to who the broker verified, whatever its headers say",
        arguments: [
            Owner(message: givenUp(by: "shop", headers: forged), user: "shop"),
            Owner(message: givenUp(by: nil, headers: forged), user: nil),
            Owner(message: putAside(for: ""), user: nil),
            Owner(message: putAside(for: "shop"), user: "shop"),
            // A worker deferred it before the broker gave it up.
            Owner(
                message: givenUp(by: "worker", headers: [DeadLetter.user: "shop", "x-order-worker-attempts": 2]),
                user: "shop"),
            Owner(
                message: givenUp(by: "worker", headers: [DeadLetter.user: "", "x-order-worker-attempts": 2]), user: nil),
            // The worker's own clock published it.
            Owner(message: givenUp(by: "worker"), user: "worker"),
        ])
    func owner(owner: Owner) throws {
        #expect(record(owner.message).user == owner.user)
        let command = try replayed(owner.message)
        #expect(command.message.properties.userID == "worker")
        #expect(command.message.properties.headers[DeadLetter.user] == .string(owner.user ?? ""))
        #expect(command.routingKey == "key")
    }

    @Test("Sent again it is the message that its publisher sent, and stays until it is taken")
    func replay() throws {
        let noise: [String: FieldValue] = [
            "own": 1, "traceparent": "00-1-2-01", "x-first-death-queue": "q", "x-last-death-queue": "q",
            "x-delivery-count": 7, "x-acquired-count": 7, "CC": .array(["a"]), "BCC": .array(["b"]),
            DeadLetter.copies: .array([]),
        ]
        var given = Self.givenUp(by: "shop", headers: noise)
        given.properties.expiration = "1000"
        for message in [given, Self.putAside(for: "shop", headers: noise)] {
            let command = try replayed(message)
            #expect(command.exchange == "orders")
            #expect(command.isMandatory)
            #expect(command.message.body == message.body)
            var expected = message.properties
            expected.headers = ["own": 1, "traceparent": "00-1-2-01", DeadLetter.user: "shop"]
            expected.userID = "worker"
            expected.expiration = nil
            expected.deliveryMode = .persistent
            #expect(command.message.properties == expected)
        }
    }

    @Test(
        "What isn't known to have been a command, or isn't whole, can't be sent again",
        arguments: [
            Message(body: [1]),
            // Anybody may have written these headers.
            Message(properties: MessageProperties(userID: "shop", headers: forged)),
            Message(properties: MessageProperties(headers: forged)),
            givenUp(by: "shop", exchange: "elsewhere"),
            putAside(for: "shop", headers: [DeadLetter.headersLeftOut: true]),
            givenUp(by: "shop", headers: ["large": .string(String(repeating: "x", count: 30_000))]),
        ])
    func kept(message: Message) {
        #expect(throws: DeadLetterReplay.Obstacle.self) { try replayed(message) }
    }

    @Test("Its id and type are found wherever the message carries them")
    func identity() {
        func found(_ properties: MessageProperties, _ body: String = "") -> [String?] {
            let record = record(Message(properties: properties, body: Array(body.utf8)))
            return [record.id, record.type]
        }
        let event = #"{"id":"e","type":"t","time":"2026-11-22T21:35:06Z"}"#
        #expect(found(MessageProperties(messageID: "m", type: "x")) == ["m", "x"])
        for prefix in ["cloudEvents:", "cloudEvents_"] {
            let headers: [String: FieldValue] = [prefix + "id": "h", prefix + "type": "y"]
            #expect(found(MessageProperties(messageID: "m", type: "x", headers: headers)) == ["h", "y"])
        }
        #expect(found(MessageProperties(contentType: "application/cloudevents+json"), event) == ["e", "t"])
        #expect(found(MessageProperties(contentType: "application/json", messageID: "m"), event) == ["m", nil])
        let (first, second) = (found(MessageProperties(), "a"), found(MessageProperties(messageID: ""), "b"))
        #expect(first[0]?.hasPrefix("body:") == true && second[0]?.hasPrefix("body:") == true && first != second)
    }

    @Test("Notes of the broker that make no sense are no reason to fail")
    func nonsense() {
        let deaths: [FieldValue] = [
            "x", .array([]), .array(["x"]), .array([.table([:])]), .array([.table(["reason": 1])]),
            .array([.table(["reason": "expired", "exchange": "orders", "routing-keys": "x", "time": "x"])]),
            .array([.table(["reason": "expired", "exchange": "orders", "time": .timestamp(.max)])]),
        ]
        for death in deaths {
            let message = Message(properties: MessageProperties(headers: ["x-death": death], timestamp: .max))
            let record = record(message)
            #expect(record.deadLetteredAt == nil && record.sentAt == nil)
            #expect(throws: DeadLetterReplay.Obstacle.self) { try replayed(message) }
            #expect(!record.line.isEmpty && !record.details(of: message).isEmpty)
        }
    }

    // MARK: For people

    @Test(
        "A body is shown so that a terminal obeys nothing of it",
        arguments: [
            (#"{"a":[1,{}],"b":[],"\u001bc":"\u202e"}"#, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],"),
            ("a\u{1B}[31m\nb\u{202E}", "a\\u{1b}[31m\nb\\u{202e}"), ("", ""),
        ])
    func body(body: String, shown: String) {
        let text = BodyText.lines(Array(body.utf8)).joined(separator: "\n")
        #expect(text.hasPrefix(shown))
        #expect(!text.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{202E}" })
    }

    @Test("Bytes that aren't text are escaped, and a long body is cut")
    func bytes() {
        #expect(BodyText.lines([0xFF, 0x41, 0x0A, 0x00]) == ["\\xffA", "\\x00"])
        let long = BodyText.lines([UInt8](repeating: 0x41, count: 70_000))
        #expect(long.count == 2 && long[0].utf8.count == 65_536)
        #expect(long.last == "… and 4464 bytes more")
    }
}
