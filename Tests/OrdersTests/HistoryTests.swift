// Long random histories through the real rules and the model, step by step, in batches cut at random.

import Foundation
import Orders
import Testing

@testable import OrdersSimulation

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
        let transactions = Dictionary(grouping: played.world.transactions, by: \.customerID)
        let books = Books(
            played.world.kept, catalog: played.world.catalog, transactions: transactions, played.bookings)
        let differences = books.differences(from: Books(played.model))
        #expect(differences.isEmpty, "seed \(seed)")
        checkInvariants(played.world, seed)
    }

    @Test("A history holds every kind of event, so that none goes unchecked")
    func coverage() {
        let types = Set(play(1)?.world.events.map(\.type) ?? [])
        #expect(types == Set(EventType.allCases))
    }

    /// Plays a history through the rules and the model; nil, with the issue recorded, at the first difference.
    private func play(_ seed: UInt64) -> (model: Model, world: World, bookings: Bookings)? {
        var history = History(seed: seed, customers: 6)
        var model = Model(catalog: History.catalog, prices: History.prices)
        var world = World(catalog: History.catalog, seed: seed)
        var bookings = Bookings()
        var played = 0
        while played < Self.commands {
            if history.changeCatalog() {
                world.catalog = history.catalog
                model.catalog = history.catalog
                model.prices = history.prices
            }
            let size = Int.random(in: 1...12, using: &history.random)
            let commands = (0..<size).map { _ in history.next { bookings.count($0) } }
            let booked = world.transactions.count
            let before = bookings
            let outcomes = world.send(commands.map { $0.with(before.naming($0.command)) }, now: history.now)
            for transaction in world.transactions.dropFirst(booked) { bookings.book(transaction) }
            for (command, outcome) in zip(commands, outcomes) {
                let expected = model.decide(command.with(before.asked(command.command)), now: history.now)
                    .withoutInvoices
                let actual = Model.Outcome(outcome, bookings)
                guard actual == expected else {
                    Issue.record("seed \(seed), command \(command): \(actual) instead of \(expected)")
                    return nil
                }
            }
            played += size
        }
        return (model, world, bookings)
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
            let pairs = zip(periods, periods.dropFirst())
            #expect(pairs.allSatisfy { $0.end <= $1.start && $0.index + 1 == $1.index }, "seed \(seed)")
            // A gap is one that a suspension left: the command that ended it began the period.
            let restarts = world.transactions.filter {
                $0.type == .enablement && $0.subscriptionID == sold[0].subscriptionID
            }
            #expect(
                pairs.allSatisfy { before, after in
                    before.end == after.start || restarts.contains { $0.period == after }
                }, "seed \(seed)")
        }
        for (_, closed) in Dictionary(grouping: world.invoices.values.filter { $0.number != nil }, by: \.series) {
            #expect(closed.compactMap(\.number).sorted() == (1...closed.count).map(Int64.init))
        }
        for (_, events) in Dictionary(grouping: world.events.filter { $0.sequence > 0 }, by: \.customerID) {
            #expect(events.map(\.sequence) == (1...events.count).map(Int64.init), "seed \(seed)")
        }
    }
}
