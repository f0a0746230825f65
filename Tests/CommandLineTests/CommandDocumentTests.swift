// What `publish` makes of its input.

import Foundation
import OrderContract
import Testing

@testable import order_worker

@Suite("The commands to publish")
struct CommandDocumentTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func read(_ text: String) throws -> [CommandDocument] {
        try CommandDocument.read(Array(text.utf8), name: "test", now: now)
    }

    private static let event = #"{"type":"x","id":"1","data":{"customerId":"c"}}"#

    @Test(
        "One event, an array and JSON lines are read alike",
        arguments: [
            (event, 1), ("[\(event), \(event)]", 2), ("\(event)\n\n\(event)\n", 2), ("[]", 0),
            ("{\n \"type\": \"x\",\n \"data\": {\"customerId\": \"c\"}\n}", 1),
        ])
    func forms(text: String, count: Int) throws {
        let commands = try read(text)
        #expect(commands.count == count)
        #expect(commands.allSatisfy { $0.type == "x" && $0.customerID == "c" })
    }

    @Test("What is missing is filled in, and what is there stays as it is")
    func filled() throws {
        let given =
            #"{"specversion":"1.0","id":"7","source":"s","time":"2026-01-01T00:00:00Z","data":{"customerId":"c"}}"#
        #expect(try read(given).map { String(decoding: $0.body, as: UTF8.self) } == [given])

        let command = try #require(try read(#"{"type":"x","data":{"customerId":"c", "n": 1.50}}"#).first)
        let event = try JSONDocument(command.body).root
        #expect(event["specversion"]?.string == "1.0")
        #expect(event["source"]?.string == CommandDocument.ownSource)
        #expect(event["time"]?.string == "2027-01-15T08:00:00.000Z")
        #expect(event["id"]?.string == command.id)
        #expect(UUID(uuidString: command.id) != nil)
        let text = String(decoding: command.body, as: UTF8.self)
        #expect(text.hasSuffix(#""type":"x","data":{"customerId":"c", "n": 1.50}}"#))
    }

    @Test(
        "What can't be sent is an error that says where",
        arguments: [
            ("{", "isn't JSON"), ("", "isn't JSON"), ("\(event)\n\n{]", "line 3"), ("[\(event), 5]", "command 2"),
            (#"{"type":"x","data":{}}"#, "customerId"), (#"{"type":"x"}"#, "customerId"),
        ])
    func refused(text: String, named: String) throws {
        let failure = try #require(throws: Failure.self) { try read(text) }
        #expect(failure.message.contains(named))
    }
}
