// What a lane does on its database session and its publishing connection.

internal import AMQP
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL
internal import Tracing

extension Lane {
    // MARK: The database session

    /// Does a job on the database session and reports its answer.
    func work(on action: Machine.Action) async {
        guard let connections else {
            feed.yield(.databaseLost("the lane is not connected"))
            return
        }
        do {
            feed.yield(try await answer(to: action, connections))
        } catch let error as StoreError {
            if let refusal = error.refusal {
                LaneMetrics.databaseRefused(error.cause?.sqlState)
                feed.yield(await refused(action, refusal, error, connections))
            } else {
                LaneMetrics.reconnects(after: error)
                feed.yield(.databaseLost("\(error)"))
            }
        } catch {
            LaneMetrics.reconnects(after: error)
            feed.yield(.databaseLost("\(error)"))
        }
    }

    private func answer(to action: Machine.Action, _ connections: LaneConnections) async throws -> Machine.Event {
        let (store, ownership) = (connections.store, connections.ownership)
        switch action {
        case .look:
            return .looked(try await look(connections))
        case .take(let partitions):
            return .took(try await ownership.take(partitions).sorted())
        case .release(let partitions):
            for partition in partitions { try await ownership.release(partition) }
            return .released
        case .readLeftover(let partition):
            let (events, quarantined) = try await store.waitingEvents(partition: partition)
            replies.offer(events.compactMap { Reply($0.entry) })
            return .leftover(events.map { Outgoing($0.entry, .outbox($0.position)) }, quarantined: quarantined)
        case .apply(let items, let clearing):
            return try await applyTraced(items, clearing: clearing, connections)
        case .clear(let positions):
            try await store.remove(positions)
            return .cleared
        case .quarantine(let messages, let reason):
            try await store.quarantine(
                messages.compactMap { if case .outbox(let position) = $0.source { position } else { nil } },
                reason: reason)
            try await store.quarantineAgain(
                messages.compactMap { if case .quarantine(let position) = $0.source { position } else { nil } },
                reason: reason)
            return .quarantined
        case .checkQuarantine(let partitions, let published):
            let (events, quarantined) = try await store.releasedEvents(partitions: partitions, published: published)
            return .releasedFromQuarantine(
                events.map { Outgoing($0.entry, .quarantine($0.position)) }, quarantined: quarantined)
        case .readParked(let partitions):
            let view = try await store.parked(partitions: partitions)
            return .parked(
                view.commands.map { item($0, $1, connections) }, customers: view.customers, view.barrier)
        case .fence(let since):
            // A second early: the moment is that of this machine, and others may have noticed before.
            try await store.fence(since: connections.clock.now.adding(since - uptime - .seconds(1)))
            return .fenced
        default:
            return .jobFailed("no job of the database's")
        }
    }

    private func item(
        _ position: ParkedPosition, _ parked: ParkedCommand, _ connections: LaneConnections
    ) -> InHand<LaneCommand> {
        let command = connections.admission.read(
            parked.delivery, partition: parked.partition, now: connections.clock.now)
        return InHand(
            place: Place(
                partition: parked.partition, consumer: Place.parking, tag: UInt64(clamping: position.position)),
            customer: parked.customer, weight: command.weight, bytes: parked.delivery.footprint, deliveryCount: 0,
            command: command, orderedAt: parked.orderedAt)
    }

    private func look(_ connections: LaneConnections) async throws -> LaneView {
        let asked = ContinuousClock.now
        let look = try await connections.ownership.look()
        connections.clock.note(time: look.time, asked: asked)
        partitionCount = look.partitions
        if let failure = await publisher?.failure { feed.yield(.publisherLost("\(failure)")) }
        let blockedReason = await publisher?.blockedReason
        LaneMetrics.blocked(blockedReason, lane: name)
        feed.yield(.blocked(blockedReason))
        return LaneView(
            ownership: look.ownership, partitions: look.partitions, undrained: look.undrained,
            paused: look.paused)
    }

