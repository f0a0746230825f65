// A batch of deliveries on its way through the core: matched with the inbox, decided. Pure: no I/O.

internal import AMQP
internal import OrderContract
internal import OrderStore
internal import Orders

/// What a delivery was read as.
enum LaneCommand: Sendable {
    case command(ReceivedCommand)
    case marker(PartitionMarker)
    /// It is no command: it goes to the dead letters.
    case unreadable(Refusal)

    var isMarker: Bool { if case .marker = self { true } else { false } }

    /// The customer whose commands have to be applied in order.
    var customer: CustomerID? {
        switch self {
        case .command(let command): command.decoded.command.customerID
        case .marker, .unreadable: nil
        }
    }
}

extension ReceivedCommand {
    /// As it is parked.
    fileprivate func parked(_ wait: PartitionOrder.Wait) -> ParkedCommand {
        ParkedCommand(
            customer: decoded.command.customerID, partition: partition, needs: wait.needs, orderedAt: wait.orderedAt,
            delivery: delivery)
    }
}

/// A parked command that comes back.
struct ParkedEntry: Sendable, Hashable {
    let position: ParkedPosition
    let orderedAt: Timestamp
}

/// What is to be done after a batch was decided.
struct DecidedBatch: Sendable {
    var changes: Changes
    /// What became of each entry of the batch.
    var outcomes: [BatchOutcome] = []
    var commands: [InboxEntry] = []
    /// From which partition each customer's last command came.
    var partitions: [CustomerID: Int] = [:]
    var moves: [CustomerMove] = []
    /// The partitions that hold nothing any more from before partitions were added.
    var drained: Set<Int> = []
    /// The barriers that have come out of partitions' queues.
    var barriers: [Int: Int64] = [:]
    /// What has to wait for another partition, and what no longer does.
    var toPark: [ParkedCommand] = []
    var unparked: [ParkedPosition] = []
    var events: [OutboxEntry] = []
    /// Which entry caused each of `events`.
    var causes: [Int?] = []
    /// What is published besides the outbox, because nothing was committed for it: repeated outcomes, refusals of reused
    /// ids, deferred messages, dead letters. With the entry that it belongs to.
    var besides: [(entry: Int, message: OutgoingMessage)] = []
    /// How many commands were put aside for a while.
    var deferred = 0
    /// Outcomes for those who asked for them.
    var replies: [Reply] = []
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
    let entry: Int
    let command: ReceivedCommand
    let key: InboxKey
    let envelope: CommandEnvelope
    let outcome: Event

    func inboxEntry(_ outcome: StoredEvent, by catalog: Catalog, receivedAt now: Timestamp) -> InboxEntry {
        InboxEntry(
            receivedAt: now, key: key, customerID: envelope.command.customerID, partition: command.partition,
            type: envelope.command.type.rawValue, publisher: envelope.publisher.name,
            effectiveAt: envelope.effectiveAt, data: command.decoded.data, trace: command.trace, outcome: outcome,
            catalogVersion: catalog.version)
    }
}

/// A part of a settlement that is too large for one transaction, kept as a command of the worker's own.
private struct SettledPart {
    /// The command before which it was settled.
    let command: ReceivedCommand
    let envelope: CommandEnvelope
    let outcome: Event

    init(before command: ReceivedCommand, _ cause: CommandEnvelope, _ work: inout UnitOfWork) {
        let customer = cause.command.customerID
        self.command = command
        envelope = CommandEnvelope(
            key: CommandKey(
                source: EventMessage.source,
                id: "settle \(customer) part \(work.sequence(of: customer)) \(cause.effectiveAt)"),
            publisher: .worker, effectiveAt: cause.effectiveAt, command: .settle(customer))
        outcome = work.settlePart(envelope)
    }

    func inboxEntry(_ outcome: StoredEvent, by catalog: Catalog, receivedAt now: Timestamp) -> InboxEntry {
        let customer = envelope.command.customerID
        return InboxEntry(
            receivedAt: now, key: InboxKey(sender: InboxKey.worker, command: envelope.key), customerID: customer,
            partition: command.partition, type: envelope.command.type.rawValue, publisher: envelope.publisher.name,
            effectiveAt: envelope.effectiveAt, data: SettleCommand.data(of: customer), trace: command.trace,
            outcome: outcome, catalogVersion: catalog.version)
    }
}

