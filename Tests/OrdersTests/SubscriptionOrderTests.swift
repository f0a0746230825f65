// The rules of subscription.order.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct SubscriptionOrderTests {
    @Test("A subscription that starts today pays the full price for every certificate type")
    func fullPrice() throws {
        var world = World.withCustomer()
        let event = world.send(.order(of: ["ov-ssl": 25, "ev-ssl": 5]), at: "2026-11-22T12:00:00Z")
        #expect(event.type == .subscriptionOrdered)
        #expect(event.amounts == [5 * 73_000, 25 * 36_500])
        let subscription = try #require(world.subscription())
        #expect(subscription.period == Period(index: 0, start: .on("2026-11-22"), end: .on("2027-11-22")))
        #expect(subscription.originalStart == .on("2026-11-22") && subscription.state == .active)
        #expect(subscription.inventory == ["ov-ssl": 25, "ev-ssl": 5] && subscription.renewalInventory.isEmpty)
        #expect(subscription.dueAt == .at("2027-11-21T23:00:00Z") && !subscription.autoRenewal)
        guard case .subscriptions(let told, let transactions, nil, []) = event.data else { throw Unexpected() }
        #expect(told == [subscription])
        let transaction = try #require(transactions.first)
        #expect(transaction.type == .order && transaction.certificateType == "ev-ssl" && transaction.quantity == 5)
        #expect(transaction.unitPrice == 73_000 && transaction.days == DaysFraction(charged: 365, term: 365))
        #expect(transaction.publisher == "acme-app" && transaction.date == .on("2026-11-22"))
        #expect(transaction.at == .at("2026-11-22T12:00:00Z") && transaction.reverses == nil)
    }

    @Test("Today is the date in the partner's billing zone, not in UTC")
    func todayInZone() {
        var world = World.withCustomer()
        world.send(.order(), at: "2026-11-21T23:00:00Z")
        #expect(world.subscription()?.period.start == .on("2026-11-22"))
        world.send(.create(.second), at: "2026-11-21T12:00:00Z", by: .user("bravo-app"))
        world.send(.order(customer: .second), at: "2026-11-22T04:59:59Z", by: .user("bravo-app"))
        #expect(world.states[.second]?.subscriptions[.first]?.period.start == .on("2026-11-21"))
    }

    @Test(
        "A start date may be backdated by up to the term minus one day, and lie up to 90 days ahead, charged in full",
        arguments: [
            // Today is 22 November 2026, or 28 February 2025 where it says so.
            ("P1Y", "2026-11-22", "2026-11-22", 36_500, nil),
            ("P1Y", "2026-11-21", "2026-11-22", 36_400, nil),
            ("P1Y", "2025-11-23", "2026-11-22", 100, nil),
            ("P1Y", "2025-11-22", "2026-11-22", nil, "start_date_too_early"),
            ("P1Y", "2026-11-23", "2026-11-22", 36_500, nil),
            ("P1Y", "2027-02-20", "2026-11-22", 36_500, nil),
            ("P1Y", "2027-02-21", "2026-11-22", nil, "start_date_too_late"),
            ("P1Y", "1900-01-01", "2026-11-22", nil, "start_date_too_early"),
            ("P1Y", "9999-12-31", "2026-11-22", nil, "start_date_too_late"),
            ("P365D", "2025-11-23", "2026-11-22", 100, nil),
            ("P365D", "2025-11-22", "2026-11-22", nil, "start_date_too_early"),
            // 31 October plus one month is 30 November, 30 days.
            ("P1M", "2026-10-31", "2026-11-22", 827, nil),
            ("P1M", "2026-10-23", "2026-11-22", 100, nil),
            ("P1M", "2026-10-22", "2026-11-22", nil, "start_date_too_early"),
            // A year from 29 February 2024 ends on 28 February 2025, having lasted 365 days.
            ("P1Y", "2024-02-29", "2025-02-27", 100, nil),
            ("P1Y", "2024-02-29", "2025-02-28", nil, "start_date_too_early"),
            ("P1Y", "2024-02-28", "2025-02-27", 100, nil),
            // A year over a 29 February lasts 366 days: the last one costs 365.00 / 366.
            ("P1Y", "2023-03-01", "2024-02-29", 100, nil),
            ("P1Y", "2023-02-28", "2024-02-27", 100, nil),
            ("P1M", "2024-01-31", "2024-02-28", 107, nil),
            ("P1M", "2024-01-31", "2024-02-29", nil, "start_date_too_early"),
        ] as [(String, String, String, Int64?, String?)])
    func backdating(_ term: String, _ start: String, _ today: String, _ amount: Int64?, _ code: String?) {
        var world = World.withCustomer()
        let event = world.send(.order(term: term, start: start), at: "\(today)T12:00:00Z")
        #expect(event.amounts == (amount.map { [$0] } ?? []))
        #expect(event.violations == (code.map { ["\($0) /subscriptions/0/startDate"] } ?? []))
        #expect(world.subscription()?.period.start == (amount == nil ? nil : .on(start)))
    }

    @Test("The charge is in the partner's currency, to its minor unit")
    func currencies() {
        for (partner, amount) in [("bravo", "20,164 JPY"), ("cobalt", "56.634 KWD")] {
            var world = World.withCustomer(publisher: "\(partner)-app")
            // Backdated by 181 days, so that 184 of 365 are charged.
            let event = world.send(
                .order(start: "2026-05-25"), at: "2026-11-22T06:00:00Z", by: .user("\(partner)-app"))
            #expect(event.transactions.map(\.amount.formatted) == [amount])
        }
    }

    @Test("The price is the partner's own where it has one in force, else the list's, on the day of the order")
    func prices() {
        var world = World.withCustomer(
            catalog: .sample(
                ownPrices: true,
                extraPrices: [
                    .of("enterprise-pki", "ov-ssl", "P1Y", 50_000, from: "2026-11-23"),
                    .of("enterprise-pki", "ev-ssl", "P1Y", 80_000, from: "2026-11-23"),
                    .of("enterprise-pki", "ov-ssl", "P1Y", 31_000, from: "2026-11-23", partner: "acme"),
                ]))
        #expect(world.send(.order(1), at: "2023-12-31T12:00:00Z").amounts == [36_500])
        #expect(world.send(.order(2), at: "2026-11-22T12:00:00Z").amounts == [30_000])
        #expect(world.send(.order(3, of: ["ev-ssl": 1]), at: "2026-11-22T12:00:00Z").amounts == [73_000])
        #expect(world.send(.order(4), at: "2026-11-22T23:00:00Z").amounts == [31_000])
        #expect(world.send(.order(5, of: ["ev-ssl": 1]), at: "2026-11-22T23:00:00Z").amounts == [80_000])
        // A backdated start doesn't bring back an old price.
        #expect(
            world.send(.order(6, start: "2026-11-22", of: ["ev-ssl": 365]), at: "2026-11-22T23:00:00Z").amounts
                == [80_000 * 364])
    }

    @Test("A type may be ordered with 0 certificates as long as there is at least one certificate in all")
    func zeroOfOneType() {
        var world = World.withCustomer()
        let event = world.send(.order(1, of: ["ev-ssl": 0, "ov-ssl": 1]), at: "2026-11-22T12:00:00Z")
        #expect(event.violations.isEmpty)
        #expect(world.transactions.map(\.certificateType) == ["ov-ssl"])
        let none = world.send(.order(2, of: ["ev-ssl": 0, "ov-ssl": 0]), at: "2026-11-22T12:00:00Z")
        #expect(none.violations == ["quantity_required /subscriptions/0/inventory"])
    }

    @Test("Several subscriptions are ordered all or nothing, with every violation of each listed")
    func allOrNothing() {
        var world = World.withCustomer()
        world.send(.order(9), at: "2026-11-22T12:00:00Z")
        let before = world.states
        let event = world.send(
            .orderAll([
                .item(1), .item(1, product: "nothing"), .item(9, product: "basic-pki", term: "P1Y", of: ["dv-ssl": 1]),
                .item(3, start: "2027-11-23", of: ["dv-ssl": 1, "unpriced-ssl": 1, "ov-ssl": 0, "ev-ssl": -3]),
                .item(4, of: [:]), .item(5, of: ["huge-ssl": 2]),
            ]), at: "2026-11-22T12:00:00Z")
        #expect(
            event.violations == [
                "subscription_duplicate /subscriptions/1/subscriptionId", "product_unknown /subscriptions/1/product",
                "subscription_exists /subscriptions/2/subscriptionId", "term_not_sold /subscriptions/2/term",
                "start_date_too_late /subscriptions/3/startDate",
                "certificate_type_unknown /subscriptions/3/inventory/0/certificateType",
                "quantity_required /subscriptions/3/inventory/1/quantity",
                "price_unknown /subscriptions/3/inventory/3/certificateType",
                "quantity_required /subscriptions/4/inventory",
                "amount_too_large /subscriptions/5/inventory/0/quantity",
            ])
        #expect(world.states[.first]?.subscriptions == before[.first]?.subscriptions)
        #expect(world.transactions.count == 1)
        let good = world.send(
            .orderAll([.item(1), .item(2, product: "basic-pki", term: "P1M", of: ["dv-ssl": 2])]),
            at: "2026-11-22T12:00:00Z")
        #expect(good.amounts == [36_500, 1998])
    }

    @Test("A certificate type is named once")
    func duplicateType() {
        var world = World.withCustomer()
        let twice = [1, 2].map { CertificateQuantity(certificateType: "ov-ssl", quantity: $0) }
        let event = world.send(
            .orderAll([
                OrderSubscriptions.Item(
                    subscriptionID: .first, product: "enterprise-pki", term: .of("P1Y"), startDate: nil,
                    autoRenewal: false, inventory: twice)
            ]), at: "2026-11-22T12:00:00Z")
        #expect(event.violations == ["certificate_type_duplicate /subscriptions/0/inventory/1/certificateType"])
    }

    @Test("What the invoice couldn't carry is refused whole, and the same a second time")
    func invoiceOverflow() {
        var world = World.withCustomer()
        #expect(world.send(.order(1, of: ["huge-ssl": 1]), at: "2026-11-22T12:00:00Z").amounts == [.max])
        for subscription in 2...3 {
            let event = world.send(.order(subscription), at: "2026-11-22T12:00:00Z")
            #expect(event.violations == ["amount_too_large "])
        }
        #expect(world.openInvoice?.total.amount == .max)
        #expect(
            world.send(
                .orderAll([.item(4, of: ["huge-ssl": 1]), .item(5, of: ["huge-ssl": 1])]), at: "2026-11-22T12:00:00Z"
            )
            .violations == ["amount_too_large "])
    }

    @Test("The order is a line of the month's open invoice for each certificate type")
    func invoiceLines() throws {
        var world = World.withCustomer()
        world.send(.order(1, of: ["ov-ssl": 2, "ev-ssl": 1]), at: "2026-11-22T12:00:00Z")
        let invoice = try #require(world.openInvoice)
        #expect(invoice.start == .on("2026-11-01") && invoice.end == .on("2026-12-01"))
        #expect(invoice.total.amount == 146_000 && invoice.version == 1 && invoice.number == nil)
        #expect(invoice.dueAt == .at("2026-11-30T23:00:00Z"))
        let event = try #require(world.events.last)
        guard case .invoice(let told, let lines) = event.data else { throw Unexpected() }
        #expect(event.type == .invoiceUpdated && told == invoice)
        #expect(lines.map(\.amount.amount) == [73_000, 73_000] && lines.map(\.quantity) == [1, 2])
        #expect(lines[1].description.contains("ov-ssl") && lines[1].description.contains("365 of 365 days"))
        #expect(world.transactions.allSatisfy { $0.invoiceID == invoice.id })
    }

    @Test("However many commands a unit of work holds, the invoice is announced once")
    func coalesced() {
        var world = World.withCustomer()
        let batch = (1...5).map { (Command.order($0), "2026-11-22T12:00:00Z", Publisher.user("acme-app")) }
        world.send(batch, now: "2026-11-22T12:00:01Z")
        #expect(world.events.map(\.type).filter { $0 == .invoiceUpdated }.count == 1)
        #expect(world.openInvoice?.version == 1 && world.openInvoice?.total.amount == 5 * 36_500)
        #expect(world.events.last?.sequence == 7)
    }

    @Test("A free certificate is recorded and on no invoice")
    func free() {
        var world = World.withCustomer(
            catalog: .sample(extraPrices: [.of("enterprise-pki", "unpriced-ssl", "P1Y", 0, from: "2020-01-01")]))
        let event = world.send(.order(of: ["unpriced-ssl": 4]), at: "2026-11-22T12:00:00Z")
        #expect(event.amounts == [0])
        #expect(world.openInvoice == nil && world.transactions.map(\.invoiceID) == [nil])
    }

    @Test("A quote has the lines that the order would have, and changes nothing")
    func quote() throws {
        var world = World.withCustomer()
        let quote = world.send(
            .order(start: "2026-11-01", of: ["ov-ssl": 7, "ev-ssl": 2], quoteOnly: true), at: "2026-11-22T12:00:00Z")
        guard case .quote(let lines, let total) = quote.data else { throw Unexpected() }
        #expect(quote.type == .quotePrepared)
        #expect(world.subscription() == nil && world.transactions.isEmpty && world.openInvoice == nil)
        let order = world.send(.order(start: "2026-11-01", of: ["ov-ssl": 7, "ev-ssl": 2]), at: "2026-11-22T12:00:00Z")
        #expect(lines.map(\.amount) == order.transactions.map(\.amount))
        #expect(lines.map(\.days) == order.transactions.map(\.days))
        #expect(lines.map(\.certificateType) == order.transactions.map(\.certificateType))
        #expect(total.amount == order.amounts.reduce(0, +))
        #expect(
            world.send(.order(start: "2027-03-01", quoteOnly: true), at: "2026-11-22T12:00:00Z").violations
                .contains("start_date_too_late /subscriptions/0/startDate"))
    }
}
