// A lane's shell: performs what its state machine decides, and tells it what came of that.

internal import AMQP
internal import FoundationEssentials
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL
internal import Tracing

/// One of a worker's lanes. It does all that a worker does, for its share of the partitions.
///
/// What to do is decided by ``LaneStateMachine``. Whatever takes time runs in a child task and reports an event; what is
/// told to a consumer is told in order.
actor Lane {
    typealias Machine = LaneStateMachine<LaneCommand, OutgoingMessage>

    let index: Int
    let name: String
    let configuration: WorkerConfiguration
    let status: StatusBoard
    let logger: Logger
    private var machine: Machine
    private let began = ContinuousClock.now
    private let beganAt = Date()
    private let events: AsyncStream<Machine.Event>
    nonisolated let feed: AsyncStream<Machine.Event>.Continuation

    var connections: LaneConnections?
    var publisher: PublisherConnection?
    var markerConnection: PublisherConnection?
    var catalog: Catalog? { didSet { if let catalog { note(catalog) } } }
    /// How many partitions there are, as the topology was applied.
    var partitionCount: Int?
    var consumers: [Int: PartitionConsumer] = [:]
    let replies: ReplySender
    /// The batches' spans by what they put into the outbox, until that is published; empty where nothing is traced.
    var traces: [OutboxPosition: ServiceContext] = [:]
    /// The answer to a command that the database refused by itself, should it be put aside for that.
    var refusalReply: (place: Place, reply: Reply)?
    /// Whether credentials were ever accepted: later they may be in the course of being changed.
    private var hasServed = false
    private var failure: (any Error)?
    private var isAbandoned = false
    private var isStopping = false
    /// Connecting, which may take long where nobody answers, is given up by ``stop()``.
    private var opening: Task<(LaneConnections, PublisherConnection), any Error>?
    private var armed: Duration?
    /// When each trouble that lasts was last said.
    var saidAt: [String: ContinuousClock.Instant] = [:]
    private var lastReport: LaneReport?

    init(index: Int, name: String, _ configuration: WorkerConfiguration, status: StatusBoard, logger: Logger) {
        self.index = index
        self.name = name
        self.configuration = configuration
        self.status = status
        var logger = logger
        logger[metadataKey: "lane"] = "\(name)"
        self.logger = logger
        machine = Machine(
            limits: LaneLimits(
                partitions: configuration.partitions, batch: configuration.batchLimit),
            seed: UInt64.random(in: .min ... .max))
        (events, feed) = AsyncStream.makeStream()
        replies = ReplySender(Self.named(configuration.amqp, "order-worker \(name) replies"), logger: logger)
    }

    static func named(_ amqp: AMQP.ConnectionConfiguration, _ name: String) -> AMQP.ConnectionConfiguration {
        var amqp = amqp
        amqp.connectionName = name
        return amqp
    }

    /// Asks the lane to finish what it has and to end.
    nonisolated func stop() { feed.yield(.stop) }

    /// Gives up what the lane still has in hand. Nothing is lost by it: what isn't acknowledged is delivered again.
    func abandon() async {
        isAbandoned = true
        feed.yield(.stop)
        await closeConnections(within: .zero)
        feed.yield(.databaseLost("the lane was given up"))
    }

    /// Serves until ``stop()`` is called, whatever fails meanwhile.
    ///
    /// - Throws: only what no waiting can mend: a database schema that this version can't work with, a pooler in front of
    ///   the database; and credentials that are refused before they were ever accepted.
    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.replies.run() }
            group.addTask { await self.heartbeat() }
            feed.yield(.tick)
            for await event in events {
                if case .stop = event {
                    isStopping = true
                    opening?.cancel()
                }
                let actions = machine.handle(event, at: uptime)
                for action in actions { await perform(action, &group) }
                arm(&group)
                report()
                if machine.phase == .finished { break }
            }
            replies.finish()
            feed.finish()
            group.cancelAll()
        }
        if let failure { throw failure }
    }

    private func note(_ catalog: Catalog) {
        status.note(catalog)
        LaneMetrics.catalog(catalog)
    }

    var uptime: Duration { began.duration(to: .now) }

    /// Ticks when the machine wants it.
    private func arm(_ group: inout DiscardingTaskGroup) {
        guard let deadline = machine.deadline, armed.map({ deadline < $0 || $0 <= uptime }) ?? true else { return }
        armed = deadline
        let (instant, feed) = (began + deadline, feed)
        group.addTask {
            if (try? await Task.sleep(until: instant, tolerance: .milliseconds(1))) != nil { feed.yield(.tick) }
        }
    }

    /// Shows that the lane is alive even when it has nothing to do.
    private nonisolated func heartbeat() async {
        while (try? await Task.sleep(for: .seconds(5))) != nil { feed.yield(.tick) }
    }

    private func report() {
        status.noteStep(lane: index)
        let report = machine.report
        guard report != lastReport else { return }
        let before = lastReport?.partitions ?? []
        lastReport = report
        let beganAt = beganAt
        let date = { (time: Duration) in
            beganAt.addingTimeInterval(Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18)
        }
        status.update(lane: index, report, date: date)
        LaneMetrics.report(report, lane: name)
        PartitionMetrics.report(report.partitions, before: before, lane: name, date: date)
    }

    // MARK: Performing

    private func perform(_ action: Machine.Action, _ group: inout DiscardingTaskGroup) async {
        switch action {
        case .connect: group.addTask { await self.connect() }
        case .connectPublisher: group.addTask { await self.connectPublisher() }
        case .close:
            group.addTask {
                await self.closeConnections(within: .seconds(5))
                self.feed.yield(.closed)
            }
        case .consume(let partition, let consumer, let prefetch):
            let consumer = PartitionConsumer(
                number: consumer, partition: partition, prefetch: prefetch, logger: logger)
            consumers[consumer.number] = consumer
            group.addTask { await self.serve(consumer) }
        case .receive(let consumer): consumers[consumer]?.receive()
        case .acknowledge(let consumer, let acknowledgements):
            await tell(consumer) { (consumer) throws(AMQPError) in try await consumer.acknowledge(acknowledgements) }
        case .reject(let place):
            await tell(place.consumer) { (consumer) throws(AMQPError) in try await consumer.reject(place.tag) }
        case .endConsumer(let consumer):
            guard let consumer = consumers[consumer] else { return }
            group.addTask { await consumer.end() }
        case .send(let markers): group.addTask { await self.send(markers) }
        case .publish(let messages): group.addTask { await self.publish(messages) }
        case .note(let note): log(note)
        case .finish: break
        default: group.addTask { await self.work(on: action) }
        }
    }

    /// Tells a consumer something. If its connection is lost, its own task says so, and what was told is told again by the
    /// inbox.
    private func tell(_ consumer: Int, _ what: (PartitionConsumer) async throws(AMQPError) -> Void) async {
        guard let consumer = consumers[consumer] else { return }
        do {
            try await what(consumer)
        } catch {
            logger.debug("consumer not reached", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Connections

    /// Connects to the database and to the broker, or not at all.
    private static func open(
        _ configuration: WorkerConfiguration, _ index: Int, _ name: String, _ logger: Logger
    ) async throws -> (LaneConnections, PublisherConnection) {
        let connections = try await LaneConnections.open(configuration, lane: index, name: name, logger: logger)
        do {
            let publisher = try await PublisherConnection.connect(
                named(configuration.amqp, "order-worker \(name)"), logger: logger)
            return (connections, publisher)
        } catch {
            await connections.database.close()
            throw error
        }
    }

    private func connect() async {
        do {
            let (configuration, index, name, logger) = (configuration, index, name, logger)
            let opening = Task { try await Self.open(configuration, index, name, logger) }
            self.opening = opening
            if isStopping { opening.cancel() }
            let opened = await opening.result
            self.opening = nil
            let (connections, publisher) = try opened.get()
            self.connections = connections
            self.publisher = publisher
            catalog = connections.catalog
            if isAbandoned { await closeConnections(within: .zero) }
            hasServed = true
            logger.info("lane is connected")
            feed.yield(.connected(rankKey: connections.rankKey))
        } catch {
            if isFinal(error) {
                failure = error
                feed.yield(.stop)
            } else {
                LaneMetrics.reconnects(after: error)
            }
            feed.yield(.connectFailed("\(error)"))
        }
    }

    private func isFinal(_ error: any Error) -> Bool {
        switch error {
        case let error as PostgreSQLError:
            [.schemaTooNew, .migrationAltered].contains(error.code)
                || (error.code == .authenticationFailed && !hasServed)
        case let error as StoreError:
            error.code == .pooled || (error.code == .unfitDatabase && !hasServed)
        case let error as AMQPError:
            error.code == .authenticationFailed && !hasServed
        default:
            false
        }
    }

    private func connectPublisher() async {
        await publisher?.close()
        do {
            publisher = try await PublisherConnection.connect(
                Self.named(configuration.amqp, "order-worker \(name)"), logger: logger)
            feed.yield(.publisherConnected)
        } catch {
            LaneMetrics.reconnects(after: error)
            feed.yield(.publisherFailed("\(error)"))
        }
    }

    /// Closes all connections. The consumers first: their deliveries go back before the partitions' locks are free.
    private func closeConnections(within limit: Duration) async {
        await withDiscardingTaskGroup { group in
            for consumer in consumers.values { group.addTask { await consumer.end() } }
        }
        await publisher?.close()
        publisher = nil
        await markerConnection?.close()
        markerConnection = nil
        await connections?.database.close(within: limit)
        connections = nil
        traces = [:]
    }

    private func serve(_ consumer: PartitionConsumer) async {
        defer { consumers[consumer.number] = nil }
        guard let connections else {
            feed.yield(.consumerEnded(consumer.number, reason: "the lane is not connected"))
            return
        }
        var amqp = Self.named(
            configuration.amqp, "order-worker \(name) \(Topology.queue(partition: consumer.partition))")
        // The partitions' queues dead-letter it.
        amqp.rejectsUnreadable = true
        // A worker that stands still must lose its consumers within a minute.
        amqp.heartbeat = min(amqp.heartbeat, .seconds(10))
        amqp.bufferLimit = 2 << 20
        let feed = feed
        let publisher = publisher
        let end = await consumer.run(amqp, connections.admission, connections.clock) {
            guard let failure = await publisher?.failure else { return true }
            feed.yield(.publisherLost("\(failure)"))
            return false
        } report: {
            feed.yield($0)
        }
        feed.yield(.consumerEnded(consumer.number, reason: end.reason, connectionIsLost: end.connectionIsLost))
    }
}
