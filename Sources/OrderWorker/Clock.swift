// Time passing: one elected worker asks for the settlement of customers for whom something has fallen due.

public import AMQP
public import Logging
internal import OrderStore
public import PostgreSQL

/// The clock. Results never depend on it: `decide` settles what is due before it does anything else. The clock only sees
/// to it that renewals, expiries and invoice closings also happen where no other command comes; and one clock at a time
/// does what else has to be done once for all workers.
///
/// Each of its tasks has connections of its own and fails alone: the election, the settlements, the inbox's months, and
/// the commands that came while a partition's queue was missing. All times are the database's.
public struct Clock: Sendable {
    let amqp: AMQP.ConnectionConfiguration
    let database: PostgreSQL.ConnectionConfiguration
    let interval: Duration
    let retention: Duration
    let logger: Logger
    let board = ClockBoard()

    /// How many settlements are asked for at a time: more aren't before nearly all of these are done, so that they never
    /// keep live orders waiting for long.
    static let limit = 500
    /// How long the clock remembers what it asked for, before it asks again.
    static let patience = Duration.seconds(300)

    /// - Parameters:
    ///   - interval: how often the clock looks.
    ///   - retention: how long the inbox is kept.
    public init(
        amqp: AMQP.ConnectionConfiguration, database: PostgreSQL.ConnectionConfiguration,
        interval: Duration = .seconds(10), retention: Duration = .seconds(90 * 86400), logger: Logger
    ) {
        self.amqp = amqp
        self.database = database
        self.interval = interval
        self.retention = retention
        self.logger = logger
    }

    /// What the clock knows and what fails.
    public var status: ClockStatus { board.status }

    /// Ticks until the task is cancelled, whatever fails meanwhile.
    func run() async {
        let quick = Backoff(minimum: .milliseconds(500), maximum: .seconds(30))
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await task("the clock's election", quick).run(elect) }
            tasks.addTask { await task("settling what is due", quick).run(settle) }
            tasks.addTask {
                // A try can hold everybody up for a moment, and there is time.
                await task("keeping the inbox's months", Backoff(minimum: .seconds(5), maximum: .seconds(60)))
                    .run(keepInbox)
            }
            tasks.addTask { await task("sending unrouted commands on", quick).run(sendUnroutedOn) }
            // Figures that can't be read are no reason to serve nobody: they have a board of their own.
            tasks.addTask { await task("reading the database's figures", quick, ClockBoard()).run(readDatabaseFigures) }
            tasks.addTask { await task("reading the broker's figures", quick, ClockBoard()).run(readBrokerFigures) }
        }
    }

    private func task(_ name: String, _ backoff: Backoff, _ board: ClockBoard? = nil) -> ClockTask {
        ClockTask(name: name, backoff: backoff, board: board ?? self.board, logger: logger)
    }

    // MARK: Election

    /// Holds the lock of the elected clock where it can be had, and compares this machine's clock with the database's.
    private func elect(_ succeeded: () -> Void) async throws {
        defer {
            board.update { $0.isElected = false }
            ClockMetrics.elected(false)
        }
        try await withDatabase("clock election") { connection in
            let due = DueCustomers(connection: connection)
            var warned = false
            while !Task.isCancelled {
                let isElected = try await due.elect()
                board.update { $0.isElected = isElected }
                ClockMetrics.elected(isElected)
                let skew = try await ClockSkew.measure(on: connection)
                board.update { $0.skew = skew }
                ClockMetrics.skew(skew)
                if skew.isNotable != warned {
                    warned = skew.isNotable
                    if warned {
                        logger.warning("this machine's clock is \(skew.text)")
                    } else {
                        logger.notice("this machine's clock is right again")
                    }
                }
                board.partitions = try await PartitionCount.read(on: connection)
                let ahead = try await InboxMonths(connection: connection).made()
                board.update { $0.inboxAhead = ahead }
                ClockMetrics.inboxAhead(ahead)
                succeeded()
                try await Task.sleep(for: interval)
            }
        }
    }

    /// Waits until this clock is the elected one.
    func waitForElection() async throws {
        while !board.status.isElected { try await Task.sleep(for: .milliseconds(200)) }
    }

    // MARK: The inbox

    private func keepInbox(_ succeeded: () -> Void) async throws {
        while !Task.isCancelled {
            try await waitForElection()
            try await withDatabase("inbox months", statementTimeout: .seconds(3600)) { connection in
                let months = InboxMonths(connection: connection)
                let made = try await months.make()
                let dropped = try await months.drop(olderThan: retention)
                if !made.isEmpty || dropped > 0 {
                    logger.notice(
                        "inbox months kept",
                        metadata: ["made": "\(made.joined(separator: " "))", "dropped": "\(dropped)"])
                }
            }
            succeeded()
            try await Task.sleep(for: .seconds(3600))
        }
    }

    // MARK: Connections

    func withDatabase<Value>(
        _ name: String, statementTimeout: Duration? = nil,
        _ body: (PostgreSQL.Connection) async throws -> Value
    ) async throws -> Value {
        var configuration = database
        configuration.applicationName = "order-worker \(name)"
        if let statementTimeout { configuration.statementTimeout = statementTimeout }
        let connection = try await PostgreSQL.Connection.connect(configuration, logger: logger)
        do {
            // Its election is a lock of the session too: it must not stay behind in a pool.
            try await BatchStore(connection: connection).requireOwnSession()
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    func withPublisher<Value>(_ body: (PublisherConnection) async throws -> Value) async throws -> Value {
        var configuration = amqp
        configuration.connectionName = "order-worker clock"
        let publisher = try await PublisherConnection.connect(configuration, logger: logger)
        do {
            let value = try await body(publisher)
            await publisher.close()
            return value
        } catch {
            await publisher.close()
            throw error
        }
    }
}

/// Why the clock can't go on.
public enum ClockError: Error, CustomStringConvertible {
    /// Settlements were asked for, but nothing moves; with the number of customers left.
    case stuck(Int)
    case notPublished(String)

    public var description: String {
        switch self {
        case .stuck(let left): "\(left) customers are still not settled and nothing moves: is a worker running?"
        case .notPublished(let why): "a settlement could not be published: \(why). Apply the topology"
        }
    }
}
