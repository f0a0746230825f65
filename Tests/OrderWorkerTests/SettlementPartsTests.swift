// A settlement that is too large for one transaction is done in parts, and nothing is decided in between.

import AMQP
import OrderContract
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite("Settlements in parts") struct SettlementPartsTests {
    private static let customer = Lab.customer(7)
    private static let other = Lab.customer(8)
    /// Noon of 1 November 2026 in Berlin.
    private static let ordered = Timestamp(microseconds: 1_793_530_800_000_000)

    private static func order(_ customer: CustomerID, _ numbers: Range<UInt64>, id: String) -> (String, Message) {
        let subscriptions = numbers.map { number in
            """
            {"subscriptionId": "\(Lab.subscription(number))", "product": "pki", "term": "P1M", "autoRenewal": true,
             "inventory": [{"certificateType": "ov", "quantity": \(number)}]}
            """
        }
        return Lab.message(
            "subscription.order", customer, id: id, user: "nordwind-user",
            data: "{\"customerId\": \"\(customer)\", \"subscriptions\": [\(subscriptions.joined(separator: ","))]}")
    }

    /// What the books say of a customer, without ids.
    private static func books(_ connection: Connection) async throws -> [String] {
        let rows = try await connection.query(
            Statement(
                """
                SELECT concat_ws(' ', 'line', t.customer_id, t.subscription_id, t.type, t.date, t.booked_on, t.amount,
                                 t.period_index, to_char(i.period_start, 'YYYY-MM'), i.state)
                FROM transactions t LEFT JOIN invoices i USING (customer_id, invoice_id)
                UNION ALL
                SELECT concat_ws(' ', 'invoice', customer_id, to_char(period_start, 'YYYY-MM'), state, total)
                FROM invoices
                UNION ALL
                SELECT concat_ws(' ', 'subscription', customer_id, subscription_id, state, period_start, period_end)
                FROM subscriptions
                ORDER BY 1
                """))
        return try rows.map { try $0.text(0) }
    }

    /// Plays the same commands three months later, in transactions that settle and load no more than this.
    ///
    /// - Returns: the books, and the number of transactions that it took.
    private static func play(settling limit: Int, loading due: Int) async throws -> (books: [String], batches: Int) {
        var found: (books: [String], batches: Int) = ([], 0)
        try await TestDatabase.withDatabase { connect in
            let lab = try await Lab(connect())
            for customer in [customer, other] {
                _ = try await lab.commit(
                    [
                        Lab.createCustomer(customer, id: "create-\(customer)", user: "nordwind-user"),
                        order(customer, customer == Self.customer ? 1..<25 : 50..<53, id: "order-\(customer)"),
                    ], now: ordered)
            }
            let now = ordered.adding(.seconds(100 * 86_400))
            var waiting = [
                order(customer, 100..<101, id: "first"), order(customer, 101..<102, id: "second"),
                order(other, 102..<103, id: "other"),
            ]
            while !waiting.isEmpty {
                var batch = lab.read(waiting, now: now)
                batch.settlementLimit = limit
                batch.dueLimit = due
                let decided = try await lab.commit(batch, now: now)
                found.batches += 1
                let accepted = decided.tally.map(\.command.decoded.key.id)
                // In their order, and only once everything that is due has been settled.
                #expect(accepted == accepted.sorted { $0 == "first" && $1 == "second" })
                #expect(decided.commands.count >= decided.tally.count)
                #expect(decided.outcomes.contains(.postponed) || decided.outcomes.allSatisfy { $0 == .applied })
                #expect(decided.events.allSatisfy { $0.partition == 3 })
                if decided.commands.isEmpty, !decided.outcomes.contains(.applied) {
                    Issue.record("nothing goes on")
                    break
                }
                waiting = zip(waiting, decided.outcomes).filter { $1 == .postponed }.map(\.0)
            }
            let findings = try await Audit(connection: lab.store.connection).run(limit: 5, now: now)
            #expect(findings.filter { $0.breaches > 0 }.map { "\($0.check.name) \($0.examples)" } == [])
            found.books = try await books(lab.store.connection)
            await lab.store.connection.close()
        }
        return found
    }

    @Test(
        "Parts of any size give the same books as one transaction, and a clean audit",
        arguments: [(10, 1000), (1000, 7), (10, 7), (1, 1)])
    func parts(settling limit: Int, loading due: Int) async throws {
        let whole = try await Self.play(settling: .max, loading: .max)
        let parts = try await Self.play(settling: limit, loading: due)
        #expect(whole.batches == 1)
        #expect(parts.batches > 3)
        #expect(parts.books == whole.books)
        #expect(whole.books.count { $0.contains("renewal") } == 27 * 3)
    }
}
