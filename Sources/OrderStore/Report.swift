// What the books say, row by row: transactions, invoices and subscriptions. `upcoming` is in ReportUpcoming.swift.

public import Orders
public import PostgreSQL

/// A report that can be asked for.
public enum ReportKind: String, CaseIterable, Sendable {
    case transactions
    case invoices
    case subscriptions
    case upcoming
}

/// Reads reports, however long, in bounded memory.
public struct Report: Sendable {
    public let kind: ReportKind
    public let filter: ReportFilter

    public init(_ kind: ReportKind, _ filter: ReportFilter = ReportFilter()) {
        self.kind = kind
        self.filter = filter
    }

    /// What the filter names and there isn't, each in a sentence; empty where everything is known.
    public nonisolated(nonsending) func unknownNames(on connection: Connection) async throws(StoreError) -> [String] {
        let statement = Statement(
            name: "report names",
            """
            SELECT $1::uuid IS NULL OR EXISTS (SELECT FROM customers WHERE customer_id = $1),
                   $2::text IS NULL OR EXISTS (SELECT FROM resellers WHERE reseller_id = $2
                                               AND ($3::text IS NULL OR partner_id = $3)),
                   $3::text IS NULL OR EXISTS (SELECT FROM partners WHERE partner_id = $3)
            """, Array(parameters.prefix(3)))
        do {
            let row = try await connection.query(statement).first
            let partner = filter.partner.map { " of the partner '\($0)'" } ?? ""
            return try [
                (0, filter.customer.map { "There is no customer \($0)." }),
                (1, filter.reseller.map { "There is no reseller '\($0)'\(partner)." }),
                (2, filter.partner.map { "There is no partner '\($0)'." }),
            ].compactMap { column, sentence in try row?.bool(.index(column)) == false ? sentence : nil }
        } catch let error as PostgreSQLError {
            throw StoreError(error, during: "reporting \(kind.rawValue)")
        } catch {
            throw StoreError(.unreadableRow, during: "reporting \(kind.rawValue)", detail: "\(error)", advice: "")
        }
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

    private var parameters: [Parameter] {
        [
            .uuid(filter.customer.map { ($0.high, $0.low) }), .text(filter.reseller), .text(filter.partner),
            .date(filter.from?.days), .date(filter.to?.days),
        ]
    }

    private var statement: Statement {
        switch kind {
        case .transactions:
            let day = filter.isByBooking ? "t.booked_on" : "t.date"
            return Statement(
                name: "report transactions by \(day)", Self.transactions.replacing("DAY", with: day), parameters)
        case .invoices: return Statement(name: "report invoices", Self.invoices, parameters)
        case .subscriptions, .upcoming:
            return Statement(name: "report subscriptions", Self.subscriptions, parameters)
        }
    }

    /// The reseller is the one of the charge. The total is that of all the lines that one command made.
    private static let transactions = """
        SELECT t.date, t.booked_on, t.at, c.partner_id, t.customer_id, c.company_name, t.reseller_id, r.name, t.product,
               p.name, t.subscription_id, t.transaction_id, t.type, t.certificate_type, t.quantity, t.currency,
               t.unit_price,
               (sum(t.amount) OVER (PARTITION BY t.customer_id, t.publisher, t.command_source, t.command_id))::bigint,
               t.amount, t.days_charged, t.days_term, t.refundable_until, t.publisher, t.command_source, t.command_id,
               t.reverses, t.invoice_id
        FROM transactions t JOIN customers c USING (customer_id)
        LEFT JOIN products p ON p.product = t.product
        LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = t.reseller_id
        WHERE ($1::uuid IS NULL OR t.customer_id = $1) AND ($2::text IS NULL OR t.reseller_id = $2)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR DAY >= $4) AND ($5::date IS NULL OR DAY <= $5)
        ORDER BY DAY, t.date, t.at, t.customer_id, t.transaction_id
        """

    /// The invoices whose month has a day in common with the dates. The kind of an open one is that of its present total.
    /// The resellers are the lines' own, whoever manages the customer now; where one is asked for, lines and amount are those
    /// of its lines.
    private static let invoices = """
        SELECT i.period_start, i.period_end, i.period_end,
               coalesce(i.kind, CASE WHEN i.total < 0 THEN 'creditNote' ELSE 'invoice' END), i.series, i.number, i.state,
               c.partner_id, i.customer_id, c.company_name, lines.resellers, lines.names, coalesce(lines.count, 0),
               i.currency, coalesce(lines.amount, 0), i.total, i.version, i.invoice_id
        FROM invoices i JOIN customers c USING (customer_id)
        LEFT JOIN (SELECT t.customer_id, t.invoice_id, count(*) AS count, sum(t.amount)::bigint AS amount,
                          string_agg(DISTINCT t.reseller_id, ', ') AS resellers,
                          string_agg(DISTINCT r.name, ', ') AS names
                   FROM transactions t JOIN customers c USING (customer_id)
                   LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = t.reseller_id
                   WHERE t.invoice_id IS NOT NULL AND ($1::uuid IS NULL OR t.customer_id = $1)
                     AND ($2::text IS NULL OR t.reseller_id = $2)
                   GROUP BY t.customer_id, t.invoice_id) AS lines USING (customer_id, invoice_id)
        WHERE ($1::uuid IS NULL OR i.customer_id = $1) AND ($2::text IS NULL OR lines.count > 0)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR i.period_end > $4) AND ($5::date IS NULL OR i.period_start <= $5)
        ORDER BY i.period_start, c.partner_id, i.kind, i.number NULLS LAST, i.customer_id, i.invoice_id
        """

    /// A row for each subscription whose present period has a day in common with the dates. Its cost is that of this
    /// period, less what was refunded. What it holds and what was done to it are read in one pass each.
    private static let subscriptions = """
        SELECT c.partner_id, s.customer_id, c.company_name, c.reseller_id, r.name, s.subscription_id, s.product, p.name,
               s.term, s.state, done.ordered_on, s.original_start, s.period_start, s.period_end, s.auto_renewal,
               coalesce(held.items, 0), held.inventory, held.renewal, coalesce(done.currency, partner.currency),
               coalesce(done.cost, 0), done.at, done.who, done.action
        FROM subscriptions s JOIN customers c USING (customer_id) JOIN partners partner USING (partner_id)
        LEFT JOIN products p ON p.product = s.product
        LEFT JOIN resellers r ON r.partner_id = c.partner_id AND r.reseller_id = c.reseller_id
        LEFT JOIN (SELECT customer_id, subscription_id, sum(quantity)::bigint AS items,
                          string_agg(quantity || ' ' || certificate_type, ', ' ORDER BY certificate_type)
                              FILTER (WHERE quantity > 0) AS inventory,
                          string_agg(renewal_quantity || ' ' || certificate_type, ', ' ORDER BY certificate_type)
                              FILTER (WHERE renewal_quantity IS NOT NULL) AS renewal
                   FROM inventory WHERE $1::uuid IS NULL OR customer_id = $1
                   GROUP BY customer_id, subscription_id) AS held USING (customer_id, subscription_id)
        LEFT JOIN (SELECT t.customer_id, t.subscription_id, min(t.currency) AS currency,
                          (sum(t.amount) FILTER (WHERE t.period_index = s.period_index))::bigint AS cost,
                          min(t.date) FILTER (WHERE t.type = 'order') AS ordered_on, max(t.at) AS at,
                          (array_agg(t.publisher ORDER BY t.at DESC, t.transaction_id DESC))[1] AS who,
                          (array_agg(t.type ORDER BY t.at DESC, t.transaction_id DESC))[1] AS action
                   FROM transactions t JOIN subscriptions s USING (customer_id, subscription_id)
                   WHERE $1::uuid IS NULL OR t.customer_id = $1
                   GROUP BY t.customer_id, t.subscription_id) AS done USING (customer_id, subscription_id)
        WHERE ($1::uuid IS NULL OR s.customer_id = $1) AND ($2::text IS NULL OR c.reseller_id = $2)
          AND ($3::text IS NULL OR c.partner_id = $3)
          AND ($4::date IS NULL OR s.period_end > $4) AND ($5::date IS NULL OR s.period_start <= $5)
        ORDER BY s.customer_id, s.subscription_id
        """

    // MARK: Rows

    private func read(_ row: Row) throws -> [ReportValue] {
        var reader = ReportRowReader(row)
        switch kind {
        case .transactions:
            try reader.take(.date, .date, .time, .text, .id, .text, .text, .text, .text, .text, .id, .id, .text, .text)
            try reader.take(.integer, .currency, .money, .money, .money)
            reader.putCurrency()
            try reader.take(.integer, .integer, .date, .text, .text, .text, .id, .id)
        case .invoices:
            try reader.take(
                .date, .date, .date, .text, .text, .integer, .text, .text, .id, .text, .text, .text, .integer)
            try reader.take(.currency, .money, .money)
            reader.putCurrency()
            try reader.take(.integer, .id)
        case .subscriptions, .upcoming:
            try reader.take(.text, .id, .text, .text, .text, .id, .text, .text, .text, .text)
            try reader.take(.date, .date, .date, .date, .bool, .integer, .text, .text, .currency, .money)
            reader.putCurrency()
            try reader.take(.time, .text, .text)
        }
        return reader.values
    }
}
