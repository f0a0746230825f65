// Begins spans and keeps those that have ended for the exporter.

internal import Synchronization
public import Tracing

/// The process's tracer. Its spans wait in memory until the exporter takes them; when too many wait, new ones are dropped.
public final class SpanTracer: Tracer {
    /// How many ended spans may wait.
    public static let limit = 20_000

    private struct Ended {
        var spans: [RecordedSpan.Record] = []
        var dropped = 0
    }

    private let ended = Mutex(Ended())
    /// A new trace is sampled if the lower half of its id is at most this.
    private let sampledThrough: UInt64

    /// - Parameter ratio: 0…1: which share of the traces that begin here is recorded. Those that begin elsewhere are
    ///   recorded as was decided there.
    public init(ratio: Double = 1) {
        let ratio = min(1, max(0, ratio))
        sampledThrough = ratio >= 1 ? .max : UInt64(ratio * Double(UInt64.max >> 11)) << 11
    }

    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file: String, line: UInt
    ) -> RecordedSpan {
        var context = context()
        let parent = context.spanIdentity
        let identity =
            parent.map { parent in
                SpanIdentity(
                    traceID: parent.traceID, spanID: Self.number(), isSampled: parent.isSampled, state: parent.state)
            } ?? begin()
        context.spanIdentity = identity
        return RecordedSpan(
            RecordedSpan.Record(
                identity: identity, parent: parent?.spanID, name: operationName, kind: kind,
                start: instant().nanosecondsSinceEpoch),
            context: context
        ) { [weak self] in self?.keep($0) }
    }

    private func begin() -> SpanIdentity {
        let trace = SpanIdentity.TraceID(high: Self.number(), low: Self.number())
        return SpanIdentity(
            traceID: trace, spanID: Self.number(), isSampled: sampledThrough > 0 && trace.low <= sampledThrough)
    }

    /// Not 0, which stands for no id.
    private static func number() -> UInt64 { UInt64.random(in: 1 ... .max) }

    public func forceFlush() {}

    // MARK: Contexts of others

    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let traceparent = extractor.extract(key: "traceparent", from: carrier) else { return }
        context.spanIdentity = SpanIdentity(
            traceparent: traceparent, state: extractor.extract(key: "tracestate", from: carrier))
    }

    public func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let identity = context.spanIdentity else { return }
        injector.inject(identity.traceparent, forKey: "traceparent", into: &carrier)
        if let state = identity.state { injector.inject(state, forKey: "tracestate", into: &carrier) }
    }

    // MARK: What has ended

    private func keep(_ record: RecordedSpan.Record) {
        ended.withLock { ended in
            if ended.spans.count < Self.limit { ended.spans.append(record) } else { ended.dropped += 1 }
        }
    }

    /// The oldest spans, at most `count`, and how many were dropped since the last call.
    func take(_ count: Int) -> (spans: [RecordedSpan.Record], dropped: Int) {
        ended.withLock { ended in
            defer {
                ended.spans.removeFirst(min(count, ended.spans.count))
                ended.dropped = 0
            }
            return (Array(ended.spans.prefix(count)), ended.dropped)
        }
    }
}
