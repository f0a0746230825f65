// Which messages are commands, in each of the three forms, and what the others get.

import AMQP
import OrderContract
import Orders
import Testing

@Suite struct CommandDecoderTests {
    // MARK: The three forms

    @Test("Plain AMQP properties with a JSON body are read")
    func plain() throws {
        var message = Sample.plain
        message.properties.timestamp = 1_795_383_306
        message.properties.replyTo = "shop.replies"
        message.properties.correlationID = "c-1"
        let command = try Sample.decode(message).get()
        #expect(command.key == CommandKey(source: "shop", id: "id-1"))
        #expect(command.type == .customerSettle)
        #expect(command.command == .settle(Sample.customerID))
        #expect(command.time?.description == "2026-11-22T21:35:06Z")
        #expect(command.replyTo == "shop.replies")
        #expect(command.correlationID == "c-1")
        #expect(command.data == message.body)
    }

    @Test(
        "JSON sent as text/plain or application/octet-stream, which libraries fill in by themselves, is read",
        arguments: ["text/plain", "application/octet-stream", "text/plain; charset=UTF-8", "binary/octet-stream", ""])
    func unspecificType(_ type: String) throws {
        for var message in [Sample.plain, Sample.binary("cloudEvents:")] {
            message.properties.contentType = type
            #expect(try Sample.decode(message).get().command == .settle(Sample.customerID))
            // Nor does it contradict what was said.
            message.properties.headers["cloudEvents:datacontenttype"] = "application/json"
            #expect(try Sample.decode(message).get().command == .settle(Sample.customerID))
        }
    }

    @Test("The binary mode is read with each prefix", arguments: ["cloudEvents:", "cloudEvents_", "ce-"])
    func binary(_ prefix: String) throws {
        let command = try Sample.decode(Sample.binary(prefix)).get()
        #expect(command.key == CommandKey(source: "/shop/eu", id: "id-2"))
        #expect(command.time?.description == "2026-11-22T21:35:06.5Z")
        #expect(command.command == .settle(Sample.customerID))
    }

    @Test("The binary mode's time may be an AMQP timestamp")
    func binaryTimestamp() throws {
        var message = Sample.binary("cloudEvents:")
        message.properties.headers["cloudEvents:time"] = .timestamp(1_795_383_306)
        #expect(try Sample.decode(message).get().time?.description == "2026-11-22T21:35:06Z")
    }

    @Test("The structured mode is read, and its data kept as it was received")
    func structured() throws {
        let command = try Sample.decode(Sample.structured()).get()
        #expect(command.key == CommandKey(source: "/shop/eu", id: "id-3"))
        #expect(command.time?.description == "2026-11-22T21:35:06Z")
        #expect(command.command == .settle(Sample.customerID))
        #expect(String(decoding: command.data, as: UTF8.self) == Sample.settle)
    }

