// Plays histories through the database as a lane does, and compares each step with the model.

import AMQP
import Foundation
import OrderContract
import OrderStore
import Orders
import PostgreSQL

@testable import OrderWorker
@testable import OrdersSimulation

/// Where the database and the model part.
struct HistoryDifference: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What befalls a lane while it has a batch in hand.
enum Mishap: CaseIterable {
    /// What the batch touches was loaded; then the transaction was given up.
    case afterLoading
    /// The batch was decided; then the transaction was given up.
    case beforeCommit
    /// The session was lost in mid-transaction.
    case sessionLost
    /// The batch was committed, but the worker died before it could publish and acknowledge.
    case afterCommit
}

/// One lane's session over a database, and the model beside it.
struct HistoryPlayer {
    static let workerUser = "worker"

    /// A message on its way, and what is known of its command.
    struct Sending {
        enum Kind: Equatable {
            case first
            /// Sent before: the place among ``HistoryPlayer/sent``.
            case again(Int)
            /// Another command with the id of one that was sent before.
            case reused
        }

        var kind = Kind.first
        let envelope: CommandEnvelope
        let message: Message
        /// Of the event that it was answered with.
        var outcome: EventID?
    }

    private let connect: @Sendable () async throws -> Connection
    private var lab: Lab
    /// The engine of `order-worker simulate`.
    private var simulator: Simulator
    private(set) var model = Model(catalog: History.catalog, prices: History.prices)
    private(set) var bookings = Bookings()
    /// What was sent, each command once.
    private(set) var sent: [Sending] = []
    private(set) var types: Set<EventType> = []
    private(set) var batches = 0
    private(set) var mishaps = 0
    private var sequences: [CustomerID: Int64] = [:]
    /// The places of the transactions that events have told as lines of an open invoice, and the invoice's version then.
    private var told: [InvoiceID: (places: [Int], version: Int64)] = [:]
    private var published: [OutboxPosition] = []
    /// Of everything but the history itself, which is the same whatever happens to the lane.
    var random: SeededGenerator

    init(_ connect: @escaping @Sendable () async throws -> Connection, seed: UInt64) async throws {
        self.connect = connect
        lab = try await Lab(connect())
        simulator = Simulator(catalog: lab.catalog, seed: seed, admission: lab.admission)
        random = SeededGenerator(seed: seed)
    }

    func close() async { await lab.store.connection.close() }

    /// Where the books differ between the database and the model, and between simulate and the model.
    func differences() async throws -> [String] {
        let expected = Books(model)
        let transactions = Dictionary(
            grouping: simulator.books.states.values.flatMap { $0.charges.values.map(\.transaction) }, by: \.customerID)
        let simulated = Books(simulator.books, catalog: simulator.catalog, transactions: transactions, bookings)
        return try await Books(lab.store.connection, bookings).differences(from: expected)
            + simulated.differences(from: expected).map { "simulate: \($0)" }
    }

    // MARK: Batches

    /// Sends commands for the first time, in one batch.
    ///
    /// - Parameter commands: each names transactions by their place.
    mutating func play(_ commands: [CommandEnvelope], now: Timestamp) async throws {
        try await play(commands.map { try first($0) }, now: now, mishap: nil)
    }

    func first(_ envelope: CommandEnvelope) throws -> Sending {
        let named = envelope.with(bookings.naming(envelope.command))
        return Sending(envelope: envelope.with(bookings.asked(envelope.command)), message: try named.message())
    }

    /// Commits a batch and compares what came of it with what the model says.
    mutating func play(_ sendings: [Sending], now: Timestamp, mishap: Mishap?) async throws {
        let entries = sendings.enumerated().map { index, sending in
            let customer = sending.envelope.command.customerID
            let delivery = Delivery(
                tag: UInt64(index), consumerTag: "orders", isRedelivered: false, exchange: "orders",
                routingKey: customer.description, message: sending.message)
            return lab.admission.read(delivery, partition: Int(customer.low % 8), now: now)
        }
        let commands = Batch(entries: entries).commands
        if let mishap {
            mishaps += 1
            try await fail(commands, now: now, mishap)
        }
        let readable = Set(sendings.indices.filter { sendings[$0].envelope.command.isReadable }.map { UInt64($0) })
        let read = Set(commands.map(\.delivery.tag))
        guard read == readable else {
            let wrong = read.symmetricDifference(readable).map { sendings[Int($0)].envelope.command }
            throw HistoryDifference("read or refused against the contract: \(wrong)")
        }
        let seed = random.next()
        let decided = try await decide(commands, now: now, seed: seed)
        try compareSimulation(of: commands, with: decided, now: now, seed: seed)
        let positions = try await lab.store.commit(
            decided.changes, partitions: decided.partitions, commands: decided.commands, events: decided.events,
            published: published)
        guard positions.count == decided.events.count else {
            throw HistoryDifference("\(positions.count) places in the outbox for \(decided.events.count) events")
        }
        published = positions
        try compare(decided, sendings, now: now)
        batches += 1

        if mishap == .afterCommit {
            try await redeliver(commands, decided, now: now)
        }
    }

