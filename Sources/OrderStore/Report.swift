// What the books say, row by row: transactions, invoices and subscriptions. `upcoming` is in ReportUpcoming.swift.

public import Orders
public import PostgreSQL

/// A report that can be asked for.
public enum ReportKind: String, CaseIterable, Sendable {
    case transactions
    case invoices
    case subscriptions
    case upcoming

    public var columns: [ReportColumn] {
        switch self {
        case .transactions: Self.transactionColumns
        case .invoices: Self.invoiceColumns
        case .subscriptions: Self.subscriptionColumns
        case .upcoming: Self.upcomingColumns
        }
    }
}

/// Reads reports, however long, in bounded memory.
public struct Report: Sendable {
    public let kind: ReportKind
    public let filter: ReportFilter

    public init(_ kind: ReportKind, _ filter: ReportFilter = ReportFilter()) {
        self.kind = kind
        self.filter = filter
    }

    /// Hands the rows to `body`, some at a time; each has a value for every one of ``ReportKind/columns``.
    ///
    /// All are of one snapshot, which blocks no worker.
    ///
    /// - Parameters:
    ///   - now: for `upcoming`, the present: what falls due is told from it.
    ///   - body: its errors end the report.
    public nonisolated(nonsending) func read(
        on connection: Connection, now: Timestamp, chunk: Int = 1000,
        _ body: nonisolated(nonsending) ([[ReportValue]]) async throws -> Void
    ) async throws(StoreError) {
        if kind == .upcoming {
            return try await readUpcoming(on: connection, now: now, chunk: chunk, body)
        }
        try await connection.readingSnapshot(during: "reporting \(kind.rawValue)") { connection in
            try await connection.stream(statement, chunk: chunk) { rows in
                try await body(rows.map(read))
            }
        }
    }

    // MARK: Statements

    private var statement: Statement {
        let parameters: [Parameter] = [
            .uuid(filter.customer.map { ($0.high, $0.low) }), .text(filter.reseller), .text(filter.partner),
            .date(filter.from?.days), .date(filter.to?.days),
        ]
        let sql =
            switch kind {
            case .transactions: Self.transactions
            case .invoices: Self.invoices
            case .subscriptions, .upcoming: Self.subscriptions
            }
        return Statement(name: "report \(kind.rawValue)", sql, parameters)
    }

    /// The reseller is the one that managed the customer at the time.
    private static let transactions = """
        SELECT t.date, t.at, c.partner_id, t.customer_id, c.company_name, t.reseller_id, r.name, t.subscription_id,
               t.product, t.certificate_type, t.type, t.quantity, t.unit_price, t.amount, t.currency, t.days_charged,
               t.days_term, t.publisher, t.command_source, t.command_id, t.transaction_id, t.reverses, t.invoice_id
        FROM transactions t JOIN customers c USING (customer_id)
        LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = t.reseller_id
        WHERE ($1::uuid IS NULL OR t.customer_id = $1) AND ($2::text IS NULL OR t.reseller_id = $2)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR t.date >= $4) AND ($5::date IS NULL OR t.date <= $5)
        ORDER BY t.date, t.at, t.customer_id, t.transaction_id
        """

    /// The invoices whose month has a day in common with the dates.
    private static let invoices = """
        SELECT i.period_start, i.period_end, i.number, i.state, c.partner_id, i.customer_id, c.company_name,
               c.reseller_id, r.name, coalesce(lines.count, 0), i.total, i.currency, i.version, i.invoice_id
        FROM invoices i JOIN customers c USING (customer_id)
        LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = c.reseller_id
        LEFT JOIN (SELECT customer_id, invoice_id, count(*) AS count FROM transactions
                   WHERE invoice_id IS NOT NULL AND ($1::uuid IS NULL OR customer_id = $1)
                   GROUP BY customer_id, invoice_id) AS lines USING (customer_id, invoice_id)
        WHERE ($1::uuid IS NULL OR i.customer_id = $1) AND ($2::text IS NULL OR c.reseller_id = $2)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR i.period_end > $4) AND ($5::date IS NULL OR i.period_start <= $5)
        ORDER BY i.period_start, c.partner_id, i.number NULLS LAST, i.customer_id, i.invoice_id
        """

    /// A row for each certificate type; the subscriptions whose current period has a day in common with the dates.
    private static let subscriptions = """
        SELECT c.partner_id, s.customer_id, c.company_name, c.reseller_id, r.name, s.subscription_id, s.product, s.term,
               s.state, s.original_start, s.period_start, s.period_end, s.auto_renewal, i.certificate_type, i.quantity,
               i.renewal_quantity
        FROM subscriptions s JOIN customers c USING (customer_id)
        LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = c.reseller_id
        LEFT JOIN inventory i ON i.customer_id = s.customer_id AND i.subscription_id = s.subscription_id
                             AND (i.quantity > 0 OR i.renewal_quantity IS NOT NULL)
        WHERE ($1::uuid IS NULL OR s.customer_id = $1) AND ($2::text IS NULL OR c.reseller_id = $2)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR s.period_end > $4) AND ($5::date IS NULL OR s.period_start <= $5)
        ORDER BY s.customer_id, s.subscription_id, i.certificate_type
        """

    // MARK: Rows

    private func read(_ row: Row) throws -> [ReportValue] {
        var column = ColumnReader(row)
        switch kind {
        case .transactions: return try Self.transaction(&column)
        case .invoices: return try Self.invoice(&column)
        case .subscriptions, .upcoming: return try Self.subscription(&column)
        }
    }

