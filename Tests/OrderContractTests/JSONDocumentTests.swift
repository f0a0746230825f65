// What counts as JSON, and what doesn't.

import Glibc
import Testing

@testable import OrderContract

@Suite struct JSONDocumentTests {
    @Test("A document is read as it is written")
    func reads() throws {
        let document = try JSONDocument(Array(#" {"a": [1, -0, 2.5e1, "x\u0041"], "b": null, "c": {"d": true}} "#.utf8))
        let root = document.root
        #expect(root["a"]?.elements.map(\.integer) == [1, 0, 25, nil])
        #expect(root["a"]?.elements.map(\.string) == [nil, nil, nil, "xA"])
        #expect(root["b"]?.isNull == true)
        #expect(root["c"]?["d"]?.bool == true)
        #expect(root.members.map(\.name) == ["a", "b", "c"])
        #expect(root["missing"] == nil)
        #expect(String(decoding: root["c"]?.source ?? [], as: UTF8.self) == #"{"d": true}"#)
        #expect(String(decoding: root["a"]?.source ?? [], as: UTF8.self) == #"[1, -0, 2.5e1, "x\u0041"]"#)
    }

    @Test(
        "A valid text is accepted",
        arguments: [
            "null", "true", "false", "0", "-0", "1e400", "-1.5E-3", "\"\"", "[]", "{}", " [ ] ", "\t\r\n{\n}\n",
            "[[],{}]",
            #""\"\\\/\b\f\n\r\t""#, #""\ud83d\ude00""#, "\"\u{10FFFF}\u{80}\u{800}\u{D7FF}\u{E000}\"",
            #"{"":1," ":2}"#, #"{"a":1,"A":2}"#, "{\"\u{E9}\":1,\"e\u{301}\":2}", "\"\u{7F}\"",
        ])
    func accepts(_ text: String) throws {
        _ = try JSONDocument(Array(text.utf8))
    }

    @Test(
        "An invalid text is refused",
        arguments: [
            "", " ", "nul", "True", "+1", "01", "-", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "--1", "\"",
            "\"a",
            "'a'", #""\x""#, #""\u12""#, #""\u12g4""#, "\"\t\"", "\"\n\"", "\"\u{1}\"", "[", "[1", "[1,", "[1,]",
            "[,1]",
            "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}", "1 2", "{} {}", "null,", "\u{FEFF}{}", "/* c */ 1", "\u{A0}1", "\0", "1\0",
        ])
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONDocument(Array(text.utf8)) }
    }

    @Test(
        "A lone surrogate and U+0000 are refused",
        arguments: [
            #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800A""#, #""\ud800\n""#, #""\ude00\ud83d""#,
            #""\ud800\u0041""#, #""\u0000""#, #""a\u0000b""#, #"{"\u0000":1}"#, #"{"\udfff":1}"#,
        ])
    func refusesSurrogates(_ text: String) {
        #expect(throws: JSONError.self) { try JSONDocument(Array(text.utf8)) }
    }

    @Test(
        "Invalid UTF-8 is refused",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE1, 0x80], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xEF, 0xBF], [0xF0, 0x80, 0x80, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF],
            [0xF0, 0x9F, 0x98], [0xE2, 0x28, 0xA1],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONDocument([0x22] + bytes + [0x22]) }
        #expect(throws: JSONError.self) { try JSONDocument([0x22] + bytes) }
    }

    @Test(
        "A member that is named twice is refused, however its name is escaped",
        arguments: [
            #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":2}"#, #"{"x":{"é":1,"\u00e9":2}}"#,
            #"{"\n":1,"\u000a":2}"#, #"[{"a":1,"a":2}]"#,
        ])
    func refusesRepetition(_ text: String) {
        #expect(throws: JSONError.self) { try JSONDocument(Array(text.utf8)) }
    }

    @Test("A repeated name is found in a large object too", arguments: [11, 12, 13, 14, 200])
    func refusesRepetitionInLargeObjects(count: Int) throws {
        let names = (0..<count).map { #""member\#($0)":{"member0":0}"# }.joined(separator: ",")
        #expect(try JSONDocument(Array("{\(names)}".utf8)).root.members.count(where: { _ in true }) == count)
        for repeated in [0, count / 2, count - 1] {
            let text = #"{\#(names),"m\u0065mber\#(repeated)":0}"#
            #expect(throws: JSONError.self) { try JSONDocument(Array(text.utf8)) }
        }
    }

    @Test("Values may be nested 32 deep")
    func nesting() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        _ = try JSONDocument(nested(32))
        #expect(throws: JSONError.self) { try JSONDocument(nested(33)) }
        #expect(throws: JSONError.self) { try JSONDocument(Array(repeating: UInt8(ascii: "["), count: 1_000_000)) }
        #expect(throws: JSONError.self) { try JSONDocument(Array(String(repeating: #"{"a":"#, count: 100_000).utf8)) }
    }

    @Test("A text larger than the limit is refused")
    func size() throws {
        _ = try JSONDocument(Array("[1]".utf8), maximumSize: 3)
        #expect(throws: JSONError.self) { try JSONDocument(Array("[1] ".utf8), maximumSize: 3) }
    }

    @Test("An error says where reading stopped")
    func errorOffset() throws {
        let error = #expect(throws: JSONError.self) { try JSONDocument(Array(#"{"a": tru}"#.utf8)) }
        #expect(error?.offset == 9)
        #expect(error?.description == "at byte 9: expected a value")
    }

    @Test("Escapes mean what RFC 8259 says")
    func escapes() throws {
        let text = #""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\u20ac""#
        #expect(try JSONDocument(Array(text.utf8)).root.string == "\"\\/\u{8}\u{C}\n\r\té😀€")
    }

    @Test("Reading takes time in proportion to the text, whatever it holds")
    func linearTime() throws {
        let hostile: [(Int) -> String] = [
            { "{" + (0..<$0).map { #""k\#($0)":0"# }.joined(separator: ",") + "}" },
            { "{" + (0..<$0).map { #""\u006b\#($0)":0"# }.joined(separator: ",") + "}" },
            { "[" + (0..<$0).map { _ in "[]" }.joined(separator: ",") + "]" },
            { "\"" + String(repeating: #"\ud83d\ude00"#, count: $0) + "\"" },
            { String(repeating: "9", count: $0) + "e" + String(repeating: "9", count: $0) },
        ]
        for text in hostile {
            let (small, large) = (Array(text(2000).utf8), Array(text(32000).utf8))
            let once = try (0..<3).map { _ in try processorTime { _ = try JSONDocument(small).root.integer } }.min()
            let often = try (0..<3).map { _ in try processorTime { _ = try JSONDocument(large).root.integer } }.min()
            // 16 times as much; quadratic would be 256 times.
            #expect(try #require(often) < #require(once) * 100 + .milliseconds(50))
        }
    }

    /// What a body costs this thread, however many others want the processor meanwhile.
    private func processorTime(of body: () throws -> Void) rethrows -> Duration {
        func used() -> Duration {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }
        let before = used()
        try body()
        return used() - before
    }
}