/// The deliveries of one batch, read.
struct Batch: Sendable {
    /// About how many transactions and lines of closed invoices a batch may settle.
    var settlementLimit = 1000
    /// How many subscriptions that are due may be loaded.
    var dueLimit = 1000

    let entries: [LaneCommand]
    /// Which entries come from where they were parked, and where they stand there.
    var parked: [Int: ParkedEntry] = [:]

    var commands: [ReceivedCommand] {
        entries.compactMap { if case .command(let command) = $0 { command } else { nil } }
    }

    /// What the batch has to load.
    func request(_ admission: Admission, catalog: Catalog, dueBy horizon: Timestamp) -> BatchRequest {
        var request = BatchRequest(
            commands.map { command in
                let publisher = admission.publisher(of: command, catalog: catalog)
                return (key: admission.key(of: command, publisher, catalog: catalog), command: command.decoded.command)
            }, dueBy: horizon)
        request.dueLimit = dueLimit
        return request
    }

    /// Decides the commands in order. Those that are in the inbox, or earlier in the batch, get their outcome again; those
    /// whose customer may still come are put aside; those whose customer's last command came by another partition wait.
    ///
    /// - Parameter partitionCount: how many partitions there are; nil where that isn't known.
    func decide(
        _ loaded: LoadedBatch, _ admission: Admission, catalog: Catalog, now: Timestamp, partitionCount: Int? = nil,
        identifiers: IdentifierSource
    ) -> DecidedBatch {
        var work = UnitOfWork(
            catalog: catalog, states: loaded.states, invoiceNumbers: loaded.invoiceNumbers, now: now,
            identifiers: identifiers, settlementLimit: settlementLimit)
        var parts: [SettledPart] = []
        var postponed = loaded.incomplete
        var order = PartitionOrder(
            partitions: loaded.partitions, count: partitionCount, undrained: loaded.undrained, barrier: loaded.barrier,
            fences: loaded.fences, parked: loaded.parked)
        var admitted: [InboxKey: Admitted] = [:]
        var inOrder: [Admitted] = []
        var repeated: [(entry: Int, command: ReceivedCommand, key: InboxKey)] = []
        var outcomes: [BatchOutcome] = []
        var besides: [(entry: Int, message: OutgoingMessage)] = []
        var deferred = 0
        var replies: [Reply] = []
        var toPark: [ParkedCommand] = []
        var unparked: [ParkedPosition] = []
        for (index, entry) in entries.enumerated() {
            var outcome = BatchOutcome.applied
            switch entry {
            case .unreadable(let refusal):
                besides += refusal.messages.map { (index, $0) }
                replies += [refusal.reply].compactMap { $0 }
            case .marker(let marker):
                order.take(marker)
            case .command(let command):
                let publisher = admission.publisher(of: command, catalog: catalog)
                let key = admission.key(of: command, publisher, catalog: catalog)
                let customer = command.decoded.command.customerID
                if postponed.contains(customer) {
                    outcomes.append(.postponed)
                    continue
                }
                var holder: Int?
                if let entry = parked[index] {
                    holder = order.takeParked(customer, by: command.partition, orderedAt: entry.orderedAt)
                } else if let wait = order.take(customer, by: command.partition, at: command.publishedAt, now: now) {
                    holder = wait.holder
                    toPark.append(command.parked(wait))
                }
                if let holder {
                    outcome = .parked(by: holder)
                } else if loaded.postponed.contains(key) {
                    outcome = .postponed
                } else if loaded.known[key] != nil || admitted[key] != nil {
                    repeated.append((index, command, key))
                } else {
                    let envelope = CommandEnvelope(
                        key: command.decoded.key, publisher: publisher,
                        effectiveAt: admission.effectiveTime(of: command, now: now), command: command.decoded.command)
                    let settlement = work.settlement(before: envelope)
                    if settlement != .small {
                        // It is decided once all that is due has been settled, and what comes behind it after that.
                        if settlement == .large { parts.append(SettledPart(before: command, envelope, &work)) }
                        postponed.insert(customer)
                        outcome = .postponed
                    } else if admission.mayDefer(command), work.waitsForCustomer(envelope) {
                        deferred += 1
                        besides.append(
                            (index, admission.relay.deferred(command.delivery, attempts: command.attempts + 1)))
                    } else if let partner = work.unusablePartner(for: envelope) {
                        // It has no outcome yet: that comes with the replay.
                        besides.append((index, admission.leave(command, for: partner, now: now)))
                    } else {
                        let decided = Admitted(
                            entry: index, command: command, key: key, envelope: envelope, outcome: work.decide(envelope)
                        )
                        admitted[key] = decided
                        inOrder.append(decided)
                    }
                }
            }
            outcomes.append(outcome)
            if outcome == .applied, let entry = parked[index] { unparked.append(entry.position) }
        }

        let changes = work.finish()
        let events = Dictionary(
            changes.events.map { ($0.id, StoredEvent($0)) }, uniquingKeysWith: { first, _ in first })
        var decided = DecidedBatch(changes: changes, outcomes: outcomes, besides: besides, replies: replies)
        decided.deferred = deferred
        decided.partitions = order.partitions
        decided.moves = order.moves
        decided.drained = order.drained
        decided.barriers = order.passed
        decided.toPark = toPark
        decided.unparked = unparked
        addEvents(changes.events, events, inOrder, parts, to: &decided)
        for part in parts {
            if let outcome = events[part.outcome.id] {
                decided.commands.append(part.inboxEntry(outcome, by: catalog, receivedAt: now))
            }
        }
        for admitted in inOrder {
            guard let outcome = events[admitted.outcome.id] else { continue }
            decided.commands.append(admitted.inboxEntry(outcome, by: catalog, receivedAt: now))
            decided.tally.append(BatchTally(command: admitted.command, outcome: outcome, isRepeated: false))
        }
        for (index, command, key) in repeated {
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
            decided.besides.append(
                (index, answer.announcement(correlationID: command.decoded.correlationID, trace: command.trace)))
            decided.replies += [Reply(to: command, answer)].compactMap { $0 }
            decided.tally.append(BatchTally(command: command, outcome: answer, isRepeated: true))
        }
        return decided
    }

