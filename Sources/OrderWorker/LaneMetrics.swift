// What the lanes count and time. What each metric means is said in WorkerMetrics.

internal import AMQP
internal import Logging
internal import Metrics
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL

enum LaneMetrics {
    /// What a command passes through, in this order. Each is timed for as many commands as pass it together.
    enum Stage: String, CaseIterable {
        /// From bytes to commands.
        case read
        /// Begin the transaction, look up the inbox, lock and load what the batch touches.
        case load
        case decide
        /// Write what was decided, and commit.
        case store
        /// Publish the events, and wait for the confirms.
        case publish
        case acknowledge
    }

    private static let stages = Stage.allCases.map { stage in
        Timer(label: WorkerMetrics.stage.name, dimensions: [("stage", stage.rawValue)])
    }
    private static let endToEnd = Timer(label: WorkerMetrics.endToEnd.name)
    private static let commandAge = Timer(label: WorkerMetrics.commandAge.name)

    /// Shows what has not happened yet as 0, so that the first time is a rise.
    static func prepare() {
        for type in CommandType.allCases {
            Counter(
                label: WorkerMetrics.commands.name,
                dimensions: [
                    ("type", type.rawValue), ("outcome", EventType.commandRejected.rawValue), ("repeated", "false"),
                ]
            ).increment(by: 0)
        }
        for metric in WorkerMetrics.plainCounters { Counter(label: metric.name).increment(by: 0) }
        _ = (stages, endToEnd, commandAge)
    }

    static func stage(_ stage: Stage, since start: ContinuousClock.Instant) {
        guard let index = Stage.allCases.firstIndex(of: stage) else { return }
        stages[index].record(duration: start.duration(to: .now))
    }

    /// - Parameter start: when the delivery arrived; it is acknowledged now.
    static func acknowledged(since start: ContinuousClock.Instant) {
        endToEnd.record(duration: start.duration(to: .now))
    }

    static func command(_ tally: BatchTally, now: Timestamp) {
        Counter(
            label: WorkerMetrics.commands.name,
            dimensions: [
                ("type", tally.command.decoded.type.rawValue), ("outcome", tally.outcome.type.rawValue),
                ("repeated", tally.isRepeated ? "true" : "false"),
            ]
        ).increment()
        if !tally.isRepeated, let time = tally.command.decoded.time {
            commandAge.record(duration: max(.zero, .microseconds(now.microseconds - time.microseconds)))
        }
    }

    static func deadLettered(_ reason: RejectionCode) {
        Counter(label: WorkerMetrics.deadLetters.name, dimensions: [("reason", reason.rawValue)]).increment()
    }

    static func batch(size: Int, deferred: Int, seconds: Duration) {
        Recorder(label: WorkerMetrics.batchSize.name).record(size)
        Timer(label: WorkerMetrics.batch.name).record(duration: seconds)
        if deferred > 0 { Counter(label: WorkerMetrics.deferred.name).increment(by: deferred) }
    }

    static func redelivered(_ count: Int) {
        if count > 0 { Counter(label: WorkerMetrics.redeliveries.name).increment(by: count) }
    }

    static func published(_ count: Int) {
        Counter(label: WorkerMetrics.published.name).increment(by: count)
    }

    static func report(_ report: LaneReport, lane: String) {
        let consumed = report.partitions.count { $0.state == .consumed || $0.state == .taken }
        Gauge(label: WorkerMetrics.partitionsOwned.name, dimensions: [("lane", lane)]).record(consumed)
        Gauge(label: WorkerMetrics.partitionsWaiting.name, dimensions: [("lane", lane)]).record(
            report.partitions.count { $0.state == .waiting })
        Gauge(label: WorkerMetrics.lanePaused.name, dimensions: [("lane", lane)]).record(
            report.troubles.isEmpty ? 0 : 1)
        Gauge(label: WorkerMetrics.inHand.name, dimensions: [("lane", lane)]).record(report.inHand)
        Gauge(label: WorkerMetrics.heldCustomers.name, dimensions: [("lane", lane)]).record(report.heldCustomers)
        Gauge(label: WorkerMetrics.quarantinedCustomers.name, dimensions: [("lane", lane)]).record(
            report.quarantinedCustomers)
    }