    private func decide(
        _ commands: [ReceivedCommand], now: Timestamp, seed: UInt64
    ) async throws -> DecidedBatch {
        try await BatchTransaction(store: lab.store, admission: lab.admission).decide(
            Batch(entries: commands.map(LaneCommand.command)), catalog: lab.catalog, now: now,
            identifiers: IdentifierSource(SeededGenerator(seed: seed))
        ).decided
    }

    // MARK: The catalog

    /// Changes the catalog behind the back of the plan, which lives in the present and refuses other rules for a zone.
    mutating func change(to catalog: Catalog, _ prices: [Price]) async throws {
        try await lab.store.connection.execute(script: History.script(storing: catalog, prices))
        model.catalog = catalog
        model.prices = prices
        try await reconnect()
        simulator.catalog = lab.catalog
    }

    // MARK: Mishaps

    /// Takes a batch in hand in vain: nothing of it may be left.
    private mutating func fail(_ commands: [ReceivedCommand], now: Timestamp, _ mishap: Mishap) async throws {
        switch mishap {
        case .afterLoading:
            let batch = Batch(entries: commands.map(LaneCommand.command))
            _ = try await lab.store.begin(
                batch.request(
                    lab.admission, catalog: lab.catalog, dueBy: lab.admission.horizon(of: batch, now: now)))
            try await lab.store.rollback()
        case .beforeCommit:
            _ = try await decide(commands, now: now, seed: random.next())
            try await lab.store.rollback()
        case .sessionLost:
            _ = try await decide(commands, now: now, seed: random.next())
            try await reconnect()
        case .afterCommit:
            break
        }
    }

    private mutating func reconnect() async throws {
        await close()
        lab = try await Lab(connect())
    }

    /// What the next owner does: it finds the events in the outbox, in their order, and gets the same commands again.
    private mutating func redeliver(
        _ commands: [ReceivedCommand], _ decided: DecidedBatch, now: Timestamp
    ) async throws {
        try await reconnect()
        var waiting: [WaitingEvent] = []
        for partition in 0..<8 {
            waiting += try await lab.store.waitingEvents(partition: partition, bytes: .max / 2).events
        }
        guard
            Dictionary(grouping: waiting.map(\.entry), by: \.partition)
                == Dictionary(grouping: decided.events, by: \.partition)
        else { throw HistoryDifference("the outbox doesn't hold the events of the batch that was committed") }
        try await lab.store.remove(waiting.map(\.position))
        published = []

        let again = try await decide(commands, now: now, seed: random.next())
        _ = try await lab.store.commit(again.changes, commands: again.commands, events: again.events, published: [])
        let first = Dictionary(
            decided.tally.map { ($0.command.delivery.tag, $0.outcome) }, uniquingKeysWith: { first, _ in first })
        guard again.commands.isEmpty, again.events.isEmpty, again.changes.customers.isEmpty,
            again.tally.count == decided.tally.count,
            again.tally.allSatisfy({ $0.isRepeated && $0.outcome == first[$0.command.delivery.tag] })
        else { throw HistoryDifference("commands that came again after their commit were not answered as before") }
    }

    // MARK: Comparing

    /// The engine of `order-worker simulate` decides the batch as well: what it stores and publishes is the same to the
    /// byte, though it keeps its books in memory.
    private mutating func compareSimulation(
        of commands: [ReceivedCommand], with decided: DecidedBatch, now: Timestamp, seed: UInt64
    ) throws {
        let simulated = simulator.decide(
            Batch(entries: commands.map(LaneCommand.command)), now: now,
            identifiers: IdentifierSource(SeededGenerator(seed: seed)))
        guard simulated.events == decided.events, simulated.commands == decided.commands,
            simulated.besides.map(\.message) == decided.besides.map(\.message),
            simulated.changes.transactions == decided.changes.transactions,
            simulated.changes.invoices == decided.changes.invoices
        else { throw HistoryDifference("simulate comes to something else for \(commands.map(\.decoded.key))") }
    }

