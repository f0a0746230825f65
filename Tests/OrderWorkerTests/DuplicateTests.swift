// A command counts once, whoever sends it again and however often.

import AMQP
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite struct DuplicateTests {
    @Test("A repeated command gets its stored outcome again, with the same event id")
    func repeatedCommand() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            let create = Lab.createCustomer(Lab.customer(1), id: "c")
            let first = try await lab.commit([create, create])
            let again = try await lab.commit([create])
            #expect(first.commands.count == 1)
            #expect(first.tally.map(\.isRepeated) == [false, true])
            #expect(again.commands.isEmpty)
            #expect(again.events.isEmpty)
            #expect(Set((first.tally + again.tally).map(\.outcome.id)).count == 1)
            #expect(again.besides.map(\.message.routingKey) == ["customer.created"])
            await connection.close()
        }
    }

    @Test("The same command in another form, with members in another order, is the same command")
    func repeatedInAnotherForm() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            _ = try await lab.commit([Lab.createCustomer(Lab.customer(1), id: "c")])
            let order = Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o")
            let first = try await lab.commit([order])
            let reordered = Lab.message(
                "subscription.order", Lab.customer(1), id: "o", user: "acme-user",
                data: """
                    {"subscriptions": [{"inventory": [{"quantity": 10.0, "certificateType": "ov"}], "term": "P1Y",
                     "product": "pki", "subscriptionId": "\(Lab.subscription(1))"}], "customerId": "\(Lab.customer(1))"}
                    """)
            let again = try await lab.commit([reordered])
            #expect(again.tally.map(\.outcome.id) == first.tally.map(\.outcome.id))
            await connection.close()
        }
    }

    @Test("The same id with another body is rejected, and the first stays untouched")
    func reusedID() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            _ = try await lab.commit([Lab.createCustomer(Lab.customer(1), id: "c")])
            let first = try await lab.commit([Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o")])
            let other = Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o", quantity: 11)
            let refused = try await lab.commit([other])
            let refusedAgain = try await lab.commit([other])
            #expect(refused.tally.map(\.outcome.type) == [.commandRejected])
            #expect(refused.tally.map(\.outcome.id) == refusedAgain.tally.map(\.outcome.id))
            #expect(refused.tally.map(\.outcome.id) != first.tally.map(\.outcome.id))
            let again = try await lab.commit([Lab.order(Lab.customer(1), subscription: Lab.subscription(1), id: "o")])
            #expect(again.tally.map(\.outcome.id) == first.tally.map(\.outcome.id))
            await connection.close()
        }
    }

    @Test("No partner can use up, or ask for, the ids of another partner's commands")
    func idsArePerPartner() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            let lab = try await Lab(connection)
            let stranger = try await lab.commit([Lab.createCustomer(Lab.customer(1), id: "c", user: "nordwind-user")])
            #expect(stranger.commands.map(\.outcome.type) == [.customerCreated])
            let own = try await lab.commit([Lab.createCustomer(Lab.customer(2), id: "c", user: "acme-user")])
            #expect(own.commands.map(\.outcome.type) == [.customerCreated])
            let forged = try await lab.commit([
                Lab.order(Lab.customer(2), subscription: Lab.subscription(1), id: "o", user: "nordwind-user"),
                Lab.order(Lab.customer(2), subscription: Lab.subscription(1), id: "p", user: "nobody"),
            ])
            #expect(forged.commands.map(\.outcome.type) == [.commandRejected, .commandRejected])
            #expect(forged.changes.subscriptions.isEmpty && forged.changes.customers.isEmpty)
            await connection.close()
        }
    }
}
