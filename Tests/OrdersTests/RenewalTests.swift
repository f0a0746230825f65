// Renewal and expiry, as time passes.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct RenewalTests {
    /// A customer with subscription 1 on auto-renewal: two ov-ssl and one ev-ssl by the month from 10 November 2026.
    static func world(catalog: Catalog = .sample) -> World {
        var world = World.withCustomer(catalog: catalog)
        world.send(
            .order(term: "P1M", autoRenewal: true, of: ["ov-ssl": 2, "ev-ssl": 1]), at: "2026-11-10T12:00:00Z")
        return world
    }

    /// Settles the customer up to a time.
    static func settle(_ world: inout World, _ time: String) {
        world.send(.settle(.first), at: time, by: .worker)
    }

    /// The reason that the subscription's expiry gives.
    static func expiryReason(_ world: World) -> String? {
        for event in world.events where event.type == .subscriptionExpired {
            if case .subscriptions(_, _, let reason, _) = event.data { return reason }
        }
        return nil
    }

    @Test("A subscription with auto-renewal gets its next period in full, at the instant its period ends")
    func renews() throws {
        var world = Self.world()
        Self.settle(&world, "2026-12-09T22:59:59Z")
        #expect(world.subscription()?.period.index == 0)
        Self.settle(&world, "2026-12-09T23:00:00Z")
        let subscription = try #require(world.subscription())
        #expect(subscription.period == Period(index: 1, start: .on("2026-12-10"), end: .on("2027-01-10")))
        #expect(subscription.dueAt == .at("2027-01-09T23:00:00Z"))
        let renewals = world.transactions.filter { $0.type == .renewal }
        #expect(
            renewals.map(\.amount.amount) == [6200, 6200] && renewals.map(\.certificateType) == ["ev-ssl", "ov-ssl"])
        #expect(renewals.allSatisfy { $0.at == .at("2026-12-09T23:00:00Z") && $0.date == .on("2026-12-10") })
        #expect(
            renewals.allSatisfy { $0.days == DaysFraction(charged: 31, term: 31) && $0.publisher == "order-worker" })
        #expect(renewals.allSatisfy { $0.period == subscription.period })
        Self.settle(&world, "2026-12-09T23:00:00Z")
        #expect(world.transactions.filter { $0.type == .renewal }.count == 2)
    }

    @Test("A yearly subscription from 29 February renews on 28 February, and on 29 February in a leap year")
    func leapDay() {
        var world = World.withCustomer()
        world.send(.order(autoRenewal: true), at: "2024-02-29T12:00:00Z")
        Self.settle(&world, "2028-03-01T12:00:00Z")
        let renewals = world.transactions.filter { $0.type == .renewal }
        #expect(
            renewals.map(\.date.description) == ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"])
        #expect(renewals.map(\.days?.term) == [365, 365, 367 - 1, 365])
        #expect(renewals.allSatisfy { $0.amount.amount == 36_500 })
    }

    @Test("Periods neither overlap nor leave a gap, through an outage of half a year")
    func catchesUp() {
        var world = World.withCustomer()
        world.send(.order(term: "P1M", autoRenewal: true), at: "2026-01-31T12:00:00Z")
        Self.settle(&world, "2026-07-15T12:00:00Z")
        let periods = world.transactions.filter(\.type.isCharge).map(\.period)
        #expect(
            periods.map(\.end.description) == [
                "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31",
            ])
        #expect(zip(periods, periods.dropFirst()).allSatisfy { $0.end == $1.start && $0.index + 1 == $1.index })
        // Each was announced, in the order in which it was due: an invoice before what falls on the month after.
        #expect(
            world.events.map(\.type.rawValue).dropFirst(3).joined(separator: " ") == """
                invoice.closed subscription.renewed invoice.closed subscription.renewed invoice.closed \
                subscription.renewed invoice.closed subscription.renewed invoice.closed subscription.renewed \
                invoice.closed customer.settled
                """)
    }

    @Test("Renewal uses the prices in force on the new period's first day")
    func pricesThenInForce() {
        var world = Self.world(
            catalog: .sample(extraPrices: [
                .of("enterprise-pki", "ov-ssl", "P1M", 4000, from: "2026-12-10"),
                .of("enterprise-pki", "ov-ssl", "P1M", 5000, from: "2026-12-11"),
            ]))
        Self.settle(&world, "2026-12-25T12:00:00Z")
        #expect(world.transactions.filter { $0.type == .renewal }.map(\.amount.amount) == [6200, 8000])
    }

    @Test("Each type renews with the number that was set for it, otherwise with the number held; then that is cleared")
    func renewalInventory() {
        var world = Self.world()
        world.send(.add(3, "ev-ssl"), at: "2026-11-11T12:00:00Z")
        world.send(.renewWith(9), at: "2026-11-12T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 9, "ev-ssl": 4])
        #expect(world.subscription()?.renewalInventory == [:])
        Self.settle(&world, "2027-01-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 9, "ev-ssl": 4])
    }

    @Test("A type whose number is 0 is dropped at renewal")
    func dropped() {
        var world = Self.world()
        world.send(.renewWith(0, "ev-ssl"), at: "2026-11-12T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 2])
        #expect(world.transactions.filter { $0.type == .renewal }.map(\.certificateType) == ["ov-ssl"])
    }

    @Test("A type that was refunded whole isn't renewed, and a type that was never held can be")
    func refundedAndNew() throws {
        var world = Self.world()
        let ev = try #require(world.transactions.first { $0.certificateType == "ev-ssl" })
        world.send(.refund([ev.id: 1]), at: "2026-11-12T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 2])
        world.send(.renewWith(6, "ev-ssl"), at: "2026-12-12T12:00:00Z")
        Self.settle(&world, "2027-01-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 2, "ev-ssl": 6])
    }

    @Test("Without auto-renewal the subscription expires on its end date, and the event says why")
    func withoutAutoRenewal() throws {
        var world = Self.world()
        world.send(.autoRenewal(false), at: "2026-11-12T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        let subscription = try #require(world.subscription())
        #expect(subscription.state == .expired && subscription.dueAt == nil && subscription.period.index == 0)
        let expiry = try #require(world.transactions.last)
        #expect(expiry.type == .expiry && expiry.amount.isZero && expiry.invoiceID == nil)
        #expect(expiry.at == .at("2026-12-09T23:00:00Z") && expiry.publisher == "order-worker")
        #expect(Self.expiryReason(world) == "Auto-renewal is off.")
        let events = world.events.count
        Self.settle(&world, "2030-01-01T00:00:00Z")
        #expect(world.events.dropFirst(events).map(\.type) == [.customerSettled])
    }

    @Test("With nothing left, or what isn't sold or priced any more, the subscription expires and says why")
    func cannotRenew() {
        let types: Set = ["ov-ssl", "ev-ssl"]
        let month = Set(Product.enterprise.terms.keys.filter { $0.description != "P1M" })
        let cases: [(Catalog, [Command], String)] = [
            (
                .sample, [.renewWith(0), .renewWith(0, "ev-ssl")], "No certificates were left to renew."
            ),
            (.sample(products: [.basic]), [], "The product is no longer sold for this term."),
            (
                .sample(products: [Product(id: "enterprise-pki", name: "E", certificateTypes: types, terms: month)]),
                [], "The product is no longer sold for this term."
            ),
            (.sample(products: [.enterprise.selling(["huge-ssl"])]), [], "No certificates were left to renew."),
            (.sample, [.renewWith(.max)], "The amount would be too large to book."),
        ]
        for (catalog, commands, reason) in cases {
            var world = Self.world()
            for command in commands { world.send(command, at: "2026-11-12T12:00:00Z") }
            world.catalog = catalog
            Self.settle(&world, "2026-12-10T12:00:00Z")
            #expect(world.subscription()?.state == .expired)
            #expect(Self.expiryReason(world) == reason)
            #expect(world.transactions.allSatisfy { $0.type != .renewal })
        }
    }

    /// What the renewal's or the expiry's event says was dropped.
    static func dropped(_ world: World) -> [DroppedCertificates] {
        for event in world.events where event.type == .subscriptionExpired || event.type == .subscriptionRenewed {
            if case .subscriptions(_, _, _, let dropped) = event.data { return dropped }
        }
        return []
    }

    @Test("A type that isn't sold any more is dropped, the rest renews, and the event says so")
    func typeNotSold() {
        var world = Self.world()
        world.catalog = .sample(products: [.enterprise.selling(["ov-ssl"])])
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.state == .active && world.subscription()?.inventory == ["ov-ssl": 2])
        #expect(world.transactions.filter { $0.type == .renewal }.map(\.amount.amount) == [6200])
        #expect(
            Self.dropped(world) == [DroppedCertificates(certificateType: "ev-ssl", quantity: 1, reason: .notSold)])
    }

    @Test("A type without a price on the day of the renewal is dropped, the rest renews, and the event says so")
    func typeWithoutPrice() {
        var world = Self.world(
            catalog: .sample(extraPrices: [
                .of("enterprise-pki", "unpriced-ssl", "P1M", 100, from: "2026-11-01", until: "2026-12-10")
            ]))
        world.send(.add(7, "unpriced-ssl"), at: "2026-11-11T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 2, "ev-ssl": 1])
        #expect(
            Self.dropped(world)
                == [DroppedCertificates(certificateType: "unpriced-ssl", quantity: 7, reason: .noPrice)])
    }

    @Test("A type that was set to 0 is told as dropped with the number held; what wasn't held isn't told")
    func quantityZero() {
        var world = Self.world()
        world.send(
            .renewWith([
                CertificateQuantity(certificateType: "ov-ssl", quantity: 0),
                CertificateQuantity(certificateType: "huge-ssl", quantity: 0),
            ]), at: "2026-11-12T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ev-ssl": 1])
        #expect(
            Self.dropped(world)
                == [DroppedCertificates(certificateType: "ov-ssl", quantity: 2, reason: .quantityZero)])
    }

    @Test("An expiry with nothing left says what could not be renewed")
    func nothingLeft() {
        var world = Self.world()
        world.send(.renewWith(0), at: "2026-11-12T12:00:00Z")
        world.catalog = .sample(products: [.enterprise.selling(["ov-ssl"])])
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(Self.expiryReason(world) == "No certificates were left to renew.")
        #expect(Self.dropped(world).map(\.reason) == [.notSold, .quantityZero])
    }

    @Test("A renewal that the invoice couldn't carry expires instead")
    func invoiceOverflow() {
        var world = World.withCustomer()
        world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-10T12:00:00Z")
        world.send(.order(2, of: ["huge-ssl": 1]), at: "2026-12-09T12:00:00Z")
        Self.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription(1)?.state == .expired)
        #expect(Self.expiryReason(world) == "The amount would be too large to book.")
    }

    @Test("Whatever command comes first settles what fell due before it, dated when it was due")
    func anyCommandSettles() {
        var world = Self.world()
        let event = world.send(.add(1), at: "2027-01-20T12:00:00Z")
        #expect(event.transactions.map(\.period.index) == [2])
        // From 20 January to 10 February, 21 of 31 days.
        #expect(event.amounts == [2100])
        let refused = world.send(.order(9, product: "nothing"), at: "2027-03-01T12:00:00Z")
        #expect(refused.type == .commandRejected && world.subscription()?.period.index == 3)
        #expect(
            world.transactions.filter { $0.type == .renewal }.map(\.date.description)
                == ["2026-12-10", "2026-12-10", "2027-01-10", "2027-01-10", "2027-02-10", "2027-02-10"])
    }

    @Test("A day that a zone skips ends a period at the next instant there is")
    func skippedDay() {
        var world = World.withCustomer(
            catalog: .sample(extraPrices: [
                .of("enterprise-pki", "ov-ssl", "P365D", 365_000, from: "2000-01-01", currency: "KWD")
            ]), publisher: "cobalt-app")
        world.send(.order(term: "P365D"), at: "2010-12-30T12:00:00Z", by: .user("cobalt-app"))
        #expect(world.subscription()?.period.end == .on("2011-12-30"))
        #expect(world.subscription()?.dueAt == .at("2011-12-30T10:00:00Z"))
        Self.settle(&world, "2011-12-30T10:00:00Z")
        #expect(world.transactions.last?.type == .expiry && world.transactions.last?.date == .on("2011-12-30"))
    }
}
