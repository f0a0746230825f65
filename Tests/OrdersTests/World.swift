// A small world to test the rules in: a catalog, and a store in memory that units of work are run against.

@testable import Orders
@testable import OrdersSimulation

/// Keeps what units of work change, as the database does, and runs the next one against it.
struct World {
    var catalog: Catalog
    private(set) var kept = MemoryBooks()
    private(set) var transactions: [Transaction] = []
    private(set) var events: [Event] = []
    private var identifiers: SeededGenerator
    private var commands = 0

    init(catalog: Catalog = .sample, seed: UInt64 = 1) {
        self.catalog = catalog
        self.identifiers = SeededGenerator(seed: seed)
    }

    /// The customer that most tests are about, created on 1 January 2023.
    static func withCustomer(catalog: Catalog = .sample, publisher: String = "acme-app") -> World {
        var world = World(catalog: catalog)
        world.send(.create(), at: "2023-01-01T12:00:00Z", by: .user(publisher))
        return world
    }

    /// Runs a unit of work of one command and keeps its changes.
    ///
    /// - Parameter now: the time of the unit of work; the command's own where it is nil.
    /// - Returns: the command's outcome.
    @discardableResult
    mutating func send(
        _ command: Command, at time: String, now: String? = nil, by publisher: Publisher = .user("acme-app")
    ) -> Event {
        send([(command, time, publisher)], now: now ?? time)[0]
    }

    /// Runs a unit of work of several commands and keeps its changes.
    @discardableResult
    mutating func send(_ batch: [(command: Command, time: String, publisher: Publisher)], now: String) -> [Event] {
        let envelopes = batch.map { item in
            commands += 1
            return CommandEnvelope(
                key: CommandKey(source: "test", id: "\(commands)"), publisher: item.publisher,
                effectiveAt: .at(item.time), command: item.command)
        }
        return send(envelopes, now: .at(now))
    }

    @discardableResult
    mutating func send(_ envelopes: [CommandEnvelope], now: Timestamp) -> [Event] {
        let source = IdentifierSource(SeededGenerator(seed: identifiers.next()))
        // Of all customers: what nothing is said to must stay as it is.
        let (changes, outcomes) = kept.decide(for: states.keys) { states, numbers in
            var work = UnitOfWork(
                catalog: catalog, states: states, invoiceNumbers: numbers, now: now, identifiers: source)
            var outcomes: [Event] = []
            for envelope in envelopes { outcomes.append(work.decide(envelope)) }
            let changes = work.finish()
            return (changes, (changes, outcomes))
        }
        transactions += changes.transactions
        events += changes.events
        return outcomes
    }

    /// Makes every stored instant at which the clock is to look wrong.
    mutating func shiftHints(by duration: Duration) {
        for id in states.keys {
            if let at = states[id]?.openInvoice?.dueAt { kept.states[id]?.openInvoice?.dueAt = at.adding(duration) }
            for subscription in states[id]?.subscriptions.values.map(\.self) ?? [] {
                kept.states[id]?.subscriptions[subscription.id]?.dueAt = subscription.dueAt?.adding(duration)
            }
        }
    }

    var states: [CustomerID: CustomerState] { kept.states }
    var invoices: [InvoiceID: Invoice] { kept.invoices }
    var invoiceNumbers: [InvoiceSeries: Int64] { kept.invoiceNumbers }
    var customer: Customer? { states[.first]?.customer }
    var openInvoice: Invoice? { states[.first]?.openInvoice }
    func subscription(_ number: Int = 1) -> Subscription? { states[.first]?.subscriptions[.number(number)] }
}
