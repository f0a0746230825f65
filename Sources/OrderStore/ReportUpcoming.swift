// What the next invoices will hold: the lines that are booked, and the renewals that will be.

internal import Orders
internal import PostgreSQL

extension Report {
    /// Reads customer by customer what their open invoice holds and what renewals will bring.
    ///
    /// The renewals are made by the same rules, on the state as it now is, at the prices that will be in force. They are
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
                   OR c.customer_id IN (SELECT customer_id FROM subscriptions WHERE due_at <= $4))
            ORDER BY c.partner_id, c.customer_id
            """,
            [
                .uuid(filter.customer.map { ($0.high, $0.low) }), .text(filter.reseller), .text(filter.partner),
                .timestamptz(horizon.microseconds),
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
        ])
        var states: [CustomerID: CustomerState] = [:]
        for customer in customers { states[customer.id] = CustomerState(id: customer.id, customer: customer) }
        for invoice in try results[0].map(InvoiceTable.read) { states[invoice.customerID]?.openInvoice = invoice }
        for subscription in try results[1].map(SubscriptionTable.read) {
            states[subscription.customerID]?.subscriptions[subscription.id] = subscription
        }
        let booked = Dictionary(grouping: try results[2].map(TransactionTable.read), by: \.customerID)
        let expected = renewals(of: Array(states.values), horizons, latest, catalog)
        return customers.flatMap { customer -> [[ReportValue]] in
            let reseller = customer.resellerID.flatMap { catalog.partners[customer.partnerID]?.resellers[$0] }
            let month = states[customer.id]?.openInvoice?.start
            let lines = (booked[customer.id] ?? []).map {
                row($0, .booked, on: month ?? $0.date, of: customer, reseller)
            }
            let renewals = (expected[customer.id] ?? []).map { row($0, .expected, on: $0.date, of: customer, reseller) }
            return (lines + renewals).compactMap(\.self)
        }
    }

    /// The renewals that settling the customers would make.
    private func renewals(
        of states: [CustomerState], _ horizons: [String: Timestamp], _ latest: Timestamp, _ catalog: Catalog
    ) -> [CustomerID: [Transaction]] {
        var work = UnitOfWork(
            catalog: catalog, states: states, invoiceNumbers: [:], now: latest, identifiers: IdentifierSource())
        for state in states {
            guard let horizon = state.customer.flatMap({ horizons[$0.partnerID] }) else { continue }
            _ = work.decide(
                CommandEnvelope(
                    key: CommandKey(source: "", id: ""), publisher: .worker, effectiveAt: horizon,
                    command: .settle(state.id)))
        }
        let renewals = work.finish().transactions.filter { $0.type == .renewal && $0.amount.amount != 0 }
        return Dictionary(grouping: renewals, by: \.customerID)
    }

    private enum LineState: String {
        case booked, expected
    }

    /// A line's row; nil where its date isn't asked for.
    private func row(
        _ line: Transaction, _ state: LineState, on month: CalendarDate, of customer: Customer, _ reseller: String?
    ) -> [ReportValue]? {
        if let from = filter.from, line.date < from { return nil }
        if let to = filter.to, line.date > to { return nil }
        let currency = line.amount.currency
        return [
            .text(line.date.description), .text(String(month.description.prefix(7))), .text(state.rawValue),
            .text(customer.partnerID), .text(customer.id.description), .text(customer.companyName),
            ReportValue(customer.resellerID), ReportValue(reseller), .text(line.subscriptionID.description),
            .text(line.product), ReportValue(line.certificateType), .text(line.type.rawValue),
            ReportValue(line.quantity),
            line.unitPrice.map { .money(Money(amount: $0, currency: currency)) } ?? .absent, .money(line.amount),
            .text(currency.code), state == .booked ? .text(line.id.description) : .absent,
        ]
    }
}
