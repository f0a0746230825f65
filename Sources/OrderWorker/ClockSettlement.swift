// Asks for the settlement of what has fallen due: all the time, and once by an operator's hand.

internal import AMQP
internal import Logging
internal import OrderStore
public import Orders
internal import PostgreSQL

extension Clock {
    // MARK: All the time

    /// Goes through what is due, page by page, again and again.
    func settle(_ succeeded: () -> Void) async throws {
        try await waitForElection()
        try await withDatabase("clock") { connection in
            let due = DueCustomers(connection: connection)
            try await withPublisher { publisher in
                var memory = AskedMemory()
                while !Task.isCancelled, board.status.isElected {
                    try await pass(due, CatalogStore(connection: connection), publisher, &memory)
                    succeeded()
                    ClockMetrics.ticked()
                    try await Task.sleep(for: interval)
                }
            }
        }
    }

    private func pass(
        _ due: DueCustomers, _ catalog: CatalogStore, _ publisher: PublisherConnection, _ memory: inout AskedMemory
    ) async throws {
        let now = try await due.now()
        var position: DuePage.Position?
        repeat {
            let page = try await due.find(dueBy: now, from: position, limit: Self.limit)
            let asked = try await servable(page.customers.filter { !memory.remembers($0) }, catalog)
            try await ask(asked, publisher) { customer, user in
                SettleCommand.message(customer, through: now, isAhead: false, user: user)
            }
            memory.add(asked, through: now)
            if !asked.isEmpty { logger.info("settlements asked for", metadata: ["customers": "\(asked.count)"]) }
            try await wait(for: asked, due, within: .seconds(10))
            position = page.end
        } while position != nil && board.status.isElected && !Task.isCancelled
    }

    /// The customers whose partner can be served here. What is due for the others waits until it can: asked for, it would
    /// only be put aside.
    private func servable(_ customers: [DueCustomer], _ catalog: CatalogStore) async throws -> [DueCustomer] {
        guard !customers.isEmpty else { return [] }
        let unusable = try await catalog.load().unusablePartners
        return customers.filter { unusable[$0.partnerID] == nil }
    }

    /// Waits until nearly all are settled, as live orders that came before are applied before them.
    ///
    /// - Returns: whether any of them was settled.
    @discardableResult
    private func wait(
        for customers: [DueCustomer], _ due: DueCustomers, within limit: Duration
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        var left = customers.count
        while left > customers.count / 10, ContinuousClock.now < deadline {
            left = try await due.count(customers)
            if left > customers.count / 10 { try await Task.sleep(for: .milliseconds(100)) }
        }
        return left < customers.count
    }

    private func ask(
        _ customers: [DueCustomer], _ publisher: PublisherConnection,
        _ command: (_ customer: DueCustomer, _ user: String) -> OutgoingMessage
    ) async throws {
        guard !customers.isEmpty else { return }
        let user = amqp.addresses.first?.user ?? ""
        let outcomes = try await publisher.publish(customers.map { command($0, user) })
        if let failure = outcomes.first(where: { $0 != .confirmed }) { throw ClockError.notPublished("\(failure)") }
    }

    // MARK: By an operator's hand

    /// Until when an operator lets time run.
    public enum Destination: Sendable, Hashable {
        case time(Timestamp)
        /// To the end of the date, 24:00, in each partner's billing zone: a month that ends with it is closed, and what
        /// begins with the next day hasn't begun.
        case endOf(CalendarDate)

        var endsDay: Bool { if case .endOf = self { true } else { false } }
    }

    /// Asks for everything that falls due until then to be settled now, which may lie in the future, and waits until it is.
    /// For recovery and for tests; workers must be running. Broken off, it can be run again, also with a later date.
    ///
    /// - Parameters:
    ///   - patience: how long nothing may move before it is given up.
    ///   - progress: called with the number of customers left.
    /// - Returns: how many customers had something due.
    /// - Throws: ``StoreError``, ``AMQPError``, or ``ClockError/stuck(_:)``.
    public func settle(
        until destination: Destination, patience: Duration = .seconds(60), progress: (Int) -> Void
    ) async throws -> Int {
        try await withDatabase("clock run") { connection in
            let catalog = try await CatalogStore(connection: connection).load()
            let times = catalog.partners.mapValues { partner in
                switch destination {
                case .time(let time): time
                case .endOf(let date): partner.zone.startOfDay(date.adding(days: 1))
                }
            }
            return try await withPublisher { publisher in
                try await settle(
                    DueCustomers(connection: connection), publisher, until: times, endsDays: destination.endsDay,
                    patience: patience, progress: progress)
            }
        }
    }

    private func settle(
        _ due: DueCustomers, _ publisher: PublisherConnection, until times: [String: Timestamp], endsDays: Bool,
        patience: Duration, progress: (Int) -> Void
    ) async throws -> Int {
        guard let last = times.values.max() else { return 0 }
        var asked: Set<CustomerID> = []
        var position: DuePage.Position?
        var left = try await due.count(dueBy: times, endsDays: endsDays)
        var (moved, counted) = (ContinuousClock.now, ContinuousClock.now)
        progress(left)
        while left > 0 {
            let page = try await due.find(dueBy: last, from: position, limit: Self.limit) { customer in
                guard let end = times[customer.partnerID] else { return false }
                return customer.since < end || customer.since == end && (customer.isMonth || !endsDays)
            }
            position = page.end
            let new = page.customers.filter { asked.insert($0.id).inserted }
            try await ask(new, publisher) { customer, user in
                let end = times[customer.partnerID] ?? last
                // The day that ends is the one before the moment at which the next begins.
                return SettleCommand.message(
                    customer, through: endsDays ? end.adding(.zero - .microseconds(1)) : end, isAhead: true,
                    dayIsOver: endsDays, user: user)
            }
            if try await wait(for: new, due, within: .seconds(10)) { moved = .now }
            // After the last page what is left is waited for, and what has come meanwhile is found from the beginning.
            if page.end == nil || counted.duration(to: .now) > .seconds(2) {
                let count = try await due.count(dueBy: times, endsDays: endsDays)
                if count < left { moved = .now }
                (left, counted) = (count, .now)
                progress(left)
            }
            if moved.duration(to: .now) > patience { throw ClockError.stuck(left) }
            if page.end == nil, left > 0 { try await Task.sleep(for: .milliseconds(200)) }
        }
        return asked.count
    }
}

/// What the clock asked for lately, so that it doesn't ask for the same each time that it looks, as long as that isn't done.
struct AskedMemory {
    private struct Entry {
        let through: Timestamp
        let at: ContinuousClock.Instant
    }

    /// Beyond this, the clock rather asks again than remembers.
    private static let capacity = 50_000

    private var entries: [CustomerID: Entry] = [:]

    /// Whether what is due was asked for, not too long ago.
    func remembers(_ customer: DueCustomer, at now: ContinuousClock.Instant = .now) -> Bool {
        guard let entry = entries[customer.id] else { return false }
        return customer.since <= entry.through && entry.at.duration(to: now) < Clock.patience
    }

    mutating func add(_ customers: [DueCustomer], through time: Timestamp, at now: ContinuousClock.Instant = .now) {
        if entries.count + customers.count > Self.capacity {
            entries = entries.filter { $0.value.at.duration(to: now) < Clock.patience }
            if entries.count + customers.count > Self.capacity { entries = [:] }
        }
        for customer in customers { entries[customer.id] = Entry(through: time, at: now) }
    }
}