    private mutating func compare(_ decided: DecidedBatch, _ sendings: [Sending], now: Timestamp) throws {
        for transaction in decided.changes.transactions { bookings.book(transaction) }
        for event in decided.changes.events where event.sequence > 0 {
            types.insert(event.type)
            let expected = sequences[event.customerID, default: 0] + 1
            guard event.sequence == expected else {
                throw HistoryDifference("event \(event) has number \(event.sequence) instead of \(expected)")
            }
            sequences[event.customerID] = expected
        }
        let events = Dictionary(decided.changes.events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let tally = Dictionary(
            decided.tally.map { ($0.command.delivery.tag, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, sending) in sendings.enumerated() {
            var sending = sending
            let answer = tally[UInt64(index)]
            switch sending.kind {
            case .first:
                if sending.envelope.command.isReadable {
                    try compareFirst(answer, events, sending.envelope, now: now)
                    sending.outcome = answer?.outcome.id
                }
                sent.append(sending)
            case .again(let place):
                guard answer?.outcome.id == sent[place].outcome, answer?.isRepeated ?? true else {
                    throw HistoryDifference("\(sending.envelope) was sent again and got another outcome")
                }
            case .reused:
                let body = answer.map { String(decoding: $0.outcome.data, as: UTF8.self) } ?? ""
                guard answer?.isRepeated == true, answer?.outcome.type == .commandRejected,
                    body.contains("\"code\":\"command_id_reused\"")
                else { throw HistoryDifference("\(sending.envelope) used an id again and got \(body)") }
            }
        }
        try compareRows(decided.changes)
        for event in decided.changes.events {
            if case .invoice(let invoice, let lines) = event.data { try compare(invoice, lines, event.type) }
        }
    }

    private mutating func compareFirst(
        _ answer: BatchTally?, _ events: [EventID: Event], _ envelope: CommandEnvelope, now: Timestamp
    ) throws {
        guard let answer, !answer.isRepeated, let event = events[answer.outcome.id] else {
            throw HistoryDifference("\(envelope) got no outcome of its own")
        }
        // A command from outside counts as of its own time, but at most a day before it is decided.
        let at =
            envelope.publisher == .worker
            ? envelope.effectiveAt : min(now, max(envelope.effectiveAt, now.adding(.seconds(-86400))))
        let expected = model.decide(envelope.with(at: at), now: now).withoutInvoices
        let actual = Model.Outcome(event, bookings)
        guard actual == expected else {
            throw HistoryDifference("\(envelope) at \(at): \(actual) instead of \(expected)")
        }
        let type = if case .refused = expected { EventType.commandRejected } else { envelope.command.acceptedAs }
        guard event.type == type, answer.outcome.type == type else {
            throw HistoryDifference("\(envelope) was answered with \(event.type) instead of \(type)")
        }
    }

    /// Compares the subscriptions and invoices that a batch changed with what they are in the model after it.
    private func compareRows(_ changes: Changes) throws {
        for subscription in changes.subscriptions {
            let account = model.accounts[subscription.customerID]
            let expected = account.flatMap { account in
                account.sales[subscription.id].map { Books.Holding($0, account, model) }
            }
            let actual = Books.Holding(subscription)
            guard actual == expected else {
                throw HistoryDifference(
                    "subscription \(subscription.id) of \(subscription.customerID): \(actual) instead of "
                        + "\(String(describing: expected))")
            }
        }
        for invoice in changes.invoices {
            let actual = Books.Bill(invoice)
            let expected = model.accounts[invoice.customerID].flatMap { account in
                account.invoices.firstIndex { $0.month == actual.month }.map { Books.Bill($0, account) }
            }
            guard actual == expected else {
                throw HistoryDifference(
                    "invoice \(invoice.id): \(actual) instead of \(String(describing: expected))")
            }
        }
    }
    /// Compares the lines that an event tells with those that the invoice has in the model: of an open one those that no
    /// event has told before, of a closed one all.
    private mutating func compare(_ invoice: Invoice, _ lines: [InvoiceLine], _ type: EventType) throws {
        let account = model.accounts[invoice.customerID]
        let month = Model.day(invoice.start)
        let index = account?.invoices.firstIndex { $0.month == month }
        let expected = account?.entries.indices.filter { account?.entries[$0].invoice == index } ?? []
        let places = lines.map { bookings.positions[invoice.customerID]?[$0.transactionID] ?? -1 }
        let before = told[invoice.id]
        let known = type == .invoiceClosed ? places.sorted() : ((before?.places ?? []) + places).sorted()
        guard index != nil, known == expected, invoice.version > before?.version ?? 0 else {
            throw HistoryDifference(
                "\(type) of invoice \(invoice.id), version \(invoice.version): lines \(known) instead of \(expected)")
        }
        told[invoice.id] = (known, invoice.version)
    }
}
