// The books of an earlier release, as its own program left them, under this one.

import Foundation
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite("Books of an earlier release")
struct MigrationTests {
    /// What the books say, in members that both schemas have.
    private static let books = """
        SELECT 'customer ' || concat_ws(' ', customer_id, partner_id, company_name, reseller_id, event_sequence) FROM customers
        UNION ALL
        SELECT 'subscription ' || concat_ws(' ', subscription_id, state, period_index, period_start, period_end, auto_renewal)
        FROM subscriptions
        UNION ALL
        SELECT 'inventory ' || concat_ws(' ', subscription_id, certificate_type, quantity, renewal_quantity) FROM inventory
        UNION ALL
        SELECT 'invoice ' || concat_ws(' ', invoice_id, period_start, state, number, version, total) FROM invoices
        UNION ALL
        SELECT 'transaction ' || concat_ws(' ', transaction_id, type, quantity, unit_price, amount, date, at, reseller_id,
                                           reverses, invoice_id, command_id) FROM transactions
        UNION ALL
        SELECT 'inbox ' || concat_ws(' ', id, effective_at, outcome_id, md5(outcome_data)) FROM inbox
        ORDER BY 1
        """

    private static func read(_ connection: Connection) async throws -> [String] {
        try await connection.query(Statement(books)).map { try $0.text(0) }
    }

    /// Runs `body` on the migrated books; what they were before is given too.
    private static func withMigrated(
        _ body: (_ before: [String], _ connect: @escaping @Sendable () async throws -> Connection) async throws -> Void
    ) async throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("EarlierRelease/schema-4.sql")
        try await TestDatabase.withEmptyDatabase { connect in
            let connection = try await connect()
            _ = try await Migrator(migrations: Array(OrderMigrations.all.prefix(4))).apply(on: connection)
            try await connection.execute(script: String(contentsOf: file, encoding: .utf8))
            let before = try await read(connection)
            let applied = try await Migrator(migrations: OrderMigrations.all).apply(on: connection)
            #expect(applied.first?.version == 5)
            await connection.close()
            try await body(before, connect)
        }
    }

    @Test("Migrating changes nothing in the books, and they are sound")
    func unchanged() async throws {
        try await Self.withMigrated { before, connect in
            let connection = try await connect()
            let after = try await Self.read(connection)
            #expect(before.count > 60)
            #expect(after == before)
            // At the last moment at which the earlier release ran: since then nobody has settled anything.
            let now = Timestamp("2026-05-20T12:00:00Z")
            for finding in try await Audit(connection: connection).run(limit: 5, now: now) {
                #expect(finding.breaches == 0, "\(finding.check.name): \(finding.examples)")
            }
            await connection.close()
        }
    }

    @Test("What the earlier release decided by other rules is told as that, and what goes on goes on by this one's")
    func replayed() async throws {
        try await Self.withMigrated { _, connect in
            let connection = try await connect()
            let replayed = try await Replay(connection: connection).run(limit: 100)
            #expect(replayed.customers == 3 && replayed.skipped == 0)
            #expect(replayed.differenceCount == 0, "\(replayed.differences.filter { !$0.isOfEarlierRelease })")
            func found(_ text: String) -> Bool {
                replayed.differences.contains { $0.isOfEarlierRelease && $0.description.contains(text) }
            }
            // A refund was the present reseller's, what was suspended expired, and what was paid back in full renewed.
            #expect(found("the reseller of the refund of ov") && found("the stored expiry on 2026-04-02"))
            #expect(found("the autoRenewalChange on 2026-04-17") && found("the stored renewal of ov on 2026-05-15"))
            let first = "018f0000-0000-7000-8000-000000000001"
            #expect(!replayed.differences.contains { $0.customerID.description == first }, "what both decide alike")

            // A lane takes the books on, and what is done to them afterwards is found.
            let customer = try #require(CustomerID(first))
            let lab = try await Lab(connect())
            let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000) + 60_000_000)
            let decided = try await lab.commit(
                [Lab.order(customer, subscription: Lab.subscription(9), id: "later", user: "publisher")], now: now)
            #expect(decided.commands.map(\.outcome.type) == [.subscriptionOrdered])
            await lab.store.connection.close()
            let again = try await Replay(connection: connection).run(limit: 100)
            #expect(again.differenceCount == 0 && again.earlierCount == replayed.earlierCount)
            try await connection.execute(
                script: """
                    SET session_replication_role = replica;
                    UPDATE transactions SET amount = amount - 1 WHERE command_id = 'later' AND type = 'order'
                    """)
            let changed = try await Replay(connection: connection).run(limit: 1)
            #expect(changed.differenceCount == 1 && changed.differences.map(\.isOfEarlierRelease) == [false])
            await connection.close()
        }
    }
}
