// One lane while it is connected: takes partitions, applies their commands in batches, publishes, acknowledges.

internal import AMQP
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders

/// A lane's connections and what it has in hand. When any part fails the whole session ends and the lane begins a new
/// one: what was not acknowledged is delivered again, what was committed and not published waits in the outbox.
actor LaneSession {
    private let configuration: WorkerConfiguration
    private let connections: LaneConnections
    private let admission: Admission
    private let store: BatchStore
    private let ownership: PartitionOwnership
    private let rankKey: Int32
    private let logger: Logger
    private let report: @Sendable ([Int]) -> Void

    private var catalog: Catalog
    /// The partitions that are consumed, which is fewer than owned only while one is taken or handed over.
    private var consumed: Set<Int> = []
    /// Published and acknowledged; removed from the outbox with the next transaction.
    private var published: [OutboxPosition] = []
    private var isStopping = false

    private static let balanceInterval = Duration.milliseconds(500)

    /// Deliveries of one partition that may be in hand. Several partitions together fill the batch that is being applied
    /// and the next one; more would only be memory that hostile publishers could fill.
    private var prefetch: Int { min(configuration.batchLimit, 65535) }

    init(
        _ configuration: WorkerConfiguration, connections: LaneConnections, catalog: Catalog, admission: Admission,
        rankKey: Int32, logger: Logger, report: @escaping @Sendable ([Int]) -> Void
    ) {
        self.configuration = configuration
        self.connections = connections
        self.admission = admission
        self.store = BatchStore(connection: connections.database)
        self.ownership = PartitionOwnership(connection: connections.database)
        self.catalog = catalog
        self.rankKey = rankKey
        self.logger = logger
        self.report = report
    }

    /// Ends the session in good order: the batch in hand is finished, what else has come goes back.
    func stop() async {
        isStopping = true
        await connections.consumer.wake()
    }

    /// Serves until ``stop()`` is called or something fails.
    func serve() async throws {
        try await withThrowingTaskGroup(of: [OutboxPosition].self) { publishing in
            var nextBalance = ContinuousClock.now
            while !isStopping {
                if ContinuousClock.now >= nextBalance {
                    try await balance(&publishing)
                    nextBalance = .now + Self.balanceInterval
                    if isStopping { break }
                }
                // With something published and not yet cleared away, wait only a moment for the batch that does it.
                let isUnfinished = !publishing.isEmpty || !published.isEmpty
                let deadline = isUnfinished ? min(nextBalance, .now + .milliseconds(50)) : nextBalance
                try await takeBatch(until: deadline, &publishing)
            }
            try await drain(&publishing)
        }
    }

    // MARK: Batches

    /// Takes what has arrived, applies it, and starts to publish it once the batch before is published.
    private func takeBatch(
        until deadline: ContinuousClock.Instant, _ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>
    ) async throws {
        let arrived = try await connections.consumer.nextBatch(maximum: configuration.batchLimit, until: deadline)
        var deliveries: [Delivery] = []
        for event in arrived {
            switch event {
            case .delivery(let delivery): deliveries.append(delivery)
            case .cancelled(let consumerTag):
                throw LaneError.consumerCancelled(consumerTag)
            }
        }
        guard let last = deliveries.last else { return try await finishPublishing(&publishing) }
        let results = try await apply(deliveries)
        try await collect(&publishing)
        let connections = connections
        publishing.addTask {
            try await connections.publish(results.flatMap(\.messages))
            try await connections.consumer.acknowledge(through: last.tag)
            return results.flatMap(\.positions)
        }
    }

    /// Waits until the batch before is published and acknowledged.
    private func collect(_ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>) async throws {
        while let positions = try await publishing.next() { published += positions }
    }

    /// Waits for the batch before and removes what was published from the outbox, where no transaction comes to do it.
    private func finishPublishing(
        _ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>
    ) async throws {
        try await collect(&publishing)
        if !published.isEmpty {
            try await store.remove(published)
            published = []
        }
    }

    /// Applies deliveries in one transaction, or one by one where the database refuses them together.
    private func apply(_ deliveries: [Delivery]) async throws -> [AppliedBatch] {
        let started = ContinuousClock.now
        let reading = admission.read(deliveries, now: Timestamp.now)
        for refusal in reading.refusals {
            LaneMetrics.deadLettered(refusal.code)
            logger.warning("dead-lettered", metadata: refusal.metadata)
        }
        var results = [AppliedBatch(messages: reading.refusals.flatMap(\.messages), positions: [])]
        do {
            results.append(try await commit(reading.commands))
        } catch {
            if error.isRetriable { throw error }
            logger.error("batch refused, trying one by one", metadata: ["error": "\(error)"])
            for command in reading.commands {
                results.append(try await commitAlone(command))
            }
        }
        LaneMetrics.batch(size: deliveries.count, seconds: started.duration(to: .now))
        return results
    }

    private func commitAlone(_ command: ReceivedCommand) async throws -> AppliedBatch {
        do {
            return try await commit([command])
        } catch {
            if error.isRetriable { throw error }
            return poisoned(command, error)
        }
    }

    /// Dead-letters a command that the database refuses although the rules allow it: a defect that must not stop others.
    private func poisoned(_ command: ReceivedCommand, _ error: StoreError) -> AppliedBatch {
        logger.critical(
            "the database refused a command; it is dead-lettered",
            metadata: command.metadata.merging(["error": "\(error)"]) { first, _ in first })
        let refusal = admission.refuse(command, because: error, now: Timestamp.now)
        return AppliedBatch(messages: refusal.messages, positions: [])
    }

    /// Commits commands in one transaction. Where that can't be done now (another transaction is in the way, the disk is
    /// full) it tries again, and keeps what it was delivered: giving it back each time would use up the delivery limit.
    private func commit(_ commands: [ReceivedCommand]) async throws(StoreError) -> AppliedBatch {
        guard !commands.isEmpty else { return AppliedBatch(messages: [], positions: []) }
        var backoff = Backoff(minimum: .milliseconds(20), maximum: .seconds(5))
        var random = SystemRandomNumberGenerator()
        while true {
            do throws(StoreError) {
                return try await transact(commands)
            } catch {
                // A lost connection ends the session. With it go the locks, so that nothing can be committed twice. So
                // does one to a server that has become read-only: another may be the primary now.
                guard error.isConnectionUsable, !error.isReadOnly else { throw error.losingSession() }
                try await store.rollback()
                guard error.isRetriable else { throw error }
                if isStopping { throw error.losingSession() }
                logger.warning("transaction again", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: backoff.next(using: &random))
            }
        }
    }

    private func transact(_ commands: [ReceivedCommand]) async throws(StoreError) -> AppliedBatch {
        let (decided, catalog) = try await BatchTransaction(store: store, admission: admission).decide(
            Batch(commands: commands), catalog: catalog, now: .now)
        if catalog.version != self.catalog.version {
            self.catalog = catalog
            logger.info("catalog loaded", metadata: ["version": "\(catalog.version)"])
        }
        let positions = try await store.commit(
            decided.changes, commands: decided.commands, events: decided.events, published: published)
        published = []
        for entry in decided.tally {
            LaneMetrics.command(entry)
            logger.debug("command", metadata: entry.metadata)
        }
        let messages = decided.events.flatMap { entry in
            entry.event.messages(replyTo: entry.replyTo, correlationID: entry.correlationID, trace: entry.trace)
        }
        return AppliedBatch(messages: messages + decided.besides, positions: positions)
    }

    // MARK: Partitions

    /// Takes and hands over partitions until this lane has its share.
    private func balance(_ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>) async throws {
        let view = try await ownership.view()
        let share = FairShare(rankKey: rankKey, partitions: configuration.partitions, view: view)
        if !share.release.isEmpty {
            try await handOver(share.release, &publishing)
        }
        if !share.take.isEmpty {
            for partition in try await ownership.take(share.take).sorted() {
                try await begin(partition)
            }
        }
        if !share.release.isEmpty || !share.take.isEmpty {
            report(consumed.sorted())
        }
    }

    /// Publishes what the partition's owner before left in the outbox, then begins to consume.
    private func begin(_ partition: Int) async throws {
        while true {
            let waiting = try await store.waitingEvents(partitions: [partition], limit: 1000)
            if waiting.isEmpty { break }
            logger.notice(
                "publishing what was left in the outbox",
                metadata: ["partition": "\(partition)", "events": "\(waiting.count)"])
            try await connections.publish(
                waiting.flatMap { waiting in
                    waiting.entry.event.messages(
                        replyTo: waiting.entry.replyTo, correlationID: waiting.entry.correlationID,
                        trace: waiting.entry.trace)
                })
            try await store.remove(waiting.map(\.position))
        }
        try await connections.consumer.consume(partition: partition, prefetch: prefetch)
        consumed.insert(partition)
        logger.info("partition taken", metadata: ["partition": "\(partition)"])
    }

    /// Hands partitions over: finishes the batch in hand, gives what else has arrived back, and lets go.
    private func handOver(
        _ partitions: [Int], _ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>
    ) async throws {
        try await finishPublishing(&publishing)
        try await connections.consumer.restart()
        try await letGo(of: partitions)
        for partition in consumed.sorted() {
            try await connections.consumer.consume(partition: partition, prefetch: prefetch)
        }
    }

    /// Finishes the batch in hand, gives what else has arrived back, and lets go of everything.
    private func drain(_ publishing: inout ThrowingTaskGroup<[OutboxPosition], any Error>) async throws {
        try await finishPublishing(&publishing)
        await connections.consumer.close()
        try await letGo(of: consumed.sorted())
        report([])
    }

    private func letGo(of partitions: [Int]) async throws {
        for partition in partitions {
            try await ownership.release(partition)
            consumed.remove(partition)
            logger.info("partition handed over", metadata: ["partition": "\(partition)"])
        }
    }
}

/// The outcome of one transaction: what to publish, and where it stands in the outbox.
private struct AppliedBatch: Sendable {
    let messages: [OutgoingMessage]
    let positions: [OutboxPosition]
}
