// Time passing: one elected worker asks for the settlement of customers for whom something has fallen due.

public import AMQP
public import Logging
internal import OrderStore
public import Orders
public import PostgreSQL

/// The clock. Results never depend on it: `decide` settles what is due before it does anything else. The clock only sees
/// to it that renewals, expiries and invoice closings also happen where no other command comes.
public struct Clock: Sendable {
    private let amqp: AMQP.ConnectionConfiguration
    private let database: PostgreSQL.ConnectionConfiguration
    private let interval: Duration
    private let retention: Duration
    private let logger: Logger

    /// How many settlements are asked for at a time.
    private static let limit = 1000
    /// How long the clock remembers what it asked for, before it asks again.
    private static let patience = Duration.seconds(300)

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

    /// Ticks until the task is cancelled, whatever fails meanwhile.
    func run() async {
        var backoff = Backoff(minimum: .milliseconds(500), maximum: .seconds(30))
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do {
                try await withConnections { due, publisher in
                    backoff.reset()
                    try await tick(due, publisher)
                }
            } catch {
                if Task.isCancelled { return }
                let delay = backoff.next(using: &random)
                logger.warning("clock begins anew", metadata: ["error": "\(error)", "in": "\(delay)"])
                try? await Task.sleep(for: delay)
            }
        }
    }

    private func tick(_ due: DueCustomers, _ publisher: PublisherConnection) async throws {
        var asked: [CustomerID: (since: Timestamp, at: ContinuousClock.Instant)] = [:]
        var kept: ContinuousClock.Instant?
        while !Task.isCancelled {
            if try await due.elect() {
                if kept.map({ $0.duration(to: .now) > .seconds(3600) }) ?? true {
                    try await due.keepInbox(since: Timestamp.now.adding(.zero - retention))
                    kept = .now
                }
                let forgotten = ContinuousClock.now - Self.patience
                asked = asked.filter { $0.value.at > forgotten }
                let now = Timestamp.now
                let found = try await due.find(dueBy: now, excluding: Array(asked.keys), limit: Self.limit)
                try await Self.ask(found, as: now, publisher, user: user)
                for customer in found { asked[customer.id] = (customer.since, .now) }
                if !found.isEmpty { logger.info("settlements asked for", metadata: ["customers": "\(found.count)"]) }
                if found.count == Self.limit { continue }
            }
            try await Task.sleep(for: interval)
        }
    }

    /// Asks for everything that falls due up to `time` to be settled now, which may lie in the future, and waits until it
    /// is. For recovery and for tests; workers must be running.
    ///
    /// - Parameters:
    ///   - patience: how long nothing may move before it is given up.
    ///   - progress: called with the number of customers left.
    /// - Returns: how many customers had something due.
    /// - Throws: ``StoreError``, ``AMQPError``, or ``ClockError/stuck(_:)``.
    public func settle(
        through time: Timestamp, patience: Duration = .seconds(60), progress: (Int) -> Void
    ) async throws -> Int {
        var total = 0
        try await withConnections { due, publisher in
            var asked: [CustomerID] = []
            while true {
                let found = try await due.find(dueBy: time, excluding: asked, limit: Self.limit)
                if found.isEmpty { break }
                try await Self.ask(found, as: time, publisher, user: user)
                asked += found.map(\.id)
            }
            total = asked.count
            var left = total
            var moved = ContinuousClock.now
            while left > 0 {
                let count = try await due.count(dueBy: time)
                if count < left { moved = .now }
                left = count
                progress(left)
                if moved.duration(to: .now) > patience { throw ClockError.stuck(left) }
                if left > 0 { try await Task.sleep(for: .milliseconds(200)) }
            }
        }
        return total
    }

    private var user: String { amqp.addresses.first?.user ?? "" }

    private static func ask(
        _ customers: [DueCustomer], as time: Timestamp, _ publisher: PublisherConnection, user: String
    ) async throws {
        guard !customers.isEmpty else { return }
        let outcomes = try await publisher.publish(
            customers.map { SettleCommand.message($0, as: time, user: user) })
        if let failure = outcomes.first(where: { $0 != .confirmed }) { throw ClockError.notPublished("\(failure)") }
    }

    private func withConnections(_ body: (DueCustomers, PublisherConnection) async throws -> Void) async throws {
        var database = database
        database.applicationName = "order-worker clock"
        var amqp = amqp
        amqp.connectionName = "order-worker clock"
        let connection = try await PostgreSQL.Connection.connect(database, logger: logger)
        do {
            let publisher = try await PublisherConnection.connect(amqp, logger: logger)
            do {
                try await body(DueCustomers(connection: connection), publisher)
            } catch {
                await publisher.close()
                throw error
            }
            await publisher.close()
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
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
