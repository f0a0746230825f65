// The tables `invoices` and `invoice_series`.

internal import Orders
internal import PostgreSQL

enum InvoiceTable {
    static func loadOpen(_ customers: [CustomerID]) -> Statement {
        Statement(
            name: "load invoices",
            """
            SELECT i.customer_id, invoice_id, partner_id, period_start, period_end, state, number, version, total,
                   currency, due_at
            FROM invoices i WHERE i.customer_id = ANY ($1::uuid[]) AND i.state = 'open'
            """, [.identifiers(customers)])
    }

    /// All that a customer has ever had.
    static func loadAll(of customer: CustomerID) -> Statement {
        Statement(
            name: "load all invoices",
            """
            SELECT customer_id, invoice_id, partner_id, period_start, period_end, state, number, version, total, currency,
                   due_at
            FROM invoices WHERE customer_id = ANY ($1::uuid[])
            """, [.identifiers([customer])])
    }

    static func read(_ row: Row) throws -> Invoice {
        var column = ColumnReader(row)
        let customerID: CustomerID = try column.identifier()
        let id: InvoiceID = try column.identifier()
        let partnerID = try column.text()
        let start = try column.date()
        let end = try column.date()
        let state = try column.value(InvoiceState.init(rawValue:))
        let number = try column.optionalInt64()
        let version = try column.int64()
        let total = try column.int64()
        let currency = try column.value { Currency($0) }
        return Invoice(
            id: id, customerID: customerID, partnerID: partnerID, start: start, end: end, state: state, number: number,
            version: version, total: Money(amount: total, currency: currency), dueAt: try column.optionalTimestamp())
    }

    static func store(_ invoices: [Invoice]) -> Statement {
        Statement(
            name: "store invoices",
            """
            INSERT INTO invoices (
                customer_id, invoice_id, partner_id, period_start, period_end, state, number, version, total, currency,
                due_at, series)
            SELECT * FROM unnest(
                $1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::text[], $11::timestamptz[], $12::text[])
            ON CONFLICT (customer_id, invoice_id) DO UPDATE SET
                state = excluded.state, number = excluded.number, version = excluded.version, total = excluded.total,
                due_at = excluded.due_at, series = excluded.series
            """,
            [
                .identifiers(invoices.map(\.customerID)), .identifiers(invoices.map(\.id)),
                .textArray(invoices.map(\.partnerID)), .dates(invoices.map(\.start)), .dates(invoices.map(\.end)),
                .textArray(invoices.map(\.state.rawValue)), .int8Array(invoices.map(\.number)),
                .int8Array(invoices.map(\.version)), .int8Array(invoices.map(\.total.amount)),
                .textArray(invoices.map(\.total.currency.code)), .timestamps(invoices.map(\.dueAt)),
                .textArray(invoices.map { $0.state == .closed ? $0.series.name : nil }),
            ])
    }

    /// Locks and reads the last number of each series in which an invoice that is due to be closed will count, and of
    /// `others`. Held until the transaction ends, so that the numbers have no gap.
    ///
    /// A series begins when it is first needed: its row is made here, in the order in which all transactions lock the rows
    /// that are there, so that two of them never wait for each other crosswise. A row that turns out not to be needed
    /// stays at 0.
    static func lockSeries(
        _ customers: [CustomerID], dueBy now: Timestamp, and others: Set<InvoiceSeries>
    ) -> Statement {
        let others = others.sorted()
        return Statement(
            name: "lock invoice series",
            """
            INSERT INTO invoice_series AS s (partner_id, month, kind, last_number)
            SELECT partner_id, month, kind, 0
            FROM (SELECT i.partner_id, i.period_start AS month,
                         CASE WHEN i.total < 0 THEN 'creditNote' ELSE 'invoice' END AS kind
                  FROM unnest($1::uuid[]) AS c (customer_id)
                  CROSS JOIN LATERAL (
                      SELECT partner_id, period_start, total FROM invoices
                      WHERE customer_id = c.customer_id AND state = 'open' AND due_at <= $2 OFFSET 0) AS i
                  UNION
                  SELECT * FROM unnest($3::text[], $4::date[], $5::text[])) AS wanted (partner_id, month, kind)
            ORDER BY partner_id, month, kind
            ON CONFLICT (partner_id, month, kind) DO UPDATE SET last_number = s.last_number
            RETURNING partner_id, month, kind, last_number
            """,
            [
                .identifiers(customers), .timestamptz(now.microseconds), .textArray(others.map(\.partnerID)),
                .dates(others.map(\.month)), .textArray(others.map(\.kind.rawValue)),
            ])
    }

    static func readSeries(_ row: Row) throws -> (series: InvoiceSeries, lastNumber: Int64) {
        var column = ColumnReader(row)
        let series = InvoiceSeries(
            partnerID: try column.text(), month: try column.date(),
            kind: try column.value(InvoiceKind.init(rawValue:)))
        return (series, try column.int64())
    }

    static func storeSeries(_ numbers: [InvoiceSeries: Int64]) -> Statement {
        let numbers = numbers.sorted { $0.key < $1.key }
        return Statement(
            name: "store invoice series",
            """
            UPDATE invoice_series s SET last_number = n.last_number
            FROM unnest($1::text[], $2::date[], $3::text[], $4::bigint[]) AS n (partner_id, month, kind, last_number)
            WHERE s.partner_id = n.partner_id AND s.month = n.month AND s.kind = n.kind
            """,
            [
                .textArray(numbers.map(\.key.partnerID)), .dates(numbers.map(\.key.month)),
                .textArray(numbers.map(\.key.kind.rawValue)), .int8Array(numbers.map(\.value)),
            ])
    }
}
