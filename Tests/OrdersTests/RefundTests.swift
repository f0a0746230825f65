// The rules of refund.process.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct RefundTests {
    /// A customer with subscription 1, three ov-ssl for a year, ordered late on 25 September 2026 by Berlin's time.
    static func world() throws -> (World, TransactionID) {
        var world = World.withCustomer()
        world.send(.order(of: ["ov-ssl": 3]), at: "2026-09-25T21:59:59Z")
        return (world, try #require(world.transactions.first?.id))
    }

    @Test(
        "A charge can be refunded until day 30 in the partner's zone, also across a change of the clocks",
        arguments: [
            ("2026-09-25T22:00:00Z", true), ("2026-10-24T22:00:00Z", true), ("2026-10-25T22:59:59Z", true),
            ("2026-10-25T23:00:00Z", false), ("2027-01-01T00:00:00Z", false),
        ])
    func window(_ time: String, _ isOpen: Bool) throws {
        var (world, charge) = try Self.world()
        let event = world.send(.refund([charge: 1]), at: time)
        #expect(event.type == (isOpen ? .refundProcessed : .commandRejected))
        #expect(event.violations == (isOpen ? [] : ["refund_window_closed /refunds/0/transactionId"]))
    }

    @Test("Backdating a start date doesn't move the refund window")
    func backdated() throws {
        var world = World.withCustomer()
        world.send(.order(start: "2026-01-01"), at: "2026-11-22T12:00:00Z")
        let charge = try #require(world.transactions.first?.id)
        #expect(world.send(.refund([charge: 1]), at: "2026-12-22T12:00:00Z").type == .refundProcessed)
    }

    /// A world whose partner acme has another refund window.
    private static func catalog(window: Int) -> Catalog {
        let sample = Catalog.sample
        return Catalog(
            version: 2,
            partners: sample.partners.values.map { partner in
                Partner(
                    id: partner.id, name: partner.name, currency: partner.currency, zone: partner.zone,
                    refundWindowDays: window, publishers: partner.publishers, resellers: partner.resellers)
            }, products: [.enterprise, .basic],
            prices: [
                .of("enterprise-pki", "ov-ssl", "P1Y", 36_500, from: "2020-01-01"),
                .of("enterprise-pki", "ov-ssl", "P1M", 3100, from: "2020-01-01"),
            ])
    }

    @Test("A change of the partner's refund window moves no charge's last day", arguments: [14, 60])
    func windowChanges(_ window: Int) throws {
        var (world, charge) = try Self.world()
        #expect(world.transactions.first?.refundableUntil == .on("2026-10-25"))
        world.catalog = Self.catalog(window: window)
        #expect(world.send(.refund([charge: 1]), at: "2026-10-25T12:00:00Z").type == .refundProcessed)
        #expect(
            world.send(.refund([charge: 1]), at: "2026-10-26T12:00:00Z").violations
                == ["refund_window_closed /refunds/0/transactionId"])
        world.send(.order(2), at: "2026-10-26T12:00:00Z")
        #expect(world.transactions.last?.refundableUntil == CalendarDate.on("2026-10-26").adding(days: window))
    }

    @Test("A renewal that was settled late can be refunded as long as one that wasn't, from the day it was booked")
    func lateRenewal() throws {
        var world = World.withCustomer()
        world.send(.order(term: "P1M", autoRenewal: true), at: "2026-09-10T12:00:00Z")
        world.send(.settle(.first), at: "2026-11-14T12:00:00Z", by: .worker)
        let renewals = world.transactions.filter { $0.type == .renewal }
        #expect(renewals.map(\.date) == [.on("2026-10-10"), .on("2026-11-10")])
        #expect(renewals.map(\.bookedOn) == [.on("2026-11-14"), .on("2026-11-14")])
        #expect(renewals.map(\.refundableUntil) == [.on("2026-12-14"), .on("2026-12-14")])
        let renewal = try #require(renewals.first)
        #expect(world.send(.refund([renewal.id: 1]), at: "2026-12-14T12:00:00Z").amounts == [-3100])
    }

    @Test("A refund is the reseller's whose charge it reverses, on the invoice too, whoever manages the customer now")
    func reseller() throws {
        var world = World(catalog: .sample)
        world.send(.create(reseller: "north"), at: "2026-09-01T12:00:00Z")
        world.send(.order(of: ["ov-ssl": 3]), at: "2026-09-25T12:00:00Z")
        let charge = try #require(world.transactions.first?.id)
        world.send(
            .updateCustomer(
                UpdateCustomer(customerID: .first, companyName: nil, address: nil, reseller: .set("south"))),
            at: "2026-09-26T12:00:00Z")
        world.send(.refund([charge: 1]), at: "2026-09-27T12:00:00Z")
        world.send(.add(1), at: "2026-09-27T12:00:00Z")
        #expect(world.transactions.map(\.resellerID) == ["north", "north", "south"])
        world.send(.settle(.first), at: "2026-10-01T12:00:00Z", by: .worker)
        guard case .invoice(_, let lines) = world.events.last(where: { $0.type == .invoiceClosed })?.data
        else { throw Unexpected() }
        #expect(lines.map(\.resellerID) == ["north", "north", "south"])
    }

    @Test("A refund in three steps returns exactly the charge, and its certificates leave the inventory")
    func threeSteps() throws {
        var world = World.withCustomer(
            catalog: .sample(extraPrices: [.of("enterprise-pki", "unpriced-ssl", "P1Y", 716_667, from: "2020-01-01")]))
        // 716,667 × 3 × 364/365 is 2,144,110.8: 2,144,111.
        world.send(.order(start: "2026-11-21", of: ["unpriced-ssl": 3]), at: "2026-11-22T12:00:00Z")
        let charge = try #require(world.transactions.first)
        #expect(charge.amount.amount == 2_144_111)
        for (amount, left) in [(-714_704, 2), (-714_703, 1), (-714_704, 0)] as [(Int64, Int64)] {
            let event = world.send(.refund([charge.id: 1], reason: "unused"), at: "2026-11-23T12:00:00Z")
            #expect(event.amounts == [amount])
            let refund = try #require(event.transactions.first)
            #expect(refund.type == .refund && refund.reverses == charge.id && refund.quantity == 1)
            #expect(refund.period == charge.period && refund.certificateType == "unpriced-ssl")
            #expect(world.subscription()?.inventory == (left > 0 ? ["unpriced-ssl": left] : [:]))
            guard case .refund(_, let subscriptions, "unused") = event.data else { throw Unexpected() }
            #expect(subscriptions == [world.subscription()].compactMap { $0 })
        }
        #expect(world.openInvoice?.total.amount == 0)
        #expect(
            world.send(.refund([charge.id: 1]), at: "2026-11-23T12:00:00Z").violations
                == ["quantity_exceeds_refundable /refunds/0/quantity"])
    }

    @Test("One bad line among good ones refuses the whole, with every violation listed")
    func allOrNothing() throws {
        var (world, charge) = try Self.world()
        world.send(.create(.second), at: "2026-09-25T12:00:00Z")
        world.send(.order(customer: .second), at: "2026-10-25T12:00:00Z")
        let foreign = try #require(world.transactions.last?.id)
        world.send(.add(2), at: "2026-10-25T12:00:00Z")
        let added = try #require(world.transactions.last?.id)
        world.send(.refund([added: 1]), at: "2026-10-25T12:00:00Z")
        let refund = try #require(world.transactions.last?.id)
        world.send(.suspend(), at: "2026-10-25T12:00:00Z")
        let suspension = try #require(world.transactions.last?.id)
        let before = world.states
        let event = world.send(
            .refund([
                added: 1, charge: 4, foreign: 1, refund: 1, suspension: 1, added: 1, .number(99): 1,
            ]), at: "2026-10-26T12:00:00Z")
        #expect(
            event.violations == [
                "refund_window_closed /refunds/1/transactionId", "quantity_exceeds_refundable /refunds/1/quantity",
                "transaction_unknown /refunds/2/transactionId", "transaction_not_refundable /refunds/3/transactionId",
                "transaction_not_refundable /refunds/4/transactionId", "transaction_duplicate /refunds/5/transactionId",
                "transaction_unknown /refunds/6/transactionId",
            ])
        #expect(world.states[.first]?.charges == before[.first]?.charges)
        #expect(world.states[.first]?.subscriptions == before[.first]?.subscriptions)
        #expect(world.send(.refund([added: 1]), at: "2026-10-26T12:00:00Z").type == .refundProcessed)
    }

    @Test("A quantity is at least 1, and there is at least one line", arguments: [0, -1, Int64.min])
    func quantityRequired(_ quantity: Int64) throws {
        var (world, charge) = try Self.world()
        #expect(
            world.send(.refund([charge: quantity]), at: "2026-09-26T12:00:00Z").violations
                == ["quantity_required /refunds/0/quantity"])
        #expect(world.send(.refund([:]), at: "2026-09-26T12:00:00Z").violations == ["quantity_required /refunds"])
        #expect(
            world.send(.refund([charge: .max]), at: "2026-09-26T12:00:00Z").violations
                == ["quantity_exceeds_refundable /refunds/0/quantity"])
    }

    @Test("What a unit of work made can be refunded in it, and what isn't refundable is refused there too")
    func sameBatch() throws {
        var (world, charge) = try Self.world()
        // The identifiers of a unit of work are its seed's, so a dry run tells which they will be.
        var dryRun = world
        let first = dryRun.send(.refund([charge: 1]), at: "2026-09-26T12:00:00Z")
        let refund = try #require(first.transactions.first?.id)
        let outcomes = world.send(
            [
                (.refund([charge: 1]), "2026-09-26T12:00:00Z", .user("acme-app")),
                (.refund([refund: 1]), "2026-09-26T12:00:00Z", .user("acme-app")),
                (.refund([charge: 3]), "2026-09-26T12:00:00Z", .user("acme-app")),
                (.refund([charge: 2]), "2026-09-26T12:00:00Z", .user("acme-app")),
            ], now: "2026-09-26T12:00:00Z")
        #expect(
            outcomes.map(\.violations) == [
                [], ["transaction_not_refundable /refunds/0/transactionId"],
                ["quantity_exceeds_refundable /refunds/0/quantity"], [],
            ])
        #expect(world.openInvoice?.total.amount == 0)
    }

    @Test("A suspended subscription's charges can still be refunded")
    func whileSuspended() throws {
        var (world, charge) = try Self.world()
        world.send(.suspend(), at: "2026-09-26T12:00:00Z")
        #expect(world.send(.refund([charge: 1]), at: "2026-09-26T12:00:00Z").amounts == [-36_500])
        #expect(world.subscription()?.inventory == ["ov-ssl": 2] && world.subscription()?.state == .suspended)
    }

    @Test("A refund after renewal moves money but not the new period's inventory")
    func afterRenewal() throws {
        var world = World.withCustomer()
        world.send(
            .order(term: "P1M", autoRenewal: true, of: ["ov-ssl": 5]), at: "2026-11-10T12:00:00Z")
        let charge = try #require(world.transactions.first?.id)
        let event = world.send(.refund([charge: 5]), at: "2026-12-10T12:00:00Z")
        #expect(event.amounts == [-15_500])
        guard case .refund(_, let changed, nil) = event.data else { throw Unexpected() }
        #expect(changed.isEmpty)
        #expect(world.subscription()?.inventory == ["ov-ssl": 5] && world.subscription()?.period.index == 1)
        let renewal = try #require(world.transactions.first { $0.type == .renewal })
        world.send(.refund([renewal.id: 2]), at: "2026-12-10T12:00:00Z")
        #expect(world.subscription()?.inventory == ["ov-ssl": 3])
    }

    @Test("Who is paid back in full isn't charged again: auto-renewal goes off with the refund, which shows it")
    func paidBackInFull() throws {
        var world = World.withCustomer()
        world.send(.order(autoRenewal: true, of: ["ov-ssl": 10]), at: "2026-11-10T12:00:00Z")
        world.send(.renewWith(10), at: "2026-11-10T12:00:00Z")
        let charge = try #require(world.transactions.first?.id)
        world.send(.refund([charge: 9]), at: "2026-11-11T12:00:00Z")
        #expect(world.subscription()?.autoRenewal == true)
        let quote = world.send(.refund([charge: 1], quoteOnly: true), at: "2026-11-12T12:00:00Z")
        #expect(world.subscription()?.autoRenewal == true)
        let event = world.send(.refund([charge: 1]), at: "2026-11-12T12:00:00Z")
        #expect(event.transactions.map(\.type) == [.refund, .autoRenewalChange])
        #expect(quote.transactions.map(\.type) == event.transactions.map(\.type))
        guard case .refund(_, let subscriptions, _) = event.data else { throw Unexpected() }
        #expect(subscriptions.map(\.autoRenewal) == [false])
        world.send(.settle(.first), at: "2027-12-01T12:00:00Z", by: .worker)
        #expect(world.subscription()?.state == .expired)
        #expect(world.transactions.filter { $0.type == .renewal }.isEmpty)
    }

    @Test("A refund of an earlier period leaves auto-renewal as it is, and so does one of what has expired")
    func notPaidBack() throws {
        var world = World.withCustomer()
        world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-10T12:00:00Z")
        world.send(.order(2, term: "P1M"), at: "2026-11-10T12:00:00Z")
        let charges = world.transactions.map(\.id)
        for charge in charges {
            let event = world.send(.refund([charge: 1]), at: "2026-12-10T12:00:00Z")
            #expect(event.transactions.map(\.type) == [.refund])
        }
        #expect(world.subscription(1)?.autoRenewal == true && world.subscription(2)?.state == .expired)
    }

    @Test("Nothing in a quote has an id that could be taken for a booked one")
    func quotedIDs() throws {
        var (world, charge) = try Self.world()
        for command in [
            .refund([charge: 1], quoteOnly: true), .order(2, of: ["ov-ssl": 1, "ev-ssl": 1], quoteOnly: true),
            .add([CertificateQuantity(certificateType: "ov-ssl", quantity: 1)], quoteOnly: true),
        ] as [Command] {
            let quote = world.send(command, at: "2026-09-26T12:00:00Z")
            #expect(quote.type == .quotePrepared && quote.transactions.allSatisfy { $0.id == .unassigned })
        }
        #expect(
            world.send(.refund([.unassigned: 1]), at: "2026-09-26T12:00:00Z").violations
                == ["transaction_unknown /refunds/0/transactionId"])
    }

    @Test("A refund after the invoice closed goes on the next one, which may become a credit note")
    func afterClosing() throws {
        var (world, charge) = try Self.world()
        world.send(.refund([charge: 2]), at: "2026-10-02T12:00:00Z")
        let closed = try #require(world.invoices.values.first { $0.state == .closed })
        #expect(closed.total.amount == 3 * 36_500 && closed.number == 1)
        #expect(world.openInvoice?.total.amount == -2 * 36_500)
        #expect(world.openInvoice?.start == .on("2026-10-01"))
        world.send(.settle(.first), at: "2026-11-01T12:00:00Z", by: .worker)
        #expect(
            world.invoices.values.filter { $0.state == .closed }.map(\.total.amount).sorted() == [-73_000, 109_500])
    }

    @Test("A quote of a refund has its lines and changes nothing")
    func quote() throws {
        var (world, charge) = try Self.world()
        let quote = world.send(.refund([charge: 2], quoteOnly: true), at: "2026-09-26T12:00:00Z")
        guard case .quote(_, let total) = quote.data else { throw Unexpected() }
        #expect(quote.amounts == [-73_000] && total.amount == -73_000)
        #expect(world.subscription()?.inventory == ["ov-ssl": 3] && world.transactions.count == 1)
        #expect(world.send(.refund([charge: 3]), at: "2026-09-26T12:00:00Z").amounts == [-109_500])
    }
}
