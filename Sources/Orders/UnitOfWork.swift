// A batch of commands decided in order against loaded state: the functional core's front door.

/// The rows to store and the events to publish after a unit of work.
public struct Changes: Sendable {
    public internal(set) var customers: [Customer] = []
    public internal(set) var subscriptions: [Subscription] = []
    /// The certificate types that subscriptions held, now or for their renewal, when they were loaded, and no longer do.
    public internal(set) var droppedTypes: [DroppedType] = []
    public internal(set) var transactions: [Transaction] = []
    public internal(set) var invoices: [Invoice] = []
    /// The last invoice number given, for each series whose number went up.
    public internal(set) var invoiceNumbers: [InvoiceSeries: Int64] = [:]
    /// What the unit of work turned out to need and wasn't given. Where there is something, the changes mustn't be
    /// stored: decide the same commands again with it.
    public internal(set) var missing = MissingState()
    /// In the order in which they have to be published.
    public internal(set) var events: [Event] = []
}

/// A certificate type that a subscription no longer holds.
public struct DroppedType: Sendable {
    public let customerID: CustomerID
    public let subscriptionID: SubscriptionID
    public let certificateType: String
}

/// What closing invoices takes, where nobody could know that they would be closed.
///
/// An invoice can be opened and fall due within one unit of work: by renewals that catch up over a month's end, or by two
/// commands of which the first was given its time before the month's end and the second after it. It can turn into a
/// credit note by the last refund before it is closed. And the hint of when it is due can be wrong.
public struct MissingState: Sendable, Equatable {
    /// The series whose last numbers are needed.
    public internal(set) var series: Set<InvoiceSeries> = []
    /// The customers whose open invoice's lines are needed.
    public internal(set) var invoiceLines: Set<CustomerID> = []

    public init() {}

    public var isEmpty: Bool { series.isEmpty && invoiceLines.isEmpty }

    public func isSubset(of other: MissingState) -> Bool {
        series.isSubset(of: other.series) && invoiceLines.isSubset(of: other.invoiceLines)
    }

    public mutating func formUnion(_ other: MissingState) {
        series.formUnion(other.series)
        invoiceLines.formUnion(other.invoiceLines)
    }
}

/// Decides commands one after the other in memory; the result is stored in one database transaction.
///
/// Pure: the same state, catalog, time and identifiers give the same changes. A command sees what those before it did.
public struct UnitOfWork {
    private let catalog: Catalog
    private var stamp: Stamp
    private let loadedInvoiceNumbers: [InvoiceSeries: Int64]
    private var ledgers: [CustomerID: CustomerLedger] = [:]
    /// The order in which customers were first touched.
    private var order: [CustomerID] = []
    /// How many transactions and lines of closed invoices settlements may come to at a time.
    private let settlementLimit: Int
    private var settlementLeft: Int

    /// - Parameters:
    ///   - states: of the customers that the commands name; one that is missing doesn't exist.
    ///   - invoiceNumbers: the last number given in each series in which an invoice may be closed.
    ///   - now: the time of the decisions: the day of it is that on which they are booked.
    ///   - settlementLimit: about how many transactions and lines of closed invoices settlements may come to; see
    ///     ``settlement(before:)``.
    public init(
        catalog: Catalog, states: [CustomerState], invoiceNumbers: [InvoiceSeries: Int64], now: Timestamp,
        identifiers: IdentifierSource, settlementLimit: Int = .max
    ) {
        self.settlementLimit = settlementLimit
        self.settlementLeft = settlementLimit
        self.catalog = catalog
        self.stamp = Stamp(now: now, identifiers: identifiers, invoiceNumbers: invoiceNumbers)
        self.loadedInvoiceNumbers = invoiceNumbers
        for state in states {
            ledgers[state.id] = CustomerLedger(state)
            order.append(state.id)
        }
    }

    /// What settling takes before a command can be decided here.
    public enum Settlement: Sendable, Hashable {
        /// Little enough: ``decide(_:)`` does it.
        case small
        /// More than one unit of work should take: first ``settlePart(_:)``, and the command in a later unit of work.
        case large
        /// Whatever it takes, this unit of work has done enough.
        case later
    }

