// The database refuses what must never happen, whatever asks for it.

import OrderStore
import Orders
import PostgreSQL
import Testing

@Suite struct GuardTests {
    /// What is refused, and by which constraint where there is one to name.
    private static let refused: [(sql: String, constraint: String?)] = [
        ("DELETE FROM customers WHERE false", nil),
        ("UPDATE periods SET period_index = period_index WHERE false", nil),
        ("DELETE FROM periods WHERE false", nil),
        ("UPDATE transactions SET amount = amount WHERE false", nil),
        ("DELETE FROM transactions WHERE false", nil),
        ("TRUNCATE transactions CASCADE", nil),
        ("TRUNCATE outbox, topology", nil),
        ("TRUNCATE inbox_default", nil),
        ("UPDATE inbox SET id = id", nil),
        ("UPDATE inbox_default SET outcome_type = 'command.rejected'", nil),
        ("UPDATE invoices SET total = total + 1 WHERE state = 'closed'", "closed_invoice_immutable"),
        ("DELETE FROM invoices WHERE state = 'closed'", "closed_invoice_immutable"),
        (
            "UPDATE customers SET administrative_responsibility = 'customerAdministered', administrator_email = 'a@b.c'",
            "administrative_responsibility_immutable"
        ),
        (line(like: "t.type = 'order' AND i.state = 'closed'"), "closed_invoice_immutable"),
        ("DELETE FROM invoices WHERE state = 'open'", nil),
        ("DELETE FROM subscriptions WHERE false", nil),
        ("DELETE FROM partners", nil),
        // What others refer to keeps its key.
        ("UPDATE customers SET customer_id = gen_random_uuid() WHERE false", nil),
        ("UPDATE subscriptions SET subscription_id = gen_random_uuid() WHERE false", nil),
        ("UPDATE inventory SET customer_id = gen_random_uuid() WHERE false", nil),
        ("UPDATE invoices SET partner_id = 'x' WHERE false", nil),
        // What is referred to is there.
        (copy(of: "subscriptions", with: "customer_id"), "subscription_of_customer"),
        (copy(of: "inventory", with: "subscription_id"), "inventory_of_subscription"),
        (invoice(of: "gen_random_uuid(), partner_id"), "invoice_of_customer"),
        (invoice(of: "customer_id, 'nobody'"), "invoice_of_customer"),
        (copy(of: "periods", with: "subscription_id"), "period_of_subscription"),
        (copy(of: "transactions", with: "transaction_id", "subscription_id"), "transaction_of_subscription"),
        (copy(of: "transactions", with: "transaction_id", "invoice_id", where: "amount > 0"), "line_on_invoice"),
        (refund("(1, -1)", reverses: "gen_random_uuid()"), "refund_of_charge"),
        // Periods of one subscription that overlap the one before, the one after, or each other.
        (period("max(period_index) + 1, daterange(max(upper(span)) - 1, max(upper(span)) + 1)"), "periods_apart"),
        (period("max(period_index) + 1, daterange(min(lower(span)) - 9, min(lower(span)))"), "periods_apart"),
        (period("min(period_index) - 1, daterange(min(lower(span)) - 1, min(lower(span)) + 1)"), "periods_apart"),
        (
            period("1000 + n, daterange('3000-01-01', '3000-02-01')", for: "GROUP BY n", "generate_series(1, 2) AS n"),
            "periods_apart"
        ),
        (period("max(period_index) + 1, daterange(max(upper(span)), NULL)"), "periods_bounded"),
    ]

