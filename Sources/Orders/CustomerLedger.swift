// One customer within a unit of work: its state, and what of it has changed since it was loaded.

/// Carries out decisions on one customer's state in memory, and remembers what is to be stored and announced.
struct CustomerLedger {
    private(set) var state: CustomerState
    /// The transactions made since loading, on their invoices.
    private(set) var transactions: [Transaction] = []
    private(set) var changedSubscriptions: Set<SubscriptionID> = []
    /// The invoices closed since loading.
    private(set) var closedInvoices: [Invoice] = []
    private(set) var events: [Event] = []
    private var isCustomerChanged = false
    /// Lines of the open invoice that no event has told yet, with the cause of the latest.
    private var untoldLines: [Transaction] = []

    init(_ state: CustomerState) {
        self.state = state
    }

    /// The customer's row, where it has changed.
    var changedCustomer: Customer? { isCustomerChanged ? state.customer : nil }

    /// The invoices' rows that have changed.
    var changedInvoices: [Invoice] {
        closedInvoices + (openInvoiceIsChanged ? [state.openInvoice].compactMap { $0 } : [])
    }

    private var openInvoiceIsChanged = false

    // MARK: Carrying out

    /// What the open invoice's total will be with `transactions` on it; nil when it is too large to be booked.
    func invoiceTotal(adding transactions: [Transaction]) -> Int64? {
        var total = state.openInvoice?.total.amount ?? 0
        for transaction in transactions {
            let (sum, overflow) = total.addingReportingOverflow(transaction.amount.amount)
            if overflow { return nil }
            total = sum
        }
        return total
    }

    /// Applies a decision and announces it.
    ///
    /// - Precondition: ``invoiceTotal(adding:)`` of the decision's transactions is not nil.
    mutating func apply(_ decision: Decision, _ context: DecisionContext, _ stamp: inout Stamp) -> Event {
        if let customer = decision.customer {
            let sequence = state.customer?.sequence ?? 0
            state.customer = customer
            state.customer?.sequence = sequence
            isCustomerChanged = true
        }
        for subscription in decision.subscriptions {
            state.subscriptions[subscription.id] = subscription
            changedSubscriptions.insert(subscription.id)
        }
        let total = invoiceTotal(adding: decision.transactions)
        for transaction in decision.transactions {
            book(transaction, context, &stamp)
        }
        if let total { state.openInvoice?.total = Money(amount: total, currency: context.partner.currency) }
        return announce(decision.type, decision.data, cause: context.key, &stamp)
    }

    private mutating func book(_ transaction: Transaction, _ context: DecisionContext, _ stamp: inout Stamp) {
        var transaction = transaction
        if transaction.amount.amount != 0 {
            if state.openInvoice == nil {
                openInvoice(context, &stamp)
            }
            transaction.invoiceID = state.openInvoice?.id
            openInvoiceIsChanged = true
            state.openInvoiceLines.append(transaction)
            untoldLines.append(transaction)
        }
        transactions.append(transaction)
        // Whatever its type: a refund of what isn't a charge must be refused alike in this batch and in a later one.
        state.charges[transaction.id] = Charge(transaction: transaction, refundedQuantity: 0)
        if let charge = transaction.reverses {
            state.charges[charge]?.refundedQuantity += transaction.quantity ?? 0
        }
    }

    private mutating func openInvoice(_ context: DecisionContext, _ stamp: inout Stamp) {
        let start = context.today.firstOfMonth
        let end = start.adding(months: 1)
        state.openInvoice = Invoice(
            id: stamp.identifiers.next(at: context.at), customerID: state.id, partnerID: context.partner.id,
            start: start, end: end, state: .open, number: nil, version: 0,
            total: Money(amount: 0, currency: context.partner.currency), dueAt: context.partner.zone.startOfDay(end))
        state.openInvoiceLines = []
    }

    /// Closes the open invoice under the next number of its partner's sequence.
    mutating func closeInvoice(_ context: DecisionContext, _ stamp: inout Stamp) {
        guard var invoice = state.openInvoice else { return }
        if stamp.invoiceNumbers[invoice.partnerID] == nil { stamp.missingInvoiceNumbers.insert(invoice.partnerID) }
        let number = stamp.invoiceNumbers[invoice.partnerID, default: 0] + 1
        stamp.invoiceNumbers[invoice.partnerID] = number
        invoice.number = number
        invoice.state = .closed
        invoice.version += 1
        invoice.dueAt = nil
        closedInvoices.append(invoice)
        let lines = state.openInvoiceLines.map(InvoiceLine.init)
        state.openInvoice = nil
        state.openInvoiceLines = []
        openInvoiceIsChanged = false
        untoldLines = []
        _ = announce(.invoiceClosed, .invoice(invoice, lines), cause: context.key, &stamp)
    }

    /// Remembers that everything due up to `time` has been settled.
    mutating func settled(through time: Timestamp) {
        guard let customer = state.customer, customer.settledAt.map({ $0 < time }) ?? true else { return }
        state.customer?.settledAt = time
        isCustomerChanged = true
    }

    // MARK: Announcing

    /// Makes the customer's next event.
    mutating func announce(
        _ type: EventType, _ data: EventData, cause: CommandKey, _ stamp: inout Stamp
    ) -> Event {
        let sequence = (state.customer?.sequence).map { $0 + 1 } ?? 0
        if state.customer != nil {
            state.customer?.sequence = sequence
            isCustomerChanged = true
        }
        let event = Event(
            id: stamp.identifiers.next(at: stamp.now), type: type, customerID: state.id, sequence: sequence,
            time: stamp.now, data: data.telling(sequenceOf: state.customer), cause: cause)
        events.append(event)
        return event
    }

    /// Tells the lines that came onto the open invoice, in one event however many commands brought them.
    mutating func announceInvoice(_ stamp: inout Stamp) {
        guard let cause = untoldLines.last?.command else { return }
        state.openInvoice?.version += 1
        guard let invoice = state.openInvoice else { return }
        let lines = untoldLines.map(InvoiceLine.init)
        untoldLines = []
        _ = announce(.invoiceUpdated, .invoice(invoice, lines), cause: cause, &stamp)
    }
}

/// What a unit of work stamps onto what it makes.
struct Stamp {
    /// The time of the unit of work.
    let now: Timestamp
    var identifiers: IdentifierSource
    /// The last invoice number given, by partner.
    var invoiceNumbers: [String: Int64]
    /// The partners for which a number was needed that hadn't been loaded.
    var missingInvoiceNumbers: Set<String> = []
}

extension EventData {
    /// A customer in an event carries the event's own sequence number.
    fileprivate func telling(sequenceOf customer: Customer?) -> EventData {
        if case .customer = self, let customer { .customer(customer) } else { self }
    }
}
