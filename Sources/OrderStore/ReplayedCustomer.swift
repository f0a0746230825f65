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
    private var state: CustomerState
    private var invoices: [InvoiceID: Invoice] = [:]
    private var unmatched: [Mark: [Transaction]]
    private let decoder = CommandDecoder()
    private var differences: [String] = []

    init(_ id: CustomerID, catalog: Catalog, stored: Stored) {
        self.catalog = catalog
        self.stored = stored
        state = CustomerState(id: id)
        unmatched = Dictionary(grouping: stored.transactions.reversed()) { Mark($0) }
    }

    // MARK: Deciding

    /// Decides a command at the time at which it was decided before.
    mutating func decide(_ entry: InboxEntry) {
        let name = "the command \(entry.key.command.id) of \(entry.key.command.source)"
        guard let type = CommandType(rawValue: entry.type),
            let command = decoder.decodeStored(type: type, data: entry.data)
        else {
            differences.append("\(name) can't be read any more")
            return
        }
        let envelope = CommandEnvelope(
            key: entry.key.command, publisher: publisher(of: entry), effectiveAt: entry.effectiveAt, command: command)
        var numbers: [InvoiceSeries: Int64] = [:]
        while true {
            var work = UnitOfWork(
                catalog: catalog, states: [state], invoiceNumbers: numbers, now: entry.receivedAt,
                identifiers: IdentifierSource())
            let outcome = work.decide(envelope)
            let changes = work.finish()
            let missing = changes.missing.series.filter { numbers[$0] == nil }
            if missing.isEmpty {
                if outcome.type != entry.outcome.type {
                    differences.append("\(name) comes to \(outcome.type.rawValue), not \(entry.outcome.type.rawValue)")
                }
                return keep(changes)
            }
            // Which numbers the invoices get depends on other customers.
            for series in missing { numbers[series] = 0 }
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

    private mutating func keep(_ changes: Changes) {
        state.customer = changes.customers.last ?? state.customer
        for subscription in changes.subscriptions { state.subscriptions[subscription.id] = subscription }
        for invoice in changes.invoices {
            invoices[invoice.id] = invoice
            if invoice.state == .open {
                if state.openInvoice?.id != invoice.id { state.openInvoiceLines = [] }
                state.openInvoice = invoice
            } else if state.openInvoice?.id == invoice.id {
                state.openInvoice = nil
                state.openInvoiceLines = nil
            }
        }
        for transaction in changes.transactions {
            if transaction.invoiceID != nil, transaction.invoiceID == state.openInvoice?.id {
                state.openInvoiceLines?.append(transaction)
            }
            let kept = match(transaction)
            state.charges[kept.id] = Charge(transaction: kept, refundedQuantity: 0)
            if let charge = kept.reverses { state.charges[charge]?.refundedQuantity += kept.quantity ?? 0 }
        }
    }

    // MARK: Comparing

    /// The stored transaction in place of the one that was made; the latter where there is none.
    private mutating func match(_ made: Transaction) -> Transaction {
        guard let found = unmatched[Mark(made)]?.popLast() else {
            differences.append("the \(Self.name(made)) isn't stored")
            return made
        }
        let month = made.invoiceID.flatMap { invoices[$0]?.start }
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
        differences.append(
            "\(what) of the \(Self.name(transaction)), transaction \(transaction.id), comes to \(text(made)), "
                + "not \(text(stored))")
    }

    private static func name(_ transaction: Transaction) -> String {
        let type = transaction.certificateType.map { " of \($0)" } ?? ""
        return
            "\(transaction.type.rawValue)\(type) on \(transaction.date) for subscription \(transaction.subscriptionID)"
    }

    /// Compares what the customer has in the end.
    ///
    /// - Returns: all differences, a sentence each.
    consuming func finish() -> [String] {
        for transaction in unmatched.values.flatMap(\.self).sorted(by: { $0.id < $1.id }) {
            differences.append("the stored \(Self.name(transaction)), transaction \(transaction.id), isn't made")
        }
        var customer = state.customer
        // How many events there were depends on which commands came together.
        if let sequence = stored.customer?.sequence { customer?.sequence = sequence }
        if customer != stored.customer { differences.append("the customer's row differs") }
        for id in Set(state.subscriptions.keys).union(stored.subscriptions.keys).sorted() {
            let made = state.subscriptions[id]?.settled
            if made != stored.subscriptions[id]?.settled {
                differences.append("the subscription \(id) differs: its state, period, auto-renewal or inventory")
            }
        }
        let months = Dictionary(invoices.values.map { ($0.start, $0.line) }, uniquingKeysWith: { first, _ in first })
        for month in Set(months.keys).union(stored.invoices.keys).sorted() where months[month] != stored.invoices[month]
        {
            differences.append(
                "the invoice of \(month.description.prefix(7)) comes to \(months[month] ?? "nothing"), not "
                    + "\(stored.invoices[month] ?? "nothing")")
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
