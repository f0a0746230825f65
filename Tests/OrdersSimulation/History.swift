// Random histories of commands: several partners and zones, dates moving, and every kind of mistake.

import Orders

/// Makes commands at random that mostly make sense for the customers that there are: some thirty subscriptions each.
///
/// A refund names a transaction by its customer's position in the books, as the model does; the caller puts the real
/// id in its place.
struct History {
    /// What is sold: a type and a term are withdrawn and one comes back, and for a month a whole product isn't sold.
    static let enterprise = Product(
        id: Product.enterprise.id, name: Product.enterprise.name,
        certificateTypes: Product.enterprise.certificateTypes.merging([
            "ev-ssl": [.of(nil, "2025-05-10"), .of("2025-06-20", "2025-10-03"), .of("2025-10-04", nil)]
        ]) { $1 },
        terms: Product.enterprise.terms.merging([
            .of("P365D"): [.of("2025-01-02", "2025-10-05")],
            .of("P1M"): [.of(nil, "2025-12-01"), .of("2025-12-02", nil)],
        ]) { $1 })
    static let basic = Product(
        id: Product.basic.id, name: Product.basic.name,
        certificateTypes: ["dv-ssl": [.of("2024-06-01", "2025-04-20"), .of("2025-05-20", nil)]],
        terms: Product.basic.terms)

    /// The catalog's prices; they change every few months.
    static let prices: [Price] = {
        var prices: [Price] = []
        let subjects: [(String, String, String, Int64)] = [
            ("enterprise-pki", "ov-ssl", "P1Y", 36_500), ("enterprise-pki", "ev-ssl", "P1Y", 99_999),
            ("enterprise-pki", "ov-ssl", "P1M", 3101), ("enterprise-pki", "ev-ssl", "P1M", 6203),
            ("enterprise-pki", "ov-ssl", "P365D", 31_337), ("basic-pki", "dv-ssl", "P1M", 999),
        ]
        for (currency, factor) in [("USD", 1), ("JPY", 2), ("KWD", 3)] as [(String, Int64)] {
            for (product, type, term, amount) in subjects {
                for (index, date) in ["2020-01-01", "2025-04-15", "2025-09-01", "2026-02-28"].enumerated() {
                    prices.append(
                        .of(
                            product, type, term, amount * factor + Int64(index) * 7, from: date, currency: currency))
                }
            }
        }
        prices.append(.of("enterprise-pki", "ev-ssl", "P1M", 0, from: "2025-06-01", partner: "bravo", currency: "JPY"))
        prices.append(
            .of("enterprise-pki", "ov-ssl", "P1Y", 30_001, from: "2025-03-01", until: "2025-09-20", partner: "acme"))
        // For a while, and for a type that has no price before and after.
        prices.append(.of("enterprise-pki", "ov-ssl", "P1M", 2222, from: "2025-03-05", until: "2025-04-02"))
        prices.append(.of("enterprise-pki", "unpriced-ssl", "P1M", 4321, from: "2025-02-01", until: "2025-07-01"))
        prices.append(.of("basic-pki", "dv-ssl", "P1M", 500, from: "2025-07-07", partner: "acme"))
        return prices
    }()

    static let catalog = Catalog(
        version: 1, partners: Array(Catalog.sample.partners.values), products: [enterprise, basic], prices: prices)

    var random: SeededGenerator
    /// The time of the latest command.
    private(set) var now: Timestamp = .at("2025-01-01T00:00:00Z")
    /// The catalog as it now is: its zones' rules change, and what is still to come of what it sells.
    var catalog = Self.catalog
    var prices = Self.prices
    private var commands = 0
    let customers: Int
    /// How many in a hundred commands are late, by up to a day.
    private let latePercent: Int

