// The number of partitions in the database.

import OrderStore
import PostgreSQL
import Testing

@Suite("The number of partitions")
struct PartitionCountTests {
    @Test("It is unknown until it is stored, and the last one stored counts")
    func readAndWrite() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                #expect(try await PartitionCount.read(on: connection) == nil)
                try await PartitionCount.write(8, on: connection)
                try await PartitionCount.write(12, on: connection)
                #expect(try await PartitionCount.read(on: connection) == 12)
                let rows = try await connection.query(Statement("SELECT count(*) FROM topology"))
                #expect(try rows.first?.int64(0) == 1)
            }
        }
    }

    @Test("More partitions than names of two digits have room for are refused", arguments: [0, 101])
    func range(count: Int) async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let error = await #expect(throws: StoreError.self) {
                    try await PartitionCount.write(count, on: connection)
                }
                #expect(error?.cause?.sqlState == "23514")
            }
        }
    }
}
