// The worker without a broker and without a database: the same reading, admitting, deciding and announcing, over books that
// are kept in memory.

public import AMQP
internal import OrderContract
internal import OrderStore
public import Orders

/// Plays commands and the passing of time, and tells the events that a worker would publish, byte for byte.
///
/// It stands for a worker that is never behind: each command is a batch of its own, and its clock looks at each instant at
/// which something falls due. A customer that isn't there is waited for by a worker; here its command is refused at once.
/// The same catalog, seed, messages and times give the same events.
public struct Simulator: Sendable {
    /// The catalog in force; one that replaces it must have another version.
    public var catalog: Catalog
    private(set) var books = MemoryBooks()
    private var inbox: [InboxKey: InboxEntry] = [:]
    /// When something falls due next for each customer that has something to come.
    private var due: [CustomerID: Timestamp] = [:]
    private var identifiers: SeededGenerator
    private let admission: Admission

    /// The account under which the clock's commands travel. No publisher can be called so.
    private static let ownUser = "\0"

    /// - Parameters:
    ///   - seed: of the ids that are made.
    ///   - commandAge: how far back a command's own time may reach.
    public init(catalog: Catalog, seed: UInt64, commandAge: Duration = .seconds(86400)) {
        self.init(
            catalog: catalog, seed: seed,
            admission: Admission(
                decoder: CommandDecoder(), relay: Relay(ownUser: Self.ownUser), authorization: .userID,
                commandAge: commandAge, deferrals: 0))
    }

    init(catalog: Catalog, seed: UInt64, admission: Admission) {
        self.catalog = catalog
        self.admission = admission
        identifiers = SeededGenerator(seed: seed)
    }

    // MARK: Commands

    /// Takes a command as its publisher sends it.
    ///
    /// - Parameters:
    ///   - message: its `userID` is the publisher that the broker has verified.
    ///   - now: when the worker takes it.
    /// - Returns: the events in their order; first what else fell due, then the outcome.
    public mutating func take(_ message: Message, routingKey: String, now: Timestamp) -> [Message] {
        play([OutgoingMessage(exchange: Topology.commands, routingKey: routingKey, message: message)], now: now)
    }

    private mutating func play(_ messages: [OutgoingMessage], now: Timestamp) -> [Message] {
        var entries = messages.enumerated().map { index, outgoing in
            admission.read(
                Delivery(
                    tag: UInt64(index + 1), consumerTag: "", isRedelivered: false, exchange: outgoing.exchange,
                    routingKey: outgoing.routingKey, message: outgoing.message),
                partition: 0, now: now)
        }
        var published: [OutgoingMessage] = []
        // What is settled in parts takes several batches.
        while !entries.isEmpty {
            let decided = decide(
                Batch(entries: entries), now: now,
                identifiers: IdentifierSource(SeededGenerator(seed: identifiers.next())))
            published += decided.events.map { entry in
                entry.event.announcement(correlationID: entry.correlationID, trace: entry.trace)
            }
            published += decided.besides.map(\.message)
            entries = zip(entries, decided.outcomes).compactMap { entry, outcome in
                if case .postponed = outcome { entry } else { nil }
            }
        }
        return published.filter { $0.exchange == Topology.events }.map(\.message)
    }

    /// Decides a batch as a lane's transaction does, and keeps what comes of it.
    mutating func decide(_ batch: Batch, now: Timestamp, identifiers: IdentifierSource) -> DecidedBatch {
        let request = batch.request(admission, catalog: catalog, dueBy: now)
        var known: [InboxKey: InboxEntry] = [:]
        for key in request.keys { known[key] = inbox[key] }
        let decided = books.decide(for: request.customers) { states, numbers in
            let loaded = LoadedBatch(
                catalogVersion: catalog.version, known: known, states: states, invoiceNumbers: numbers)
            let decided = batch.decide(loaded, admission, catalog: catalog, now: now, identifiers: identifiers)
            return (decided.changes, decided)
        }
        for entry in decided.commands { inbox[entry.key] = entry }
        for id in request.customers { due[id] = books.states[id]?.nextHint }
        return decided
    }

    // MARK: Time

    /// Lets time pass: what falls due up to then is settled at the instant at which it does.
    ///
    /// - Returns: the events in their order.
    public mutating func pass(until destination: Clock.Destination) -> [Message] {
        let partners = books.states.mapValues { $0.customer?.partnerID ?? "" }
        switch destination {
        case .time(let time):
            return pass { _ in time }
        case .endOf(let date):
            let next = date.adding(days: 1)
            // The last moment of the day, and the moment at which the next begins.
            let ends = catalog.partners.mapValues { $0.zone.startOfDay(next) }
            let last = ends.mapValues { $0.adding(.zero - .microseconds(1)) }
            var events = pass { partners[$0].flatMap { last[$0] } }
            let ending = books.states.values.filter { $0.openInvoice?.end == next }.map(\.id)
            let byPartner = Dictionary(grouping: ending) { partners[$0] ?? "" }
            for (partner, customers) in byPartner.sorted(by: { $0.key < $1.key }) {
                guard let end = ends[partner], let time = last[partner] else { continue }
                events += settle(customers.sorted(), through: time, dayIsOver: true, now: end)
            }
            return events
        }
    }

    private mutating func pass(until end: (CustomerID) -> Timestamp?) -> [Message] {
        var events: [Message] = []
        while true {
            let waiting = due.filter { id, time in end(id).map { time <= $0 } ?? false }
            guard let first = waiting.values.min() else { return events }
            events += settle(waiting.keys.filter { waiting[$0] == first }.sorted(), through: first, now: first)
        }
    }

    private mutating func settle(
        _ customers: [CustomerID], through time: Timestamp, dayIsOver: Bool = false, now: Timestamp
    ) -> [Message] {
        let settlements = customers.map { id in
            let customer = DueCustomer(
                id: id, partnerID: books.states[id]?.customer?.partnerID ?? "", since: due[id] ?? now,
                isMonth: dayIsOver)
            return SettleCommand.message(
                customer, through: time, isAhead: false, dayIsOver: dayIsOver, user: Self.ownUser)
        }
        let events = play(settlements, now: now)
        // What can't be settled, as its partner can't be served, would be due for ever.
        for id in customers where due[id].map({ $0 <= time }) ?? false { due[id] = nil }
        return events
    }
}

extension CustomerState {
    /// When the clock has to look at the customer next.
    fileprivate var nextHint: Timestamp? {
        (subscriptions.values.map(\.dueAt) + [openInvoice?.dueAt]).compactMap(\.self).min()
    }
}
