// Finding what is due, page by page.

import OrderStore
import Orders
import PostgreSQL
import Testing

@Suite("What is due")
struct DueCustomersTests {
    @Test(
        "Pages together hold every customer with something due, the longest overdue first",
        arguments: [1, 2, 3, 7, 100])
    func pages(limit: Int) async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                try await Books(connection).writeHistory()
                let due = DueCustomers(connection: connection)
                let horizon = Books.time(day: 4000)
                let all = try await due.find(dueBy: horizon, limit: 100_000)
                #expect(all.end == nil)
                #expect(all.customers.count > 1)
                #expect(all.customers.map(\.since) == all.customers.map(\.since).sorted())
                var found: [DueCustomer] = []
                var position: DuePage.Position?
                repeat {
                    let page = try await due.find(dueBy: horizon, from: position, limit: limit)
                    found += page.customers.filter { customer in !found.contains { $0.id == customer.id } }
                    position = page.end
                } while position != nil
                #expect(found == all.customers)
                #expect(try await due.count(found) == found.count)
                let partners = Dictionary(uniqueKeysWithValues: Set(found.map(\.partnerID)).map { ($0, horizon) })
                #expect(try await due.count(dueBy: partners) == found.count)
                #expect(try await due.count(dueBy: [:]) == 0)
            }
        }
    }
}