    /// The events in the order in which they have to be published, each in its customer's partition. An outcome also goes
    /// to who asked for it.
    private func addEvents(
        _ events: [Event], _ stored: [EventID: StoredEvent], _ admitted: [Admitted], _ parts: [SettledPart],
        to decided: inout DecidedBatch
    ) {
        let askers = Dictionary(admitted.map { ($0.outcome.id, $0) }, uniquingKeysWith: { first, _ in first })
        let causes = Dictionary(admitted.map { ($0.envelope.key, $0) }, uniquingKeysWith: { _, last in last })
        let partitions = Dictionary(
            admitted.map { ($0.envelope.command.customerID, $0.command.partition) }
                + parts.map { ($0.envelope.command.customerID, $0.command.partition) },
            uniquingKeysWith: { first, _ in first })
        var asker: Admitted?
        for event in events {
            guard let data = stored[event.id] else { continue }
            // Further parts go where the first one went.
            if event.part.map({ $0.number == 1 }) ?? true { asker = askers[event.id] }
            let cause = asker ?? causes[event.cause]
            decided.events.append(
                OutboxEntry(
                    partition: partitions[event.customerID] ?? 0, event: data, replyTo: asker?.command.replyTo,
                    correlationID: asker?.command.decoded.correlationID,
                    trace: cause?.command.trace ?? TraceContext(traceparent: nil, tracestate: nil)))
            decided.causes.append(cause?.entry)
            if let asker, let queue = asker.command.replyTo {
                decided.replies.append(
                    Reply(
                        data, queue: queue, correlationID: asker.command.decoded.correlationID,
                        trace: asker.command.trace, user: asker.command.userID))
            }
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

    /// The message that announces the event to all.
    func announcement(correlationID: String?, trace: TraceContext) -> OutgoingMessage {
        OutgoingMessage(
            exchange: Topology.events, routingKey: type.rawValue,
            message: EventMessage.make(
                id: id, type: type, time: time, customerID: customerID, data: data, traceparent: trace.traceparent,
                tracestate: trace.tracestate, correlationID: correlationID))
    }
}
