// The kept inbox decided again finds what doesn't follow from it.

import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite struct ReplayTests {
    private static let customer = Lab.customer(1)

    /// Books of one customer with two orders, and what a replay finds after a change of them.
    ///
    /// - Parameter rulesSince: when this release's rules came.
    private static func differences(
        after sql: String, rulesSince: String = "2020-01-01"
    ) async throws -> (found: [String], result: ReplayResult?) {
        var result: ReplayResult?
        try await TestDatabase.withDatabase { connect in
            let lab = try await Lab(connect())
            _ = try await lab.commit([
                Lab.createCustomer(customer, id: "create"),
                Lab.order(customer, subscription: Lab.subscription(1), id: "order-1"),
                Lab.order(customer, subscription: Lab.subscription(1), id: "order-again"),
            ])
            _ = try await lab.commit(
                [Lab.order(customer, subscription: Lab.subscription(2), id: "order-2")],
                now: Timestamp(microseconds: 1_790_000_000_000_000 + 86_400_000_000))
            await lab.store.connection.close()
            let connection = try await connect()
            try await connection.execute(
                script: """
                    SET session_replication_role = replica; \(sql);
                    UPDATE schema_migrations SET applied_at = '\(rulesSince)'
                    """)
            result = try await Replay(connection: connection).run(limit: 10)
            await connection.close()
        }
        return (result?.differences.map(\.description).sorted() ?? [], result)
    }

    @Test("Commands decided again come to what is stored")
    func agrees() async throws {
        let (found, result) = try await Self.differences(after: "SELECT 1")
        #expect(found == [])
        #expect(result?.customers == 1 && result?.commands == 4 && result?.skipped == 0)
    }

    @Test(
        "What was changed behind the worker's back is named",
        arguments: [
            (
                "UPDATE transactions SET amount = amount - 1 WHERE command_id = 'order-2'",
                ["the amount of the order of ov on "]
            ),
            (
                "UPDATE transactions SET date = date - 1, booked_on = booked_on - 1 WHERE command_id = 'order-2'",
                ["the date of the order of ov on "]
            ),
            ("UPDATE invoices SET total = total + 1", ["the invoice of "]),
            ("UPDATE customers SET company_name = 'Other'", ["the customer's row differs"]),
            (
                "UPDATE subscriptions SET auto_renewal = true WHERE subscription_id = '\(Lab.subscription(2))'",
                ["the subscription \(Lab.subscription(2)) differs"]
            ),
            (
                "DELETE FROM inbox WHERE id = 'order-2'",
                ["the invoice of ", "the stored order of ov on ", "the subscription "]
            ),
            (
                "DELETE FROM transactions WHERE command_id = 'order-2'",
                ["the order of ov on ", "the subscription "]
            ),
            (
                "UPDATE inbox SET outcome_type = 'subscription.ordered' WHERE id = 'order-again'",
                ["the command order-again of test comes to command.rejected, not subscription.ordered"]
            ),
        ])
    func differs(_ sql: String, _ expected: [String]) async throws {
        let (found, result) = try await Self.differences(after: sql)
        #expect(found.count == expected.count && result?.differenceCount == expected.count, "\(found)")
        for (text, beginning) in zip(found, expected) { #expect(text.hasPrefix(beginning)) }
    }

    @Test(
        "What an earlier release decided, and what follows from it, is told apart from what was changed since",
        arguments: [
            ("UPDATE transactions SET amount = amount - 1 WHERE command_id = 'order-1'", 0, 1),
            ("UPDATE subscriptions SET auto_renewal = true WHERE subscription_id = '\(Lab.subscription(1))'", 1, 0),
            (
                "UPDATE transactions SET date = date - 1 WHERE command_id = 'order-1'; "
                    + "UPDATE subscriptions SET auto_renewal = true WHERE subscription_id = '\(Lab.subscription(1))'",
                0, 2
            ),
            (
                "UPDATE transactions SET date = date - 1 WHERE command_id = 'order-1'; "
                    + "UPDATE transactions SET amount = amount - 1 WHERE command_id = 'order-2'", 1, 1
            ),
            ("DELETE FROM transactions WHERE command_id = 'order-2'", 2, 0),
        ])
    func earlierRelease(_ sql: String, own: Int, earlier: Int) async throws {
        // Between the two orders.
        let (_, result) = try await Self.differences(after: sql, rulesSince: "2026-09-22T00:00:00Z")
        #expect(result?.differenceCount == own && result?.earlierCount == earlier, "\(String(describing: result))")
        #expect(result?.rulesSince?.description == "2026-09-22T00:00:00Z")
        #expect(result?.differences.map(\.isOfEarlierRelease).first == (own == 0))
    }

    @Test("A customer whose creation isn't kept any more is passed over")
    func skipped() async throws {
        let (found, result) = try await Self.differences(after: "DELETE FROM inbox WHERE id = 'create'")
        #expect(found == [] && result?.skipped == 1 && result?.customers == 0)
    }
}
