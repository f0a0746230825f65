// What may not appear in a log line.

import Foundation
import Logging
import Synchronization
import Testing

@testable import order_worker

@Suite("Log lines")
struct RedactionTests {
    @Test(
        "E-mail addresses and passwords in URLs are taken out, servers stay",
        arguments: [
            ("to jane.doe+x@example.com, please", "to [e-mail], please"),
            ("<a@b>", "<[e-mail]>"),
            ("amqp://worker:p@ss:w@127.0.0.1:5672/orders", "amqp://worker:…@127.0.0.1:5672/orders"),
            ("postgresql://user:secret@host/db refused", "postgresql://user:…@host/db refused"),
            ("connected to amqp://worker@127.0.0.1:5672", "connected to amqp://worker@127.0.0.1:5672"),
            ("no address here", "no address here"),
        ])
    func redaction(text: String, expected: String) {
        #expect(Redaction.redacted(text) == expected)
    }

    private func lines(_ format: LogFormat, _ body: (Logger) -> Void) -> String {
        let written = Line()
        body(
            Logger(label: "test") { label in
                LineLogHandler(
                    label: label, format: format, threshold: LogThreshold(.info),
                    now: { .init(timeIntervalSince1970: 1_800_000_000.25) }
                ) { line in written.append(line) }
            })
        return written.text
    }

    private final class Line: Sendable {
        private let bytes = Mutex<[UInt8]>([])
        func append(_ line: [UInt8]) { bytes.withLock { $0 += line } }
        var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }
    }

    @Test("A JSON line holds the message and the metadata, escaped, beside each other")
    func json() {
        let line = lines(.json) { logger in
            logger.debug("not shown")
            logger.info("a \"b\"\nc", metadata: ["time": "x", "list": ["1", "a@b.c"], "id": "7"])
        }
        #expect(
            line == #"{"time":"2027-01-15T08:00:00.250Z","level":"info","logger":"test","message":"a \"b\"\nc","#
                + #""id":"7","list":["1","[e-mail]"],"_time":"x"}"# + "\n")
    }

    @Test("A text line stays one line")
    func text() {
        let line = lines(.text) { $0.warning("a\nb", metadata: ["why": "it broke\nhere", "n": "1"]) }
        #expect(line == "08:00:00.250 warning  a b n=1 why=\"it broke\\nhere\"\n")
    }
}