    /// What settling takes before a command can be decided here, so that a unit of work stays small in memory however much
    /// has fallen due. Of each unit of work at least the first command makes progress.
    public func settlement(before envelope: CommandEnvelope) -> Settlement {
        guard let state = ledgers[envelope.command.customerID]?.state,
            case .success(let partner) = partner(for: envelope, state.customer)
        else { return .small }
        let today = partner.zone.date(of: envelope.effectiveAt)
        let weight = state.settlementWeight(through: today)
        let isLarge = state.lacksDue(through: today) || weight > settlementLimit
        if weight == 0 { return isLarge ? .later : .small }
        if settlementLeft <= 0 { return .later }
        return isLarge ? .large : weight <= settlementLeft ? .small : .later
    }

    /// Settles a part of what is due, in the order in which it fell due.
    ///
    /// - Parameter envelope: the worker's own command to settle it, as which the part is kept.
    /// - Returns: the outcome of that.
    public mutating func settlePart(_ envelope: CommandEnvelope) -> Event {
        isInParts = true
        defer { isInParts = false }
        return decide(envelope)
    }

    private var isInParts = false

    /// The number of the customer's last event.
    public func sequence(of customer: CustomerID) -> Int64 { ledgers[customer]?.state.customer?.sequence ?? 0 }

    /// Decides one command: settles what fell due before it, then accepts or rejects it.
    ///
    /// - Returns: the command's outcome.
    public mutating func decide(_ envelope: CommandEnvelope) -> Event {
        let id = envelope.command.customerID
        if ledgers[id] == nil { order.append(id) }
        var ledger = ledgers.removeValue(forKey: id) ?? CustomerLedger(CustomerState(id: id))
        let outcome: Event
        switch partner(for: envelope, ledger.state.customer) {
        case .success(let partner):
            outcome = decide(envelope, &ledger, partner)
        case .failure(let rejection):
            // Nothing of a customer that isn't the publisher's may be touched or revealed: no sequence number either.
            var stranger = CustomerLedger(CustomerState(id: id))
            outcome = stranger.announce(
                .commandRejected, .rejected(rejection, envelope.key, type: envelope.command.type.rawValue),
                cause: envelope.key, &stamp)
            strangers.append(outcome)
        }
        ledgers[id] = ledger
        return outcome
    }

    /// The partner that the command is for, where it can't be served here: the command isn't to be decided, but put aside
    /// until it can.
    public func unusablePartner(for envelope: CommandEnvelope) -> UnusablePartner? {
        let id =
            envelope.publisher == .worker
            ? ledgers[envelope.command.customerID]?.state.customer?.partnerID
            : catalog.partnerID(for: envelope.publisher)
        return id.flatMap { catalog.unusablePartners[$0] }
    }

    /// Whether the command is for a customer that isn't there yet, as far as its publisher may know: the customer's
    /// creation may be under way. Or for a partner that can't be served here, which may be mended.
    public func waitsForCustomer(_ envelope: CommandEnvelope) -> Bool {
        if unusablePartner(for: envelope) != nil { return true }
        if case .createCustomer = envelope.command { return false }
        guard let partner = catalog.partner(for: envelope.publisher) else { return false }
        return ledgers[envelope.command.customerID]?.state.customer?.partnerID != partner.id
    }

    /// Refusals of commands for customers that don't exist or aren't the publisher's.
    private var strangers: [Event] = []

    private mutating func decide(
        _ envelope: CommandEnvelope, _ ledger: inout CustomerLedger, _ partner: Partner
    ) -> Event {
        let context = DecisionContext(
            key: envelope.key, publisher: envelope.publisher, partner: partner, catalog: catalog,
            at: envelope.effectiveAt, now: stamp.now)
        ledger.correctHints(in: partner.zone)
        var dayIsOver = false
        if case .settle(_, let isOver) = envelope.command { dayIsOver = isOver }
        let settlement = settle(&ledger, before: context, dayIsOver: dayIsOver)
        do throws(Rejection) {
            if case .settle = envelope.command {
                return ledger.announce(.customerSettled, .settled(events: settlement), cause: envelope.key, &stamp)
            }
            let decision = try ledger.state.decide(envelope.command, context, &stamp.identifiers)
            guard ledger.invoiceTotal(adding: decision.transactions) != nil else {
                throw Rejection(Violation(.amountTooLarge, at: "", "The invoice's total would be too large to book."))
            }
            if envelope.command.isQuote {
                return ledger.announce(
                    .quotePrepared, .quote(decision.transactions, partner: partner), cause: envelope.key, &stamp)
            }
            return ledger.apply(decision, context, &stamp)
        } catch {
            return ledger.announce(
                .commandRejected, .rejected(error, envelope.key, type: envelope.command.type.rawValue),
                cause: envelope.key, &stamp)
        }
    }

