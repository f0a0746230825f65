// No message stops the decoder, whatever is in it.

import AMQP
import Orders
import Testing

@testable import OrderContract

@Suite struct HostileInputTests {
    /// SplitMix64, so that a seed repeats a run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }

    private static let tokens: [[UInt8]] =
        [
            "\"", "\\", "{", "}", "[", "]", ":", ",", "null", "1e400", "-0", "\\ud800", "\\u0000",
            "9223372036854775808", " ",
            "2026-02-30", "\"customerId\"", "é", "\u{1F600}", "\0",
        ].map { Array($0.utf8) } + [[0xFF], [0xC0], [0xED, 0xA0, 0x80]]

    private func mutated(_ bytes: [UInt8], _ generator: inout Generator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            let index = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(bytes.count, index + Int.random(in: 0...8, using: &generator))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes.removeSubrange(index..<end)
            case 1: bytes.insert(contentsOf: Self.tokens.randomElement(using: &generator) ?? [], at: index)
            case 2: bytes.insert(contentsOf: bytes[index..<end], at: Int.random(in: 0...bytes.count, using: &generator))
            default: if index < bytes.count { bytes[index] = UInt8.random(in: .min ... .max, using: &generator) }
            }
        }
        return bytes
    }

    @Test(
        "Broken messages get an answer, and each refusal can be told and put aside",
        arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(seed: UInt64) throws {
        var generator = Generator(state: seed)
        var accepted = 0
        let rounds = 3000
        for round in 0..<rounds {
            let type = CommandType.allCases[round % CommandType.allCases.count]
            let example = type.examples[0]
            var message = Message(
                properties: MessageProperties(contentType: "application/json", messageID: "1", type: type.rawValue),
                body: Array(example.utf8))
            if round.isMultiple(of: 3) {
                message.properties = MessageProperties(contentType: "application/cloudevents+json")
                message.body = Array(
                    #"{"specversion":"1.0","id":"1","source":"s","type":"\#(type.rawValue)","data":\#(example)}"#.utf8)
            }
            message.body = mutated(message.body, &generator)
            switch CommandDecoder().decode(message, routingKey: ExampleID.customer) {
            case .success(let command):
                accepted += 1
                #expect(CommandDecoder().decodeStored(type: command.type, data: command.data) == command.command)
            case .failure(let unreadable):
                let event = unreadable.rejection(
                    of: message, routingKey: ExampleID.customer, at: Timestamp(microseconds: 0))
                let data = EventEncoder.data(of: event)
                #expect(Contract.check(type: "command.rejected", data: data) == [], "seed \(seed), round \(round)")
                #expect(DeadLetter.make(message, unreadable, routingKey: "x").body == message.body)
            }
        }
        #expect(accepted > rounds / 10 && accepted < rounds)
    }

    @Test("Headers of every kind get an answer")
    func headers() {
        let values: [FieldValue] = [
            .bool(true), .integer(.min), .double(.nan), .string(""), .string("x"), .bytes([0xFF]), .timestamp(.max),
            .timestamp(0), .decimal(scale: 255, value: .max), .array([.void]), .table(["": .void]), .void,
        ]
        for prefix in ["cloudEvents:", "cloudEvents_", "ce-", ""] {
            for name in ["id", "source", "type", "time", "specversion", "datacontenttype", "traceparent", "tracestate"]
            {
                for value in values {
                    var message = Sample.plain
                    message.properties.headers[prefix + name] = value
                    if case .failure(let unreadable) = Sample.decode(message) {
                        #expect(!unreadable.violations.isEmpty)
                        #expect(DeadLetter.make(message, unreadable, routingKey: "").body == message.body)
                    }
                }
            }
        }
    }
}
