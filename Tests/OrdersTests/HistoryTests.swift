// Long random histories through the real rules and the model, step by step, in batches cut at random.

import Foundation
import Orders
import Testing

@Suite struct HistoryTests {
    /// How many commands each history plays.
    static let commands = 4000
    /// ORDERS_HISTORY_COMMANDS: how many commands are played in all (16,000; a million takes some minutes).
    /// ORDERS_HISTORY_SEED: the one history to play.
    static let seeds: [UInt64] =
        number("ORDERS_HISTORY_SEED").map { [$0] }
        ?? Array(1...max(1, (number("ORDERS_HISTORY_COMMANDS") ?? 16_000) / UInt64(commands)))

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("A random history gives the outcomes and the books that the model gives", arguments: seeds)
    func agreesWithModel(_ seed: UInt64) {
        guard let played = play(seed) else { return }
        compareBooks(played.model, played.world, played.positions, seed)
        checkInvariants(played.world, seed)
    }

    @Test("A history holds every kind of event, so that none goes unchecked")
    func coverage() {
        let types = Set(play(1)?.world.events.map(\.type) ?? [])
        #expect(types == Set(EventType.allCases))
    }

    /// Plays a history through the rules and the model; nil, with the issue recorded, at the first difference.
    private func play(
        _ seed: UInt64
    ) -> (model: Model, world: World, positions: [CustomerID: [TransactionID: Int]])? {
        var history = History(seed: seed, customers: 6)
        var model = Model(catalog: History.catalog, prices: History.prices)
        var world = World(catalog: History.catalog, seed: seed)
        var positions: [CustomerID: [TransactionID: Int]] = [:]
        var books: [CustomerID: [TransactionID]] = [:]
        var played = 0
        while played < Self.commands {
            let size = Int.random(in: 1...12, using: &history.random)
            let commands = (0..<size).map { _ in history.next { books[$0]?.count ?? 0 } }
            let booked = world.transactions.count
            let before = books
            let outcomes = world.send(
                commands.map { command in
                    command.naming { customer, position in
                        let ids = before[customer] ?? []
                        return ids.indices.contains(position) ? ids[position] : .number(position)
                    }
                }, now: history.now)
            for transaction in world.transactions.dropFirst(booked) {
                let id = transaction.customerID
                positions[id, default: [:]][transaction.id] = books[id]?.count ?? 0
                books[id, default: []].append(transaction.id)
            }
            for (command, outcome) in zip(commands, outcomes) {
                // A unit of work can only be asked to refund what was booked before it.
                let known = command.naming { customer, position in
                    let count = before[customer]?.count ?? 0
                    return .number(position < count ? position : 1_000_000 + position)
                }
                let expected = model.decide(known).withoutInvoices
                let actual = Model.Outcome(outcome, positions)
                guard actual == expected else {
                    Issue.record("seed \(seed), command \(command): \(actual) instead of \(expected)")
                    return nil
                }
            }
            played += size
        }
        return (model, world, positions)
    }

