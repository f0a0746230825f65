// A batch of deliveries on its way through the core: read, matched with the inbox, decided. Pure: no I/O.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// What is to be done after a batch was decided.
struct DecidedBatch: Sendable {
    var changes: Changes
    var commands: [InboxEntry] = []
    var events: [OutboxEntry] = []
    /// What is published besides the outbox, because nothing was committed for it: repeated outcomes, refusals of reused
    /// ids, deferred messages.
    var besides: [OutgoingMessage] = []
    var tally: [BatchTally] = []
}

/// One command for the metrics and the log.
struct BatchTally: Sendable {
    let command: ReceivedCommand
    let outcome: StoredEvent
    let isRepeated: Bool
}

/// The deliveries of one batch, read.
struct Batch: Sendable {
    let commands: [ReceivedCommand]

    /// What the batch has to load.
    func request(_ admission: Admission, catalog: Catalog, dueBy horizon: Timestamp) -> BatchRequest {
        BatchRequest(
            commands.map { command in
                let publisher = admission.publisher(of: command, catalog: catalog)
                return (key: admission.key(of: command, publisher, catalog: catalog), command: command.decoded.command)
            }, dueBy: horizon)
    }

    /// Decides the commands in order.
    func decide(
        _ loaded: LoadedBatch, _ admission: Admission, catalog: Catalog, now: Timestamp, identifiers: IdentifierSource
    ) -> DecidedBatch {
        var work = UnitOfWork(
            catalog: catalog, states: loaded.states, invoiceNumbers: loaded.invoiceNumbers, now: now,
            identifiers: identifiers)
        var fresh: [InboxKey: (command: ReceivedCommand, outcome: Event, entry: Int)] = [:]
        var besides: [OutgoingMessage] = []
        var admitted: [(command: ReceivedCommand, key: InboxKey, envelope: CommandEnvelope, outcome: Event)] = []
        var repeats: [(command: ReceivedCommand, key: InboxKey)] = []

        for command in commands {
            let publisher = admission.publisher(of: command, catalog: catalog)
            let key = admission.key(of: command, publisher, catalog: catalog)
            if loaded.known[key] != nil || fresh[key] != nil {
                repeats.append((command, key))
                continue
            }
            let envelope = CommandEnvelope(
                key: command.decoded.key, publisher: publisher,
                effectiveAt: admission.effectiveTime(of: command, now: now), command: command.decoded.command)
            if admission.mayDefer(command), work.waitsForCustomer(envelope) {
                besides.append(admission.relay.deferred(command.delivery, attempts: command.attempts + 1))
                continue
            }
            let outcome = work.decide(envelope)
            fresh[key] = (command, outcome, admitted.count)
            admitted.append((command, key, envelope, outcome))
        }

        let changes = work.finish()
        var decided = DecidedBatch(changes: changes)
        decided.besides = besides
        var stored: [EventID: StoredEvent] = [:]
        let causes = Dictionary(admitted.map { ($0.envelope.key, $0.command) }, uniquingKeysWith: { _, last in last })
        let partitions = Dictionary(
            commands.map { ($0.decoded.command.customerID, $0.partition) }, uniquingKeysWith: { first, _ in first })
        let outcomes = Dictionary(admitted.map { ($0.outcome.id, $0.command) }, uniquingKeysWith: { first, _ in first })
        for event in changes.events {
            let bytes = StoredEvent(event)
            stored[event.id] = bytes
            let asked = outcomes[event.id]
            let cause = asked ?? causes[event.cause]
            decided.events.append(
                OutboxEntry(
                    partition: partitions[event.customerID] ?? 0, event: bytes, replyTo: asked?.decoded.replyTo,
                    correlationID: asked?.decoded.correlationID,
                    trace: TraceContext(
                        traceparent: cause?.decoded.traceparent, tracestate: cause?.decoded.tracestate)))
        }
        for (command, key, envelope, outcome) in admitted {
            guard let event = stored[outcome.id] else { continue }
            decided.commands.append(
                InboxEntry(
                    receivedAt: now, key: key, customerID: envelope.command.customerID, partition: command.partition,
                    type: envelope.command.type.rawValue, publisher: envelope.publisher.name,
                    effectiveAt: envelope.effectiveAt, data: command.decoded.data,
                    trace: TraceContext(
                        traceparent: command.decoded.traceparent, tracestate: command.decoded.tracestate),
                    outcome: event))
            decided.tally.append(BatchTally(command: command, outcome: event, isRepeated: false))
        }
        for (command, key) in repeats {
            let first = loaded.known[key].map { ($0.type, $0.outcome, admission.decoder.stored($0)) }
            let inBatch = fresh[key].flatMap { earlier in
                stored[earlier.outcome.id].map {
                    (earlier.command.decoded.type.rawValue, $0, Optional(earlier.command.decoded.command))
                }
            }
            guard let (_, outcome, original) = first ?? inBatch else { continue }
            let answer = original == command.decoded.command ? outcome : Self.refusalOfReuse(command, now: now)
            decided.besides += answer.messages(
                replyTo: command.decoded.replyTo, correlationID: command.decoded.correlationID,
                trace: TraceContext(
                    traceparent: command.decoded.traceparent, tracestate: command.decoded.tracestate))
            decided.tally.append(BatchTally(command: command, outcome: answer, isRepeated: true))
        }
        return decided
    }

    /// The refusal of a command whose id was used for another one. Nothing is stored: the id is taken.
    private static func refusalOfReuse(_ command: ReceivedCommand, now: Timestamp) -> StoredEvent {
        let refusal = UnreadableMessage(
            violation: Violation(
                .commandIDReused, at: "",
                "Another command was sent with this source and id; give each one an id of its own."),
            key: command.decoded.key, type: command.decoded.type.rawValue)
        return StoredEvent(
            refusal.rejection(of: command.delivery.message, routingKey: command.delivery.routingKey, at: now))
    }
}

extension CommandDecoder {
    /// The command of an inbox entry, decoded again.
    fileprivate func stored(_ entry: InboxEntry) -> Command? {
        CommandType(rawValue: entry.type).flatMap { decodeStored(type: $0, data: entry.data) }
    }
}

extension StoredEvent {
    init(_ event: Event) {
        self.init(
            id: event.id, type: event.type, time: event.time, customerID: event.customerID,
            data: EventEncoder.data(of: event))
    }

    /// The messages that announce the event: to all, and to who asked for it.
    func messages(replyTo: String?, correlationID: String?, trace: TraceContext) -> [OutgoingMessage] {
        let message = EventMessage.make(
            id: id, type: type, time: time, customerID: customerID, data: data, traceparent: trace.traceparent,
            tracestate: trace.tracestate, correlationID: correlationID)
        var messages = [OutgoingMessage(exchange: Topology.events, routingKey: type.rawValue, message: message)]
        if let replyTo {
            messages.append(OutgoingMessage(exchange: "", routingKey: replyTo, message: message))
        }
        return messages
    }
}
