// What `publish` prints of an outcome.

import AMQP
import Foundation
import OrderContract
import Testing

@testable import order_worker

@Suite("An outcome's line")
struct OutcomeLineTests {
    private func line(_ type: String, _ data: String) throws -> OutcomeLine {
        let event = #"{"id":"7","source":"s","type":"subscription.order","data":{"customerId":"c"}}"#
        let command = try #require(CommandDocument.read(Array(event.utf8), name: "test").first)
        let message = Message(
            properties: MessageProperties(messageID: "e", type: type), body: Array(data.utf8))
        return OutcomeLine(
            command: command, outcome: .event(message), time: Date(timeIntervalSince1970: 1_800_000_000.25))
    }

    private static let transactions = #"""
        {"transactions":[{"amount":{"amount":123456,"currency":"USD"}},{"amount":{"amount":-6,"currency":"USD"}},
        {"amount":{"amount":5,"currency":"JPY"}}]}
        """#

    @Test("It shows what the transactions come to, by currency")
    func totals() throws {
        let line = try line("subscription.ordered", Self.transactions)
        #expect(
            line.text == "08:00:00.250 subscription.order   7 customer c subscription.ordered  5 JPY  1,234.50 USD")
        let json = try JSONDocument(line.json).root
        #expect(json["outcome"]?.string == "subscription.ordered")
        #expect(json["eventId"]?.string == "e")
        #expect(json["command"]?["id"]?.string == "7")
        #expect(json["totals"].map { $0.elements.compactMap { $0["amount"]?.integer } } == [5, 123_450])
        #expect(json["data"]?["transactions"] != nil)
    }

    @Test("It shows a rejection's code and sentences, each once")
    func rejection() throws {
        let line = try line(
            "command.rejected",
            #"{"code":"a_b","message":"No.","violations":[{"message":"No."},{"message":"Nor this."}]}"#)
        #expect(line.text.hasSuffix("REJECTED a_b: No. Nor this."))
        #expect(line.outcome.isRejection)
    }

    @Test("It names the member that is wrong, as a dry run does")
    func member() throws {
        let line = try line(
            "command.rejected",
            #"{"code":"schema_violation","message":"No.","violations":[{"code":"schema_violation","pointer":"/startdate","#
                + #""message":"Unknown member."},{"pointer":"/x","message":"Nor this."}]}"#)
        #expect(line.text.hasSuffix("REJECTED schema_violation at /startdate: Unknown member. at /x: Nor this."))
    }

    @Test("An outcome whose data can't be read is shown all the same", arguments: ["", "{", "[]", "null"])
    func unreadable(data: String) throws {
        let line = try line("x.y", data)
        #expect(line.text.contains("x.y"))
        _ = try JSONDocument(line.json)
    }
}
