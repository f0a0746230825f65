// W3C trace context, carried from command to event.

/// A valid `traceparent` and the `tracestate` beside it.
struct TraceContext: Hashable {
    let traceparent: String
    let tracestate: String?

    /// nil where `traceparent` is not valid: tracing must never make a command fail, so that a malformed one is ignored
    /// (Trace Context, section 2.2.3).
    init?(traceparent: String?, tracestate: String?) {
        guard let traceparent, Self.isValid(Array(traceparent.utf8)) else { return nil }
        self.traceparent = traceparent
        self.tracestate = tracestate.flatMap { state in
            let isPrintable = state.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
            return !state.isEmpty && state.utf8.count <= 512 && isPrintable ? state : nil
        }
    }

    /// `00-<32 hexadecimal digits>-<16>-<2>`, lower case, neither id all zeros. A later version may have more after it.
    private static func isValid(_ text: [UInt8]) -> Bool {
        let hyphen = UInt8(ascii: "-")
        guard text.count >= 55, text.count <= 128, text[2] == hyphen, text[35] == hyphen, text[52] == hyphen,
            text[..<55].allSatisfy({ $0 == hyphen || ($0.hexadecimalValue != nil && $0 & 0xE0 != 0x40) }),
            text[..<55].count(where: { $0 == hyphen }) == 3,
            text[3..<35].contains(where: { $0 != UInt8(ascii: "0") }),
            text[36..<52].contains(where: { $0 != UInt8(ascii: "0") })
        else { return false }
        switch String(decoding: text[..<2], as: UTF8.self) {
        case "ff": return false
        case "00": return text.count == 55
        default: return text.count == 55 || (text[55] == hyphen && text.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        }
    }
}
