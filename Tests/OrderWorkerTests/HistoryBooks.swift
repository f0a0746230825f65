// The books as they stand in the database, read by statements of the tests' own.

import OrderStore
import Orders
import PostgreSQL

@testable import OrderStore
@testable import OrdersSimulation

extension Books {
    /// Reads all that is on the books.
    ///
    /// - Throws: ``HistoryDifference`` where there is a transaction that nobody booked.
    init(_ connection: Connection, _ bookings: Bookings) async throws {
        self.init()
        func read(_ statement: String, _ body: (inout ColumnReader, CustomerID) throws -> Void) async throws {
            for row in try await connection.query(Statement(statement)) {
                var column = ColumnReader(row)
                let customer: CustomerID = try column.identifier()
                try body(&column, customer)
            }
        }
        try await read(
            """
            SELECT customer_id, partner_id, company_name, reseller_id, administrative_responsibility,
                   settled_through
            FROM customers
            """
        ) { column, customer in
            accounts[customer] = Account(
                partner: try column.text(), name: try column.text(), reseller: try column.optionalText(),
                responsibility: try column.value(AdministrativeResponsibility.init(rawValue:)),
                settled: try column.optionalDate().map { Model.day($0) })
        }
        try await read(
            """
            SELECT customer_id, subscription_id, product, term, original_start, period_index, period_end, state,
                   auto_renewal
            FROM subscriptions
            """
        ) { column, customer in
            let id: SubscriptionID = try column.identifier()
            accounts[customer]?.holdings[id] = Holding(
                product: try column.text(), term: try column.value { Term($0) }, start: try column.day(),
                period: try column.int(), periodEnd: try column.day(),
                state: try column.value(SubscriptionState.init(rawValue:)), autoRenewal: try column.bool(),
                inventory: [:], toRenew: [:])
        }
        try await read(
            "SELECT customer_id, subscription_id, certificate_type, quantity, renewal_quantity FROM inventory"
        ) { column, customer in
            let id: SubscriptionID = try column.identifier()
            let type = try column.text()
            let quantity = try column.int64()
            if quantity != 0 { accounts[customer]?.holdings[id]?.inventory[type] = quantity }
            if let renewal = try column.optionalInt64(), accounts[customer]?.holdings[id]?.state != .expired {
                accounts[customer]?.holdings[id]?.toRenew[type] = renewal
            }
        }
        var places: [InvoiceID: Int] = [:]
        try await read(
            """
            SELECT customer_id, invoice_id, period_start,
                   to_char(period_start, 'FMYYYY-FMMM') || ' ' || kind || ' ' || number, total
            FROM invoices ORDER BY 1, 3
            """
        ) { column, customer in
            let id: InvoiceID = try column.identifier()
            places[id] = accounts[customer]?.bills.count
            accounts[customer]?.bills.append(
                Bill(month: try column.day(), name: try column.optionalText(), total: try column.int64()))
        }
        var entries: [CustomerID: [(place: Int, entry: Model.Entry)]] = [:]
        try await read(
            """
            SELECT customer_id, transaction_id, type, subscription_id, period_index, certificate_type, quantity,
                   unit_price, days_charged, days_term, amount, date, booked_on, refundable_until, reseller_id, reverses,
                   invoice_id
            FROM transactions
            """
        ) { column, customer in
            let id: TransactionID = try column.identifier()
            guard let place = bookings.positions[customer]?[id] else {
                throw HistoryDifference("transaction \(id) of customer \(customer) is one that nobody booked")
            }
            let type = try column.value(TransactionType.init(rawValue:))
            let subscription: SubscriptionID = try column.identifier()
            let period = try column.int()
            let certificateType = try column.optionalText()
            let quantity = try column.optionalInt64()
            let unitPrice = try column.optionalInt64()
            let days = [try column.optionalInt(), try column.optionalInt()].compactMap { $0 }
            let amount = try column.int64()
            let date = try column.day()
            let bookedOn = try column.day()
            let refundableUntil = try column.optionalDate().map { Model.day($0) }
            let reseller = try column.optionalText()
            let reverses: TransactionID? = try column.optionalIdentifier()
            let invoice: InvoiceID? = try column.optionalIdentifier()
            entries[customer, default: []].append(
                (
                    place,
                    Model.Entry(
                        type: type, subscription: subscription, period: period, certificateType: certificateType,
                        quantity: quantity, unitPrice: unitPrice, days: days.isEmpty ? nil : days, amount: amount,
                        date: date, bookedOn: bookedOn, refundableUntil: refundableUntil, reseller: reseller,
                        reverses: reverses.flatMap { bookings.positions[customer]?[$0] },
                        invoice: invoice.flatMap { places[$0] })
                ))
        }
        for (customer, entries) in entries {
            accounts[customer]?.entries = entries.sorted { $0.place < $1.place }.map(\.entry)
        }
    }

    /// Every row of the books as text, without what differs from one play of a history to another: ids that the worker
    /// makes, invoice numbers and versions, the numbers of events, the command that happened to settle something, and when
    /// that was.
    static func dump(_ connection: Connection) async throws -> [String] {
        let rows = try await connection.query(
            Statement(
                """
                SELECT 'customer ' || (to_jsonb(c) - 'event_sequence')::text FROM customers c
                UNION ALL SELECT 'subscription ' || to_jsonb(s)::text FROM subscriptions s
                UNION ALL SELECT 'inventory ' || to_jsonb(i)::text FROM inventory i
                UNION ALL SELECT 'period ' || to_jsonb(p)::text FROM periods p
                UNION ALL
                SELECT 'invoice ' || (to_jsonb(i) - '{invoice_id,number,version}'::text[])::text FROM invoices i
                UNION ALL
                SELECT 'transaction '
                       || (to_jsonb(t)
                           - '{transaction_id,command_source,command_id,reverses,invoice_id,booked_on,refundable_until}'::text[])::text
                       || coalesce(' on ' || i.period_start, '') || coalesce(' of ' || r.at || ' ' || r.amount, '')
                FROM transactions t
                LEFT JOIN invoices i USING (customer_id, invoice_id)
                LEFT JOIN transactions r ON r.customer_id = t.customer_id AND r.transaction_id = t.reverses
                """))
        return try rows.map { try $0.text(0) }.sorted()
    }
}

extension ColumnReader {
    fileprivate mutating func day() throws -> Model.Day { Model.day(try date()) }
}