    /// Applies a batch in one transaction. It is still open where that fails.
    func apply(
        _ items: [InHand<LaneCommand>], clearing: [OutboxPosition], _ connections: LaneConnections
    ) async throws(StoreError) -> Machine.Event {
        let started = ContinuousClock.now
        let now = connections.clock.now
        var batch = Batch(entries: items.map(\.command))
        for (index, item) in items.enumerated() where item.place.isParked {
            batch.parked[index] = ParkedEntry(
                position: ParkedPosition(partition: item.place.partition, position: Int64(item.place.tag)),
                orderedAt: item.orderedAt ?? now)
        }
        guard var catalog else { throw StoreError.notConnected }
        let decided: DecidedBatch
        (decided, catalog) = try await BatchTransaction(
            store: connections.store, admission: connections.admission, partitionCount: partitionCount
        ).decide(batch, catalog: catalog, now: now)
        if catalog.version != self.catalog?.version {
            self.catalog = catalog
            logger.info("catalog loaded", metadata: ["version": "\(catalog.version)"])
        }
        let storing = ContinuousClock.now
        let positions = try await connections.store.commit(
            decided.changes, partitions: decided.partitions, moves: decided.moves, drained: decided.drained,
            barriers: decided.barriers, parking: decided.toPark, unparked: decided.unparked,
            commands: decided.commands, events: decided.events, published: clearing)
        LaneMetrics.stage(.store, since: storing)
        for entry in decided.tally {
            LaneMetrics.command(entry, now: now)
            logger.debug("command", metadata: entry.metadata)
        }
        for (item, outcome) in zip(items, decided.outcomes) where outcome == .applied {
            if case .unreadable(let refusal) = item.command {
                LaneMetrics.deadLettered(refusal.code)
                logger.warning("dead-lettered", metadata: refusal.metadata)
            }
        }
        LaneMetrics.batch(
            size: items.count, deferred: decided.deferred, seconds: started.duration(to: .now))
        replies.offer(decided.replies)
        return .applied(decided.outcomes, messages(of: decided, items, positions))
    }

    private func messages(
        of decided: DecidedBatch, _ items: [InHand<LaneCommand>], _ positions: [OutboxPosition]
    ) -> [Outgoing<OutgoingMessage>] {
        var messages: [Outgoing<OutgoingMessage>] = []
        for (index, entry) in decided.events.enumerated() where index < positions.count {
            messages.append(
                Outgoing(entry, .outbox(positions[index]), cause: decided.causes[index].map { items[$0].place }))
        }
        for (index, message) in decided.besides { messages.append(Outgoing(message, of: items[index])) }
        return messages
    }

    /// What becomes of a job that the database refused on a session that can still be used.
    private func refused(
        _ action: Machine.Action, _ refusal: BatchRefusal, _ error: StoreError, _ connections: LaneConnections
    ) async -> Machine.Event {
        guard case .apply(let items, _) = action else { return .jobFailed("\(error)") }
        do {
            try await connections.store.rollback()
        } catch {
            return .databaseLost("\(error)")
        }
        var deadLetter: [Outgoing<OutgoingMessage>] = []
        if items.count == 1, refusal != .unavailable, case .command(let command) = items[0].command {
            let refusal = connections.admission.refuse(command, because: error, now: connections.clock.now)
            deadLetter = refusal.messages.map { Outgoing($0, of: items[0]) }
            refusalReply = refusal.reply.map { (items[0].place, $0) }
        }
        return .refused(refusal, reason: "\(error)", deadLetter: deadLetter)
    }

    // MARK: Publishing