    static func blocked(_ reason: String?, lane: String) {
        Gauge(label: WorkerMetrics.brokerBlocked.name, dimensions: [("lane", lane)]).record(reason == nil ? 0 : 1)
    }

    static func catalog(_ catalog: Catalog) {
        Gauge(label: WorkerMetrics.catalogVersion.name).record(catalog.version)
    }

    static func note(_ note: LaneNote, lane: String) {
        switch note {
        case .lost: laneRestarted(lane)
        case .partitionWaits(let partition, _, _):
            Counter(label: WorkerMetrics.partitionFailures.name, dimensions: [("partition", "\(partition)")])
                .increment()
        case .publishingPaused:
            Counter(label: WorkerMetrics.publishingPaused.name, dimensions: [("lane", lane)]).increment()
        case .held:
            Counter(label: WorkerMetrics.customersHeld.name).increment()
        case .quarantined:
            Counter(label: WorkerMetrics.quarantined.name).increment()
        case .deadLettered: deadLettered(.internalError)
        default: break
        }
    }

    static func databaseRefused(_ sqlState: String?) {
        Counter(
            label: WorkerMetrics.databaseRefusals.name, dimensions: [("class", String(sqlState?.prefix(2) ?? "none"))]
        ).increment()
    }

    static func repliesDropped(_ count: Int, _ reason: ReplyLoss) {
        Counter(label: WorkerMetrics.repliesDropped.name, dimensions: [("reason", reason.rawValue)]).increment(
            by: count)
    }

    static func laneRestarted(_ lane: String) {
        Counter(label: WorkerMetrics.laneRestarts.name, dimensions: [("lane", lane)]).increment()
    }

    // MARK: Connections

    /// Counts that a connection was lost, or not made, for what reason: it is made anew.
    static func reconnects(after error: any Error) {
        let (server, reason) = cause(of: error)
        Counter(label: WorkerMetrics.reconnects.name, dimensions: [("server", server), ("reason", reason)]).increment()
    }

    /// The server whose connection it was, and the reason as one of few words.
    static func cause(of error: any Error) -> (server: String, reason: String) {
        switch error {
        case let error as AMQPError: ("broker", error.code.rawValue)
        case is ConsumerCancelled: ("broker", "consumer_cancelled")
        case let error as StoreError:
            ("database", snakeCase(error.cause?.code.rawValue ?? error.code.rawValue))
        case let error as PostgreSQLError: ("database", snakeCase(error.code.rawValue))
        default: ("none", "other")
        }
    }

    private static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { text, character in
            text += character.isUppercase ? "_\(character.lowercased())" : String(character)
        }
    }
}

extension BatchTally {
    /// For the log: which command, and what came of it.
    var metadata: [String: Logger.MetadataValue] {
        var metadata = command.metadata
        metadata["outcome"] = "\(outcome.type.rawValue)"
        if isRepeated { metadata["repeated"] = "true" }
        return metadata
    }
}

/// Why a reply wasn't sent.
enum ReplyLoss: String, CaseIterable {
    case tooManyWait = "too_many_wait"
    case senderExcluded = "sender_excluded"
    case tooLarge = "too_large"
    case addressBreaks = "address_breaks_connection"
    case queueRefuses = "queue_refuses"
    case brokerUnreachable = "broker_unreachable"

    /// For the log.
    var text: String {
        switch self {
        case .tooManyWait: "too many wait"
        case .senderExcluded: "their senders' direct addresses broke the connection"
        case .tooLarge: "the broker takes none so large"
        case .addressBreaks: "a direct address broke the connection"
        case .queueRefuses: "their queues refuse them"
        case .brokerUnreachable: "the broker can't be reached"
        }
    }
}
