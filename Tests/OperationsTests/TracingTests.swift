// Spans: their identity on the wire, what is sampled, and how they are written for a collector.

import Foundation
import Testing
import Tracing

@testable import Operations

@Suite("Tracing")
struct TracingTests {
    @Test(
        "A traceparent is read as W3C has it; what isn't one is none",
        arguments: [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false),
            ("", false), ("00", false), ("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ])
    func traceparent(text: String, isRead: Bool) {
        let identity = SpanIdentity(traceparent: text, state: nil)
        #expect((identity != nil) == isRead)
        if isRead, text.hasPrefix("00") { #expect(identity?.traceparent == text) }
    }

    @Test("A span is a part of its parent's trace, and recorded if that is sampled; it is kept once it ends, and once")
    func parents() throws {
        let tracer = SpanTracer()
        let root = tracer.startSpan("root", context: .topLevel)
        let child = tracer.startSpan("child", context: root.context, ofKind: .producer)
        child.end()
        child.end()
        root.end()
        let (spans, dropped) = tracer.take(10)
        #expect(dropped == 0)
        #expect(spans.map(\.name) == ["child", "root"])
        #expect(spans[0].identity.traceID == spans[1].identity.traceID)
        #expect(spans[0].parent == spans[1].identity.spanID)
        #expect(spans[1].parent == nil)
        #expect(tracer.take(10).spans.isEmpty)

        var unsampled = ServiceContext.topLevel
        unsampled.spanIdentity = SpanIdentity(
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", state: nil)
        tracer.startSpan("not sampled", context: unsampled).end()
        #expect(tracer.take(10).spans.isEmpty)
    }

    @Test("The share of traces that begin here and are recorded is as asked for", arguments: [0.0, 0.25, 1])
    func ratio(ratio: Double) {
        let tracer = SpanTracer(ratio: ratio)
        for _ in 0..<4000 { tracer.startSpan("root", context: .topLevel).end() }
        let count = Double(tracer.take(10_000).spans.count)
        // Eight standard deviations.
        #expect(abs(count - 4000 * ratio) <= 8 * (4000 * ratio * (1 - ratio)).squareRoot())
    }

    @Test("Spans that nobody takes are dropped beyond a limit, and counted")
    func limit() {
        let tracer = SpanTracer()
        for _ in 0..<(SpanTracer.limit + 3) { tracer.startSpan("s", context: .topLevel).end() }
        let (spans, dropped) = tracer.take(.max)
        #expect(spans.count == SpanTracer.limit)
        #expect(dropped == 3)
        #expect(tracer.take(1).dropped == 0)
    }

    @Test("A span is written with what is known of it, ids in hexadecimal and 64-bit numbers as texts")
    func document() throws {
        let tracer = SpanTracer()
        let other = tracer.startSpan("other", context: .topLevel)
        let span = tracer.startSpan(
            "span", context: .topLevel, ofKind: .consumer, at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 5))
        span.attributes = ["a.text": "x", "b.number": 7, "c.bool": true, "d.double": 0.5]
        span.addLink(SpanLink(context: other.context, attributes: [:]))
        span.recordError(CancellationError())
        span.setStatus(SpanStatus(code: .error, message: "why"))
        span.end(at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 9))
        let bytes = try SpanDocument(
            tracer.take(1).spans, resource: ["service.name": "s"], version: "1"
        ).bytes()
        let text = String(decoding: bytes, as: UTF8.self)
        let identity = try #require(span.context.spanIdentity)
        let linked = try #require(other.context.spanIdentity)
        for part in [
            #""traceId":"\#(identity.traceID.text)""#, #""spanId":"\#(identity.spanText)""#, #""kind":5"#,
            #""startTimeUnixNano":"5""#, #""endTimeUnixNano":"9""#, #"{"stringValue":"x"}"#, #"{"intValue":"7"}"#,
            #"{"boolValue":true}"#, #"{"doubleValue":0.5}"#, #""traceId":"\#(linked.traceID.text)""#,
            #""spanId":"\#(linked.spanText)""#, #""name":"exception""#, #""code":2"#, #""message":"why""#,
            #"{"stringValue":"s"}"#,
        ] {
            #expect(text.contains(part))
        }
        #expect(!text.contains("parentSpanId"))
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(bytes)) }
    }
}
