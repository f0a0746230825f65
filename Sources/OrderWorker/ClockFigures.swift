// Reads the figures that all workers share, at an interval, so that a scrape asks nobody.

internal import AMQP
internal import FoundationEssentials
internal import Metrics
internal import OrderStore
internal import Orders

extension Clock {
    /// How often they are read.
    private static let figuresInterval = Duration.seconds(5)
    /// A figure that takes longer isn't worth it.
    private static let figuresLimit = Duration.seconds(5)

    func readDatabaseFigures(_ succeeded: () -> Void) async throws {
        try await withDatabase("figures", statementTimeout: Self.figuresLimit) { connection in
            var last: SharedFigures?
            defer { if let last { SharedMetrics.forget(last) } }
            while !Task.isCancelled {
                let figures = try await SharedFigures.read(on: connection)
                SharedMetrics.database(figures)
                last = figures
                succeeded()
                try await Task.sleep(for: Self.figuresInterval)
            }
        }
    }

    func readBrokerFigures(_ succeeded: () -> Void) async throws {
        var configuration = amqp
        configuration.connectionName = "order-worker figures"
        configuration.operationTimeout = Self.figuresLimit
        let connection = try await TopologyConnection.connect(configuration, logger: logger)
        var known: [String] = []
        defer { for queue in known { SharedMetrics.queue(queue, nil) } }
        do {
            while !Task.isCancelled {
                let partitions = (0..<(board.partitions ?? 0)).map { Topology.queue(partition: $0) }
                known = [Topology.deadLetters, Topology.retry, Topology.unrouted] + partitions
                for queue in known { SharedMetrics.queue(queue, try await connection.depth(ofQueue: queue)) }
                SharedMetrics.wasRead("broker")
                succeeded()
                try await Task.sleep(for: Self.figuresInterval)
            }
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }
}

/// What all workers share, as this one saw it last.
enum SharedMetrics {
    static func database(_ figures: SharedFigures) {
        Gauge(label: WorkerMetrics.partitions.name).record(figures.partitions.count)
        for partition in figures.partitions {
            let labels = [("partition", "\(partition.number)")]
            Gauge(label: WorkerMetrics.partitionHasOwner.name, dimensions: labels).record(partition.hasOwner ? 1 : 0)
            Gauge(label: WorkerMetrics.partitionPaused.name, dimensions: labels).record(partition.isPaused ? 1 : 0)
            Gauge(label: WorkerMetrics.outboxEvents.name, dimensions: labels).record(partition.waiting)
            Gauge(label: WorkerMetrics.outboxAge.name, dimensions: labels).record(
                (partition.oldest ?? .zero) / .seconds(1))
        }
        Gauge(label: WorkerMetrics.quarantinedEvents.name).record(figures.quarantined)
        Gauge(label: WorkerMetrics.parkedCommands.name).record(figures.parked)
        Gauge(label: WorkerMetrics.clockDue.name).record(figures.due)
        Gauge(label: WorkerMetrics.clockLag.name).record(figures.lag / .seconds(1))
        Gauge(label: WorkerMetrics.auditTime.name).record(
            Double(figures.audit?.finishedAt.microseconds ?? 0) / 1_000_000)
        Gauge(label: WorkerMetrics.auditViolations.name).record(figures.audit?.violations ?? 0)
        wasRead("database")
    }

    /// What can't be read any more isn't shown as if it still were so.
    static func forget(_ figures: SharedFigures) {
        for partition in figures.partitions {
            let labels = [("partition", "\(partition.number)")]
            for metric in [
                WorkerMetrics.partitionHasOwner, WorkerMetrics.partitionPaused, WorkerMetrics.outboxEvents,
                WorkerMetrics.outboxAge,
            ] {
                Gauge(label: metric.name, dimensions: labels).record(Double.nan)
            }
        }
        for metric in [
            WorkerMetrics.quarantinedEvents, WorkerMetrics.parkedCommands, WorkerMetrics.clockDue,
            WorkerMetrics.clockLag,
        ] {
            Gauge(label: metric.name).record(Double.nan)
        }
    }

    static func queue(_ name: String, _ depth: QueueDepth?) {
        let labels = [("queue", name)]
        Gauge(label: WorkerMetrics.queueMessages.name, dimensions: labels).record(
            depth.map { Double($0.messages) } ?? .nan)
        Gauge(label: WorkerMetrics.queueConsumers.name, dimensions: labels).record(
            depth.map { Double($0.consumers) } ?? .nan)
    }

    static func wasRead(_ server: String) {
        Gauge(label: WorkerMetrics.gathered.name, dimensions: [("server", server)]).record(Date().timeIntervalSince1970)
    }
}
