// The tables `invoices` and `invoice_sequences`.

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
                due_at)
            SELECT * FROM unnest(
                $1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::text[], $11::timestamptz[])
            ON CONFLICT (customer_id, invoice_id) DO UPDATE SET
                state = excluded.state, number = excluded.number, version = excluded.version, total = excluded.total,
                due_at = excluded.due_at
            """,
            [
                .identifiers(invoices.map(\.customerID)), .identifiers(invoices.map(\.id)),
                .textArray(invoices.map(\.partnerID)), .dates(invoices.map(\.start)), .dates(invoices.map(\.end)),
                .textArray(invoices.map(\.state.rawValue)), .int8Array(invoices.map(\.number)),
                .int8Array(invoices.map(\.version)), .int8Array(invoices.map(\.total.amount)),
                .textArray(invoices.map(\.total.currency.code)), .timestamps(invoices.map(\.dueAt)),
            ])
    }

    /// Locks and reads the number sequences of `partners` and of those whose invoices are due to be closed. Held until
    /// the transaction ends, so that the numbers have no gap.
    static func lockSequences(
        _ customers: [CustomerID], dueBy now: Timestamp, and partners: Set<String>
    ) -> Statement {
        Statement(
            name: "lock invoice sequences",
            """
            SELECT partner_id, last_number FROM invoice_sequences
            WHERE partner_id IN (
                SELECT i.partner_id FROM invoices i
                WHERE i.customer_id = ANY ($1::uuid[]) AND i.state = 'open' AND i.due_at <= $2)
            OR partner_id = ANY ($3::text[])
            ORDER BY partner_id FOR UPDATE
            """, [.identifiers(customers), .timestamptz(now.microseconds), .textArray(partners.sorted())])
    }

    static func storeSequences(_ numbers: [String: Int64]) -> Statement {
        Statement(
            name: "store invoice sequences",
            """
            UPDATE invoice_sequences s SET last_number = n.last_number
            FROM unnest($1::text[], $2::bigint[]) AS n (partner_id, last_number) WHERE s.partner_id = n.partner_id
            """, [.textArray(Array(numbers.keys)), .int8Array(Array(numbers.values))])
    }
}