    /// Publishes messages and reports what became of each.
    func publish(_ messages: [Outgoing<OutgoingMessage>]) async {
        guard let publisher else {
            feed.yield(.published([], .lost("the publishing connection is closed")))
            return
        }
        let started = ContinuousClock.now
        let span = publishSpan(messages)
        defer { span?.end() }
        do throws(AMQPError) {
            let outcomes = try await publisher.publish(messages.map(\.message))
            let results = zip(messages, outcomes).map { PublishResult($0.message, $1) }
            LaneMetrics.stage(.publish, since: started)
            LaneMetrics.published(results.count { $0 == .confirmed })
            feed.yield(.published(results, nil))
        } catch {
            LaneMetrics.reconnects(after: error)
            span?.setStatus(SpanStatus(code: .error, message: error.code.rawValue))
            feed.yield(.published([], PublishFailure(error)))
        }
    }

    /// Sends markers, on a connection of their own: a queue that doesn't answer must not keep events from being published.
    /// Should one not arrive, another follows.
    func send(_ markers: [PartitionMarker]) async {
        guard let connections else { return }
        let user = connections.admission.relay.ownUser
        do throws(AMQPError) {
            let outcomes = try await markerPublisher().publish(markers.map { $0.message(user: user) })
            let missing = zip(markers, outcomes).filter { $1 != .confirmed }.map(\.0.partition)
            if !missing.isEmpty {
                logger.warning("a marker can't be sent", metadata: ["partitions": "\(missing)"])
            }
        } catch {
            logger.warning(
                "a marker can't be sent",
                metadata: ["partitions": "\(markers.map(\.partition))", "error": "\(error)"])
        }
    }

    private func markerPublisher() async throws(AMQPError) -> PublisherConnection {
        if let markerConnection {
            if await markerConnection.failure == nil { return markerConnection }
            await markerConnection.close()
        }
        let new = try await PublisherConnection.connect(
            Self.named(configuration.amqp, "order-worker \(name) markers"), logger: logger)
        let old = markerConnection
        markerConnection = new
        await old?.close()
        return new
    }
}

extension Outgoing where Message == OutgoingMessage {
    /// An event of the outbox.
    init(_ entry: OutboxEntry, _ source: Source, cause: Place? = nil) {
        self.init(
            cause: cause, customer: entry.event.customerID, partition: entry.partition, source: source,
            message: entry.event.announcement(correlationID: entry.correlationID, trace: entry.trace),
            bytes: entry.event.data.count)
    }

    /// What is made again when its delivery comes again.
    init(_ message: OutgoingMessage, of item: InHand<LaneCommand>) {
        let isDeadLetter = message.exchange.isEmpty && message.routingKey == Topology.deadLetters
        self.init(
            cause: item.place, customer: item.customer ?? CustomerID(high: 0, low: 0), partition: item.place.partition,
            source: isDeadLetter ? .deadLetter : .delivery, message: message, bytes: message.message.body.count)
    }
}

extension PublishResult {
    init(_ message: OutgoingMessage, _ outcome: PublishOutcome) {
        let exchange = message.exchange.isEmpty ? "the queue \(message.routingKey)" : "the exchange \(message.exchange)"
        self =
            switch outcome {
            case .confirmed: .confirmed
            case .returned(_, let text):
                .refused(
                    "\(exchange) takes no '\(message.routingKey)': \(text). Is it there? (order-worker topology apply)")
            case .rejected:
                .refused(
                    "a queue behind \(exchange) refuses '\(message.routingKey)': one that is bound for it is full, or "
                        + "has lost its majority")
            }
    }
}

extension AMQPError {
    /// Whether the broker or the network ended the connection, so that the broker may have begun anew since.
    var tellsThatBrokerIsGone: Bool { code == .connectionClosed || code == .connectionFailed }
}

extension PublishFailure {
    init(_ error: AMQPError) {
        switch error.code {
        case .invalidArgument: self = .unpublishable("\(error)", connectionIsLost: false)
        case .preconditionFailed, .contentTooLarge: self = .unpublishable("\(error)", connectionIsLost: true)
        default: self = .lost("\(error)", brokerIsGone: error.tellsThatBrokerIsGone)
        }
    }
}
