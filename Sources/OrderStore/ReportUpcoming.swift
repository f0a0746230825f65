// What the next invoices will hold: the lines that are booked, and the renewals that will be; and what won't renew.

internal import Orders
internal import PostgreSQL

extension Report {
    /// Reads customer by customer what their open invoice holds, what renewals will bring, what they will drop and which
    /// subscriptions will expire, with why.
    ///
    /// That is made by the same rules, on the state as it now is, at the prices that will be in force. They are
    /// those up to ``ReportFilter/to``, else up to the end of the present month in the partner's zone: what still comes
    /// onto the invoice that closes next.
    nonisolated(nonsending) func readUpcoming(
        on connection: Connection, now: Timestamp, chunk: Int,
        _ body: nonisolated(nonsending) ([[ReportValue]]) async throws -> Void
    ) async throws(StoreError) {
        let catalog = try await CatalogStore(connection: connection).load()
        let horizons = catalog.partners.mapValues { horizon(of: $0, now: now) }
        guard let latest = horizons.values.max() else { return }
        try await connection.readingSnapshot(during: "reporting upcoming") { connection in
            try await connection.stream(customers(dueBy: latest), chunk: chunk) { rows in
                let customers = try rows.map(CustomerTable.read)
                try await body(try await upcoming(customers, horizons, latest, catalog, on: connection))
            }
        }
    }

    /// The last instant of the last day that counts.
    private func horizon(of partner: Partner, now: Timestamp) -> Timestamp {
        let end = filter.to?.adding(days: 1) ?? partner.zone.date(of: now).firstOfMonth.adding(months: 1)
        return Timestamp(microseconds: partner.zone.startOfDay(end).microseconds - 1)
    }

    /// The customers that have an open invoice or something due. Locks nothing.
    private func customers(dueBy horizon: Timestamp) -> Statement {
        Statement(
            name: "report upcoming",
            """
            SELECT customer_id, partner_id, company_name, address_line1, address_line2, address_line3, city, postal_code,
                   state_or_province, country, reseller_id, administrative_responsibility, administrator_email,
                   created_at, event_sequence, settled_through
            FROM customers c
            WHERE ($1::uuid IS NULL OR c.customer_id = $1) AND ($2::text IS NULL OR c.reseller_id = $2)
              AND ($3::text IS NULL OR c.partner_id = $3)
              AND (c.customer_id IN (SELECT customer_id FROM invoices WHERE state = 'open')
                   OR c.customer_id IN (SELECT customer_id FROM subscriptions WHERE due_at <= $4)
                   OR c.customer_id IN (SELECT customer_id FROM subscriptions
                                        WHERE state = 'suspended' AND auto_renewal AND period_end <= $5))
            ORDER BY c.partner_id, c.customer_id
            """,
            [
                .uuid(filter.customer.map { ($0.high, $0.low) }), .text(filter.reseller), .text(filter.partner),
                // By the day too, in the easternmost zone: what doesn't end by its partner's last day is left out later.
                .timestamptz(horizon.microseconds), .date(horizon.latestDate.days),
            ])
    }

    /// The rows of some customers, in their order.
    private nonisolated(nonsending) func upcoming(
        _ customers: [Customer], _ horizons: [String: Timestamp], _ latest: Timestamp, _ catalog: Catalog,
        on connection: Connection
    ) async throws -> [[ReportValue]] {
        let ids = customers.map(\.id)
        let results = try await connection.pipeline([
            InvoiceTable.loadOpen(ids), SubscriptionTable.load(customers: ids, named: [], charges: [], dueBy: latest),
            // Whenever they are due: the lines of every open invoice.
            TransactionTable.loadDueInvoiceLines(ids, dueBy: Timestamp(microseconds: .max)),
            SubscriptionTable.loadSuspended(of: ids, endingBy: latest.latestDate),
        ])
        var states: [CustomerID: CustomerState] = [:]
        for customer in customers { states[customer.id] = CustomerState(id: customer.id, customer: customer) }
        for invoice in try results[0].map(InvoiceTable.read) { states[invoice.customerID]?.openInvoice = invoice }
        for subscription in try results[1].map(SubscriptionTable.read) {
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
        }
        let booked = Dictionary(
            grouping: try results[2].compactMap { try TransactionTable.readDueLine($0).line }, by: \.customerID)
        let expected = ends(of: Array(states.values), horizons, latest, catalog)
        let waiting = Dictionary(grouping: try results[3].map(SubscriptionTable.read), by: \.customerID)
        return customers.flatMap { customer -> [[ReportValue]] in
            let reseller = customer.resellerID.flatMap { catalog.partners[customer.partnerID]?.resellers[$0] }
            let month = states[customer.id]?.openInvoice?.start
            let lines = (booked[customer.id] ?? []).map { UpcomingLine($0, .booked, month: month ?? $0.date) }
            let last = horizons[customer.partnerID].flatMap { horizon in
                catalog.partners[customer.partnerID]?.zone.date(of: horizon)
            }
            let suspended = (waiting[customer.id] ?? []).filter { $0.period.end <= last ?? $0.period.end }
            return (lines + (expected[customer.id] ?? []) + suspended.map { UpcomingLine(suspended: $0) }).filter(
                isAskedFor
            ).map {
                $0.row(of: customer, reseller, productName: catalog.products[$0.product]?.name)
            }
        }
    }

