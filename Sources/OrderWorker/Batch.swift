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

/// A command that was decided, and how.
private struct Admitted {
    let command: ReceivedCommand
    let key: InboxKey
    let envelope: CommandEnvelope
    let outcome: Event

    func inboxEntry(_ outcome: StoredEvent, receivedAt now: Timestamp) -> InboxEntry {
        InboxEntry(
            receivedAt: now, key: key, customerID: envelope.command.customerID, partition: command.partition,
            type: envelope.command.type.rawValue, publisher: envelope.publisher.name,
            effectiveAt: envelope.effectiveAt, data: command.decoded.data, trace: command.trace, outcome: outcome)
    }
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

    /// Decides the commands in order. Those that are in the inbox, or earlier in the batch, get their outcome again; those
    /// whose customer may still come are put aside.
    func decide(
        _ loaded: LoadedBatch, _ admission: Admission, catalog: Catalog, now: Timestamp, identifiers: IdentifierSource
    ) -> DecidedBatch {
        var work = UnitOfWork(
            catalog: catalog, states: loaded.states, invoiceNumbers: loaded.invoiceNumbers, now: now,
            identifiers: identifiers)
        var admitted: [InboxKey: Admitted] = [:]
        var inOrder: [Admitted] = []
        var repeated: [(command: ReceivedCommand, key: InboxKey)] = []
        var deferred: [OutgoingMessage] = []
        for command in commands {
            let publisher = admission.publisher(of: command, catalog: catalog)
            let key = admission.key(of: command, publisher, catalog: catalog)
            if loaded.known[key] != nil || admitted[key] != nil {
                repeated.append((command, key))
                continue
            }
            let envelope = CommandEnvelope(
                key: command.decoded.key, publisher: publisher,
                effectiveAt: admission.effectiveTime(of: command, now: now), command: command.decoded.command)
            if admission.mayDefer(command), work.waitsForCustomer(envelope) {
                deferred.append(admission.relay.deferred(command.delivery, attempts: command.attempts + 1))
                continue
            }
            let decided = Admitted(command: command, key: key, envelope: envelope, outcome: work.decide(envelope))
            admitted[key] = decided
            inOrder.append(decided)
        }

        let changes = work.finish()
        let events = Dictionary(
            changes.events.map { ($0.id, StoredEvent($0)) }, uniquingKeysWith: { first, _ in first })
        var decided = DecidedBatch(changes: changes)
        decided.besides = deferred
        decided.events = outboxEntries(changes.events, events, inOrder)
        for admitted in inOrder {
            guard let outcome = events[admitted.outcome.id] else { continue }
            decided.commands.append(admitted.inboxEntry(outcome, receivedAt: now))
            decided.tally.append(BatchTally(command: admitted.command, outcome: outcome, isRepeated: false))
        }
        for (command, key) in repeated {
            let original: Command?
            let outcome: StoredEvent?
            if let entry = loaded.known[key] {
                (original, outcome) = (admission.decoder.stored(entry), entry.outcome)
            } else {
                let earlier = admitted[key]
                (original, outcome) = (earlier?.command.decoded.command, earlier.flatMap { events[$0.outcome.id] })
            }
            guard let outcome else { continue }
            let answer = original == command.decoded.command ? outcome : Self.refusalOfReuse(command, now: now)
            decided.besides += answer.messages(
                replyTo: command.decoded.replyTo, correlationID: command.decoded.correlationID, trace: command.trace)
            decided.tally.append(BatchTally(command: command, outcome: answer, isRepeated: true))
        }
        return decided
    }

    /// The events in the order in which they have to be published, each in its customer's partition. An outcome also goes
    /// to who asked for it.
    private func outboxEntries(
        _ events: [Event], _ stored: [EventID: StoredEvent], _ admitted: [Admitted]
    ) -> [OutboxEntry] {
        let askers = Dictionary(admitted.map { ($0.outcome.id, $0.command) }, uniquingKeysWith: { first, _ in first })
        let causes = Dictionary(admitted.map { ($0.envelope.key, $0.command) }, uniquingKeysWith: { _, last in last })
        let partitions = Dictionary(
            commands.map { ($0.decoded.command.customerID, $0.partition) }, uniquingKeysWith: { first, _ in first })
        var command: ReceivedCommand?
        return events.compactMap { event in
            guard let data = stored[event.id] else { return nil }
            // Further parts go where the first one went.
            if event.part.map({ $0.number == 1 }) ?? true { command = askers[event.id] }
            let asker = command?.decoded
            return OutboxEntry(
                partition: partitions[event.customerID] ?? 0, event: data, replyTo: asker?.replyTo,
                correlationID: asker?.correlationID,
                trace: (command ?? causes[event.cause])?.trace
                    ?? TraceContext(traceparent: nil, tracestate: nil))
        }
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
