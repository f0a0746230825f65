// The audit finds nothing in sound books, and each breach of an invariant by its name.

import OrderStore
import Orders
import PostgreSQL
import Testing

@Suite struct AuditTests {
    @Test("Books in which everything happened are sound, and each corruption is found by the check that is for it")
    func corruptions() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                let types = try await connection.query(Statement("SELECT count(DISTINCT type) FROM transactions"))
                #expect(try types.first?.int64(0) == 9)
                let findings = try await Audit(connection: connection).run(limit: 10)
                #expect(findings.filter { $0.breaches > 0 }.map(\.description) == [])
                #expect(findings.count == Audit.checks.count)
            }
            #expect(Set(Corruption.all.flatMap(\.found)) == Set(Audit.checks.map(\.name)))
            for corruption in Corruption.all {
                try await database.withCopy { copy in
                    try await copy.withConnection { connection in
                        try await connection.execute(
                            script: "SET session_replication_role = replica; \(corruption.sql)")
                        let found = try await Audit(connection: connection).run(limit: 10).filter { $0.breaches > 0 }
                        #expect(
                            found.map(\.check.name).sorted() == corruption.found.sorted(),
                            "\(corruption.sql): \(found.map(\.description))")
                    }
                }
            }
        }
    }

    @Test("A gap is sound where a suspension left it, and nowhere else; ends are counted from where it was lifted")
    func suspensionGaps() async throws {
        try await TestDatabase.withDatabase { database in
            func breaches(_ sql: String) async throws -> [String] {
                var names: [String] = []
                try await database.withCopy { copy in
                    try await copy.withConnection { connection in
                        try await connection.execute(script: "SET session_replication_role = replica; \(sql)")
                        let findings = try await Audit(connection: connection).run(limit: 10)
                        names = findings.filter { $0.breaches > 0 }.map(\.check.name).sorted()
                    }
                }
                return names
            }
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.writeHistory()
                try await books.writeSuspension()
                let gaps = try await connection.query(
                    Statement(
                        """
                        SELECT count(*) FROM periods AS p JOIN periods AS n
                            ON n.customer_id = p.customer_id AND n.subscription_id = p.subscription_id
                            AND n.period_index = p.period_index + 1
                        WHERE lower(n.span) > upper(p.span)
                        """))
                #expect(try gaps.first?.int64(0) == 1)
            }
            #expect(try await breaches("SELECT") == [])
            #expect(
                try await breaches("DELETE FROM transactions WHERE type = 'enablement' AND period_index > 0")
                    == ["outcome-effect", "period-end", "periods", "subscription-state"])
            #expect(
                try await breaches("UPDATE subscriptions SET anchor_start = anchor_start + 1 WHERE anchor_index > 0")
                    == ["period-end"])
        }
    }

    @Test("Breaches are counted whole, and the first of them are named")
    func limit() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let books = try await Books(connection)
                try await books.apply(day: 0, (1...3).map { Books.create($0) })
                try await books.apply(day: 0, try (1...3).map { try Books.order($0, $0, ["ov": 1]) })
                try await connection.execute(script: "UPDATE invoices SET total = total - 1")
                var steps: [String] = []
                let findings = try await Audit(connection: connection).run(limit: 2) { step in
                    switch step {
                    case .began(let check, let number, let count): steps.append("\(number)/\(count) \(check.name)")
                    case .finished(let finding): steps.append(finding.check.name)
                    }
                }
                let finding = try #require(findings.first)
                #expect(finding.check.name == "invoice-total")
                #expect(finding.breaches == 3)
                #expect(finding.examples.map(\.customerID) == [Books.customer(1), Books.customer(2)])
                #expect(steps.prefix(2) == ["1/\(Audit.checks.count) invoice-total", "invoice-total"])
                #expect(steps.count == 2 * Audit.checks.count)
            }
        }
    }

    @Test("An empty database is sound")
    func empty() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let findings = try await Audit(connection: connection).run(limit: 1)
                #expect(findings.allSatisfy { $0.breaches == 0 })
            }
        }
    }
}

extension AuditFinding {
    fileprivate var description: String {
        "\(check.name): \(breaches), e.g. \(examples.map { "\($0.customerID?.description ?? "") \($0.id)" })"
    }
}

/// A change that the schema and its guards would refuse, and the checks that must find it: they and no others.
private struct Corruption {
    let found: [String]
    let sql: String

    init(_ found: String..., sql: String) {
        self.found = found
        self.sql = sql
    }

    /// The first transaction of a type, of which more can be said.
    private static func first(_ type: String, _ rest: String = "true") -> String {
        "transaction_id = (SELECT transaction_id FROM transactions WHERE type = '\(type)' AND \(rest) ORDER BY 1 LIMIT 1)"
    }

