// One customer whose commands are decided again, beside what is stored of it.

internal import OrderContract
internal import Orders
internal import PostgreSQL

/// Keeps one customer's books in memory, and finds where they differ from the stored ones.
///
/// Every transaction that is made is looked for among the stored ones and carries on under the stored one's id, so that the
/// refunds that name it find it, and with the stored one's last day for them.
struct ReplayedCustomer {
    /// What the database has of the customer.
    struct Stored {
        let customer: Customer?
        let transactions: [Transaction]
        let subscriptions: [SubscriptionID: Subscription]
        /// By the first day of their month: a line for each.
        let invoices: [CalendarDate: String]
        /// The months by the invoices' ids.
        let months: [InvoiceID: CalendarDate]
    }

    /// What tells a command's transactions apart.
    private struct Mark: Hashable {
        let command: CommandKey
        let type: TransactionType
        let subscription: SubscriptionID
        let period: Int
        let certificateType: String?
        let reverses: TransactionID?

        init(_ transaction: Transaction) {
            command = transaction.command
            type = transaction.type
            subscription = transaction.subscriptionID
            period = transaction.period.index
            certificateType = transaction.certificateType
            reverses = transaction.reverses
        }
    }

    private let catalog: Catalog
    private let stored: Stored
    private let id: CustomerID
    private var books = MemoryBooks()
    private var unmatched: [Mark: [Transaction]]
    /// The subscriptions of the stored transactions.
    private let charges: [TransactionID: SubscriptionID]
    private let decoder = CommandDecoder()
    private let rulesSince: Timestamp?
    private var differences: [ReplayDifference] = []
    /// Whether an earlier release is deciding.
    private var isEarlier = false
    /// What an earlier release left otherwise than this one would have: what comes of it later differs too.
    private var leftOtherwise: Set<SubscriptionID> = []

