// A suspension that lasts past the end of the period, and the new period that begins when it is lifted.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct SuspensionTests {
    /// Subscription 1 on auto-renewal, two ov-ssl and one ev-ssl by the month from 31 January 2026, suspended.
    private static func suspended(catalog: Catalog = .sample, autoRenewal: Bool = true) -> World {
        var world = World.withCustomer(catalog: catalog)
        world.send(
            .order(term: "P1M", autoRenewal: autoRenewal, of: ["ov-ssl": 2, "ev-ssl": 1]), at: "2026-01-31T12:00:00Z")
        world.send(.suspend(), at: "2026-02-10T12:00:00Z")
        return world
    }

    @Test("With auto-renewal on it stays suspended past its end, without a charge, and nothing falls due")
    func staysSuspended() {
        var world = Self.suspended()
        RenewalTests.settle(&world, "2026-12-31T12:00:00Z")
        #expect(world.subscription()?.state == .suspended && world.subscription()?.period.end == .on("2026-02-28"))
        #expect(world.subscription()?.dueAt == nil && world.subscription()?.dueOn == nil)
        #expect(world.transactions.map(\.type) == [.order, .order, .suspension])
        #expect(
            world.send(.add(1), at: "2026-12-31T13:00:00Z").violations == ["subscription_suspended /subscriptionId"])
        #expect(
            world.send(.suspend(), at: "2026-12-31T13:00:00Z").violations == [
                "subscription_already_suspended /subscriptionId"
            ])
    }

    @Test("Without auto-renewal it expires at its end, also when that is switched off later")
    func expires() {
        var world = Self.suspended(autoRenewal: false)
        RenewalTests.settle(&world, "2026-02-28T12:00:00Z")
        #expect(world.subscription()?.state == .expired)
        #expect(RenewalTests.expiryReason(world) == "Auto-renewal is off.")
        world = Self.suspended()
        world.send(.autoRenewal(false), at: "2026-05-10T12:00:00Z")
        RenewalTests.settle(&world, "2026-05-10T12:00:01Z")
        #expect(world.subscription()?.state == .expired)
        #expect(world.transactions.last?.type == .expiry && world.transactions.last?.date == .on("2026-02-28"))
        #expect(
            world.send(.enable(), at: "2026-05-11T12:00:00Z").violations == ["subscription_expired /subscriptionId"])
    }

    @Test("Enabled in time, nothing is charged, the end stays, and it renews")
    func enabledInTime() {
        var world = Self.suspended()
        // Midnight in Berlin is at 23:00 UTC.
        let event = world.send(.enable(), at: "2026-02-27T22:59:59Z")
        #expect(event.transactions.map(\.type) == [.enablement] && event.amounts == [0])
        #expect(world.subscription()?.dueAt == .at("2026-02-27T23:00:00Z"))
        RenewalTests.settle(&world, "2026-03-01T12:00:00Z")
        #expect(world.subscription()?.period == Period(index: 1, start: .on("2026-02-28"), end: .on("2026-03-31")))
    }

    @Test("Enabled after its end it begins a new period that day, in full at that day's prices, and counts from there")
    func enabledLater() throws {
        var world = Self.suspended(
            catalog: .sample(extraPrices: [
                .of("enterprise-pki", "ov-ssl", "P1M", 4000, from: "2026-05-10"),
                .of("enterprise-pki", "ov-ssl", "P1M", 5000, from: "2026-05-11"),
            ]))
        world.send(.renewWith(7), at: "2026-02-11T12:00:00Z")
        let event = world.send(.enable(reason: "paid"), at: "2026-05-10T12:00:00Z")
        guard case .subscriptions(let told, let transactions, "paid", []) = event.data else {
            Issue.record("\(event)")
            return
        }
        #expect(transactions.map(\.type) == [.enablement, .renewal, .renewal])
        #expect(transactions.map(\.amount.amount) == [0, 6200, 28_000])
        let period = Period(index: 1, start: .on("2026-05-10"), end: .on("2026-06-10"))
        #expect(transactions.allSatisfy { $0.period == period && $0.date == .on("2026-05-10") })
        #expect(transactions.dropFirst().allSatisfy { $0.days == DaysFraction(charged: 31, term: 31) })
        #expect(told.map(\.period) == [period] && told[0].state == .active && told[0].renewalInventory == [:])
        let subscription = try #require(world.subscription())
        #expect(subscription.originalStart == .on("2026-01-31") && subscription.dueAt == .at("2026-06-09T22:00:00Z"))
        RenewalTests.settle(&world, "2026-07-31T12:00:00Z")
        #expect(world.subscription()?.period == Period(index: 3, start: .on("2026-07-10"), end: .on("2026-08-10")))
    }

    @Test("On the day of its end it is past its end; a late command of the day before enables it as it was")
    func theDayItself() {
        var world = Self.suspended()
        RenewalTests.settle(&world, "2026-02-28T01:00:00Z")
        var onTime = world
        #expect(
            world.send(.enable(), at: "2026-02-27T23:00:00Z", now: "2026-02-28T02:00:00Z").amounts == [0, 6200, 6200])
        #expect(onTime.send(.enable(), at: "2026-02-27T22:59:59Z", now: "2026-02-28T02:00:00Z").amounts == [0])
        RenewalTests.settle(&onTime, "2026-02-28T03:00:00Z")
        #expect(
            onTime.transactions.filter { $0.type == .renewal }.map(\.date) == [.on("2026-02-28"), .on("2026-02-28")])
    }

    @Test("A quote of the enabling has the lines that the enabling then has, and changes nothing")
    func quote() {
        var world = Self.suspended()
        let before = world.subscription()
        let quote = world.send(.enable(quoteOnly: true), at: "2026-05-10T12:00:00Z")
        guard case .quote(let lines, let total) = quote.data else {
            Issue.record("\(quote)")
            return
        }
        #expect(world.subscription() == before && world.transactions.count == 3)
        let event = world.send(.enable(), at: "2026-05-10T12:00:00Z")
        #expect(lines.map(\.amount) == event.transactions.map(\.amount) && total.amount == 12_400)
        #expect(lines.map(\.period) == event.transactions.map(\.period))
        #expect(
            world.send(.enable(quoteOnly: true), at: "2026-05-10T12:00:00Z").violations == [
                "subscription_already_active /subscriptionId"
            ])
    }

    @Test("What can't be sold any more is dropped when it is enabled, and without anything left it can't be")
    func notSold() {
        var world = Self.suspended()
        world.catalog = .sample(products: [.enterprise.selling(["ov-ssl"])])
        guard case .subscriptions(let told, _, _, let dropped) = world.send(.enable(), at: "2026-05-10T12:00:00Z").data
        else {
            Issue.record("not enabled")
            return
        }
        #expect(told[0].inventory == ["ov-ssl": 2] && dropped.map(\.certificateType) == ["ev-ssl"])
        let refusals: [(Catalog, String)] = [
            (.sample(products: [.enterprise.selling(["huge-ssl"])]), "nothing_to_renew /subscriptionId"),
            (.sample(products: [.basic]), "term_not_sold /subscriptionId"),
        ]
        for (catalog, violation) in refusals {
            var world = Self.suspended()
            world.catalog = catalog
            #expect(world.send(.enable(), at: "2026-05-10T12:00:00Z").violations == [violation])
            #expect(world.subscription()?.state == .suspended)
        }
    }

    @Test("Certificates can be refunded while it waits")
    func refund() throws {
        var world = Self.suspended()
        let charge = try #require(world.transactions.first { $0.certificateType == "ov-ssl" })
        #expect(world.send(.refund([charge.id: 1]), at: "2026-03-02T12:00:00Z").type == .refundProcessed)
        #expect(world.subscription()?.inventory == ["ov-ssl": 1, "ev-ssl": 1])
    }
}