    /// What settling the customers will make of the subscriptions that end, in the order in which they do.
    private func ends(
        of states: [CustomerState], _ horizons: [String: Timestamp], _ latest: Timestamp, _ catalog: Catalog
    ) -> [CustomerID: [UpcomingLine]] {
        var work = UnitOfWork(
            catalog: catalog, states: states, invoiceNumbers: [:], now: latest, identifiers: IdentifierSource())
        for state in states {
            guard let horizon = state.customer.flatMap({ horizons[$0.partnerID] }) else { continue }
            _ = work.decide(
                CommandEnvelope(
                    key: CommandKey(source: "", id: ""), publisher: .worker, effectiveAt: horizon,
                    command: .settle(state.id)))
        }
        return Dictionary(grouping: work.finish().events, by: \.customerID).mapValues { events in
            events.flatMap(UpcomingLine.ends)
        }
    }

    private func isAskedFor(_ line: UpcomingLine) -> Bool {
        if let from = filter.from, line.date < from { return false }
        if let to = filter.to, line.date > to { return false }
        return true
    }
}

/// A line of an open invoice, or what will become of a certificate type or of a subscription at its end.
private struct UpcomingLine {
    enum State: String {
        /// On the open invoice.
        case booked
        /// Will be renewed.
        case expected
        /// Won't be renewed, though the rest of its subscription may be.
        case dropped
        /// The subscription will expire.
        case expires
        /// The subscription stays suspended past its end, until it is enabled.
        case waits
    }

    let state: State
    let date: CalendarDate
    /// The first day of the month whose invoice carries it; nil for what moves no money.
    var month: CalendarDate?
    let subscriptionID: SubscriptionID
    let product: String
    let action: TransactionType
    var certificateType: String?
    var quantity: Int64?
    var unitPrice: Money?
    var cost: Money?
    var transactionID: TransactionID?
    /// Why it is dropped or expires.
    var reason: String?

    init(_ transaction: Transaction, _ state: State, month: CalendarDate) {
        self.init(
            state: state, date: transaction.date, subscriptionID: transaction.subscriptionID,
            product: transaction.product, action: transaction.type)
        self.month = month
        certificateType = transaction.certificateType
        quantity = transaction.quantity
        unitPrice = transaction.unitPrice.map { Money(amount: $0, currency: transaction.amount.currency) }
        cost = transaction.amount
        transactionID = state == .booked ? transaction.id : nil
    }

    /// A subscription with auto-renewal that is suspended at its end.
    init(suspended subscription: Subscription) {
        self.init(
            state: .waits, date: subscription.period.end, subscriptionID: subscription.id,
            product: subscription.product, action: .enablement)
        reason = "It is suspended: enabling it begins a new period that day, at that day's prices."
    }

    init(
        state: State, date: CalendarDate, subscriptionID: SubscriptionID, product: String, action: TransactionType
    ) {
        self.state = state
        self.date = date
        self.subscriptionID = subscriptionID
        self.product = product
        self.action = action
    }

    /// What an event says of the end of a subscription's period.
    static func ends(_ event: Event) -> [UpcomingLine] {
        guard event.type == .subscriptionRenewed || event.type == .subscriptionExpired,
            case .subscriptions(let subscriptions, let transactions, let reason, let dropped) = event.data,
            let subscription = subscriptions.first
        else { return [] }
        let isRenewed = event.type == .subscriptionRenewed
        let date = isRenewed ? subscription.period.start : subscription.period.end
        func line(_ state: State, _ action: TransactionType) -> UpcomingLine {
            UpcomingLine(
                state: state, date: date, subscriptionID: subscription.id, product: subscription.product,
                action: action)
        }
        var lines: [UpcomingLine] = []
        if isRenewed {
            lines += transactions.map { UpcomingLine($0, .expected, month: $0.date) }
        } else {
            var expiry = line(.expires, .expiry)
            expiry.reason = reason
            lines.append(expiry)
        }
        lines += dropped.map { dropped in
            var lost = line(.dropped, .renewal)
            lost.certificateType = dropped.certificateType
            lost.quantity = dropped.quantity
            lost.reason = dropped.reason.sentence
            return lost
        }
        return lines
    }

    func row(of customer: Customer, _ reseller: String?, productName: String?) -> [ReportValue] {
        [
            .text(date.description), ReportValue(month.map { String($0.description.prefix(7)) }),
            .text(state.rawValue), .text(customer.partnerID), .text(customer.id.description),
            .text(customer.companyName), ReportValue(customer.resellerID), ReportValue(reseller),
            .text(subscriptionID.description), .text(product), ReportValue(productName), ReportValue(certificateType),
            .text(action.rawValue),
            ReportValue(quantity), unitPrice.map { .money($0) } ?? .absent, cost.map { .money($0) } ?? .absent,
            ReportValue(cost?.currency.code), ReportValue(transactionID?.description), ReportValue(reason),
        ]
    }
}