    /// - Parameter rulesSince: before when an earlier release decided.
    init(_ id: CustomerID, catalog: Catalog, stored: Stored, rulesSince: Timestamp?) {
        self.rulesSince = rulesSince
        self.catalog = catalog
        self.stored = stored
        self.id = id
        unmatched = Dictionary(grouping: stored.transactions.reversed()) { Mark($0) }
        charges = Dictionary(
            stored.transactions.map { ($0.id, $0.subscriptionID) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: Deciding

    /// Decides a command at the time at which it was decided before.
    mutating func decide(_ entry: InboxEntry) {
        isEarlier = isEarlierRelease(at: entry.receivedAt)
        let name = "the command \(entry.key.command.id) of \(entry.key.command.source)"
        guard let type = CommandType(rawValue: entry.type),
            let command = decoder.decodeStored(type: type, data: entry.data)
        else {
            return note("\(name) can't be read any more", [])
        }
        let envelope = CommandEnvelope(
            key: entry.key.command, publisher: publisher(of: entry), effectiveAt: entry.effectiveAt, command: command)
        // Which numbers the invoices get depends on other customers.
        let (changes, outcome) = books.decide(for: [id]) { states, numbers in
            var work = UnitOfWork(
                catalog: catalog, states: states, invoiceNumbers: numbers, now: entry.receivedAt,
                identifiers: IdentifierSource())
            let outcome = work.decide(envelope)
            let changes = work.finish()
            return (changes, (changes, outcome))
        }
        if outcome.type != entry.outcome.type {
            note(
                "\(name) comes to \(outcome.type.rawValue), not \(entry.outcome.type.rawValue)",
                command.subscriptionIDs + command.transactionIDs.compactMap { charges[$0] })
        }
        for made in changes.transactions {
            let found = match(made)
            books.know(made, as: found)
        }
    }

    /// Who sent the command. A user that may no longer publish for the partner could when it was accepted.
    private func publisher(of entry: InboxEntry) -> Publisher {
        switch entry.key.sender {
        case InboxKey.worker: .worker
        case InboxKey.unknown: .anonymous
        case let sender:
            catalog.partner(for: .user(entry.publisher))?.id == sender
                ? .user(entry.publisher) : .trusted(partner: sender)
        }
    }

    // MARK: Comparing

    private func isEarlierRelease(at time: Timestamp) -> Bool { rulesSince.map { time < $0 } ?? false }

    /// Notes a difference that concerns some subscriptions.
    private mutating func note(_ text: String, _ subscriptions: [SubscriptionID], isEarlier: Bool? = nil) {
        let isEarlier = isEarlier ?? self.isEarlier
        if isEarlier { leftOtherwise.formUnion(subscriptions) }
        differences.append(
            ReplayDifference(
                customerID: id, description: text,
                isOfEarlierRelease: isEarlier || !leftOtherwise.isDisjoint(with: subscriptions)))
    }

    /// The stored transaction in place of the one that was made; the latter where there is none.
    private mutating func match(_ made: Transaction) -> Transaction {
        guard let found = unmatched[Mark(made)]?.popLast() else {
            note("the \(Self.name(made)) isn't stored", [made.subscriptionID])
            return made
        }
        let month = made.invoiceID.flatMap { books.invoices[$0]?.start }
        compare("the amount", of: found, made.amount, found.amount)
        compare("the quantity", of: found, made.quantity, found.quantity)
        compare("the unit price", of: found, made.unitPrice, found.unitPrice)
        compare("the days", of: found, made.days, found.days)
        compare("the date", of: found, made.date, found.date)
        compare("the time", of: found, made.at, found.at)
        compare("the period", of: found, made.period, found.period)
        compare("the reseller", of: found, made.resellerID, found.resellerID)
        compare("the month", of: found, month, found.invoiceID.flatMap { stored.months[$0] })
        return found
    }

    private mutating func compare<Value: Equatable>(
        _ what: String, of transaction: Transaction, _ made: Value?, _ stored: Value?
    ) {
        guard made != stored else { return }
        func text(_ value: Value?) -> String { value.map { "\($0)" } ?? "none" }
        note(
            "\(what) of the \(Self.name(transaction)), transaction \(transaction.id), comes to \(text(made)), "
                + "not \(text(stored))", [transaction.subscriptionID])
    }

    private static func name(_ transaction: Transaction) -> String {
        let type = transaction.certificateType.map { " of \($0)" } ?? ""
        return
            "\(transaction.type.rawValue)\(type) on \(transaction.date) for subscription \(transaction.subscriptionID)"
    }

    /// Compares what the customer has in the end.
    ///
    /// - Returns: all differences.
    consuming func finish() -> [ReplayDifference] {
        for transaction in unmatched.values.flatMap(\.self).sorted(by: { $0.id < $1.id }) {
            // Settled or done at the earliest at its own time, and at the latest with the command that it names.
            note(
                "the stored \(Self.name(transaction)), transaction \(transaction.id), isn't made",
                [transaction.subscriptionID], isEarlier: isEarlierRelease(at: transaction.at))
        }
        // What follows from all that the customer has.
        isEarlier = differences.contains(where: \.isOfEarlierRelease)
        let state = books.states[id]
        var customer = state?.customer
        // How many events there were depends on which commands came together.
        if let sequence = stored.customer?.sequence { customer?.sequence = sequence }
        if customer != stored.customer { note("the customer's row differs", []) }
        for id in Set((state?.subscriptions ?? [:]).keys).union(stored.subscriptions.keys).sorted() {
            let made = state?.subscriptions[id]?.settled
            if made != stored.subscriptions[id]?.settled {
                note(
                    "the subscription \(id) differs: its state, period, auto-renewal or inventory", [id],
                    isEarlier: leftOtherwise.contains(id))
            }
        }
        let months = Dictionary(
            books.invoices.values.map { ($0.start, $0.line) }, uniquingKeysWith: { first, _ in first })
        for month in Set(months.keys).union(stored.invoices.keys).sorted() where months[month] != stored.invoices[month]
        {
            note(
                "the invoice of \(month.description.prefix(7)) comes to \(months[month] ?? "nothing"), not "
                    + "\(stored.invoices[month] ?? "nothing")", [])
        }
        return differences
    }
}

extension Subscription {
    /// Without what has no meaning: the hint for the clock, types of which there are none, and once it has expired what it
    /// would have held.
    fileprivate var settled: Subscription {
        var copy = self
        copy.dueAt = nil
        copy.inventory = inventory.filter { $0.value != 0 }
        if state == .expired { copy.renewalInventory = [:] }
        return copy
    }
}

extension Invoice {
    /// What has to agree.
    fileprivate var line: String { "\(state.rawValue), total \(total.amount)" }
}

extension ReplayedCustomer.Stored {
    /// Loads all that is stored of a customer.
    nonisolated(nonsending) init(of id: CustomerID, on connection: Connection) async throws {
        let transactions = try await connection.query(TransactionTable.loadAll(of: id)).map(TransactionTable.read)
        let ids = Set(transactions.map(\.subscriptionID))
        let results = try await connection.pipeline([
            CustomerTable.find(id),
            SubscriptionTable.load(
                customers: [], named: ids.map { (id, $0) }, charges: [], dueBy: Timestamp(microseconds: 0)),
            InvoiceTable.loadAll(of: id),
        ])
        self.transactions = transactions
        customer = try results[0].first.map(CustomerTable.read)
        subscriptions = Dictionary(
            try results[1].map(SubscriptionTable.read).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let invoices = try results[2].map(InvoiceTable.read)
        self.invoices = Dictionary(invoices.map { ($0.start, $0.line) }, uniquingKeysWith: { first, _ in first })
        months = Dictionary(invoices.map { ($0.id, $0.start) }, uniquingKeysWith: { first, _ in first })
    }
}
