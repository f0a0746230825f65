// The figures of the database that all workers share.

import OrderStore
import PostgreSQL
import Testing

@Suite("Shared figures")
struct SharedFiguresTests {
    @Test("An untouched database has nothing that waits, no topology and no audit")
    func empty() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let figures = try await SharedFigures.read(on: connection)
                #expect(figures.partitions.isEmpty)
                #expect(figures.quarantined == 0 && figures.parked == 0 && figures.due == 0 && figures.lag == .zero)
                #expect(figures.audit == nil)
            }
        }
    }

    @Test(
        "What waits is counted by partition up to a limit, with the age of its oldest event and whether it has an owner"
    )
    func waiting() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await PartitionCount.write(3, on: connection)
                #expect(try await PartitionOwnership(connection: connection).take([1]) == [1])
                try await Pause.add(2, on: connection)
                // Ids of version 7 of an hour ago, one more than is counted.
                try await connection.execute(
                    script: """
                        INSERT INTO outbox (partition, event_id, type, time, customer_id, data)
                        SELECT 2, (lpad(to_hex(((extract(epoch FROM now()) - 3600) * 1000)::bigint), 12, '0')
                                   || '70008000000000000000')::uuid, 'x', now(), gen_random_uuid(), ''
                        FROM generate_series(0, \(SharedFigures.countLimit + 5));
                        INSERT INTO quarantine (partition, event_id, type, time, customer_id, data, reason)
                        VALUES (0, gen_random_uuid(), 'x', now(), gen_random_uuid(), '', 'too large');
                        INSERT INTO parked (partition, customer_id, delivery) VALUES (0, gen_random_uuid(), '');
                        """)
                let figures = try await SharedFigures.read(on: connection)
                #expect(figures.partitions.map(\.number) == [0, 1, 2])
                #expect(figures.partitions.map(\.hasOwner) == [false, true, false])
                #expect(figures.partitions.map(\.isPaused) == [false, false, true])
                #expect(figures.partitions.map(\.waiting) == [0, 0, Int64(SharedFigures.countLimit + 1)])
                #expect(figures.partitions[0].oldest == nil)
                let oldest = try #require(figures.partitions[2].oldest)
                #expect(oldest >= .seconds(3600) && oldest < .seconds(7200))
                #expect(figures.quarantined == 1 && figures.parked == 1)
            }
        }
    }

    @Test("What is due is counted, with how long the first of it has been")
    func due() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                try await connection.execute(
                    script: """
                        SET session_replication_role = replica;
                        UPDATE subscriptions SET due_at = now() + interval '1 year' WHERE due_at IS NOT NULL;
                        UPDATE invoices SET due_at = now() + interval '1 year' WHERE due_at IS NOT NULL;
                        UPDATE invoices SET due_at = now() - interval '1 hour'
                        WHERE invoice_id = (SELECT min(invoice_id::text)::uuid FROM invoices WHERE state = 'open')
                        """)
                let figures = try await SharedFigures.read(on: connection)
                #expect(figures.due == 1)
                #expect(figures.lag >= .seconds(3600) && figures.lag < .seconds(7200))
            }
        }
    }

    @Test("The last audit is told with what it found")
    func audit() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                try await AuditRecord.add(try await Audit(connection: connection).run(limit: 1), on: connection)
                #expect(try await SharedFigures.read(on: connection).audit?.violations == 0)
                try await connection.execute(
                    script: "SET session_replication_role = replica; UPDATE invoices SET total = total + 1")
                let findings = try await Audit(connection: connection).run(limit: 1)
                try await AuditRecord.add(findings, on: connection)
                let audit = try #require(try await SharedFigures.read(on: connection).audit)
                #expect(audit.violations == findings.reduce(0) { $0 + $1.breaches })
                #expect(audit.broken.contains("invoice-total"))
                #expect(audit.age < .seconds(3600))
            }
        }
    }
}