    private func compareBooks(
        _ model: Model, _ world: World, _ positions: [CustomerID: [TransactionID: Int]], _ seed: UInt64
    ) {
        #expect(world.states.count == model.accounts.count)
        for (id, account) in model.accounts {
            guard let state = world.states[id] else {
                Issue.record("seed \(seed): customer \(id) is missing")
                continue
            }
            let transactions = world.transactions.filter { $0.customerID == id }
            #expect(
                transactions.map { Model.Entry($0, positions) } == account.entries.map(\.withoutInvoice),
                "seed \(seed)")
            #expect(state.customer?.companyName == account.name && state.customer?.resellerID == account.reseller)
            #expect(Set(state.subscriptions.keys) == Set(account.sales.keys))
            for (key, sale) in account.sales {
                let subscription = state.subscriptions[key]
                #expect(
                    subscription?.inventory.filter { $0.value != 0 } == model.inventory(sale, account), "seed \(seed)")
                #expect(subscription?.state == sale.state && subscription?.period.index == sale.period)
                #expect(subscription?.autoRenewal == sale.autoRenewal)
                #expect(sale.state == .expired || subscription?.renewalInventory == sale.toRenew)
                #expect(
                    subscription.map { Model.day($0.period.end) } == Model.end(sale.start, sale.term, sale.period))
            }
            let invoices = world.invoices.values.filter { $0.customerID == id }.sorted { $0.start < $1.start }
            #expect(invoices.map { Model.day($0.start) } == account.invoices.map(\.month), "seed \(seed)")
            #expect(invoices.map { $0.state == .closed } == account.invoices.map(\.isClosed))
            for (index, invoice) in invoices.enumerated() {
                let lines = account.entries.filter { $0.invoice == index }
                #expect(invoice.total.amount == lines.map(\.amount).reduce(0, +), "seed \(seed)")
                #expect(transactions.filter { $0.invoiceID == invoice.id }.count == lines.count)
            }
        }
    }

    /// DESIGN's invariants, from the rows alone.
    private func checkInvariants(_ world: World, _ seed: UInt64) {
        let charges = world.transactions.filter(\.type.isCharge)
        let refunds = Dictionary(grouping: world.transactions.filter { $0.type == .refund }) { $0.reverses }
        for charge in charges {
            let full = (charge.unitPrice ?? 0) * (charge.quantity ?? 0)
            #expect((0...full).contains(charge.amount.amount), "seed \(seed)")
            let refunded = refunds[charge.id] ?? []
            let quantity = refunded.compactMap(\.quantity).reduce(0, +)
            let amount = refunded.map(\.amount.amount).reduce(0, +)
            #expect(quantity <= charge.quantity ?? 0 && -amount <= charge.amount.amount)
            #expect(quantity != charge.quantity || -amount == charge.amount.amount)
        }
        #expect(world.transactions.allSatisfy { ($0.invoiceID == nil) == $0.amount.isZero })
        for (_, sold) in Dictionary(grouping: charges, by: { "\($0.customerID) \($0.subscriptionID)" }) {
            let periods = Set(sold.map(\.period)).sorted { $0.index < $1.index }
            #expect(zip(periods, periods.dropFirst()).allSatisfy { $0.end == $1.start && $0.index + 1 == $1.index })
        }
        for (_, closed) in Dictionary(grouping: world.invoices.values.filter { $0.number != nil }, by: \.partnerID) {
            #expect(closed.compactMap(\.number).sorted() == (1...closed.count).map(Int64.init))
        }
        for (_, events) in Dictionary(grouping: world.events.filter { $0.sequence > 0 }, by: \.customerID) {
            #expect(events.map(\.sequence) == (1...events.count).map(Int64.init), "seed \(seed)")
        }
    }
}

extension CommandEnvelope {
    /// The command with the transactions that it names replaced.
    fileprivate func naming(_ id: (CustomerID, Int) -> TransactionID) -> CommandEnvelope {
        guard case .processRefund(let refund) = command else { return self }
        let items = refund.refunds.map {
            ProcessRefund.Item(transactionID: id(refund.customerID, Int($0.transactionID.low)), quantity: $0.quantity)
        }
        return CommandEnvelope(
            key: key, publisher: publisher, effectiveAt: effectiveAt,
            command: .processRefund(
                ProcessRefund(
                    customerID: refund.customerID, refunds: items, reason: refund.reason,
                    quoteOnly: refund.quoteOnly)))
    }
}

extension Model.Entry {
    fileprivate init(_ transaction: Transaction, _ positions: [CustomerID: [TransactionID: Int]]) {
        self.init(
            type: transaction.type, subscription: transaction.subscriptionID, period: transaction.period.index,
            certificateType: transaction.certificateType, quantity: transaction.quantity,
            unitPrice: transaction.unitPrice, days: transaction.days.map { [$0.charged, $0.term] },
            amount: transaction.amount.amount, date: Model.day(transaction.date),
            reverses: transaction.reverses.flatMap { positions[transaction.customerID]?[$0] }, invoice: nil)
    }

    /// Which invoice an entry is on is compared with the books.
    fileprivate var withoutInvoice: Model.Entry {
        var entry = self
        entry.invoice = nil
        return entry
    }
}

extension Model.Outcome {
    fileprivate init(_ event: Event, _ positions: [CustomerID: [TransactionID: Int]]) {
        if case .rejected(let rejection, _, _) = event.data {
            self = .refused(Set(rejection.violations.map(\.code.rawValue)))
        } else {
            self = .done(event.transactions.map { Model.Entry($0, positions) })
        }
    }

    fileprivate var withoutInvoices: Model.Outcome {
        if case .done(let entries) = self { .done(entries.map(\.withoutInvoice)) } else { self }
    }
}
