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
        ("UPDATE inbox SET id = id", nil),
        ("UPDATE inbox_default SET outcome_type = 'command.rejected'", nil),
        ("UPDATE invoices SET total = total + 1 WHERE state = 'closed'", "closed_invoice_immutable"),
        ("DELETE FROM invoices WHERE state = 'closed'", "closed_invoice_immutable"),
        (
            "UPDATE customers SET administrative_responsibility = 'customerAdministered', administrator_email = 'a@b.c'",
            "administrative_responsibility_immutable"
        ),
        (line(like: "t.type = 'order' AND i.state = 'closed'"), "closed_invoice_immutable"),
        // Seven of the twenty were refunded, for 1393.00 of 3980.00.
        (refund("(14, -1)"), "refund_within_charge"),
        (refund("(13, -258701)"), "refund_within_charge"),
        (refund("(7, -1), (7, -1)"), "refund_within_charge"),
        (refund("(1, -1)", certificateType: "t.certificate_type || 'x'"), "refund_within_charge"),
        (refund("(1, -1)", of: "renewalInventoryChange"), "refund_within_charge"),
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

    /// Adds one more transaction like the last of those.
    private static func line(like which: String) -> String {
        copy(which, type: "t.type", certificateType: "t.certificate_type", reverses: "NULL", invoice: "t.invoice_id")
            + " (t.quantity, t.amount)) AS asked (quantity, amount)"
    }

    /// Adds refunds of the last renewal of customer 1; `parts` are their quantities and amounts.
    private static func refund(
        _ parts: String, certificateType: String = "t.certificate_type", of charge: String = "renewal"
    ) -> String {
        copy(
            "t.type = '\(charge)' AND t.customer_id = '\(Books.customer(1))'", type: "'refund'",
            certificateType: certificateType, reverses: "t.transaction_id",
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
