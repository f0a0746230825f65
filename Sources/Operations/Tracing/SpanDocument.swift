// Spans in OTLP's JSON encoding (opentelemetry-proto, trace/v1).

internal import FoundationEssentials
internal import Tracing

/// An `ExportTraceServiceRequest`. 64-bit numbers are texts, ids are hexadecimal, as its JSON encoding wants.
struct SpanDocument: Encodable {
    let resourceSpans: [ResourceSpans]

    struct ResourceSpans: Encodable {
        let resource: Resource
        let scopeSpans: [ScopeSpans]
    }

    struct Resource: Encodable {
        let attributes: [Attribute]
    }

    struct ScopeSpans: Encodable {
        let scope: Scope
        let spans: [Span]
    }

    struct Scope: Encodable {
        let name: String
        let version: String
    }

    struct Span: Encodable {
        let traceId: String
        let spanId: String
        let traceState: String?
        let parentSpanId: String?
        let name: String
        let kind: Int
        let startTimeUnixNano: String
        let endTimeUnixNano: String
        let attributes: [Attribute]
        let links: [Link]
        let events: [Event]
        let status: Status?
    }

    struct Link: Encodable {
        let traceId: String
        let spanId: String
        let traceState: String?
        let attributes: [Attribute]
    }

    struct Event: Encodable {
        let timeUnixNano: String
        let name: String
        let attributes: [Attribute]
    }

    struct Status: Encodable {
        let code: Int
        let message: String?
    }

    struct Attribute: Encodable {
        let key: String
        let value: Value
    }

    enum Value: Encodable {
        case string(String)
        case integer(Int64)
        case double(Double)
        case bool(Bool)

        private enum Key: String, CodingKey {
            case stringValue
            case intValue
            case doubleValue
            case boolValue
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            switch self {
            case .string(let text): try container.encode(text, forKey: .stringValue)
            case .integer(let number): try container.encode("\(number)", forKey: .intValue)
            case .double(let number): try container.encode(number, forKey: .doubleValue)
            case .bool(let bool): try container.encode(bool, forKey: .boolValue)
            }
        }
    }

    init(_ spans: [RecordedSpan.Record], resource: [String: String], version: String) {
        let attributes = resource.sorted { $0.key < $1.key }.map { Attribute(key: $0.key, value: .string($0.value)) }
        resourceSpans = [
            ResourceSpans(
                resource: Resource(attributes: attributes),
                scopeSpans: [
                    ScopeSpans(
                        scope: Scope(name: "order-worker", version: version), spans: spans.map(Self.span))
                ])
        ]
    }

    private static func span(_ record: RecordedSpan.Record) -> Span {
        Span(
            traceId: record.identity.traceID.text, spanId: record.identity.spanText, traceState: record.identity.state,
            parentSpanId: record.parent.map {
                SpanIdentity(traceID: record.identity.traceID, spanID: $0, isSampled: true).spanText
            }, name: record.name, kind: kind(record.kind), startTimeUnixNano: "\(record.start)",
            endTimeUnixNano: "\(record.end)", attributes: attributes(record.attributes),
            links: record.links.compactMap(link),
            events: record.events.map {
                Event(
                    timeUnixNano: "\($0.nanosecondsSinceEpoch)", name: $0.name, attributes: attributes($0.attributes))
            }, status: record.status.map { Status(code: $0.code == .ok ? 1 : 2, message: $0.message) })
    }

    private static func kind(_ kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private static func link(_ link: SpanLink) -> Link? {
        link.context.spanIdentity.map {
            Link(
                traceId: $0.traceID.text, spanId: $0.spanText, traceState: $0.state,
                attributes: attributes(link.attributes))
        }
    }

    private static func attributes(_ attributes: SpanAttributes) -> [Attribute] {
        var list: [Attribute] = []
        attributes.forEach { key, value in
            let converted: Value =
                switch value {
                case .string(let text): .string(text)
                case .int32(let number): .integer(Int64(number))
                case .int64(let number): .integer(number)
                case .double(let number): .double(number)
                case .bool(let bool): .bool(bool)
                case .stringConvertible(let text): .string("\(text)")
                default: .string("\(value)")
                }
            list.append(Attribute(key: key, value: converted))
        }
        return list.sorted { $0.key < $1.key }
    }

    /// As JSON.
    func bytes() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }
}