    /// A copy of transactions, with other values in some columns.
    private static func copy(_ which: String, _ values: [String: String]) -> String {
        let columns = [
            "customer_id", "transaction_id", "subscription_id", "type", "product", "period_index", "period_start",
            "period_end", "certificate_type", "quantity", "unit_price", "days_charged", "days_term", "amount",
            "currency", "at", "date", "booked_on", "refundable_until", "publisher", "command_source", "command_id",
            "reverses", "invoice_id",
        ]
        let values = values.merging(["transaction_id": "gen_random_uuid()"]) { given, _ in given }
        return """
            INSERT INTO transactions (\(columns.joined(separator: ", ")))
            SELECT \(columns.map { values[$0] ?? $0 }.joined(separator: ", ")) FROM transactions WHERE \(which);
            """
    }

    static let all = [
        // Invoices.
        Corruption(
            "invoice-total", sql: "UPDATE invoices SET total = total + 1 WHERE number = 1 AND partner_id = 'acme'"),
        Corruption(
            "invoice-total",
            sql: """
                INSERT INTO invoices SELECT customer_id, gen_random_uuid(), partner_id, '2020-01-01', '2020-02-01', 'closed',
                    1, 1, 0, currency, NULL, '2020-01'
                FROM invoices WHERE number = 1 AND partner_id = 'acme' LIMIT 1;
                INSERT INTO invoice_series VALUES ('acme', '2020-01-01', 'invoice', 1)
                """),
        Corruption(
            "transaction-on-invoice", "invoice-total",
            sql: """
                ALTER TABLE transactions DROP CONSTRAINT transactions_check;
                UPDATE transactions SET invoice_id = NULL WHERE \(first("inventoryAddition"))
                """),
        Corruption(
            "transaction-on-invoice", "invoice-total",
            sql: "UPDATE transactions SET invoice_id = gen_random_uuid() WHERE \(first("renewal"))"),
        Corruption(
            "invoice-month",
            sql: "UPDATE transactions SET date = date + 200, booked_on = booked_on + 200 WHERE \(first("refund"))"),
        Corruption("invoice-month", sql: "UPDATE invoices SET period_start = period_start + 1"),
        Corruption(
            "open-invoice",
            sql: """
                DROP INDEX invoices_one_open; ALTER TABLE invoices DROP CONSTRAINT invoices_customer_id_period_start_key;
                CREATE TEMPORARY TABLE moved AS
                    SELECT t.customer_id, t.transaction_id, t.amount, t.invoice_id AS old, gen_random_uuid() AS new
                    FROM transactions t JOIN invoices i USING (customer_id, invoice_id)
                    WHERE i.state = 'open' AND t.type = 'order' LIMIT 1;
                INSERT INTO invoices SELECT customer_id, new, partner_id, period_start, period_end, 'open', NULL, 1, amount,
                    currency, due_at FROM invoices JOIN moved USING (customer_id) WHERE invoice_id = old;
                UPDATE invoices SET total = total - amount FROM moved WHERE invoice_id = old;
                UPDATE transactions t SET invoice_id = new FROM moved m WHERE t.transaction_id = m.transaction_id
                """),
        Corruption("invoice-number", sql: "UPDATE invoice_series SET last_number = last_number + 1"),
        Corruption("invoice-number", sql: "DELETE FROM invoice_series WHERE last_number > 0"),
        Corruption("invoice-number", sql: "UPDATE invoices SET number = number + 1000 WHERE number = 1"),
        Corruption(
            "invoice-number",
            sql: "DROP INDEX invoices_number; UPDATE invoices SET series = '1999-12' WHERE state = 'closed'"),
        Corruption("currency", sql: "UPDATE transactions SET currency = 'JPY' WHERE type = 'suspension'"),
        Corruption("currency", sql: "UPDATE invoices SET currency = 'JPY' WHERE state = 'open'"),
        Corruption(
            "overdue", sql: "UPDATE subscriptions SET due_at = now() - interval '11 minutes' WHERE state = 'active'"),
        Corruption("overdue", sql: "UPDATE invoices SET due_at = now() - interval '11 minutes' WHERE state = 'open'"),
        // Transactions.
        Corruption(
            "charge",
            sql: """
                UPDATE transactions SET unit_price = unit_price + 1000 WHERE \(first("inventoryAddition"))
                """),
        Corruption(
            "charge", sql: "UPDATE transactions SET days_charged = days_charged - 1 WHERE \(first("inventoryAddition"))"
        ),
        Corruption(
            "charge", "invoice-total",
            sql: """
                ALTER TABLE transactions DROP CONSTRAINT transactions_check2;
                UPDATE transactions SET amount = unit_price * quantity + 1 WHERE \(first("inventoryAddition"))
                """),
        Corruption(
            "refunded-quantity",
            sql: "UPDATE transactions SET quantity = quantity + 1 WHERE \(first("refund", "period_index = 0"))"),
        Corruption(
            "refunded-amount", "invoice-total",
            sql: "UPDATE transactions SET amount = amount - 1 WHERE \(first("refund"))"),
        Corruption("refund-target", sql: "UPDATE transactions SET product = 'other' WHERE \(first("refund"))"),
        // Subscriptions.
        Corruption(
            "inventory",
            sql: "UPDATE inventory SET quantity = quantity + 1 WHERE certificate_type = 'ov' AND quantity = 2"),
        Corruption("inventory", sql: "DELETE FROM inventory WHERE certificate_type = 'ov' AND quantity = 2"),
        Corruption("renewal-inventory", sql: "UPDATE inventory SET renewal_quantity = 8 WHERE renewal_quantity = 9"),
        Corruption("renewal-inventory", sql: "UPDATE inventory SET renewal_quantity = NULL WHERE renewal_quantity = 9"),
        Corruption(
            "periods", "period-end", "transaction-period",
            sql: """
                UPDATE periods SET span = daterange(lower(span), upper(span) - 1)
                WHERE period_index = 0 AND subscription_id = '\(Books.subscription(2))'
                """),
        Corruption(
            "period-end",
            sql: "UPDATE subscriptions SET term = 'P1M' WHERE subscription_id = '\(Books.subscription(8))'"),
        Corruption(
            "period-end",
            sql: "UPDATE subscriptions SET term = 'a year' WHERE subscription_id = '\(Books.subscription(8))'"),
        Corruption(
            "current-period", sql: "UPDATE subscriptions SET period_end = period_end + 1 WHERE state = 'expired'"),
        Corruption(
            "transaction-period",
            sql: "UPDATE transactions SET period_start = period_start - 1 WHERE \(first("suspension"))"),
        Corruption(
            "renewal-once",
            sql: copy(
                "type = 'renewal' AND period_index = 1 AND subscription_id = '\(Books.subscription(2))'",
                ["unit_price": "0", "amount": "0", "invoice_id": "NULL"])),
        Corruption(
            "renewal-once", "transaction-command",
            sql: "UPDATE transactions SET type = 'order' WHERE \(first("renewal", "period_index = 3"))"),
        Corruption(
            "subscription-state",
            sql: """
                UPDATE subscriptions SET state = 'suspended', due_at = CASE WHEN NOT auto_renewal THEN due_at END
                WHERE state = 'active'
                """),
        Corruption(
            "orphan",
            sql: """
                INSERT INTO inventory VALUES ('\(Books.customer(4))', gen_random_uuid(), 'ov', 0, NULL)
                """),
        // Commands.
        Corruption(
            "command-once",
            sql: """
                INSERT INTO inbox SELECT now(), sender, source, id, customer_id, partition, type, publisher, effective_at, data,
                    NULL, NULL, outcome_id, outcome_type, outcome_at, outcome_data
                FROM inbox WHERE type = 'customer.update'
                """),
        Corruption("outcome", sql: "UPDATE inbox SET outcome_type = 'customer.created' WHERE type = 'customer.update'"),
        Corruption(
            "outcome", "outbox-outcome",
            sql: """
                UPDATE inbox SET outcome_data = '{}' WHERE ctid IN (
                    SELECT i.ctid FROM inbox i JOIN outbox o ON o.event_id = i.outcome_id LIMIT 1)
                """),
        Corruption(
            "event-sequence",
            sql: """
                INSERT INTO inbox SELECT now(), sender, source, id || 'x', customer_id, partition, type, publisher,
                    effective_at, data, NULL, NULL, gen_random_uuid(), outcome_type, outcome_at, outcome_data
                FROM inbox WHERE type = 'customer.update'
                """),
        Corruption(
            "event-sequence", "outbox",
            sql: "UPDATE customers SET event_sequence = 2 WHERE customer_id = '\(Books.customer(5))'"),
        Corruption("outbox", sql: "DELETE FROM outbox WHERE position = (SELECT max(position) FROM outbox)"),
        Corruption(
            "outbox-outcome", sql: "UPDATE outbox SET type = 'customer.updated' WHERE type = 'customer.settled'"),
        Corruption("transaction-command", sql: "DELETE FROM inbox WHERE type = 'auto-renewal.set'"),
        Corruption(
            "transaction-command",
            sql: "UPDATE inbox SET outcome_type = 'command.rejected' WHERE type = 'auto-renewal.set'"),
        Corruption("outcome-effect", sql: "DELETE FROM transactions WHERE type = 'autoRenewalChange'"),
    ]
}
