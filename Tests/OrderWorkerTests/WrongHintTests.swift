// No state of the books makes a customer unusable: zones that change their rules, and instants that are wrong.

import AMQP
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite struct WrongHintTests {
    private static let customer = Lab.customer(1)
    /// 30 November 2026, 23:30 in Berlin and 21:30 on the Azores.
    private static let evening = Timestamp(microseconds: 1_796_077_800_000_000)

    private static func at(hours: Int) -> Timestamp { evening.adding(.seconds(hours * 3600)) }

    /// A customer of nordwind, which bills by Berlin's time, with a subscription for a month that ends with November.
    private static func withCustomer(
        _ body: (Lab, _ connect: @escaping @Sendable () async throws -> Connection) async throws -> Void
    ) async throws {
        try await TestDatabase.withDatabase { connect in
            let lab = try await Lab(connect())
            _ = try await lab.commit(
                [
                    Lab.createCustomer(customer, id: "create", user: "nordwind-user"),
                    monthly(1, id: "monthly"), order(2),
                ], now: at(hours: -29 * 24))
            try await body(lab, connect)
            await lab.store.connection.close()
        }
    }

    private static func order(_ subscription: UInt64) -> (String, Message) {
        Lab.order(
            customer, subscription: Lab.subscription(subscription), id: "order-\(subscription)", user: "nordwind-user")
    }

    private static func monthly(_ subscription: UInt64, id: String) -> (String, Message) {
        Lab.message(
            "subscription.order", customer, id: id, user: "nordwind-user",
            data: """
                {"customerId": "\(customer)", "subscriptions": [{"subscriptionId": "\(Lab.subscription(subscription))",
                 "product": "pki", "term": "P1M", "startDate": "2026-11-01", "autoRenewal": true,
                 "inventory": [{"certificateType": "ov", "quantity": 1}]}]}
                """)
    }

    /// The months of the lines by their dates, and of the invoices that carry them.
    private static func lines(_ connection: Connection) async throws -> [String] {
        let rows = try await connection.query(
            Statement(
                """
                SELECT t.type || ' ' || t.date || ' on ' || to_char(i.period_start, 'YYYY-MM') || ' ' || i.state
                FROM transactions t JOIN invoices i USING (customer_id, invoice_id)
                ORDER BY t.at, t.type, t.subscription_id
                """))
        return try rows.map { try $0.text(0) }
    }

    private static func audit(_ connection: Connection, now: Timestamp) async throws {
        let found = try await Audit(connection: connection).run(limit: 5, now: now).filter { $0.breaches > 0 }
        #expect(found.map { "\($0.check.name) \($0.examples)" } == [])
    }

    @Test("A zone that moves west on the first of a month leaves every line in its month and the customer usable")
    func movesWest() async throws {
        try await Self.withCustomer { lab, connect in
            // December by Berlin's rules: November is closed, the month renewed.
            _ = try await lab.commit([Self.order(3)], now: Self.at(hours: 1))
            let observer = try await connect()
            try await observer.execute(
                script: """
                    UPDATE partners SET billing_zone = 'Atlantic/Azores' WHERE partner_id = 'nordwind';
                    UPDATE catalog_versions SET version = version + 1
                    """)
            // Half past ten on 30 November by the new ones.
            let moved = try await Lab(connect())
            let late = try await moved.commit([Self.order(4)], now: Self.at(hours: 1))
            #expect(late.commands.map(\.outcome.type) == [.subscriptionOrdered])
            let next = try await moved.commit([Self.order(5)], now: Self.at(hours: 24))
            #expect(next.commands.map(\.outcome.type) == [.subscriptionOrdered])
            #expect(
                try await Self.lines(observer) == [
                    "order 2026-11-01 on 2026-11 closed", "order 2026-11-01 on 2026-11 closed",
                    "renewal 2026-12-01 on 2026-12 open", "order 2026-12-01 on 2026-12 open",
                    "order 2026-11-30 on 2026-12 open", "order 2026-12-01 on 2026-12 open",
                ])
            try await Self.audit(observer, now: Self.at(hours: 24))
            await moved.store.connection.close()
            await observer.close()
        }
    }

    @Test(
        "Stored instants that are wrong by an hour, a day or a year decide nothing, and are put right",
        arguments: ["-1 hour", "1 hour", "-1 day", "1 day", "-1 year", "1 year"])
    func wrongInstants(_ shift: String) async throws {
        try await Self.withCustomer { lab, connect in
            let observer = try await connect()
            try await observer.execute(
                script: """
                    UPDATE subscriptions SET due_at = due_at + interval '\(shift)';
                    UPDATE invoices SET due_at = due_at + interval '\(shift)'
                    """)
            // In November, 23:30, and then in December.
            _ = try await lab.commit([Self.order(3)], now: Self.evening)
            _ = try await lab.commit([Self.order(4)], now: Self.at(hours: 1))
            #expect(
                try await Self.lines(observer) == [
                    "order 2026-11-01 on 2026-11 closed", "order 2026-11-01 on 2026-11 closed",
                    "order 2026-11-30 on 2026-11 closed", "renewal 2026-12-01 on 2026-12 open",
                    "order 2026-12-01 on 2026-12 open",
                ])
            let wrong = try await observer.query(
                Statement(
                    """
                    SELECT count(*) FROM (
                        SELECT due_at, period_end FROM subscriptions WHERE subscription_id <> '\(Lab.subscription(2))'
                        UNION ALL SELECT due_at, period_end FROM invoices) AS due
                    WHERE due_at <> period_end::timestamp AT TIME ZONE 'Europe/Berlin'
                    """))
            #expect(try wrong.first?.int64(0) == 0)
            await observer.close()
        }
    }
}