    private static func transaction(_ column: inout ColumnReader) throws -> [ReportValue] {
        var values: [ReportValue] = [.text(try column.date().description), .text(try column.timestamp().description)]
        values.append(.text(try column.text()))
        values.append(try column.identifierText())
        for _ in 0..<3 { values.append(ReportValue(try column.optionalText())) }
        values.append(try column.identifierText())
        values.append(.text(try column.text()))
        values.append(ReportValue(try column.optionalText()))
        values.append(.text(try column.text()))
        values.append(ReportValue(try column.optionalInt64()))
        let unitPrice = try column.optionalInt64()
        let amount = try column.int64()
        let currency = try column.value { Currency($0) }
        values.append(unitPrice.map { .money(Money(amount: $0, currency: currency)) } ?? .absent)
        values.append(.money(Money(amount: amount, currency: currency)))
        values.append(.text(currency.code))
        for _ in 0..<2 { values.append(ReportValue(try column.optionalInt64())) }
        for _ in 0..<3 { values.append(.text(try column.text())) }
        for _ in 0..<3 { values.append(try column.identifierText()) }
        return values
    }

    private static func invoice(_ column: inout ColumnReader) throws -> [ReportValue] {
        var values: [ReportValue] = [.text(try column.date().description), .text(try column.date().description)]
        values.append(ReportValue(try column.optionalInt64()))
        for _ in 0..<2 { values.append(.text(try column.text())) }
        values.append(try column.identifierText())
        for _ in 0..<3 { values.append(ReportValue(try column.optionalText())) }
        values.append(.integer(try column.int64()))
        let total = try column.int64()
        let currency = try column.value { Currency($0) }
        values += [
            .money(Money(amount: total, currency: currency)), .text(currency.code), .integer(try column.int64()),
        ]
        values.append(try column.identifierText())
        return values
    }

    private static func subscription(_ column: inout ColumnReader) throws -> [ReportValue] {
        var values: [ReportValue] = [.text(try column.text()), try column.identifierText()]
        for _ in 0..<3 { values.append(ReportValue(try column.optionalText())) }
        values.append(try column.identifierText())
        for _ in 0..<3 { values.append(.text(try column.text())) }
        for _ in 0..<3 { values.append(.text(try column.date().description)) }
        values.append(.bool(try column.bool()))
        values.append(ReportValue(try column.optionalText()))
        for _ in 0..<2 { values.append(ReportValue(try column.optionalInt64())) }
        return values
    }
}

extension ColumnReader {
    /// An id of whatever entity, as text.
    fileprivate mutating func identifierText() throws(PostgreSQLError) -> ReportValue {
        let id: EventID? = try optionalIdentifier()
        return ReportValue(id?.description)
    }
}

extension ReportKind {
    private static let customer = [
        ReportColumn("customerId", "customer", width: 36), ReportColumn("customerName", "name", width: 24),
        ReportColumn("resellerId", "reseller", width: 12), ReportColumn("resellerName"),
    ]
    static let item = [
        ReportColumn("subscriptionId", "subscription", width: 36), ReportColumn("product", "product", width: 16),
        ReportColumn("certificateType", "certificate", width: 12), ReportColumn("action", "action", width: 22),
        ReportColumn("quantity", "quantity", width: 9), ReportColumn("unitPrice", "unit price", width: 16),
        ReportColumn("cost", "cost", width: 18), ReportColumn("currency"),
    ]

    private static let transactionColumns =
        [
            ReportColumn("date", "date", width: 10), ReportColumn("time", "time", width: 27),
            ReportColumn("partnerId", "partner", width: 12),
        ] + customer + item
        + [
            ReportColumn("daysCharged"), ReportColumn("daysOfTerm"), ReportColumn("who", "who", width: 16),
            ReportColumn("commandSource"), ReportColumn("commandId", "command", width: 36),
            ReportColumn("transactionId", "transaction", width: 36), ReportColumn("reverses", "reverses", width: 36),
            ReportColumn("invoiceId"),
        ]

    private static let invoiceColumns =
        [
            ReportColumn("periodStart", "from", width: 10), ReportColumn("periodEnd", "until", width: 10),
            ReportColumn("number", "number", width: 10), ReportColumn("state", "state", width: 6),
            ReportColumn("partnerId", "partner", width: 12),
        ] + customer
        + [
            ReportColumn("lines", "lines", width: 7), ReportColumn("total", "total", width: 18),
            ReportColumn("currency"), ReportColumn("version"), ReportColumn("invoiceId", "invoice", width: 36),
        ]

    private static let subscriptionColumns =
        [ReportColumn("partnerId", "partner", width: 12)] + customer
        + [
            ReportColumn("subscriptionId", "subscription", width: 36), ReportColumn("product", "product", width: 16),
            ReportColumn("term", "term", width: 6), ReportColumn("state", "state", width: 9),
            ReportColumn("originalStart", "since", width: 10), ReportColumn("periodStart", "from", width: 10),
            ReportColumn("periodEnd", "until", width: 10), ReportColumn("autoRenewal", "renews", width: 6),
            ReportColumn("certificateType", "certificate", width: 12), ReportColumn("quantity", "quantity", width: 9),
            ReportColumn("renewalQuantity", "at renewal", width: 10),
        ]

    private static let upcomingColumns =
        [
            ReportColumn("date", "date", width: 10), ReportColumn("invoiceMonth", "invoice", width: 7),
            ReportColumn("state", "state", width: 8), ReportColumn("partnerId", "partner", width: 12),
        ] + customer + item + [
            ReportColumn("transactionId", "transaction", width: 36), ReportColumn("reason", "why", width: 44),
        ]
}
