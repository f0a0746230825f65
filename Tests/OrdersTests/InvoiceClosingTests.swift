// Invoices: one open per customer and month, closed at the month's end under gapless numbers.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct InvoiceClosingTests {
    @Test("At the month's end in the partner's zone the invoice is closed, complete and numbered")
    func closes() throws {
        var world = World.withCustomer()
        world.send(.order(1, of: ["ov-ssl": 2]), at: "2026-11-10T12:00:00Z")
        world.send(.order(2), at: "2026-11-20T12:00:00Z")
        world.send(.settle(.first), at: "2026-11-30T22:59:59Z", by: .worker)
        #expect(world.openInvoice?.state == .open)
        let settled = world.send(.settle(.first), at: "2026-11-30T23:00:00Z", by: .worker)
        guard case .settled(events: 1) = settled.data else { throw Unexpected() }
        #expect(world.openInvoice == nil)
        let event = try #require(world.events.first { $0.type == .invoiceClosed })
        guard case .invoice(let invoice, let lines) = event.data else { throw Unexpected() }
        #expect(invoice == world.invoices[invoice.id])
        #expect(invoice.state == .closed && invoice.number == 1 && invoice.version == 3 && invoice.dueAt == nil)
        #expect(invoice.total.amount == 109_500 && lines.map(\.amount.amount) == [73_000, 36_500])
        #expect(world.events.filter { $0.type == .invoiceUpdated }.count == 2)
    }

    @Test("An invoice of more than 500 lines is told in parts, each an event of its own")
    func parts() {
        var world = World.withCustomer()
        let items = { (first: Int) in
            (0..<100).map { OrderSubscriptions.Item.item(first + $0, of: ["ov-ssl": 1, "ev-ssl": 2]) }
        }
        for first in [1, 101, 201] {
            world.send(.orderAll(items(first)), at: "2026-11-10T12:00:00Z")
        }
        world.send(
            [
                (.orderAll(items(301)), "2026-11-11T12:00:00Z", .user("acme-app")),
                (.orderAll(items(401)), "2026-11-11T12:00:00Z", .user("acme-app")),
                (.orderAll(items(501)), "2026-11-11T12:00:00Z", .user("acme-app")),
            ], now: "2026-11-11T12:00:00Z")
        world.send(.settle(.first), at: "2026-12-01T12:00:00Z", by: .worker)
        let told = world.events.compactMap { event -> String? in
            guard case .invoice(let invoice, let lines) = event.data else { return nil }
            let part = event.part.map { "\($0.number) of \($0.count)" } ?? "whole"
            return "\(event.type.rawValue) \(invoice.version) \(part): \(lines.count)"
        }
        #expect(
            told == [
                "invoice.updated 1 whole: 200", "invoice.updated 2 whole: 200", "invoice.updated 3 whole: 200",
                "invoice.updated 4 1 of 2: 500", "invoice.updated 4 2 of 2: 100", "invoice.closed 5 1 of 3: 500",
                "invoice.closed 5 2 of 3: 500", "invoice.closed 5 3 of 3: 200",
            ])
        #expect(world.events.map(\.sequence) == (1...Int64(world.events.count)).map(\.self))
    }

    @Test("A month without a line has no invoice")
    func emptyMonths() {
        var world = World.withCustomer()
        world.send(.order(), at: "2026-01-10T12:00:00Z")
        world.send(.suspend(), at: "2026-03-10T12:00:00Z")
        world.send(.enable(), at: "2026-04-10T12:00:00Z")
        world.send(.add(1), at: "2026-06-10T12:00:00Z")
        #expect(world.invoices.values.map(\.start).sorted() == [.on("2026-01-01"), .on("2026-06-01")])
        #expect(world.invoiceNumbers == [.of("acme", "2026-01-01"): 1])
    }

    @Test("Numbers are gapless in each partner's month, across customers and units of work")
    func numbers() {
        var world = World.withCustomer()
        world.send(.create(.second), at: "2026-01-01T12:00:00Z")
        world.send(.create(.number(3)), at: "2026-01-01T12:00:00Z", by: .user("bravo-app"))
        for month in 1...6 {
            let time = "2026-0\(month)-10T12:00:00Z"
            world.send(
                [
                    (.order(month), time, .user("acme-app")),
                    (.order(month, customer: .second), time, .user("acme-app")),
                    (.order(month, customer: .number(3)), time, .user("bravo-app")),
                ], now: time)
        }
        for month in 1...5 {
            let closed = world.invoices.values.filter { $0.start == .on("2026-0\(month)-01") }
            #expect(closed.filter { $0.partnerID == "acme" }.compactMap(\.number).sorted() == [1, 2])
            #expect(closed.filter { $0.partnerID == "bravo" }.compactMap(\.number) == [1])
            #expect(world.invoiceNumbers[.of("acme", "2026-0\(month)-01")] == 2)
            #expect(world.invoiceNumbers[.of("bravo", "2026-0\(month)-01")] == 1)
        }
        #expect(world.invoiceNumbers.count == 10)
    }

    @Test("After an outage of months the numbers are in the order of time, whichever customer is settled first")
    func numbersAfterOutage() {
        var world = World.withCustomer()
        world.send(.create(.second), at: "2026-06-01T12:00:00Z")
        let order = { (customer: CustomerID) in
            Command.order(term: "P1M", autoRenewal: true, customer: customer)
        }
        world.send(order(.first), at: "2026-06-10T12:00:00Z")
        world.send(order(.second), at: "2026-06-10T12:00:00Z")
        for customer in [CustomerID.first, .second] {
            world.send(.settle(customer), at: "2026-10-05T12:00:00Z", by: .worker)
        }
        let closed = world.invoices.values.filter { $0.state == .closed }
            .sorted { ($0.start, $0.customerID) < ($1.start, $1.customerID) }
        #expect(
            closed.map { "\($0.series.name) \($0.number ?? 0) of \($0.customerID == .first ? 0 : 1)" } == [
                "2026-06 1 of 0", "2026-06 2 of 1", "2026-07 1 of 0", "2026-07 2 of 1", "2026-08 1 of 0",
                "2026-08 2 of 1", "2026-09 1 of 0", "2026-09 2 of 1",
            ])
    }

    @Test("Credit notes are numbered apart from invoices, and the event says kind, series and number")
    func creditNotes() throws {
        var world = World.withCustomer()
        world.send(.create(.second), at: "2026-10-01T12:00:00Z")
        world.send(.order(1, of: ["ov-ssl": 3]), at: "2026-10-10T12:00:00Z")
        let charge = try #require(world.transactions.first?.id)
        world.send(.order(1, customer: .second), at: "2026-11-10T12:00:00Z")
        world.send(.refund([charge: 2]), at: "2026-11-05T12:00:00Z")
        for customer in [CustomerID.first, .second] {
            world.send(.settle(customer), at: "2026-12-01T12:00:00Z", by: .worker)
        }
        let closed = world.events.compactMap { event -> String? in
            guard event.type == .invoiceClosed, case .invoice(let invoice, _) = event.data else { return nil }
            return "\(invoice.series.kind.rawValue) \(invoice.series.name) \(invoice.number ?? 0)"
        }
        #expect(closed == ["invoice 2026-10 1", "creditNote 2026-11 1", "invoice 2026-11 1"])
        #expect(world.invoices.values.filter { $0.series.kind == .creditNote }.map(\.total.amount) == [-73_000])
    }

    @Test("Within one unit of work over a month's end each line is told with its own invoice, once")
    func overMonthsEnd() throws {
        var world = World.withCustomer()
        world.send(
            [
                (.order(1), "2026-11-30T12:00:00Z", .user("acme-app")),
                (.order(2, of: ["ev-ssl": 1]), "2026-12-01T12:00:00Z", .user("acme-app")),
            ], now: "2026-12-01T12:00:00Z")
        let told = world.events.suffix(4).map { event -> String in
            guard case .invoice(let invoice, let lines) = event.data else { return event.type.rawValue }
            return "\(event.type.rawValue) \(invoice.start) \(invoice.version) \(lines.map(\.amount.amount))"
        }
        #expect(
            told == [
                "subscription.ordered", "invoice.closed 2026-11-01 1 [36500]", "subscription.ordered",
                "invoice.updated 2026-12-01 1 [73000]",
            ])
    }

    @Test("What closing an invoice takes and wasn't given is reported, never made up")
    func missing() throws {
        var world = World.withCustomer()
        world.send(.order(term: "P1M", autoRenewal: true), at: "2026-11-10T12:00:00Z")
        world.send(.settle(.first), at: "2026-12-01T12:00:00Z", by: .worker)
        // No invoice is open now; one is opened on 10 December and falls due on 1 January.
        let state = try #require(world.states[.first])
        #expect(state.openInvoice == nil)
        let series = InvoiceSeries.of("acme", "2026-12-01")
        for (numbers, missing) in [([:], [series]), ([series: 1], [])] as [([InvoiceSeries: Int64], Set<InvoiceSeries>)]
        {
            let changes = Self.settle(state, world.catalog, numbers, at: "2027-01-05T12:00:00Z")
            #expect(changes.missing.series == missing && changes.missing.invoiceLines.isEmpty)
        }
    }

    @Test("The lines of an invoice that nobody thought due are asked for before it is closed")
    func missingLines() throws {
        var world = World.withCustomer()
        world.send(.order(), at: "2026-11-10T12:00:00Z")
        var state = try #require(world.states[.first])
        state.openInvoiceLines = nil
        let changes = Self.settle(state, world.catalog, [.of("acme", "2026-11-01"): 0], at: "2026-12-05T12:00:00Z")
        #expect(changes.missing.invoiceLines == [.first] && changes.missing.series.isEmpty)
    }

    private static func settle(
        _ state: CustomerState, _ catalog: Catalog, _ numbers: [InvoiceSeries: Int64], at time: String
    ) -> Changes {
        var work = UnitOfWork(
            catalog: catalog, states: [state], invoiceNumbers: numbers, now: .at(time),
            identifiers: IdentifierSource(SeededGenerator(seed: 1)))
        _ = work.decide(
            CommandEnvelope(
                key: CommandKey(source: "test", id: "late"), publisher: .worker, effectiveAt: .at(time),
                command: .settle(.first)))
        return work.finish()
    }

    @Test("Once a day is over the month that ends with it is closed, and nothing of the next day has begun")
    func dayIsOver() {
        var world = World.withCustomer()
        world.send(.order(term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
        // 23:59:59.999999 in Berlin.
        let last = "2026-11-30T22:59:59.999999Z"
        world.send(.settle(.first), at: last, by: .worker)
        #expect(world.openInvoice?.start == .on("2026-11-01"))
        let booked = world.transactions.count
        world.send(.settle(.first, dayIsOver: true), at: last, by: .worker)
        let closed = world.invoices.values.filter { $0.start == .on("2026-11-01") }
        #expect(closed.map(\.state) == [.closed] && closed.map(\.number) == [1] && closed[0].end == .on("2026-12-01"))
        #expect(world.transactions.count == booked && world.openInvoice == nil)
        #expect(world.subscription()?.period.index == 0)
        // What comes late for the month that is closed goes onto the next one, and the next day begins as always.
        world.send(.order(2, term: "P1Y"), at: last)
        #expect(world.openInvoice?.start == .on("2026-12-01"))
        world.send(.settle(.first), at: "2026-11-30T23:00:00Z", by: .worker)
        #expect(world.transactions.last?.type == .renewal && world.transactions.last?.date == .on("2026-12-01"))
        #expect(world.subscription()?.period.index == 1)
    }

    @Test("A renewal at the first instant of a month is on that month's invoice")
    func renewalOnTheFirst() throws {
        var world = World.withCustomer()
        world.send(.order(term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
        world.send(.settle(.first), at: "2026-12-15T12:00:00Z", by: .worker)
        let december = try #require(world.openInvoice)
        #expect(december.start == .on("2026-12-01") && december.total.amount == 3100)
        #expect(world.transactions.last?.invoiceID == december.id && world.transactions.last?.date == .on("2026-12-01"))
    }

    @Test("Subscriptions that fall due at the same instant are settled by id, whatever the order of loading")
    func tie() {
        var world = World.withCustomer()
        for subscription in [5, 3, 9, 1] {
            world.send(.order(subscription, term: "P1M"), at: "2026-11-10T12:00:00Z")
        }
        world.send(.settle(.first), at: "2026-12-15T12:00:00Z", by: .worker)
        let expired = world.transactions.filter { $0.type == .expiry }.map(\.subscriptionID)
        #expect(expired == [.number(1), .number(3), .number(5), .number(9)])
    }

    @Test("Clocks that run often, seldom or never give the same books")
    func sameBooks() {
        func books(clock: Bool) -> ([String], [String]) {
            var world = World.withCustomer()
            world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-01-31T12:00:00Z")
            world.send(.order(2, start: "2025-06-01", autoRenewal: true), at: "2026-02-01T12:00:00Z")
            if clock {
                for day in 35...250 {
                    let time = BillingZone("Europe/Berlin")?.startOfDay(CalendarDate(days: 20_454 + Int32(day)))
                    world.send(.settle(.first), at: "\(time ?? .at(""))", by: .worker)
                }
            }
            world.send(.add(1, to: 2), at: "2026-10-31T12:00:00Z")
            return (
                world.transactions.map { "\($0.type) \($0.at) \($0.amount) \($0.period) \($0.publisher)" },
                world.invoices.values.map { "\($0.start) \($0.total) \($0.number ?? 0) \($0.state)" }.sorted()
            )
        }
        #expect(books(clock: true) == books(clock: false))
    }
}
