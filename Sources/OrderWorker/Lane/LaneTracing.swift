// A lane's spans: each command's receipt, the batch that links to them, its transaction, and the publishing of its events.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL
internal import Tracing

enum LaneTracing {
    /// nil where nothing is traced, and then nothing here costs anything. Set up before any lane begins.
    static let tracer: (any Tracer)? = {
        let tracer = InstrumentationSystem.tracer
        return tracer is NoOpTracer ? nil : tracer
    }()

    /// W3C trace context, as messages carry it.
    private struct Carrier: Extractor, Injector {
        func extract(key: String, from carrier: TraceContext) -> String? {
            switch key {
            case "traceparent": carrier.traceparent
            case "tracestate": carrier.tracestate
            default: nil
            }
        }

        func inject(_ value: String, forKey key: String, into carrier: inout TraceContext) {
            carrier = TraceContext(
                traceparent: key == "traceparent" ? value : carrier.traceparent,
                tracestate: key == "tracestate" ? value : carrier.tracestate)
        }
    }

    /// Notes that a command was received and read: a part of its sender's trace, or the first of its own.
    ///
    /// - Parameter arrival: when its delivery came.
    /// - Returns: the command with the span's context.
    static func received(_ command: LaneCommand, at arrival: DefaultTracerClock.Timestamp?) -> LaneCommand {
        guard let tracer, let arrival, case .command(var received) = command else { return command }
        var context = ServiceContext.topLevel
        tracer.extract(received.trace, into: &context, using: Carrier())
        let span = tracer.startSpan(
            "\(Topology.queue(partition: received.partition)) receive", context: context, ofKind: .consumer, at: arrival
        )
        span.attributes = [
            "messaging.system": "rabbitmq", "messaging.operation.type": "receive",
            "messaging.destination.name": .string(Topology.queue(partition: received.partition)),
            "messaging.message.id": .string(received.decoded.key.id),
            "messaging.message.body.size": .int64(Int64(received.delivery.message.body.count)),
            "order_worker.command.type": .string(received.decoded.type.rawValue),
            "order_worker.customer.id": .string("\(received.decoded.command.customerID)"),
        ]
        span.end()
        received.span = span.context
        return .command(received)
    }

    /// The trace context of a span, in words: trace and span.
    static func identity(of context: ServiceContext) -> (trace: String, span: String)? {
        var carrier = TraceContext(traceparent: nil, tracestate: nil)
        tracer?.inject(context, into: &carrier, using: Carrier())
        let parts = carrier.traceparent?.split(separator: "-") ?? []
        return parts.count == 4 ? (String(parts[1]), String(parts[2])) : nil
    }
}

extension Lane {
    /// Applies a batch, within a span of its own that links to each command's.
    func applyTraced(
        _ items: [InHand<LaneCommand>], clearing: [OutboxPosition], _ connections: LaneConnections
    ) async throws(StoreError) -> Machine.Event {
        guard let tracer = LaneTracing.tracer else {
            return try await apply(items, clearing: clearing, connections)
        }
        let batch = tracer.startSpan("batch", context: .topLevel, ofKind: .consumer)
        batch.attributes = [
            "messaging.system": "rabbitmq", "messaging.operation.type": "process",
            "messaging.batch.message_count": .int64(Int64(items.count)), "order_worker.lane": .string(name),
        ]
        for item in items {
            if case .command(let command) = item.command, let span = command.span {
                batch.addLink(SpanLink(context: span, attributes: [:]))
            }
        }
        let transaction = tracer.startSpan("transaction", context: batch.context, ofKind: .client)
        transaction.attributes = ["db.system.name": "postgresql"]
        let result = await ServiceContext.withValue(transaction.context) {
            await applied(items, clearing: clearing, connections)
        }
        switch result {
        case .success(.applied(_, let messages)):
            // What goes to quarantine is never looked for: it mustn't add up.
            if traces.count > 20_000 { traces = [:] }
            for message in messages {
                if case .outbox(let position) = message.source { traces[position] = batch.context }
            }
        case .success: break
        case .failure(let error):
            transaction.recordError(error)
            transaction.setStatus(
                SpanStatus(code: .error, message: "\(error.code.rawValue) \(error.cause?.sqlState ?? "")"))
        }
        transaction.end()
        batch.end()
        return try result.get()
    }

    private func applied(
        _ items: [InHand<LaneCommand>], clearing: [OutboxPosition], _ connections: LaneConnections
    ) async -> Result<Machine.Event, StoreError> {
        do throws(StoreError) {
            return .success(try await apply(items, clearing: clearing, connections))
        } catch {
            return .failure(error)
        }
    }

    /// The span of publishing these messages, a part of their batch's.
    func publishSpan(_ messages: [Outgoing<OutgoingMessage>]) -> (any Span)? {
        guard let tracer = LaneTracing.tracer else { return nil }
        var context: ServiceContext?
        for message in messages {
            guard case .outbox(let position) = message.source, let batch = traces.removeValue(forKey: position) else {
                continue
            }
            context = context ?? batch
        }
        let span = tracer.startSpan(
            "\(Topology.events) publish", context: context ?? .topLevel, ofKind: .producer)
        span.attributes = [
            "messaging.system": "rabbitmq", "messaging.operation.type": "send",
            "messaging.destination.name": .string(Topology.events),
            "messaging.batch.message_count": .int64(Int64(messages.count)),
        ]
        return span
    }
}