    @Test("The structured mode's data may be in Base64")
    func structuredBase64() throws {
        let encoded = "eyJjdXN0b21lcklkIjoiMDE4ZjRjMmUtNmExYy03YzNlLTlkNTUtMGE0ZjdmMmY5YjEwIn0="
        let command = try Sample.decode(Sample.structured(data: #""data_base64":"\#(encoded)""#)).get()
        #expect(command.command == .settle(Sample.customerID))
        #expect(String(decoding: command.data, as: UTF8.self) == #"{"customerId":"\#(Sample.customer)"}"#)
    }

    @Test(
        "Extension attributes of any name and scalar value are let through",
        arguments: [
            #""shopversion":7"#, #""a":true"#, #""b":"x""#, #""c":null"#, #""subject":"s""#, #""dataschema":"urn:x""#,
        ])
    func extensions(_ attribute: String) throws {
        _ = try Sample.decode(Sample.structured(more: attribute)).get()
    }

    @Test(
        "A content type of JSON in UTF-8 is read",
        arguments: [
            "application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\"",
            "application/vnd.example+json", "text/json", nil,
        ])
    func contentTypes(_ type: String?) throws {
        var message = Sample.plain
        message.properties.contentType = type
        _ = try Sample.decode(message).get()
    }

    // MARK: Identity and precedence

    @Test("A missing source is the app_id, else the verified user, else anonymous")
    func sources() throws {
        var message = Sample.plain
        message.properties.userID = "user"
        #expect(try Sample.decode(message).get().key.source == "shop")
        message.properties.appID = nil
        #expect(try Sample.decode(message).get().key.source == "user")
        message.properties.userID = nil
        #expect(try Sample.decode(message).get().key.source == "anonymous")
    }

    @Test("Attributes that the body lacks are taken from the headers, then from the properties")
    func precedence() throws {
        var message = Sample.structured(attributes: #""specversion":"1.0","type":"customer.settle""#)
        message.properties.headers["cloudEvents:source"] = "from-header"
        message.properties.messageID = "from-property"
        let command = try Sample.decode(message).get()
        #expect(command.key == CommandKey(source: "from-header", id: "from-property"))
    }

    @Test("The same attribute in several places is accepted where all agree")
    func agreement() throws {
        var message = Sample.structured()
        message.properties.headers = [
            "cloudEvents:id": "id-3", "cloudEvents_id": "id-3", "cloudEvents:time": "2026-11-22T22:35:06+01:00",
        ]
        message.properties.messageID = "id-3"
        message.properties.type = "customer.settle"
        message.properties.appID = "/shop/eu"
        message.properties.timestamp = 1_795_383_306
        #expect(try Sample.decode(message).get().key.id == "id-3")
    }

    private static let conflicts: [@Sendable (inout MessageProperties) -> Void] = [
        { $0.messageID = "other" }, { $0.type = "customer.create" }, { $0.appID = "other" },
        { $0.timestamp = 1_795_383_308 },
        { $0.headers["cloudEvents:id"] = "other" }, { $0.headers["cloudEvents_source"] = "other" },
        { $0.headers["cloudEvents:type"] = "inventory.add" },
        { $0.headers["cloudEvents:time"] = "2026-11-22T21:35:07Z" },
        { $0.headers = ["cloudEvents:id": "id-3", "cloudEvents_id": "other"] },
    ]

    @Test("Places that contradict each other are a conflict", arguments: conflicts)
    func conflict(_ change: @Sendable (inout MessageProperties) -> Void) {
        var message = Sample.structured()
        change(&message.properties)
        #expect(Sample.failure(message)?.code == .attributeConflict)
    }

    @Test(
        "An id that aio-pika made up for the message doesn't contradict the event's own, and is the id of a plain one")
    func madeUpMessageID() throws {
        let madeUp = "0af7651916cd43dd8448eb211c80319c"
        var event = Sample.structured()
        event.properties.messageID = madeUp
        #expect(try Sample.decode(event).get().key.id == "id-3")
        for other in ["0af7651916cd33dd8448eb211c80319c", "0af7651916cd43ddc448eb211c80319c", madeUp.uppercased()] {
            event.properties.messageID = other
            #expect(Sample.failure(event)?.code == .attributeConflict)
        }
        var plain = Sample.plain
        plain.properties.messageID = madeUp
        #expect(try Sample.decode(plain).get().key.id == madeUp)
    }

    @Test(
        "The time in a header may be a text, AMQP's timestamp in seconds, or a number of milliseconds",
        arguments: [.string("2026-11-22T21:35:06Z"), .timestamp(1_795_383_306), .integer(1_795_383_306_000)]
            as [FieldValue])
    func timesInHeaders(_ time: FieldValue) throws {
        var message = Sample.binary("cloudEvents_")
        message.properties.headers["cloudEvents_time"] = time
        #expect(try Sample.decode(message).get().time == Timestamp("2026-11-22T21:35:06Z"))
    }

    @Test(
        "A number of seconds, or one after the year 9999, is no time in milliseconds",
        arguments: [-1, 1_795_383_306, 253_402_300_800_000])
    func impossibleTimesInHeaders(_ milliseconds: Int64) {
        var message = Sample.binary("cloudEvents_")
        message.properties.headers["cloudEvents_time"] = .integer(milliseconds)
        #expect(Sample.failure(message)?.code == .malformedMessage)
    }

    @Test("A content type that contradicts the header is a conflict")
    func contentTypeConflict() {
        var message = Sample.binary("cloudEvents:")
        message.properties.headers["cloudEvents:datacontenttype"] = "text/json"
        #expect(Sample.failure(message)?.code == .attributeConflict)
    }

    @Test("Ids that only look the same are a conflict")
    func lookAlikes() {
        var message = Sample.plain
        message.properties.messageID = "e\u{301}"
        message.properties.headers["cloudEvents:id"] = "\u{E9}"
        #expect(Sample.failure(message)?.code == .attributeConflict)
    }

    // MARK: Trace context

    private static let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("Trace context is carried from headers and from the event")
    func traceContext() throws {
        var message = Sample.structured(more: #""traceparent":"\#(Self.trace)","tracestate":"a=1""#)
        #expect(try Sample.decode(message).get().traceparent == Self.trace)
        #expect(try Sample.decode(message).get().tracestate == "a=1")
        let nearer = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00"
        message.properties.headers["traceparent"] = .string(nearer)
        #expect(try Sample.decode(message).get().traceparent == nearer)
        #expect(try Sample.decode(message).get().tracestate == nil)
        message = Sample.binary("cloudEvents_")
        message.properties.headers["cloudEvents_traceparent"] = .string(Self.trace)
        #expect(try Sample.decode(message).get().traceparent == Self.trace)
    }

    @Test(
        "A malformed trace context is ignored",
        arguments: [
            "", "00", trace + "-x", "ff" + trace.dropFirst(2), trace.uppercased(), "0" + trace,
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c8031-c-b7ad6b7169203331-01",
        ])
    func malformedTrace(_ traceparent: String) throws {
        var message = Sample.plain
        message.properties.headers = ["traceparent": .string(traceparent), "tracestate": "a=1"]
        let command = try Sample.decode(message).get()
        #expect(command.traceparent == nil)
        #expect(command.tracestate == nil)
    }

    // MARK: Stored commands

    @Test("A stored command is read again as it was")
    func stored() throws {
        let decoder = CommandDecoder()
        let command = try Sample.decode(Sample.structured()).get()
        #expect(decoder.decodeStored(type: command.type, data: command.data) == command.command)
        #expect(decoder.decodeStored(type: .customerCreate, data: command.data) == nil)
        #expect(decoder.decodeStored(type: .customerSettle, data: Array("{".utf8)) == nil)
    }

    @Test("The partner that a command names is told")
    func partner() throws {
        var message = Sample.plain
        message.properties.type = "auto-renewal.set"
        message.body = Array(
            """
            {"customerId":"\(Sample.customer)","subscriptionId":"\(Sample.customer)",
            "autoRenewal":true,"partnerId":"p1"}
            """.utf8)
        #expect(try Sample.decode(message).get().partnerID == "p1")
    }
}
