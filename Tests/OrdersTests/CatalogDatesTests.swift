// What is sold, and for what price, from one date until another.

import Orders
import Testing

@testable import OrdersSimulation

@Suite("The catalog's dates") struct CatalogDatesTests {
    private static func world(_ product: Product = .enterprise, _ prices: [Price] = []) -> World {
        .withCustomer(catalog: .sample(products: [product], extraPrices: prices))
    }

    private static func product(
        types: [String: [Validity]] = ["ov-ssl": [.always]], terms: [Term: [Validity]] = [.of("P1Y"): [.always]]
    ) -> Product {
        Product(id: "enterprise-pki", name: "E", certificateTypes: types, terms: terms)
    }

    @Test("A range holds from its first day until the day before its end")
    func validity() {
        let range = Validity.of("2026-05-01", "2026-05-03")
        #expect(
            ["2026-04-30", "2026-05-01", "2026-05-02", "2026-05-03"].map { range.contains(.on($0)) } == [
                false, true, true, false,
            ])
        #expect(Validity.always.contains(.on("1900-01-01")) && !Validity.always.isEmpty)
        #expect(Validity.of("2026-05-01", "2026-05-01").isEmpty)
        #expect(!range.overlaps(.of("2026-05-03", nil)) && range.overlaps(.of(nil, "2026-05-02")))
    }

    @Test("A type can be ordered and added from its first day until its end, in the partner's zone")
    func types() {
        var world = Self.world(Self.product(types: ["ov-ssl": [.of("2026-05-01", "2026-06-01")]]))
        // Midnight in Berlin is at 22:00 UTC.
        for (time, isSold) in [
            ("2026-04-30T21:59:59Z", false), ("2026-04-30T22:00:00Z", true), ("2026-05-31T21:59:59Z", true),
            ("2026-05-31T22:00:00Z", false),
        ] {
            #expect((world.send(.order(quoteOnly: true), at: time).type == .quotePrepared) == isSold, "\(time)")
        }
        world.send(.order(), at: "2026-05-10T12:00:00Z")
        #expect(world.send(.add(1), at: "2026-05-31T12:00:00Z").type == .inventoryAdded)
        #expect(world.send(.add(1), at: "2026-06-01T12:00:00Z").type == .commandRejected)
    }

    @Test("A type can be sold again after it wasn't; each refusal has its code")
    func soldAgain() {
        let world = Self.world(
            Self.product(types: ["ov-ssl": [.always], "ev-ssl": [.of(nil, "2026-05-01"), .of("2026-07-01", nil)]]))
        for (date, violations) in [
            ("2026-04-30", []),
            ("2026-05-01", ["certificate_type_unknown /subscriptions/0/inventory/0/certificateType"]),
            ("2026-07-01", []),
        ] {
            var world = world
            #expect(world.send(.order(of: ["ev-ssl": 1]), at: "\(date)T12:00:00Z").violations == violations, "\(date)")
        }
    }

    @Test("A term that is no longer sold can't be ordered, but added to as long as it has a price")
    func terms() {
        var world = Self.world(Self.product(terms: [.of("P1Y"): [.of(nil, "2026-05-01")], .of("P1M"): [.always]]))
        world.send(.order(), at: "2026-04-30T12:00:00Z")
        #expect(
            world.send(.order(2), at: "2026-05-01T12:00:00Z").violations == ["term_not_sold /subscriptions/0/term"])
        #expect(world.send(.add(1), at: "2026-05-01T12:00:00Z").type == .inventoryAdded)
    }

    @Test("A product of which nothing is sold is unknown")
    func products() {
        var world = Self.world(Self.product(terms: [.of("P1Y"): [.of(nil, "2026-05-01")]]))
        #expect(
            world.send(.order(), at: "2026-05-01T12:00:00Z").violations == ["product_unknown /subscriptions/0/product"])
    }

    @Test("A price is in force until its end; then the one that began before and still holds, or none")
    func prices() {
        let summer = Price.of("enterprise-pki", "ov-ssl", "P1Y", 20_000, from: "2026-06-01", until: "2026-09-01")
        var world = Self.world(.enterprise, [summer])
        let amounts = ["2026-05-31", "2026-06-01", "2026-08-31", "2026-09-01"].flatMap {
            world.send(.order(quoteOnly: true), at: "\($0)T12:00:00Z").amounts
        }
        #expect(amounts == [36_500, 20_000, 20_000, 36_500])
        let once = Price.of("enterprise-pki", "unpriced-ssl", "P1Y", 5, from: "2026-06-01", until: "2026-09-01")
        world.catalog = .sample(extraPrices: [once])
        let order = Command.order(of: ["unpriced-ssl": 1], quoteOnly: true)
        #expect(world.send(order, at: "2026-08-31T12:00:00Z").amounts == [5])
        #expect(
            world.send(order, at: "2026-09-01T12:00:00Z").violations
                == ["price_unknown /subscriptions/0/inventory/0/certificateType"])
    }

    @Test("After a partner's own price has ended, the list price counts")
    func ownPrice() {
        var world = Self.world(
            .enterprise,
            [.of("enterprise-pki", "ov-ssl", "P1Y", 300, from: "2026-06-01", until: "2026-09-01", partner: "acme")])
        let amounts = ["2026-05-31", "2026-06-01", "2026-09-01"].flatMap {
            world.send(.order(quoteOnly: true), at: "\($0)T12:00:00Z").amounts
        }
        #expect(amounts == [36_500, 300, 36_500])
    }

    @Test("A renewal asks what is sold on the first day of the new period, whenever it is settled")
    func renewal() {
        for (until, renews) in [("2027-05-10", false), ("2027-05-11", true)] {
            var world = Self.world(Self.product(types: ["ov-ssl": [.of(nil, until)], "ev-ssl": [.always]]))
            world.send(.order(autoRenewal: true, of: ["ov-ssl": 3, "ev-ssl": 1]), at: "2026-05-10T12:00:00Z")
            RenewalTests.settle(&world, "2027-12-01T12:00:00Z")
            #expect(world.subscription()?.inventory["ov-ssl"] == (renews ? 3 : nil), "\(until)")
        }
    }

    /// Why ev-ssl, or unpriced-ssl, can't be renewed on 10 May 2027, and the catalog in which it can't.
    private static let unsold: [(code: String, type: String, catalog: Catalog)] = [
        (
            "certificate_type_not_sold", "ev-ssl",
            .sample(products: [product(types: ["ov-ssl": [.always], "ev-ssl": [.of(nil, "2027-05-10")]])])
        ),
        (
            "term_not_sold", "ev-ssl",
            .sample(products: [
                product(
                    types: ["ov-ssl": [.always], "ev-ssl": [.always]],
                    terms: [.of("P1Y"): [.of(nil, "2027-05-10")], .of("P1M"): [.always]])
            ])
        ),
        (
            "price_unknown", "unpriced-ssl",
            .sample(extraPrices: [
                .of("enterprise-pki", "unpriced-ssl", "P1Y", 1, from: "2026-01-01", until: "2027-05-10")
            ])
        ),
    ]

    @Test("A renewal inventory is refused for a type that can't be sold on the day of the renewal; 0 is not")
    func renewalInventory() {
        for (code, type, catalog) in Self.unsold {
            var world = World.withCustomer(catalog: catalog)
            world.send(.order(of: [type: 1, "ov-ssl": 1]), at: "2026-05-10T12:00:00Z")
            #expect(
                world.send(.renewWith(1, type), at: "2026-05-11T12:00:00Z").violations
                    == ["\(code) /renewalInventory/0/certificateType"])
            #expect(world.send(.renewWith(0, type), at: "2026-05-11T12:00:00Z").type == .renewalInventorySet)
        }
    }
}
