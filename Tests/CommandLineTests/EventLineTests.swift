// What `listen` prints of an event.

import AMQP
import OrderContract
import Testing

@testable import order_worker

@Suite("An event's line")
struct EventLineTests {
    private static let id = "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"

    private static let types = Contract.schemaNames.filter { $0.hasPrefix("event.") }
        .map { String($0.dropFirst("event.".count)) }

    private func event(_ type: String, _ data: String, headers: [String: FieldValue] = [:]) -> EventLine {
        let own: [String: FieldValue] = [
            "cloudEvents:specversion": "1.0", "cloudEvents:id": "e", "cloudEvents:source": "order-worker",
            "cloudEvents:type": .string(type), "cloudEvents:time": "2026-11-22T21:35:06Z",
            "cloudEvents:subject": .string(Self.id),
        ]
        return EventLine(
            Message(
                properties: MessageProperties(contentType: "application/json", headers: own.merging(headers) { $1 }),
                body: Array(data.utf8)))
    }

    private func data(_ members: String) -> String { #"{"customerId":"\#(Self.id)","sequence":7,\#(members)}"# }

    @Test(
        "It says what happened",
        arguments: [
            ("customer.created", #""companyName":"Example GmbH""#, "Example GmbH"),
            (
                "inventory.added",
                #""subscriptions":[{"product":"pki","term":"P1Y","state":"active","end":"2027-11-01","#
                    + #""inventory":[{"certificateType":"ov","quantity":27},{"certificateType":"ev","quantity":1}]}],"#
                    + #""transactions":[{"amount":{"amount":22619,"currency":"EUR"}}],"reason":"More.""#,
                "pki P1Y active to 2027-11-01: 27 ov, 1 ev  226.19 EUR  More."
            ),
            (
                "invoice.closed",
                #""number":1042,"state":"closed","version":3,"period":{"start":"2026-11-01","end":"2026-12-01"},"#
                    + #""total":{"amount":260121,"currency":"EUR"},"lines":[{}]"#,
                "number 1042, closed, version 3, from 2026-11-01, 1 line, total 2,601.21 EUR"
            ),
            ("quote.prepared", #""total":{"amount":5,"currency":"JPY"}"#, "5 JPY"),
            ("customer.settled", #""events":2"#, "2 events"),
            (
                "command.rejected",
                #""code":"a_b","message":"No.","command":{"id":"7","source":"s","type":"subscription.order"}"#,
                "a_b: No. (subscription.order 7)"
            ),
        ])
    func summaries(type: String, members: String, summary: String) {
        let line = event(type, data(members)).text
        #expect(line.hasPrefix("2026-11-22T21:35:06Z"))
        #expect(line.split(separator: " ").dropFirst().prefix(3).elementsEqual(["#7", type[...], Self.id[...]]))
        #expect(line.hasSuffix(" \(summary)"))
    }

    @Test("Each type of event has a line, whatever is missing in it", arguments: types)
    func sparse(type: String) {
        for data in ["{}", "[]", "null", "{", "", #"{"subscriptions":[{}],"lines":1,"total":{"amount":"x"}}"#] {
            #expect(event(type, data).text.contains(type))
        }
    }

    @Test("Names that a terminal would obey are escaped")
    func escaped() {
        let line = event("customer.created", data(#""companyName":"a\u001b[31m\u202eb\nc""#)).text
        #expect(line.hasSuffix("a\\u{1b}[31m\\u{202e}b\\u{a}c"))
    }

    @Test("As JSON it is the CloudEvent on one line, its data unchanged and its extensions kept")
    func json() throws {
        let bytes = event(
            "x.y", data("\n\"big\": 9223372036854775807"),
            headers: ["cloudEvents:traceparent": "00-1-2-01", "traceparent": "00-1-2-01", "other": 1]
        ).json
        #expect(!bytes.contains(0x0A))
        let root = try JSONDocument(bytes).root
        #expect(
            root.members.map(\.name) == [
                "specversion", "id", "source", "type", "time", "subject", "datacontenttype", "traceparent", "data",
            ])
        #expect(root["data"]?["big"]?.integer == .max)
        #expect(root["subject"]?.string == Self.id)
    }

    @Test("A body that isn't JSON is a string in JSON", arguments: ["", "{", "a\"\n"])
    func noJSON(body: String) throws {
        #expect(try JSONDocument(event("x.y", body).json).root["data"]?.string == body)
        #expect(try JSONDocument(EventLine(Message(body: [0x7B])).json).root.isObject)
    }
}