    @Test("The database refuses what the rules never do, and nothing else")
    func refusals() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                for (sql, constraint) in Self.refused {
                    await #expect("\(sql)") {
                        _ = try await connection.query(Statement(sql))
                    } throws: { error in
                        let error = error as? PostgreSQLError
                        return error?.sqlState?.hasPrefix("23") == true
                            && (constraint == nil || error?.constraint == constraint)
                    }
                }
                // The greatest refund that is within the charge.
                _ = try await connection.query(Statement(Self.refund("(13, -258700)")))
            }
        }
    }

    @Test("An invoice can get its last lines in the database transaction that closes it")
    func lastLines() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.apply(day: 0, [Books.create(1), try Books.order(1, 1, ["ov": 1])])
                let close = Statement(
                    "UPDATE invoices SET state = 'closed', number = 1, due_at = NULL WHERE state = 'open'")
                let line = Statement(Self.line(like: "t.type = 'order'"))
                _ = try await connection.pipeline([Statement("BEGIN"), close, line, Statement("COMMIT")])
                await #expect(throws: PostgreSQLError.self) { _ = try await connection.query(line) }
            }
        }
    }

    /// Adds a row like one that there is, but with new values in those columns.
    private static func copy(of table: String, with columns: String..., where which: String = "true") -> String {
        let values = columns.map { "'\($0)', gen_random_uuid()" }.joined(separator: ", ")
        return """
            INSERT INTO \(table) SELECT (jsonb_populate_record(t, jsonb_build_object(\(values)))).*
            FROM \(table) AS t WHERE \(which) LIMIT 1
            """
    }

    /// Adds an open invoice.
    private static func invoice(of owner: String) -> String {
        """
        INSERT INTO invoices (
            customer_id, partner_id, invoice_id, period_start, period_end, state, version, total, currency, due_at)
        SELECT \(owner), gen_random_uuid(), '2019-01-01', '2019-02-01', 'open', 1, 0, 'USD', now()
        FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM invoices WHERE state = 'open') LIMIT 1
        """
    }

    /// Adds a period to the subscription that has had the most.
    private static func period(_ period: String, for more: String = "", _ times: String = "(SELECT) AS once") -> String
    {
        """
        INSERT INTO periods SELECT (array_agg(customer_id))[1], (array_agg(subscription_id))[1], \(period)
        FROM periods CROSS JOIN \(times)
        WHERE subscription_id = (SELECT subscription_id FROM periods ORDER BY period_index DESC LIMIT 1) \(more)
        """
    }

    @Test("Of two sessions that add periods that overlap, the second waits for the first and is refused")
    func periodsAtOnce() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { first in
                try await Books(first).writeHistory()
                try await database.withConnection { second in
                    let span = "daterange(max(upper(span)), max(upper(span)) + 9)"
                    let (one, other) = ("max(period_index) + 1, \(span)", "max(period_index) + 2, \(span)")
                    _ = try await first.query(Statement("BEGIN"))
                    _ = try await first.query(Statement(Self.period(one)))
                    let attempt = Task { try await second.query(Statement(Self.period(other))) }
                    let blocked = Statement(
                        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
                    for _ in 0..<3000 where try await first.query(blocked).first?.int64(0) == 0 {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    _ = try await first.query(Statement("COMMIT"))
                    let error = await #expect(throws: PostgreSQLError.self) { _ = try await attempt.value }
                    #expect(error?.constraint == "periods_apart")
                }
            }
        }
    }

    /// Adds one more transaction like the last of those.
    private static func line(like which: String) -> String {
        copy(which, type: "t.type", certificateType: "t.certificate_type", reverses: "NULL", invoice: "t.invoice_id")
            + " (t.quantity, t.amount)) AS asked (quantity, amount)"
    }

    /// Adds refunds of the last renewal of customer 1; `parts` are their quantities and amounts.
    private static func refund(
        _ parts: String, certificateType: String = "t.certificate_type", of charge: String = "renewal",
        reverses: String = "t.transaction_id"
    ) -> String {
        copy(
            "t.type = '\(charge)' AND t.customer_id = '\(Books.customer(1))'", type: "'refund'",
            certificateType: certificateType, reverses: reverses,
            invoice: "(SELECT invoice_id FROM invoices i WHERE i.customer_id = t.customer_id AND state = 'open')")
            + " \(parts)) AS asked (quantity, amount)"
    }

    private static func copy(
        _ which: String, type: String, certificateType: String, reverses: String, invoice: String
    ) -> String {
        """
        INSERT INTO transactions (
            customer_id, transaction_id, subscription_id, type, product, period_index, period_start, period_end,
            certificate_type, quantity, unit_price, days_charged, days_term, amount, currency, at, date, booked_on,
            refundable_until, publisher, command_source, command_id, reverses, invoice_id)
        SELECT t.customer_id, gen_random_uuid(), t.subscription_id, \(type), t.product, t.period_index, t.period_start,
            t.period_end, \(certificateType), asked.quantity, t.unit_price, t.days_charged, t.days_term, asked.amount,
            t.currency, t.at, t.date, t.booked_on, CASE WHEN \(type) <> 'refund' THEN t.refundable_until END, t.publisher,
            t.command_source, t.command_id, \(reverses), \(invoice)
        FROM (SELECT t.* FROM transactions t LEFT JOIN invoices i USING (customer_id, invoice_id)
              WHERE \(which) ORDER BY t.transaction_id DESC LIMIT 1) AS t
        CROSS JOIN LATERAL (VALUES
        """
    }
}