    /// Settles what fell due up to the day of a command, in the order in which it fell due and dated then. A command that
    /// comes late finds settled what fell due after it too: it is decided on that state, at its own effective time.
    ///
    /// - Returns: how many events came of it.
    private mutating func settle(
        _ ledger: inout CustomerLedger, before command: DecisionContext, dayIsOver: Bool
    ) -> Int {
        let before = ledger.events.count
        while let due = ledger.state.nextDue(through: command.today, isOver: dayIsOver) {
            if isInParts, settlementLeft <= 0 || !due.isWithin(ledger.state.dueBound) { break }
            let transactions = ledger.transactions.count
            let context = DecisionContext(settling: due.day, before: command, now: stamp.now)
            switch due {
            case .invoice:
                settlementLeft -= ledger.state.openInvoiceLines?.count ?? 0
                ledger.closeInvoice(context, &stamp)
            case .subscription(let id, _):
                let decision = ledger.state.settle(id, context, &stamp.identifiers) {
                    ledger.invoiceTotal(adding: $0) != nil
                }
                _ = ledger.apply(decision, context, &stamp)
            }
            settlementLeft -= max(1, ledger.transactions.count - transactions)
            ledger.settled(through: due.day)
        }
        return ledger.events.count - before
    }

    /// The partner for which the command acts.
    private func partner(for envelope: CommandEnvelope, _ customer: Customer?) -> Result<Partner, Rejection> {
        let unusable = customer.flatMap { envelope.publisher == .worker ? catalog.unusablePartners[$0.partnerID] : nil }
        if unusable != nil || catalog.partnerID(for: envelope.publisher).map({ catalog.unusable($0) != nil }) == true {
            return .failure(
                Rejection(
                    Violation(
                        .partnerUnusable, at: "", "The partner can't be served at the moment; send it again later.")))
        }
        if case .worker = envelope.publisher, case .settle = envelope.command {
            if let customer, let partner = catalog.partners[customer.partnerID] { return .success(partner) }
            return .failure(.customerUnknown)
        }
        guard let partner = catalog.partner(for: envelope.publisher) else {
            return .failure(
                Rejection(
                    Violation(.publisherUnknown, at: "", "The publisher may not publish commands for any partner.")))
        }
        if case .settle = envelope.command {
            return .failure(
                Rejection(Violation(.publisherUnknown, at: "", "customer.settle is the worker's own command.")))
        }
        if case .createCustomer = envelope.command {
            // A customer of another partner with this id must look like one that can't be created, nothing more.
            if let customer, customer.partnerID != partner.id {
                return .failure(
                    Rejection(Violation(.customerExists, at: "/customerId", "This customer id can't be used.")))
            }
            return .success(partner)
        }
        guard let customer, customer.partnerID == partner.id else { return .failure(.customerUnknown) }
        return .success(partner)
    }

    /// Ends the unit of work: announces each invoice that changed, once.
    ///
    /// - Returns: all that is to be stored and published.
    public consuming func finish() -> Changes {
        var changes = Changes()
        for id in order {
            guard var ledger = ledgers[id] else { continue }
            ledger.announceInvoice(&stamp)
            if let customer = ledger.changedCustomer { changes.customers.append(customer) }
            changes.subscriptions += ledger.changedSubscriptions.sorted().compactMap { ledger.state.subscriptions[$0] }
            changes.droppedTypes += ledger.droppedTypes
            changes.transactions += ledger.transactions
            changes.invoices += ledger.changedInvoices
            changes.events += ledger.events
        }
        changes.events += strangers
        changes.missing = stamp.missing
        changes.invoiceNumbers = stamp.invoiceNumbers.filter { loadedInvoiceNumbers[$0.key] != $0.value }
        return changes
    }
}

extension Rejection {
    /// No such customer, or another partner's: which of the two is not revealed.
    static let customerUnknown = Rejection(
        Violation(.customerUnknown, at: "/customerId", "There is no such customer; create it with customer.create."))
}

extension EventData {
    /// A quote of `transactions`, of which none has an id that could be taken for a booked one. Their sum fits: the invoice
    /// that would carry them was checked.
    fileprivate static func quote(_ transactions: [Transaction], partner: Partner) -> EventData {
        let total = transactions.reduce(into: Int64(0)) { $0 &+= $1.amount.amount }
        let lines = transactions.map { transaction in
            var line = transaction
            line.id = .unassigned
            return line
        }
        return .quote(lines, total: Money(amount: total, currency: partner.currency))
    }
}
