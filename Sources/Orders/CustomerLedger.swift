// One customer within a unit of work: its state, and what of it has changed since it was loaded.

/// Carries out decisions on one customer's state in memory, and remembers what is to be stored and announced.
struct CustomerLedger {
    private(set) var state: CustomerState
    /// The transactions made since loading, on their invoices.
    private(set) var transactions: [Transaction] = []
    private(set) var changedSubscriptions: Set<SubscriptionID> = []
    /// The certificate types that changed subscriptions have held, now or for their renewal, since loading.
    private var typesHeld: [SubscriptionID: Set<String>] = [:]
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

    /// The certificate types that subscriptions no longer hold, neither now nor for their renewal.
    var droppedTypes: [DroppedType] {
        typesHeld.flatMap { id, types in
            types.subtracting(state.subscriptions[id]?.certificateTypes ?? []).map {
                DroppedType(customerID: state.id, subscriptionID: id, certificateType: $0)
            }
        }
    }

    /// The invoices' rows that have changed.
    var changedInvoices: [Invoice] {
        closedInvoices + (openInvoiceIsChanged ? [state.openInvoice].compactMap { $0 } : [])
    }

    private var openInvoiceIsChanged = false
    private var areHintsCorrect = false

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
        for var subscription in decision.subscriptions {
            subscription.dueAt = subscription.dueOn.map(context.partner.zone.startOfDay)
            if let before = state.subscriptions[subscription.id] {
                typesHeld[subscription.id, default: []].formUnion(before.certificateTypes)
            }
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
                openInvoice(for: transaction.date, context, &stamp)
            }
            transaction.invoiceID = state.openInvoice?.id
            openInvoiceIsChanged = true
            state.openInvoiceLines?.append(transaction)
            untoldLines.append(transaction)
        }
        transactions.append(transaction)
        // Whatever its type: a refund of what isn't a charge must be refused alike in this batch and in a later one.
        state.charges[transaction.id] = Charge(transaction: transaction, refundedQuantity: 0)
        if let charge = transaction.reverses {
            state.charges[charge]?.refundedQuantity += transaction.quantity ?? 0
        }
    }

    /// Opens the invoice of the month that takes a line of this date: the date's own while it is open for the customer,
    /// else that of the day up to which the customer is settled.
    private mutating func openInvoice(for date: CalendarDate, _ context: DecisionContext, _ stamp: inout Stamp) {
        let start = max(date, state.customer?.settledThrough ?? date).firstOfMonth
        let end = start.adding(months: 1)
        state.openInvoice = Invoice(
            id: stamp.identifiers.next(at: context.at), customerID: state.id, partnerID: context.partner.id,
            start: start, end: end, state: .open, number: nil, version: 0,
            total: Money(amount: 0, currency: context.partner.currency), dueAt: context.partner.zone.startOfDay(end))
        state.openInvoiceLines = []
    }

    /// Closes the open invoice under the next number of its series.
    mutating func closeInvoice(_ context: DecisionContext, _ stamp: inout Stamp) {
        guard var invoice = state.openInvoice else { return }
        let series = invoice.series
        if stamp.invoiceNumbers[series] == nil { stamp.missing.series.insert(series) }
        if state.openInvoiceLines == nil { stamp.missing.invoiceLines.insert(state.id) }
        let number = stamp.invoiceNumbers[series, default: 0] + 1
        stamp.invoiceNumbers[series] = number
        invoice.number = number
        invoice.state = .closed
        invoice.version += 1
        invoice.dueAt = nil
        closedInvoices.append(invoice)
        let lines = (state.openInvoiceLines ?? []).sorted(by: Self.isBefore).map(InvoiceLine.init)
        state.openInvoice = nil
        state.openInvoiceLines = nil
        openInvoiceIsChanged = false
        untoldLines = []
        _ = announce(.invoiceClosed, .invoice(invoice, lines), cause: context.key, &stamp)
    }

    /// The order of a closed invoice's lines, which is the same whether they were loaded or have just been booked.
    private static func isBefore(_ left: Transaction, _ right: Transaction) -> Bool {
        if left.at != right.at { return left.at < right.at }
        if left.subscriptionID != right.subscriptionID { return left.subscriptionID < right.subscriptionID }
        if left.certificateType != right.certificateType {
            return (left.certificateType ?? "") < (right.certificateType ?? "")
        }
        return left.id < right.id
    }

    /// Remembers that everything due up to `day` has been settled.
    mutating func settled(through day: CalendarDate) {
        guard let customer = state.customer, customer.settledThrough.map({ $0 < day }) ?? true else { return }
        state.customer?.settledThrough = day
        isCustomerChanged = true
    }

    /// Tells the clock anew when to look where the zone's rules have changed since it was told. Nothing else follows from
    /// these instants.
    mutating func correctHints(in zone: BillingZone) {
        guard !areHintsCorrect, state.customer != nil else { return }
        areHintsCorrect = true
        if let invoice = state.openInvoice, invoice.dueAt != zone.startOfDay(invoice.end) {
            state.openInvoice?.dueAt = zone.startOfDay(invoice.end)
            openInvoiceIsChanged = true
        }
        for subscription in state.subscriptions.values {
            guard let day = subscription.dueOn, subscription.dueAt != zone.startOfDay(day) else { continue }
            state.subscriptions[subscription.id]?.dueAt = zone.startOfDay(day)
            changedSubscriptions.insert(subscription.id)
        }
    }

    // MARK: Announcing

    /// Makes the customer's next event, or as many as it takes to tell something large.
    ///
    /// - Returns: the first of them.
    mutating func announce(
        _ type: EventType, _ data: EventData, cause: CommandKey, _ stamp: inout Stamp
    ) -> Event {
        let parts = data.parts
        guard parts.count > 1 else { return announce(type, data, part: nil, cause: cause, &stamp) }
        let first = announce(type, parts[0], part: EventPart(number: 1, count: parts.count), cause: cause, &stamp)
        for index in parts.indices.dropFirst() {
            let part = EventPart(number: index + 1, count: parts.count)
            _ = announce(type, parts[index], part: part, cause: cause, &stamp)
        }
        return first
    }

    private mutating func announce(
        _ type: EventType, _ data: EventData, part: EventPart?, cause: CommandKey, _ stamp: inout Stamp
    ) -> Event {
        let sequence = (state.customer?.sequence).map { $0 + 1 } ?? 0
        if state.customer != nil {
            state.customer?.sequence = sequence
            isCustomerChanged = true
        }
        let event = Event(
            id: stamp.identifiers.next(at: stamp.now), type: type, customerID: state.id, sequence: sequence,
            time: stamp.now, data: data.telling(sequenceOf: state.customer), cause: cause, part: part)
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
    /// The last invoice number given, by series.
    var invoiceNumbers: [InvoiceSeries: Int64]
    var missing = MissingState()
}

extension EventData {
    /// A customer in an event carries the event's own sequence number.
    fileprivate func telling(sequenceOf customer: Customer?) -> EventData {
        if case .customer = self, let customer { .customer(customer) } else { self }
    }
}
