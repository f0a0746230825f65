// A partner whose data can't be used here stops nobody but itself.

import Foundation
import Testing

@testable import Orders
@testable import OrdersSimulation

@Suite("A partner that can't be served") struct UnusablePartnerTests {
    private static let bravo = UnusablePartner(id: "bravo", publishers: ["bravo-app"], reason: "no such zone")

    /// The sample's catalog in which bravo can't be used.
    private static var catalog: Catalog {
        let sample = Catalog.sample
        return Catalog(
            version: 2, partners: sample.partners.values.filter { $0.id != "bravo" }, unusablePartners: [bravo],
            products: Array(sample.products.values),
            prices: [.of("enterprise-pki", "ov-ssl", "P1Y", 36_500, from: "2020-01-01")])
    }

    private static func work(_ states: [CustomerState] = []) -> UnitOfWork {
        UnitOfWork(
            catalog: catalog, states: states, invoiceNumbers: [:], now: .at("2026-11-22T12:00:00Z"),
            identifiers: IdentifierSource(SeededGenerator(seed: 1)))
    }

    private static func envelope(_ command: Command, by publisher: Publisher) -> CommandEnvelope {
        CommandEnvelope(
            key: CommandKey(source: "test", id: "1"), publisher: publisher, effectiveAt: .at("2026-11-22T12:00:00Z"),
            command: command)
    }

    @Test("The catalog tells it apart from an unknown one, with the reason")
    func catalog() {
        #expect(Self.catalog.unusable("bravo") == "no such zone" && Self.catalog.unusable("acme") == nil)
        #expect(Self.catalog.partner(for: .user("bravo-app")) == nil)
        #expect(Self.catalog.partnerID(for: .user("bravo-app")) == "bravo")
        #expect(Self.catalog.partnerID(for: .trusted(partner: "bravo")) == "bravo")
        #expect(Self.catalog.partnerID(for: .user("nobody")) == nil)
        let only = Catalog(version: 1, partners: [], unusablePartners: [Self.bravo], products: [], prices: [])
        #expect(only.partnerID(for: .trusted(partner: nil)) == "bravo")
    }

    @Test("Its commands wait, whatever they ask; the others' are decided")
    func waits() throws {
        var work = Self.work()
        let create = Self.envelope(.create(), by: .user("bravo-app"))
        #expect(work.unusablePartner(for: create) == Self.bravo && work.waitsForCustomer(create))
        let other = Self.envelope(.create(), by: .user("acme-app"))
        #expect(work.unusablePartner(for: other) == nil && !work.waitsForCustomer(other))
        #expect(work.decide(other).type == .customerCreated)
    }

    @Test("What fell due for its customers waits too")
    func settlement() throws {
        var world = World.withCustomer(publisher: "bravo-app")
        world.send(.order(), at: "2023-01-02T12:00:00Z", by: .user("bravo-app"))
        let work = Self.work(Array(world.states.values))
        let settle = Self.envelope(.settle(.first), by: .worker)
        #expect(work.unusablePartner(for: settle) == Self.bravo && work.waitsForCustomer(settle))
    }

    @Test("A command that is decided all the same is refused with a code of its own, and changes nothing")
    func refused() {
        var work = Self.work()
        #expect(work.decide(Self.envelope(.create(), by: .user("bravo-app"))).violations == ["partner_unusable "])
        #expect(work.finish().customers.isEmpty)
    }

    @Test("A zone can be renamed to one with the same rules, and to no other")
    func renaming() {
        #expect(BillingZone.canRename("Europe/Berlin", to: "Europe/Berlin"))
        #expect(BillingZone.canRename("Asia/Tokyo", to: "Asia/Tokyo"))
        #expect(!BillingZone.canRename("Europe/Berlin", to: "Europe/Kyiv"))
        #expect(!BillingZone.canRename("Europe/Berlin", to: "Europe/Nowhere"))
        #expect(!BillingZone.canRename("Europe/Nowhere", to: "Europe/Berlin"))
        // By the files where both are there, else by the list of names.
        #expect(BillingZone.canRename("Europe/Kiev", to: "Europe/Kyiv"))
    }

    @Test("What an earlier name stands for is told by the list of names, also where its file is missing")
    func presentName() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "zones-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(TimeZoneDatabase.presentName(of: "Europe/Kiev", in: folder.path) == "Europe/Kiev")
        let list =
            "# version 2026b\nZ Europe/Kyiv 2:2:4 - LMT 1880\nL Europe/Kyiv Europe/Kiev\nL Europe/Kiev Europe/Old\n"
            + "L Loop/B Loop/A\nL Loop/A Loop/B\n"
        try Data(list.utf8).write(to: folder.appendingPathComponent("tzdata.zi"))
        for (name, present) in [
            ("Europe/Kiev", "Europe/Kyiv"), ("Europe/Old", "Europe/Kyiv"), ("Europe/Kyiv", "Europe/Kyiv"),
            ("Europe/Nowhere", "Europe/Nowhere"), ("Loop/A", "Loop/A"),
        ] {
            #expect(TimeZoneDatabase.presentName(of: name, in: folder.path) == present)
        }
    }
}
