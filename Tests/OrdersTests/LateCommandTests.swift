// Three times: what a command is worth follows from its own time, where it is booked from what is closed.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct LateCommandTests {
    private static let catalog = Catalog.sample(extraPrices: [
        .of("enterprise-pki", "ov-ssl", "P1Y", 99_999, from: "2026-12-01")
    ])

    /// Two customers who ordered on 31 October. Whatever the second one's fell due on 1 December, too, has happened.
    private static func world() -> World {
        var world = World.withCustomer(catalog: catalog)
        world.send(.create(.second), at: "2026-10-31T11:00:00Z")
        for customer in [CustomerID.first, .second] {
            world.send(.order(1, of: ["ov-ssl": 2], customer: customer), at: "2026-10-31T12:00:00Z")
            world.send(.settle(customer), at: "2026-11-01T12:00:00Z", by: .worker)
        }
        world.send(.order(2, customer: .second), at: "2026-11-15T12:00:00Z")
        world.send(.settle(.second), at: "2026-11-30T23:00:00Z", by: .worker)
        return world
    }

    private static func charge(_ world: World, of customer: CustomerID) -> TransactionID {
        world.transactions.first { $0.customerID == customer }?.id ?? .number(0)
    }

    private static func month(_ transaction: Transaction?, _ world: World) -> CalendarDate? {
        transaction?.invoiceID.flatMap { world.invoices[$0]?.start }
    }

    @Test("A late refund counts as of its own day, whatever has fallen due for the customer since")
    func refund() throws {
        var world = Self.world()
        for customer in [CustomerID.first, .second] {
            let charge = Self.charge(world, of: customer)
            // 30 November, 23:59 in Berlin: the last day. Decided two minutes into December.
            let event = world.send(
                .refund([charge: 1], customer: customer), at: "2026-11-30T22:59:00Z", now: "2026-11-30T23:02:00Z")
            #expect(event.amounts == [-36_500])
            #expect(event.transactions.map(\.date) == [.on("2026-11-30")])
            #expect(event.transactions.map(\.bookedOn) == [.on("2026-12-01")])
            let late = world.send(
                .refund([charge: 1], customer: customer), at: "2026-11-30T23:00:00Z", now: "2026-11-30T23:02:00Z")
            #expect(late.violations == ["refund_window_closed /refunds/0/transactionId"])
        }
        let refunds = world.transactions.filter { $0.type == .refund }
        #expect(refunds.map { Self.month($0, world) } == [.on("2026-11-01"), .on("2026-12-01")])
    }

    @Test("A late order is charged at the price of its own day, whatever has fallen due for the customer since")
    func order() {
        var world = Self.world()
        for customer in [CustomerID.first, .second] {
            let event = world.send(
                .order(9, customer: customer), at: "2026-11-30T22:59:00Z", now: "2026-11-30T23:02:00Z")
            #expect(event.amounts == [36_500])
            #expect(event.transactions.map(\.period.start) == [.on("2026-11-30")])
            #expect(event.transactions.map(\.refundableUntil) == [.on("2026-12-31")])
        }
        // The first customer's November is still open; the second's is closed.
        let orders = world.transactions.filter { $0.subscriptionID == .number(9) }
        #expect(orders.map { Self.month($0, world) } == [.on("2026-11-01"), .on("2026-12-01")])
    }

    @Test("A line goes onto its month's invoice while that is open, else onto the open one, late or not")
    func booking() throws {
        var world = Self.world()
        let order = { (number: Int, time: String, now: String) in
            _ = world.send(.order(number, customer: .second), at: time, now: now)
        }
        order(11, "2026-11-30T22:59:00Z", "2026-11-30T23:02:00Z")
        order(12, "2026-11-30T23:01:00Z", "2026-11-30T23:03:00Z")
        order(13, "2026-11-30T22:58:00Z", "2026-11-30T23:04:00Z")
        let booked = world.transactions.filter { $0.subscriptionID >= .number(11) }
        #expect(booked.map(\.date) == [.on("2026-11-30"), .on("2026-12-01"), .on("2026-11-30")])
        #expect(booked.allSatisfy { Self.month($0, world) == .on("2026-12-01") })
        #expect(world.states[.second]?.openInvoice?.total.amount == 172_999)
    }

    @Test("A late command is decided on the state in which what fell due since has been settled")
    func settledState() {
        var world = World.withCustomer(catalog: Self.catalog)
        world.send(.order(term: "P1M", autoRenewal: true, of: ["ov-ssl": 5]), at: "2026-11-10T12:00:00Z")
        world.send(.settle(.first), at: "2026-12-10T12:00:00Z", by: .worker)
        let event = world.send(.add(1), at: "2026-12-09T12:00:00Z", now: "2026-12-10T12:00:01Z")
        #expect(event.transactions.map(\.date) == [.on("2026-12-09")])
        #expect(event.transactions.map(\.bookedOn) == [.on("2026-12-10")])
        // The new period's certificates, all of it to come.
        #expect(event.transactions.map(\.period.index) == [1] && event.amounts == [3100])
        #expect(world.customer?.settledThrough == .on("2026-12-10"))
    }

    @Test("What a late order brings due is settled in its turn, dated when it was due")
    func dueAtOnce() {
        var world = Self.world()
        // A month from 1 November on, ordered in its last minute: it has ended when it is decided.
        world.send(
            .order(9, term: "P1M", start: "2026-11-01", autoRenewal: true, customer: .second),
            at: "2026-11-30T22:59:00Z", now: "2026-11-30T23:02:00Z")
        world.send(.settle(.second), at: "2026-12-02T12:00:00Z", by: .worker)
        let renewal = world.transactions.last
        #expect(renewal?.type == .renewal && renewal?.date == .on("2026-12-01"))
        #expect(renewal?.bookedOn == .on("2026-12-02") && Self.month(renewal, world) == .on("2026-12-01"))
    }
}
