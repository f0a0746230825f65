// What is written can be read again.

import Testing

@testable import OrderContract

@Suite struct JSONWriterTests {
    @Test("Objects and arrays get their commas")
    func structure() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("a", 1)
            writer.member("b", "x")
            writer.member("none", ifPresent: nil as String?)
            writer.member("c", [1, 2] as [Int64]) { $0.integer($1) }
            writer.member("d", [] as [Int64]) { $0.integer($1) }
            writer.member("e") { $0.member("f", true) }
            writer.member("g", Int64.min)
        }
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"a":1,"b":"x","c":[1,2],"d":[],"e":{"f":true},"g":-9223372036854775808}"#)
    }

    @Test(
        "A string is read again as it was written",
        arguments: ["", "plain", "\"\\/", "\u{1}\u{8}\n\r\t\u{1F}\u{7F}", "é😀\u{2028}\u{FFFD}", "e\u{301}"])
    func strings(_ text: String) throws {
        var writer = JSONWriter()
        writer.string(text)
        let read = try JSONDocument(writer.bytes).root.string
        #expect(read.map { Array($0.utf8) } == Array(text.utf8))
    }
}
