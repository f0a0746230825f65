// What a change of a time zone's rules may do: nothing but tell the clock anew when to look.

import Orders
import Testing

@testable import Orders
@testable import OrdersSimulation

/// Two releases of one zone's file: by the second, clocks go back an hour on the first of a month at midnight.
@Suite struct ZoneChangeTests {
    /// acme's catalog with Berlin's zone as `offsets` has it: each, in hours, from an instant on.
    private static func catalog(_ offsets: [(from: String, hours: Int32)]) throws -> Catalog {
        let file = ZoneFile(
            offsets: [3600] + offsets.map { $0.hours * 3600 },
            transitions: offsets.enumerated().map { index, change in
                (Timestamp.at(change.from).microseconds / 1_000_000, UInt8(index + 1))
            })
        let zone = try #require(BillingZone("Europe/Berlin", file: file.bytes))
        let sample = Catalog.sample
        return Catalog(
            version: 2,
            partners: sample.partners.values.map { partner in
                partner.id != "acme"
                    ? partner
                    : Partner(
                        id: "acme", name: "ACME", currency: partner.currency, zone: zone, refundWindowDays: 30,
                        publishers: partner.publishers, resellers: partner.resellers)
            }, products: [.enterprise, .basic],
            prices: [
                .of("enterprise-pki", "ov-ssl", "P1Y", 36_500, from: "2020-01-01"),
                .of("enterprise-pki", "ov-ssl", "P1M", 3100, from: "2020-01-01"),
            ])
    }

    /// The zone as it always was, an hour east of UTC.
    private static func before() throws -> Catalog { try catalog([]) }
    /// It moves west on 1 December, in the first instant of that day by the old rules.
    private static func west() throws -> Catalog { try catalog([("2026-11-30T23:00:00Z", 0)]) }
    /// It moves east by an hour on 30 November.
    private static func east() throws -> Catalog { try catalog([("2026-11-29T23:00:00Z", 2)]) }

    private static func months(_ world: World) -> [String] {
        world.transactions.filter { !$0.amount.isZero }.map { transaction in
            let invoice = transaction.invoiceID.flatMap { world.invoices[$0] }
            return "\(transaction.type) \(transaction.date) on \(invoice?.series.name ?? "none")"
        }
    }

    @Test("A zone that moves west on the first of a month moves no line to another month")
    func movesWest() throws {
        var world = World.withCustomer(catalog: try Self.before())
        world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
        world.send(.order(2), at: "2026-11-20T12:00:00Z")
        #expect(world.openInvoice?.dueAt == .at("2026-11-30T23:00:00Z"))
        world.catalog = try Self.west()
        // By the old rules it is 1 December, by the new ones still 30 November.
        let early = world.send(.settle(.first), at: "2026-11-30T23:00:00Z", by: .worker)
        guard case .settled(events: 0) = early.data else { throw Unexpected() }
        #expect(world.openInvoice?.dueAt == .at("2026-12-01T00:00:00Z"))
        #expect(world.subscription()?.dueAt == .at("2026-12-01T00:00:00Z"))
        world.send(.add(1, to: 2), at: "2026-11-30T23:30:00Z")
        world.send(.settle(.first), at: "2026-12-01T00:00:00Z", by: .worker)
        world.send(.add(1, to: 2), at: "2026-12-01T00:00:01Z")
        #expect(
            Self.months(world) == [
                "order 2026-11-01 on 2026-11", "order 2026-11-20 on 2026-11", "inventoryAddition 2026-11-30 on 2026-11",
                "renewal 2026-12-01 on 2026-12", "inventoryAddition 2026-12-01 on 2026-12",
            ])
    }

    @Test("A month that was closed by a zone's old rules isn't opened again by its new ones")
    func closedByOldRules() throws {
        var world = World.withCustomer(catalog: try Self.before())
        world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
        world.send(.order(2), at: "2026-11-20T12:00:00Z")
        world.send(.settle(.first), at: "2026-11-30T23:00:00Z", by: .worker)
        #expect(world.customer?.settledThrough == .on("2026-12-01"))
        world.catalog = try Self.west()
        let event = world.send(.add(1, to: 2), at: "2026-11-30T23:30:00Z")
        #expect(event.transactions.map(\.date) == [.on("2026-11-30")])
        #expect(
            Self.months(world) == [
                "order 2026-11-01 on 2026-11", "order 2026-11-20 on 2026-11", "renewal 2026-12-01 on 2026-12",
                "inventoryAddition 2026-11-30 on 2026-12",
            ])
        // The same where nothing is open yet.
        world = World.withCustomer(catalog: try Self.before())
        world.send(.order(2), at: "2026-11-20T12:00:00Z")
        world.send(.settle(.first), at: "2026-11-30T23:00:00Z", by: .worker)
        world.catalog = try Self.west()
        world.send(.add(1, to: 2), at: "2026-11-30T23:30:00Z")
        #expect(
            Self.months(world) == ["order 2026-11-20 on 2026-11", "inventoryAddition 2026-11-30 on 2026-12"])
        #expect(Set(world.invoices.values.map(\.start)).count == world.invoices.count)
    }

    @Test("A zone that moves east ends the month by the calendar, although the clock was told to look later")
    func movesEast() throws {
        var world = World.withCustomer(catalog: try Self.before())
        world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
        world.catalog = try Self.east()
        world.send(.order(2), at: "2026-11-30T22:00:00Z")
        #expect(
            Self.months(world) == [
                "order 2026-11-01 on 2026-11", "renewal 2026-12-01 on 2026-12", "order 2026-12-01 on 2026-12",
            ])
        #expect(world.transactions.filter { $0.type == .renewal }.map(\.at) == [.at("2026-11-30T22:00:00Z")])
    }

    @Test(
        "Instants that are wrong for whatever reason decide nothing and are put right",
        arguments: [-3600, 3600, -86400])
    func wrongHints(_ seconds: Int) throws {
        func books(wrong: Bool) throws -> [String] {
            var world = World.withCustomer(catalog: try Self.before())
            world.send(.order(1, term: "P1M", autoRenewal: true), at: "2026-11-01T12:00:00Z")
            world.send(.order(2), at: "2026-11-20T12:00:00Z")
            if wrong { world.shiftHints(by: .seconds(seconds)) }
            for hour in 0...72 {
                let time = Timestamp.at("2026-11-29T00:00:00Z").adding(.seconds(hour * 3600))
                world.send(.settle(.first), at: "\(time)", by: .worker)
            }
            #expect(world.subscription(1)?.dueAt == .at("2026-12-31T23:00:00Z"))
            return world.transactions.map { "\($0.type) \($0.at) \($0.amount)" } + Self.months(world)
        }
        #expect(try books(wrong: true) == books(wrong: false))
    }
}
