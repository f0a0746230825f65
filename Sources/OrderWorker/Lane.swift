// A lane's life: connect, serve, and begin anew after a failure, until the worker stops.

internal import AMQP
internal import Logging
internal import OrderContract
internal import OrderStore
internal import Orders
internal import PostgreSQL

/// One of a worker's lanes. It does all that a worker does, for its share of the partitions.
actor Lane {
    private let index: Int
    private let name: String
    private let configuration: WorkerConfiguration
    private let status: StatusBoard
    private let logger: Logger
    private var session: LaneSession?
    private var connections: LaneConnections?
    private var isStopping = false
    private var hasServed = false
    /// The wait before the next try, ended early by ``stop()``.
    private var pause: Task<Void, any Error>?
    /// Connecting, which may take long where nobody answers, is given up by ``stop()`` too.
    private var opening: Task<LaneConnections, any Error>?

    init(index: Int, name: String, _ configuration: WorkerConfiguration, status: StatusBoard, logger: Logger) {
        self.index = index
        self.name = name
        self.configuration = configuration
        self.status = status
        var logger = logger
        logger[metadataKey: "lane"] = "\(name)"
        self.logger = logger
    }

    /// Asks the lane to finish what it has and to end.
    func stop() async {
        isStopping = true
        pause?.cancel()
        opening?.cancel()
        status.update(lane: index) { $0.state = .draining }
        await session?.stop()
    }

    /// Gives up what the lane still has in hand. Nothing is lost by it: what isn't acknowledged is delivered again.
    func abandon() async {
        await connections?.close(within: .zero)
    }

    /// Serves until ``stop()`` is called, whatever fails meanwhile.
    ///
    /// - Throws: only what no waiting can mend: a database schema that this version can't work with; and credentials
    ///   that are refused before they were ever accepted, since later they may be in the course of being changed.
    func run() async throws {
        var backoff = Backoff(minimum: .milliseconds(200), maximum: .seconds(10))
        var random = SystemRandomNumberGenerator()
        while !isStopping {
            do {
                try await serveOnce {
                    hasServed = true
                    backoff.reset()
                }
            } catch {
                if isStopping { break }
                if isFinal(error) {
                    status.update(lane: index) { $0.lastError = "\(error)" }
                    throw error
                }
                status.update(lane: index) { status in
                    status.state = .connecting
                    status.partitions = []
                    status.lastError = "\(error)"
                }
                LaneMetrics.laneRestarted(name)
                let delay = backoff.next(using: &random)
                logger.warning("lane begins anew", metadata: ["error": "\(error)", "in": "\(delay)"])
                let pause = Task { try await Task.sleep(for: delay) }
                self.pause = pause
                _ = await pause.result
                self.pause = nil
            }
        }
        status.update(lane: index) { status in
            status.state = .stopped
            status.partitions = []
        }
    }

    private func isFinal(_ error: any Error) -> Bool {
        switch error {
        case let error as PostgreSQLError:
            [.schemaTooNew, .migrationAltered].contains(error.code)
                || (error.code == .authenticationFailed && !hasServed)
        case let error as AMQPError:
            error.code == .authenticationFailed && !hasServed
        default:
            false
        }
    }

    private func serveOnce(_ connected: () -> Void) async throws {
        let (configuration, name, logger) = (configuration, name, logger)
        let opening = Task { try await LaneConnections.open(configuration, name: name, logger: logger) }
        self.opening = opening
        let opened = await opening.result
        self.opening = nil
        let connections = try opened.get()
        self.connections = connections
        defer { self.connections = nil }
        do {
            try await serve(connections, connected)
            await connections.close()
        } catch {
            await connections.close()
            throw error
        }
    }

    private func serve(_ connections: LaneConnections, _ connected: () -> Void) async throws {
        try await Migrator(migrations: OrderMigrations.all).verify(on: connections.database)
        let catalog = try await CatalogStore(connection: connections.database).load()
        try await BatchStore(connection: connections.database).prepareSession()
        let admission = Admission(
            decoder: CommandDecoder(maximumBodySize: configuration.maximumMessageSize),
            relay: Relay(ownUser: configuration.amqp.addresses.first?.user ?? ""),
            authorization: configuration.authorization, commandAge: configuration.commandAge,
            deferrals: configuration.deferrals)
        let rankKey = try await enter(connections)
        let (status, index, name) = (status, index, name)
        let session = LaneSession(
            configuration, connections: connections, catalog: catalog, admission: admission, rankKey: rankKey,
            logger: logger
        ) { partitions in
            status.update(lane: index) { $0.partitions = partitions }
            LaneMetrics.partitionsOwned(partitions.count, lane: name)
        }
        self.session = session
        defer { self.session = nil }
        if isStopping { return }
        status.update(lane: index) { status in
            status.state = .serving
            status.lastError = nil
        }
        connected()
        logger.info("lane is connected")
        try await session.serve()
    }

    /// Shows this lane to the others.
    private func enter(_ connections: LaneConnections) async throws -> Int32 {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<10 {
            let rankKey = FairShare.rankKey(lane: index, random: &random)
            if try await PartitionOwnership(connection: connections.database).enter(rankKey: rankKey) { return rankKey }
        }
        throw LaneError.rankKeyTaken
    }
}
