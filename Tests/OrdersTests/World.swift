// A small world to test the rules in: a catalog, and a store in memory that units of work are run against.

import Orders

@testable import OrdersSimulation

/// Keeps what units of work change, as the database does, and runs the next one against it.
struct World {
    var catalog: Catalog
    private(set) var states: [CustomerID: CustomerState] = [:]
    private(set) var invoices: [InvoiceID: Invoice] = [:]
    private(set) var transactions: [Transaction] = []
    private(set) var events: [Event] = []
    private(set) var invoiceNumbers: [InvoiceSeries: Int64] = [:]
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
        var numbers = invoiceNumbers
        while true {
            var work = UnitOfWork(
                catalog: catalog, states: states.values.sorted { $0.id < $1.id }, invoiceNumbers: numbers, now: now,
                identifiers: source)
            var outcomes: [Event] = []
            for envelope in envelopes { outcomes.append(work.decide(envelope)) }
            let changes = work.finish()
            precondition(changes.missing.invoiceLines.isEmpty, "every open invoice's lines were given")
            if changes.missing.isEmpty {
                keep(changes)
                return outcomes
            }
            for series in changes.missing.series { numbers[series] = invoiceNumbers[series, default: 0] }
        }
    }

    private mutating func keep(_ changes: Changes) {
        for customer in changes.customers {
            states[customer.id, default: CustomerState(id: customer.id)].customer = customer
        }
        for subscription in changes.subscriptions {
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
        }
        for invoice in changes.invoices {
            invoices[invoice.id] = invoice
            if invoice.state == .open {
                states[invoice.customerID]?.openInvoice = invoice
            } else if states[invoice.customerID]?.openInvoice?.id == invoice.id {
                states[invoice.customerID]?.openInvoice = nil
            }
        }
        transactions += changes.transactions
        for transaction in changes.transactions {
            states[transaction.customerID]?.charges[transaction.id] = Charge(
                transaction: transaction, refundedQuantity: 0)
            if let charge = transaction.reverses {
                states[transaction.customerID]?.charges[charge]?.refundedQuantity += transaction.quantity ?? 0
            }
        }
        for id in Set(changes.transactions.map(\.customerID)).union(changes.invoices.map(\.customerID)) {
            let open = states[id]?.openInvoice?.id
            states[id]?.openInvoiceLines = open == nil ? [] : transactions.filter { $0.invoiceID == open }
        }
        invoiceNumbers.merge(changes.invoiceNumbers) { _, new in new }
        events += changes.events
    }

    /// Makes every stored instant at which the clock is to look wrong.
    mutating func shiftHints(by duration: Duration) {
        for id in states.keys {
            if let at = states[id]?.openInvoice?.dueAt { states[id]?.openInvoice?.dueAt = at.adding(duration) }
            for subscription in states[id]?.subscriptions.values.map(\.self) ?? [] {
                states[id]?.subscriptions[subscription.id]?.dueAt = subscription.dueAt?.adding(duration)
            }
        }
    }

    var customer: Customer? { states[.first]?.customer }
    var openInvoice: Invoice? { states[.first]?.openInvoice }
    func subscription(_ number: Int = 1) -> Subscription? { states[.first]?.subscriptions[.number(number)] }
}
