// Which span of which trace, and how that travels (W3C Trace Context).

internal import Tracing

/// A span's place in a trace.
struct SpanIdentity: Sendable, Hashable {
    let traceID: TraceID
    let spanID: UInt64
    let isSampled: Bool
    /// Other systems' own, passed on as it came.
    var state: String?

    struct TraceID: Sendable, Hashable {
        let high: UInt64
        let low: UInt64

        var text: String { SpanIdentity.hexadecimal(high) + SpanIdentity.hexadecimal(low) }
    }

    init(traceID: TraceID, spanID: UInt64, isSampled: Bool, state: String? = nil) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
        self.state = state
    }

    /// Reads a `traceparent`. nil for what isn't one: whoever gets it begins a trace of its own.
    init?(traceparent: String, state: String?) {
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        // A later version may have more parts.
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            parts[1].utf8.count == 32, parts[2].utf8.count == 16, parts[3].utf8.count == 2,
            parts.prefix(4).allSatisfy({ $0.utf8.allSatisfy(Self.isDigit) }),
            let high = UInt64(parts[1].prefix(16), radix: 16), let low = UInt64(parts[1].suffix(16), radix: 16),
            let span = UInt64(parts[2], radix: 16), let flags = UInt8(parts[3], radix: 16),
            high != 0 || low != 0, span != 0
        else { return nil }
        self.init(traceID: TraceID(high: high, low: low), spanID: span, isSampled: flags & 1 == 1, state: state)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    var traceparent: String { "00-\(traceID.text)-\(Self.hexadecimal(spanID))-\(isSampled ? "01" : "00")" }
    var spanText: String { Self.hexadecimal(spanID) }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

private enum SpanIdentityKey: ServiceContextKey {
    typealias Value = SpanIdentity
}

extension ServiceContext {
    var spanIdentity: SpanIdentity? {
        get { self[SpanIdentityKey.self] }
        set { self[SpanIdentityKey.self] = newValue }
    }
}
