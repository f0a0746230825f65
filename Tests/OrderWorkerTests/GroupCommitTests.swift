// Group commit: a batch is one transaction of a constant number of statements, whatever its size.

import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite struct GroupCommitTests {
    @Test("A batch of 1 and one of 500 commands use the same number of statements")
    func constantNumberOfStatements() async throws {
        try await TestDatabase.withDatabase { connect in
            let observer = try await connect()
            let connection = try await connect()
            try await observer.execute(script: "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            let lab = try await Lab(connection)
            _ = try await lab.commit((0..<501).map { Lab.createCustomer(Lab.customer($0), id: "create-\($0)") })

            // What the server itself counted for this database: calls of statements that clients sent.
            func calls() async throws -> Int64 {
                let rows = try await observer.query(
                    Statement(
                        """
                        SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
                        WHERE toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                          AND query NOT LIKE '%pg_stat_statements%'
                        """))
                return try #require(rows.first).int64(0)
            }
            // Beyond pg_stat_statements.max the server forgets statements, other databases' too: counts then mean nothing.
            func forgotten() async throws -> Int64 {
                let rows = try await observer.query(Statement("SELECT dealloc FROM pg_stat_statements_info"))
                return try #require(rows.first).int64(0)
            }
            let forgottenBefore = try await forgotten()
            // The first batch prepares its statements, which the statistics don't count as calls.
            _ = try await lab.commit([Lab.order(Lab.customer(0), subscription: Lab.subscription(0), id: "warm")])
            let before = try await calls()
            let one = try await lab.commit([
                Lab.order(Lab.customer(0), subscription: Lab.subscription(1000), id: "single")
            ])
            let between = try await calls()
            let many = try await lab.commit(
                (1...500).map { Lab.order(Lab.customer($0), subscription: Lab.subscription($0), id: "order-\($0)") })
            let after = try await calls()

            try #require(try await forgotten() == forgottenBefore, "pg_stat_statements.max is too low for these tests")
            #expect(one.commands.map(\.outcome.type) == [.subscriptionOrdered])
            #expect(many.commands.count == 500)
            #expect(many.commands.allSatisfy { $0.outcome.type == .subscriptionOrdered })
            #expect(between - before > 0)
            #expect(after - between == between - before)
            await connection.close()
            await observer.close()
        }
    }

    @Test("A batch reads only the rows that it names, also by statements that were prepared when the tables were empty")
    func readsOnlyWhatItNames() async throws {
        try await TestDatabase.withDatabase { connect in
            let observer = try await connect()
            let connection = try await connect()
            try await observer.execute(script: "SET stats_fetch_consistency = none")
            let lab = try await Lab(connection)
            // The server counts what indexes and scans have returned, once the session has told it.
            func rowsRead() async throws -> Int64 {
                _ = try await connection.query(Statement("SELECT pg_stat_force_next_flush()"))
                let rows = try await observer.query(
                    Statement(
                        """
                        SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)::bigint
                             + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)::bigint
                        """))
                return try #require(rows.first).int64(0)
            }
            let customers = UInt64(1500)
            _ = try await lab.commit([Lab.createCustomer(Lab.customer(0), id: "create-0")])
            _ = try await lab.commit([Lab.order(Lab.customer(0), subscription: Lab.subscription(0), id: "order-0")])
            for first in stride(from: 1, to: customers, by: 500) {
                let numbers = first..<min(first + 500, customers)
                _ = try await lab.commit(numbers.map { Lab.createCustomer(Lab.customer($0), id: "create-\($0)") })
                _ = try await lab.commit(
                    numbers.map { Lab.order(Lab.customer($0), subscription: Lab.subscription($0), id: "order-\($0)") })
            }
            let before = try await rowsRead()
            _ = try await lab.commit([
                Lab.order(Lab.customer(7), subscription: Lab.subscription(customers + 7), id: "one more")
            ])
            let read = try await rowsRead() - before
            #expect(read > 0)
            #expect(read < 200, "one order read \(read) rows, with \(customers) customers in the database")
            await connection.close()
            await observer.close()
        }
    }

    @Test("All of a command commits together: state, transactions, invoice line, inbox and outbox")
    func oneTransaction() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            _ = try await lab.commit([
                Lab.createCustomer(Lab.customer(1), id: "c"),
                Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o1"),
                Lab.order(Lab.customer(1), subscription: Lab.subscription(2), id: "o2"),
            ])
            let row = try #require(
                try await connection.query(
                    Statement(
                        """
                        SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM subscriptions),
                               (SELECT count(*) FROM transactions), (SELECT count(*) FROM invoices),
                               (SELECT total FROM invoices), (SELECT count(*) FROM inbox),
                               (SELECT string_agg(type, ' ' ORDER BY position) FROM outbox),
                               (SELECT event_sequence FROM customers)
                        """)
                ).first)
            #expect(try row.int64(0) == 1)
            #expect(try row.int64(1) == 2)
            #expect(try row.int64(2) == 2)
            #expect(try row.int64(3) == 1)
            #expect(try row.int64(4) == 2 * 10 * 19900)
            #expect(try row.int64(5) == 3)
            #expect(
                try row.text(6) == "customer.created subscription.ordered subscription.ordered invoice.updated")
            #expect(try row.int64(7) == 4)
            await connection.close()
        }
    }

    @Test("A batch that the database refuses leaves nothing behind")
    func refusedBatch() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            _ = try await lab.commit([Lab.createCustomer(Lab.customer(1), id: "c")])
            try await connection.execute(
                script: "ALTER TABLE inventory ADD CONSTRAINT refuse CHECK (quantity <> 13)")
            await #expect(throws: StoreError.self) {
                try await lab.commit([
                    Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o1"),
                    Lab.order(Lab.customer(1), subscription: Lab.subscription(2), id: "o2", quantity: 13),
                ])
            }
            try await lab.store.rollback()
            let rows = try await connection.query(
                Statement("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM subscriptions)"))
            #expect(try rows[0].int64(0) == 1)
            #expect(try rows[0].int64(1) == 0)
            await connection.close()
        }
    }
}
