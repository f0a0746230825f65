// A worker: its lanes, from start to drained stop.

public import Logging
public import ServiceLifecycle

/// Consumes commands, applies them and publishes their events, until it is asked to stop.
public struct Worker: Service {
    private let configuration: WorkerConfiguration
    private let board: StatusBoard
    private let clock: Clock
    private let logger: Logger

    public init(_ configuration: WorkerConfiguration, logger: Logger) {
        self.configuration = configuration
        self.board = StatusBoard(lanes: (0..<configuration.lanes).map { "lane-\($0)" })
        self.clock = Clock(amqp: configuration.amqp, database: configuration.database, logger: logger)
        self.logger = logger
    }

    /// What the worker is doing now.
    public var status: WorkerStatus { board.status }

    /// What the worker's clock knows and what fails.
    public var clockStatus: ClockStatus { clock.status }

    /// Works until a graceful shutdown is asked for, then finishes what it has, within the drain time-out. Cancelled, it
    /// gives up at once what it has in hand.
    ///
    /// - Throws: what no waiting can mend: a database schema that this version can't work with, or
    ///   credentials that are refused at the start.
    public func run() async throws {
        LaneMetrics.prepare()
        let lanes = (0..<configuration.lanes).map { index in
            Lane(index: index, name: "lane-\(index)", configuration, status: board, logger: logger)
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for lane in lanes {
                group.addTask {
                    try await lane.run()
                    return true
                }
            }
            group.addTask {
                await stop(lanes)
                return false
            }
            group.addTask {
                await clock.run()
                return false
            }
            var running = lanes.count
            while running > 0, let isLane = try await group.next() {
                if isLane { running -= 1 }
            }
            group.cancelAll()
        }
        logger.notice("stopped")
    }

    /// Waits for a graceful shutdown, or for cancellation, and carries it out.
    private func stop(_ lanes: [Lane]) async {
        // A cancelled task isn't asked to stop gracefully, but has to end all the same, and at once.
        try? await gracefulShutdown()
        if !Task.isCancelled {
            logger.notice(
                "stopping: finishing what has been taken", metadata: ["limit": "\(configuration.drainTimeout)"])
        }
        for lane in lanes { lane.stop() }
        if (try? await Task.sleep(for: configuration.drainTimeout)) != nil {
            logger.warning("not finished in time: what is left will be delivered again")
        }
        for lane in lanes { await lane.abandon() }
    }
}
