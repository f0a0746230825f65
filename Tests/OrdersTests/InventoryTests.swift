// The rules of inventory.add, renewal-inventory.set, auto-renewal.set, subscription.suspend and subscription.enable.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct InventoryTests {
    /// A customer with subscription 1: two ov-ssl and one ev-ssl for a year from 22 November 2026.
    static var world: World {
        var world = World.withCustomer()
        world.send(.order(of: ["ov-ssl": 2, "ev-ssl": 1]), at: "2026-11-22T12:00:00Z")
        return world
    }

    @Test(
        "Added certificates are charged for what is left of the period, from today",
        arguments: [
            ("2026-11-22", 3, 109_500, 365), ("2026-11-23", 3, 109_200, 364), ("2027-11-21", 3, 300, 1),
            ("2027-02-22", 1, 27_300, 273),
        ] as [(String, Int64, Int64, Int)])
    func addInventory(_ today: String, _ quantity: Int64, _ amount: Int64, _ days: Int) throws {
        var world = Self.world
        let event = world.send(.add(quantity), at: "\(today)T12:00:00Z")
        #expect(event.type == .inventoryAdded && event.amounts == [amount])
        let transaction = try #require(event.transactions.first)
        #expect(transaction.type == .inventoryAddition && transaction.quantity == quantity)
        #expect(transaction.days == DaysFraction(charged: days, term: 365))
        #expect(world.subscription()?.inventory == ["ov-ssl": 2 + quantity, "ev-ssl": 1])
        #expect(world.subscription()?.period.end == .on("2027-11-22"))
        #expect(world.openInvoice?.id == world.transactions.last?.invoiceID)
    }

    @Test("A command's time before the subscription's start charges the whole term and no more")
    func beforeStart() {
        var world = Self.world
        #expect(world.send(.add(1), at: "2026-11-21T12:00:00Z", now: "2026-11-22T12:00:01Z").amounts == [36_500])
    }

    @Test("Adding to what can't be added to is refused with every violation")
    func addRefused() {
        var world = Self.world
        #expect(
            world.send(.add(1, to: 2), at: "2026-11-22T12:00:00Z").violations == [
                "subscription_unknown /subscriptionId"
            ])
        world.send(.suspend(), at: "2026-11-22T12:00:00Z")
        let event = world.send(
            .add([
                CertificateQuantity(certificateType: "dv-ssl", quantity: 1),
                CertificateQuantity(certificateType: "ov-ssl", quantity: 0),
                CertificateQuantity(certificateType: "ov-ssl", quantity: 1),
                CertificateQuantity(certificateType: "ev-ssl", quantity: .max),
            ]), at: "2026-11-22T12:00:00Z")
        #expect(
            event.violations == [
                "subscription_suspended /subscriptionId", "certificate_type_unknown /inventory/0/certificateType",
                "quantity_required /inventory/1/quantity", "certificate_type_duplicate /inventory/2/certificateType",
                "amount_too_large /inventory/3/quantity", "amount_too_large /inventory/3/quantity",
            ])
        #expect(world.subscription()?.inventory == ["ov-ssl": 2, "ev-ssl": 1])
        #expect(world.send(.add([]), at: "2026-11-22T12:00:00Z").violations.contains("quantity_required /inventory"))
        #expect(world.send(.add(1), at: "2027-11-22T12:00:00Z").violations == ["subscription_expired /subscriptionId"])
    }

    @Test("Another customer's subscription is unknown")
    func otherCustomer() {
        var world = Self.world
        world.send(.create(.second), at: "2026-11-22T12:00:00Z")
        let one = [CertificateQuantity(certificateType: "ov-ssl", quantity: 1)]
        #expect(
            world.send(.add(one, customer: .second), at: "2026-11-22T12:00:00Z").violations
                == ["subscription_unknown /subscriptionId"])
    }

    @Test("A quote of an addition has its lines and changes nothing")
    func quote() throws {
        var world = Self.world
        let one = [CertificateQuantity(certificateType: "ov-ssl", quantity: 5)]
        let before = (world.subscription(), world.openInvoice, world.transactions)
        let quote = world.send(.add(one, quoteOnly: true), at: "2027-01-01T12:00:00Z")
        guard case .quote(let lines, let total) = quote.data else { throw Unexpected() }
        #expect(world.subscription() == before.0 && world.transactions == before.2)
        // Only what fell due meanwhile has happened: November's invoice is closed.
        #expect(before.1 != nil && world.openInvoice == nil)
        let added = world.send(.add(one), at: "2027-01-01T12:00:00Z")
        #expect(lines.map(\.amount) == added.transactions.map(\.amount) && [total.amount] == added.amounts)
    }

    @Test("Renewal inventory is set absolutely per certificate type, and charges nothing")
    func renewalInventory() {
        var world = Self.world
        let total = world.openInvoice?.total
        let event = world.send(.renewWith(7), at: "2026-12-01T00:00:00Z", now: "2026-12-01T00:00:00Z")
        #expect(event.type == .renewalInventorySet && event.amounts == [0])
        #expect(
            event.transactions.map(\.type) == [.renewalInventoryChange] && event.transactions.map(\.quantity) == [7])
        world.send(.renewWith(4), at: "2026-12-02T00:00:00Z")
        world.send(.renewWith(0, "ev-ssl"), at: "2026-12-02T00:00:00Z")
        #expect(world.subscription()?.renewalInventory == ["ov-ssl": 4, "ev-ssl": 0])
        #expect(world.subscription()?.inventory == ["ov-ssl": 2, "ev-ssl": 1])
        #expect(world.invoices.values.map(\.total) == [total])
    }

    @Test("Renewal inventory of what isn't sold or isn't a number of certificates is refused")
    func renewalInventoryRefused() {
        var world = Self.world
        let event = world.send(
            .renewWith([
                CertificateQuantity(certificateType: "dv-ssl", quantity: 1),
                CertificateQuantity(certificateType: "ov-ssl", quantity: -1),
                CertificateQuantity(certificateType: "ov-ssl", quantity: 1),
            ]), at: "2026-11-22T12:00:00Z")
        #expect(
            event.violations == [
                "certificate_type_unknown /renewalInventory/0/certificateType",
                "quantity_required /renewalInventory/1/quantity",
                "certificate_type_duplicate /renewalInventory/2/certificateType",
            ])
        #expect(world.subscription()?.renewalInventory == [:])
        #expect(
            world.send(.renewWith(1, "ov-ssl", 2), at: "2026-11-22T12:00:00Z").violations
                == ["subscription_unknown /subscriptionId"])
        // A type that is held can be dropped even when the product doesn't list it any more.
        world.catalog = .sample(products: [
            Product(
                id: "enterprise-pki", name: "E", certificateTypes: ["ov-ssl"], terms: Set(Product.enterprise.terms.keys)
            )
        ])
        #expect(world.send(.renewWith(0, "ev-ssl"), at: "2026-11-22T12:00:00Z").type == .renewalInventorySet)
    }

    @Test("An empty renewal inventory clears what was set, and the subscription renews what it then holds")
    func renewalInventoryCleared() {
        var world = RenewalTests.world()
        world.send(.renewWith(9), at: "2026-11-12T12:00:00Z")
        let event = world.send(.renewWith([]), at: "2026-11-13T12:00:00Z")
        #expect(event.type == .renewalInventorySet && world.subscription()?.renewalInventory == [:])
        #expect(event.transactions.map(\.type) == [.renewalInventoryChange] && event.amounts == [0])
        #expect(event.transactions[0].certificateType == nil && event.transactions[0].quantity == nil)
        RenewalTests.settle(&world, "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 2, "ev-ssl": 1])
    }

    @Test("Auto-renewal is set either way, suspended or not, and recorded without money")
    func autoRenewal() {
        var world = Self.world
        for isOn in [true, false, false] {
            let event = world.send(.autoRenewal(isOn), at: "2026-11-22T12:00:00Z")
            #expect(event.type == .autoRenewalChanged && event.amounts == [0])
            #expect(event.transactions.map(\.type) == [.autoRenewalChange])
            #expect(world.subscription()?.autoRenewal == isOn)
        }
        world.send(.suspend(), at: "2026-11-22T12:00:00Z")
        #expect(world.send(.autoRenewal(true), at: "2026-11-22T12:00:00Z").type == .autoRenewalChanged)
        #expect(
            world.send(.autoRenewal(true, 2), at: "2026-11-22T12:00:00Z").violations
                == ["subscription_unknown /subscriptionId"])
        world.send(.autoRenewal(false), at: "2026-11-22T12:00:00Z")
        #expect(
            world.send(.autoRenewal(true), at: "2027-11-22T12:00:00Z").violations
                == ["subscription_expired /subscriptionId"])
    }

    @Test("A suspension moves no money and no end date, and can be undone until the period ends")
    func suspension() {
        var world = Self.world
        let total = world.openInvoice?.total
        let suspended = world.send(.suspend(reason: "unpaid"), at: "2026-11-22T12:00:00Z")
        #expect(suspended.type == .subscriptionSuspended && suspended.amounts == [0])
        guard case .subscriptions(_, _, let reason, _) = suspended.data else { return }
        #expect(reason == "unpaid")
        #expect(world.subscription()?.state == .suspended)
        #expect(world.subscription()?.period.end == .on("2027-11-22") && world.openInvoice?.total == total)
        // Its last instant in Berlin.
        let enabled = world.send(.enable(), at: "2027-11-21T22:59:59.999999Z")
        #expect(enabled.type == .subscriptionEnabled && enabled.transactions.map(\.type) == [.enablement])
        #expect(world.subscription()?.state == .active)
    }

    @Test("Suspending a suspended subscription, or enabling an active one, has a code of its own")
    func suspensionTwice() {
        var world = Self.world
        #expect(
            world.send(.enable(), at: "2026-11-22T12:00:00Z").violations
                == ["subscription_already_active /subscriptionId"])
        world.send(.suspend(), at: "2026-11-22T12:00:00Z")
        #expect(
            world.send(.suspend(), at: "2026-11-22T12:00:00Z").violations
                == ["subscription_already_suspended /subscriptionId"])
        #expect(
            world.send(.enable(), at: "2027-11-21T23:00:00Z").violations == ["subscription_expired /subscriptionId"])
        #expect(
            world.send(.suspend(2), at: "2026-11-22T12:00:00Z").violations == ["subscription_unknown /subscriptionId"])
    }
}
