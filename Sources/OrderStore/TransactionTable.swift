// The table `transactions`: every change of a subscription, and the lines of the invoices.

internal import Orders
internal import PostgreSQL

enum TransactionTable {
    private static let columns = """
        t.customer_id, t.transaction_id, t.subscription_id, t.type, t.product, t.reseller_id, t.period_index,
        t.period_start, t.period_end, t.certificate_type, t.quantity, t.unit_price, t.days_charged, t.days_term,
        t.amount, t.currency, t.at, t.date, t.booked_on, t.refundable_until, t.publisher, t.command_source, t.command_id,
        t.reverses, t.invoice_id
        """

    /// The transactions that refunds name, with the number of certificates already refunded of each.
    static func loadCharges(_ named: [(CustomerID, TransactionID)]) -> Statement {
        Statement(
            name: "load charges",
            """
            SELECT coalesce((SELECT sum(r.quantity) FROM transactions r
                             WHERE r.customer_id = t.customer_id AND r.reverses = t.transaction_id), 0)::bigint,
                   \(columns)
            FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS n (customer_id, transaction_id)) AS named
            CROSS JOIN LATERAL (
                SELECT * FROM transactions
                WHERE customer_id = named.customer_id AND transaction_id = named.transaction_id OFFSET 0) AS t
            """, [.identifiers(named.map(\.0)), .identifiers(named.map(\.1))])
    }

    static func readCharge(_ row: Row) throws -> Charge {
        var column = ColumnReader(row)
        let refunded = try column.int64()
        return Charge(transaction: try read(&column), refundedQuantity: refunded)
    }

    /// The lines of the customers' open invoices that are due to be closed, and of all that `others` have open.
    ///
    /// - Parameter limit: how many lines may be loaded before another invoice's are; those of the first are in any case. Of an
    ///   invoice whose lines are not loaded there is one row without a line.
    static func loadDueInvoiceLines(
        _ customers: [CustomerID], dueBy now: Timestamp, and others: [CustomerID] = [], limit: Int = .max
    ) -> Statement {
        Statement(
            name: "load invoice lines",
            """
            SELECT i.customer_id, i.is_loaded, \(columns)
            FROM (SELECT customer_id, invoice_id, sum(lines) OVER (ORDER BY place) - lines < $4 AS is_loaded
                  FROM (SELECT customer_id, invoice_id, array_position($1::uuid[], customer_id) AS place,
                               (SELECT count(*) FROM transactions AS l
                                WHERE l.customer_id = o.customer_id AND l.invoice_id = o.invoice_id) AS lines
                        FROM invoices AS o
                        WHERE customer_id = ANY ($1::uuid[]) AND state = 'open'
                          AND (due_at <= $2 OR customer_id = ANY ($3))
                        OFFSET 0) AS due) AS i
            LEFT JOIN LATERAL (
                SELECT * FROM transactions
                WHERE customer_id = i.customer_id AND invoice_id = i.invoice_id AND i.is_loaded OFFSET 0) AS t ON true
            ORDER BY i.customer_id, t.at, t.transaction_id
            """,
            [.identifiers(customers), .timestamptz(now.microseconds), .identifiers(others), .int8(Int64(limit))])
    }

    /// A line of ``loadDueInvoiceLines(_:dueBy:and:limit:)``; nil where the customer's aren't loaded.
    static func readDueLine(_ row: Row) throws -> (customer: CustomerID, line: Transaction?) {
        var column = ColumnReader(row)
        let customer: CustomerID = try column.identifier()
        return (customer, try column.bool() ? try read(&column) : nil)
    }

    /// All that a customer has ever had.
    static func loadAll(of customer: CustomerID) -> Statement {
        Statement(
            name: "load transactions",
            "SELECT \(columns) FROM transactions t WHERE t.customer_id = ANY ($1::uuid[]) ORDER BY t.at, t.transaction_id",
            [.identifiers([customer])])
    }

    static func read(_ row: Row) throws -> Transaction {
        var column = ColumnReader(row)
        return try read(&column)
    }

    private static func read(_ column: inout ColumnReader) throws -> Transaction {
        let customerID: CustomerID = try column.identifier()
        let id: TransactionID = try column.identifier()
        let subscriptionID: SubscriptionID = try column.identifier()
        let type = try column.value(TransactionType.init(rawValue:))
        let product = try column.text()
        let resellerID = try column.optionalText()
        let period = Period(index: try column.int(), start: try column.date(), end: try column.date())
        let certificateType = try column.optionalText()
        let quantity = try column.optionalInt64()
        let unitPrice = try column.optionalInt64()
        let charged = try column.optionalInt()
        let term = try column.optionalInt()
        let amount = try column.int64()
        let currency = try column.value { Currency($0) }
        return Transaction(
            id: id, customerID: customerID, subscriptionID: subscriptionID, type: type, product: product,
            resellerID: resellerID, period: period, certificateType: certificateType, quantity: quantity,
            unitPrice: unitPrice,
            days: charged.flatMap { charged in term.map { DaysFraction(charged: charged, term: $0) } },
            amount: Money(amount: amount, currency: currency), at: try column.timestamp(), date: try column.date(),
            bookedOn: try column.date(), refundableUntil: try column.optionalDate(), publisher: try column.text(),
            command: CommandKey(source: try column.text(), id: try column.text()),
            reverses: try column.optionalIdentifier(), invoiceID: try column.optionalIdentifier())
    }

    static func store(_ transactions: [Transaction]) -> Statement {
        Statement(
            name: "store transactions",
            """
            INSERT INTO transactions (
                customer_id, transaction_id, subscription_id, type, product, reseller_id, period_index, period_start,
                period_end, certificate_type, quantity, unit_price, days_charged, days_term, amount, currency, at, date,
                booked_on, refundable_until, publisher, command_source, command_id, reverses, invoice_id)
            SELECT * FROM unnest(
                $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::date[],
                $9::date[], $10::text[], $11::bigint[], $12::bigint[], $13::integer[], $14::integer[], $15::bigint[],
                $16::text[], $17::timestamptz[], $18::date[], $19::date[], $20::date[], $21::text[],
                $22::text[], $23::text[], $24::uuid[], $25::uuid[])
            """,
            [
                .identifiers(transactions.map(\.customerID)), .identifiers(transactions.map(\.id)),
                .identifiers(transactions.map(\.subscriptionID)), .textArray(transactions.map(\.type.rawValue)),
                .textArray(transactions.map(\.product)), .textArray(transactions.map(\.resellerID)),
                .int4Array(transactions.map { Int32(clamping: $0.period.index) }),
                .dates(transactions.map(\.period.start)), .dates(transactions.map(\.period.end)),
                .textArray(transactions.map(\.certificateType)), .int8Array(transactions.map(\.quantity)),
                .int8Array(transactions.map(\.unitPrice)),
                .int4Array(transactions.map { $0.days.map { Int32(clamping: $0.charged) } }),
                .int4Array(transactions.map { $0.days.map { Int32(clamping: $0.term) } }),
                .int8Array(transactions.map(\.amount.amount)), .textArray(transactions.map(\.amount.currency.code)),
                .timestamps(transactions.map(\.at)), .dates(transactions.map(\.date)),
                .dates(transactions.map(\.bookedOn)), .dates(transactions.map(\.refundableUntil)),
                .textArray(transactions.map(\.publisher)), .textArray(transactions.map(\.command.source)),
                .textArray(transactions.map(\.command.id)), .identifiers(transactions.map(\.reverses)),
                .identifiers(transactions.map(\.invoiceID)),
            ])
    }
}
