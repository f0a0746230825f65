// A span that is recorded until it ends.

internal import Synchronization
public import Tracing

/// A span. It is handed to the exporter when it ends, if its trace is sampled.
public final class RecordedSpan: Tracing.Span {
    /// What is known of a span once it has ended.
    struct Record: Sendable {
        let identity: SpanIdentity
        let parent: UInt64?
        var name: String
        let kind: SpanKind
        let start: UInt64
        var end: UInt64 = 0
        var attributes: SpanAttributes = [:]
        var links: [SpanLink] = []
        var events: [SpanEvent] = []
        var status: SpanStatus?
    }

    /// More than so many links or events of one span are left out.
    static let limit = 128

    public let context: ServiceContext
    private let record: Mutex<Record>
    private let hasEnded = Mutex(false)
    private let finish: @Sendable (Record) -> Void

    init(_ record: Record, context: ServiceContext, finish: @escaping @Sendable (Record) -> Void) {
        self.record = Mutex(record)
        self.context = context
        self.finish = finish
    }

    public var isRecording: Bool { !hasEnded.withLock { $0 } && context.spanIdentity?.isSampled == true }

    public var operationName: String {
        get { record.withLock { $0.name } }
        set { record.withLock { $0.name = newValue } }
    }

    public var attributes: SpanAttributes {
        get { record.withLock { $0.attributes } }
        set { record.withLock { $0.attributes = newValue } }
    }

    public func setStatus(_ status: SpanStatus) { record.withLock { $0.status = status } }

    public func addEvent(_ event: SpanEvent) {
        record.withLock { if $0.events.count < Self.limit { $0.events.append(event) } }
    }

    public func addLink(_ link: SpanLink) {
        record.withLock { if $0.links.count < Self.limit { $0.links.append(link) } }
    }

    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var attributes = attributes
        attributes["exception.type"] = "\(type(of: error))"
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let isFirst = hasEnded.withLock { ended in
            defer { ended = true }
            return !ended
        }
        guard isFirst, context.spanIdentity?.isSampled == true else { return }
        let end = instant().nanosecondsSinceEpoch
        finish(
            record.withLock { record in
                record.end = max(record.start, end)
                return record
            })
    }
}
