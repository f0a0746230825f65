// What messages that aren't commands get: a code, every reason, and an event that can be repeated.

import AMQP
import Orders
import Testing

@testable import OrderContract

@Suite struct UnreadableMessageTests {
    private typealias Change = @Sendable (inout Message) -> Void

    private static let cases: [(RejectionCode, Change)] = [
        (.malformedMessage, { $0.body = [] }),
        (.malformedMessage, { $0.body = Array("not JSON".utf8) }),
        (.malformedMessage, { $0.body = Array(#"{"customerId":"a","customerId":"a"}"#.utf8) }),
        (.malformedMessage, { $0.body = [0x22, 0xFF, 0x22] }),
        (.malformedMessage, { $0.properties.contentType = "text/html" }),
        (.malformedMessage, { $0.properties.contentType = "application/json; charset=utf-16" }),
        (.malformedMessage, { $0.properties.contentType = "text/plain; charset=iso-8859-1" }),
        (
            .malformedMessage,
            {
                $0.properties.contentType = "text/plain"
                $0.body = Array("not JSON".utf8)
            }
        ),
        (.malformedMessage, { $0.properties.contentType = "application/cloudevents-batch+json" }),
        (.malformedMessage, { $0.properties.contentType = "application/cloudevents+avro" }),
        (.malformedMessage, { $0.properties.contentEncoding = "gzip" }),
        (.malformedMessage, { $0.properties.type = nil }),
        (.malformedMessage, { $0.properties.type = "a\u{1}" }),
        (.malformedMessage, { $0.properties.messageID = String(repeating: "i", count: 201) }),
        (.malformedMessage, { $0.properties.messageID = "a\nb" }),
        (.malformedMessage, { $0.properties.messageID = "a\u{FFFD}" }),
        (.malformedMessage, { $0.properties.appID = "a\u{0}b" }),
        (.malformedMessage, { $0.properties.timestamp = 1_795_383_306_000 }),
        (.malformedMessage, { $0.properties.timestamp = .max }),
        (.malformedMessage, { $0.properties.headers["cloudEvents:specversion"] = "0.3" }),
        (.malformedMessage, { $0.properties.headers["cloudEvents:id"] = 7 }),
        (.malformedMessage, { $0.properties.headers["cloudEvents:time"] = "yesterday" }),
        (.malformedMessage, { $0.properties.headers["cloudEvents_type"] = .bytes([0xFF]) }),
        (.messageTooLarge, { $0.body = Array(repeating: 0x20, count: 4097) }),
        (.idMissing, { $0.properties.messageID = nil }),
        (.idMissing, { $0.properties.messageID = "" }),
        (.unknownType, { $0.properties.type = "customer.delete" }),
        (.unknownType, { $0.properties.type = "Customer.Settle" }),
        (.unknownType, { $0.properties.type = "customer.created" }),
        (.schemaViolation, { $0.body = Array("[]".utf8) }),
        (.schemaViolation, { $0.body = Array("null".utf8) }),
        (.schemaViolation, { $0.body = Array("{}".utf8) }),
        (.schemaViolation, { $0.body = Array(#"{"customerId":"\#(Sample.customer)","x":1}"#.utf8) }),
        (.routingKeyMismatch, { $0.body = Array(#"{"customerId":"018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b11"}"#.utf8) }),
        (.replyToNotAllowed, { $0.properties.replyTo = "orders" }),
        (.replyToNotAllowed, { $0.properties.replyTo = "orders.3" }),
        (.replyToNotAllowed, { $0.properties.replyTo = "orders.dead" }),
    ]

    @Test("A message that can't be read gets a code", arguments: cases)
    func code(_ code: RejectionCode, _ change: @Sendable (inout Message) -> Void) {
        var message = Sample.plain
        change(&message)
        #expect(Sample.failure(message)?.code == code)
    }

    @Test(
        "A malformed structured event is refused",
        arguments: [
            #""id":"i","source":"s","type":"customer.settle""#,
            #""specversion":"1.1","id":"i","type":"customer.settle""#,
            #""specversion":1.0,"id":"i","type":"customer.settle""#,
            #""specversion":"1.0","id":7,"type":"customer.settle""#,
            #""specversion":"1.0","id":"i","type":"customer.settle","datacontenttype":"text/xml""#,
            #""specversion":"1.0","id":"i","type":"customer.settle","time":"2026-11-22""#,
            #""specversion":"1.0","id":"i","type":"customer.settle","Upper":1"#,
            #""specversion":"1.0","id":"i","type":"customer.settle","ext":{}"#,
            #""specversion":"1.0","id":"i","type":"customer.settle","ext":2147483648"#,
            #""specversion":"1.0","id":"i","type":"customer.settle","ext":0.5"#,
            #""specversion":"1.0","id":"i","type":"customer.settle","data_base64":"e30=""#,
        ])
    func malformedEvent(_ attributes: String) {
        #expect(Sample.failure(Sample.structured(attributes: attributes))?.code == .malformedMessage)
    }

    @Test("A structured event without data breaks the schema")
    func noData() {
        #expect(Sample.failure(Sample.structured(data: #""x":1"#))?.code == .schemaViolation)
        #expect(Sample.failure(Sample.structured(data: #""data":null"#))?.code == .schemaViolation)
        #expect(Sample.failure(Sample.structured(data: #""data_base64":"*""#))?.code == .malformedMessage)
    }

    @Test("All that is wrong is listed, with what could be read")
    func everything() throws {
        var message = Sample.plain
        message.properties.replyTo = "orders.1"
        message.properties.timestamp = .max
        message.properties.correlationID = "c"
        message.body = Array(#"{"customerId":"\#(Sample.customer)","a/b~":1,"x":2}"#.utf8)
        let failure = try #require(Sample.failure(message))
        #expect(
            failure.violations.map(\.code) == [
                .replyToNotAllowed, .malformedMessage, .schemaViolation, .schemaViolation,
            ])
        #expect(failure.violations.map(\.pointer) == ["", "", "/a~1b~0", "/x"])
        #expect(failure.replyTo == nil)
        #expect(failure.correlationID == "c")
        #expect(failure.key == CommandKey(source: "shop", id: "id-1"))
        #expect(failure.type == "customer.settle")
        #expect(failure.customerID == Sample.customerID)
    }

    @Test("No more than 50 violations are listed")
    func manyViolations() throws {
        var message = Sample.plain
        message.body = Array(("{" + (0..<200).map { #""m\#($0)":0"# }.joined(separator: ",") + "}").utf8)
        message.properties.messageID = nil
        #expect(try #require(Sample.failure(message)).violations.count == 50)
    }

    @Test("A body over the limit is not read, yet its properties are")
    func tooLarge() throws {
        var message = Sample.plain
        message.properties.replyTo = "replies"
        message.body = Array(repeating: UInt8(ascii: "["), count: 5000)
        let failure = try #require(Sample.failure(message))
        #expect(failure.violations.map(\.code) == [.messageTooLarge])
        #expect(failure.key?.id == "id-1")
        #expect(failure.replyTo == "replies")
    }

    @Test("What can't be sent back is not kept")
    func notReturnable() throws {
        var message = Sample.plain
        message.properties.correlationID = "a\0"
        message.properties.replyTo = String(repeating: "\u{FFFD}", count: 200)
        let command = try Sample.decode(message).get()
        #expect(command.correlationID == nil)
        #expect(command.replyTo == nil)
    }

    // MARK: The event

    private let time = Timestamp(microseconds: 1_795_383_306_000_000)

    @Test("The refusal names the customer of the routing key and belongs to no sequence")
    func event() throws {
        var message = Sample.plain
        message.properties.type = "customer.delete"
        let failure = try #require(Sample.failure(message))
        let event = failure.rejection(of: message, routingKey: Sample.customer, at: time)
        #expect(event.type == .commandRejected)
        #expect(event.customerID == Sample.customerID)
        #expect(event.sequence == 0)
        #expect(
            String(decoding: EventEncoder.data(of: event), as: UTF8.self)
                == #"{"customerId":"\#(Sample.customer)","sequence":0,"code":"unknown_type","#
                + #""message":"There is no command of the type customer.delete.","violations":[{"code":"unknown_type","#
                + #""pointer":"","message":"There is no command of the type customer.delete."}],"#
                + #""command":{"id":"id-1","source":"shop","type":"customer.delete"}}"#)
        #expect(Contract.check(type: "command.rejected", data: EventEncoder.data(of: event)).isEmpty)
        let elsewhere = failure.rejection(of: message, routingKey: "nowhere", at: time)
        #expect(elsewhere.customerID.description == "00000000-0000-0000-0000-000000000000")
    }

    @Test("The refusal's id depends on the message alone")
    func eventID() throws {
        func id(_ routingKey: String = Sample.customer, _ change: (inout Message) -> Void) throws -> EventID {
            var message = Sample.binary("cloudEvents:")
            message.properties.headers["cloudEvents:type"] = "x"
            change(&message)
            return try #require(Sample.failure(message)).rejection(of: message, routingKey: routingKey, at: time).id
        }
        let first = try id { _ in }
        #expect(try id { $0.properties.headers["x-delivery-count"] = 3 } == first)
        #expect(Array(first.description)[14] == "8")
        #expect("89ab".contains(Array(first.description)[19]))
        let others = try [
            id { $0.body.append(0x20) }, id { $0.properties.headers["cloudEvents:id"] = "id-4" },
            id { $0.properties.correlationID = "c" }, id("elsewhere") { _ in }, id { $0.body[3] ^= 1 },
        ]
        #expect(Set(others + [first]).count == 6)
    }

    // MARK: The dead letter

    @Test("A dead letter keeps the body and says why it is one")
    func deadLetter() throws {
        var message = Sample.plain
        message.properties.type = "customer.delete"
        message.properties.userID = "shop-user"
        message.properties.expiration = "1000"
        message.properties.headers = ["CC": .array(["orders.1"]), "BCC": .array(["orders.2"]), "own": 1]
        let failure = try #require(Sample.failure(message))
        let letter = DeadLetter.make(message, failure, routingKey: "key")
        #expect(letter.body == message.body)
        #expect(letter.properties.messageID == "id-1")
        #expect(letter.properties.userID == nil)
        #expect(letter.properties.expiration == nil)
        #expect(letter.properties.deliveryMode == .persistent)
        #expect(
            letter.properties.headers == [
                "own": 1, DeadLetter.copies: .array([.array(["orders.1"]), .array(["orders.2"])]),
                DeadLetter.reason: "unknown_type",
                DeadLetter.message: "There is no command of the type customer.delete.", DeadLetter.routingKey: "key",
                DeadLetter.violations: .string(
                    #"[{"code":"unknown_type","pointer":"","#
                        + #""message":"There is no command of the type customer.delete."}]"#
                ),
                DeadLetter.user: "shop-user", DeadLetter.expiration: "1000",
            ])
    }

    @Test("A dead letter can always be published")
    func deadLetterFits() throws {
        var message = Sample.plain
        message.body = Array("{}".utf8)
        let long = String(repeating: "\u{FFFD}", count: 255)
        message.properties.messageID = long
        message.properties.headers = [long: 1, "nested": .table([long: .array([.table([long + "x": 2])])])]
        let failure = try #require(Sample.failure(message))
        let letter = DeadLetter.make(message, failure, routingKey: "key")
        #expect(letter.properties.messageID?.utf8.count == 255)
        #expect(letter.properties.headers.keys.allSatisfy { $0.utf8.count <= 255 })
        message.properties.headers = ["big": .string(String(repeating: "x", count: 120_000))]
        let small = DeadLetter.make(message, failure, routingKey: "key")
        #expect(small.properties.headers["big"] == nil)
        #expect(small.properties.headers[DeadLetter.headersLeftOut] == true)
    }
}