    init(seed: UInt64, customers: Int, latePercent: Int = 15) {
        self.random = SeededGenerator(seed: seed)
        self.customers = customers
        self.latePercent = latePercent
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    /// The next command.
    ///
    /// - Parameter booked: how many transactions a customer has.
    mutating func next(booked: (CustomerID) -> Int) -> CommandEnvelope {
        // Time mostly creeps, sometimes leaps, and a sender's clock may be late by up to a day.
        let step: Int64 =
            chance(3) ? .random(in: 0..<20 * 86400, using: &random) : .random(in: 0..<12 * 3600, using: &random)
        now = now.adding(.microseconds(step * 1_000_000 / Int64(customers)))
        if chance(20) { now = now.adding(.seconds(Int64.random(in: 0..<600, using: &random))) }
        // Now and then nothing runs for weeks or months.
        if Int.random(in: 0..<500 * customers, using: &random) == 0 {
            now = now.adding(.seconds(Int64.random(in: 20...100, using: &random) * 86400))
        }
        let late: Int64 = chance(latePercent) ? .random(in: 0..<86400, using: &random) : 0
        let customer = Int.random(in: 1...customers, using: &random)
        let partner = ["acme", "bravo", "cobalt"][customer % 3]
        let command = command(for: .number(customer), booked: booked(.number(customer)))
        var publisher = Publisher.user("\(partner)-app")
        if case .settle = command { publisher = .worker } else if chance(1) { publisher = .user("acme-app") }
        commands += 1
        return CommandEnvelope(
            key: CommandKey(source: "history", id: "\(commands)"), publisher: publisher,
            effectiveAt: now.adding(.seconds(-late)), command: command)
    }

    private mutating func command(for customer: CustomerID, booked: Int) -> Command {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<8:
            let isAdministrator = chance(50)
            return .create(
                customer, reseller: chance(70) ? nil : pick(["north", "south", "east"]),
                responsibility: isAdministrator ? .customerAdministered : .partnerAdministered,
                email: isAdministrator != chance(5) ? "admin@example.com" : nil)
        case 8..<12:
            return .updateCustomer(
                UpdateCustomer(
                    customerID: customer, companyName: chance(50) ? "Renamed" : nil, address: nil,
                    reseller: pick([.keep, .clear, .set("north"), .set("east")]),
                    administrativeResponsibility: chance(10) ? .customerAdministered : nil))
        case 12..<32:
            let items = (0..<Int.random(in: 1...2, using: &random)).map { _ in orderItem() }
            return .orderAll(items, quoteOnly: chance(10), customer: customer)
        case 32..<47:
            return .addInventory(
                AddInventory(
                    customerID: customer, subscriptionID: subscription(), inventory: certificates(from: 1),
                    quoteOnly: chance(10)))
        case 47..<55:
            return .setRenewalInventory(
                SetRenewalInventory(
                    customerID: customer, subscriptionID: subscription(), renewalInventory: certificates(from: 0)))
        case 55..<61:
            return .setAutoRenewal(
                SetAutoRenewal(customerID: customer, subscriptionID: subscription(), autoRenewal: chance(75)))
        case 61..<66:
            return .suspendSubscription(
                SuspendSubscription(customerID: customer, subscriptionID: subscription(), reason: nil))
        case 66..<74:
            return .enableSubscription(
                EnableSubscription(
                    customerID: customer, subscriptionID: subscription(), reason: nil, quoteOnly: chance(10)))
        case 74..<92:
            return .processRefund(
                ProcessRefund(
                    customerID: customer,
                    refunds: (0..<Int.random(in: 1...3, using: &random)).map { _ in
                        let recent = max(0, booked - Int.random(in: 1...12, using: &random))
                        return ProcessRefund.Item(
                            transactionID: .number(chance(2) ? 1_000_000 : recent),
                            quantity: .random(in: 1...(chance(80) ? 3 : 30), using: &random))
                    }, reason: nil, quoteOnly: chance(10)))
        default:
            return .settle(customer, dayIsOver: chance(30))
        }
    }

    private mutating func subscription() -> SubscriptionID { .number(Int.random(in: 1...30, using: &random)) }

    private mutating func orderItem() -> OrderSubscriptions.Item {
        let isBasic = chance(25)
        let term = isBasic ? "P1M" : pick(["P1M", "P1M", "P1Y", "P365D"])
        let today = BillingZone("UTC")?.date(of: now)
        let back = Int.random(
            in: chance(3) ? -100...400 : chance(10) ? -90...0 : 0...(term == "P1M" ? 29 : 370), using: &random)
        return OrderSubscriptions.Item(
            subscriptionID: subscription(), product: chance(2) ? "nothing" : isBasic ? "basic-pki" : "enterprise-pki",
            term: .of(chance(2) ? "P2Y" : term), startDate: chance(50) ? nil : today?.adding(days: -back),
            autoRenewal: chance(70), inventory: isBasic ? certificates(from: 1, ["dv-ssl"]) : certificates(from: 1))
    }

    private mutating func certificates(
        from least: Int64, _ types: [String] = ["ov-ssl", "ev-ssl"]
    ) -> [CertificateQuantity] {
        if chance(1) { return [] }
        var items = types.filter { _ in chance(60) }.map {
            CertificateQuantity(certificateType: $0, quantity: .random(in: least...12, using: &random))
        }
        if items.isEmpty { items = [CertificateQuantity(certificateType: types[0], quantity: least)] }
        if chance(2) {
            let type = pick(["ov-ssl", "dv-ssl", "unpriced-ssl"])
            items.append(CertificateQuantity(certificateType: type, quantity: .random(in: -1...1, using: &random)))
        }
        return items
    }
}
