// What a lane does with the commands of a partner that can't be served here.

import AMQP
import OrderStore
import Orders
import PostgreSQL
import Testing

@testable import OrderWorker

@Suite("A lane and a partner that can't be served") struct UnusablePartnerTests {
    @Test("Its commands are left for replay, with nothing stored, and the others' in the batch are applied")
    func leftForReplay() async throws {
        try await TestDatabase.withDatabase { connect in
            let connection = try await connect()
            try await connection.execute(
                script: "UPDATE partners SET billing_zone = 'Atlantis/Capital' WHERE partner_id = 'nordwind'")
            let lab = try await Lab(connection)
            let batch = try await lab.commit([
                Lab.createCustomer(Lab.customer(1), id: "theirs", user: "nordwind-user"),
                Lab.createCustomer(Lab.customer(2), id: "others"),
            ])
            #expect(batch.commands.map(\.key.command.id) == ["others"])
            #expect(batch.commands.map(\.outcome.type) == [.customerCreated])
            let left = batch.besides.filter { $0.entry == 0 }.map(\.message)
            #expect(left.map(\.routingKey) == [Topology.deadLetters])
            #expect(batch.besides.allSatisfy { $0.entry == 0 })
            // Once it can be served, the same command is new.
            try await connection.execute(
                script: "UPDATE partners SET billing_zone = 'Europe/Berlin' WHERE partner_id = 'nordwind'")
            let mended = try await Lab(connection).commit([
                Lab.createCustomer(Lab.customer(1), id: "theirs", user: "nordwind-user")
            ])
            #expect(mended.commands.map(\.outcome.type) == [.customerCreated])
            await connection.close()
        }
    }

    @Test("Readiness says who isn't served and why, and the worker is ready all the same")
    func readiness() async throws {
        let board = StatusBoard(lanes: [])
        let partner = UnusablePartner(id: "nordwind", publishers: [], reason: "no such zone")
        board.note(Catalog(version: 1, partners: [], unusablePartners: [partner], products: [], prices: []))
        #expect(board.status.isReady && board.status.reasons == ["partner nordwind isn't served: no such zone"])
        board.note(Catalog(version: 2, partners: [], products: [], prices: []))
        #expect(board.status.reasons == [])
    }
}
