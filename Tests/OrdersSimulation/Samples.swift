// A small catalog, and short ways to write commands and values, for whatever plays with the rules.

import Orders

extension Catalog {
    /// Two products in four currencies.
    ///
    /// acme bills in USD by Berlin's time, bravo in JPY by New York's, cobalt in KWD by Apia's. Each has list prices;
    /// acme pays 300.00 for ov-ssl by the year until 2030, instead of the list's 365.00, only if `ownPrices`.
    static var sample: Catalog { sample() }

    static func sample(
        ownPrices: Bool = false, products: [Product] = [.enterprise, .basic], extraPrices: [Price] = []
    ) -> Catalog {
        func price(_ product: String, _ type: String, _ term: String, _ amount: Int64, _ currency: String = "USD")
            -> Price
        {
            .of(product, type, term, amount, from: "2020-01-01", currency: currency)
        }
        var prices = [
            price("enterprise-pki", "ov-ssl", "P1Y", 36_500), price("enterprise-pki", "ev-ssl", "P1Y", 73_000),
            price("enterprise-pki", "ov-ssl", "P1M", 3100), price("enterprise-pki", "ev-ssl", "P1M", 6200),
            price("enterprise-pki", "ov-ssl", "P365D", 36_500), price("basic-pki", "dv-ssl", "P1M", 999),
            price("enterprise-pki", "ov-ssl", "P1Y", 40_000, "JPY"),
            price("enterprise-pki", "ov-ssl", "P1Y", 112_345, "KWD"),
            price("enterprise-pki", "huge-ssl", "P1Y", .max),
        ]
        prices += extraPrices
        if ownPrices {
            prices.append(
                .of("enterprise-pki", "ov-ssl", "P1Y", 30_000, from: "2024-01-01", partner: "acme"))
        }
        return Catalog(
            version: 1,
            partners: [
                .sample("acme", "USD", "Europe/Berlin", resellers: ["north": "North", "south": "South"]),
                .sample("bravo", "JPY", "America/New_York", resellers: ["east": "East"]),
                .sample("cobalt", "KWD", "Pacific/Apia"),
            ].compactMap { $0 },
            products: products, prices: prices)
    }
}

extension Partner {
    static func sample(
        _ id: String, _ currency: String, _ zone: String, resellers: [String: String] = [:]
    ) -> Partner? {
        guard let currency = Currency(currency), let zone = BillingZone(zone) else { return nil }
        return Partner(
            id: id, name: id.uppercased(), currency: currency, zone: zone, refundWindowDays: 30,
            publishers: ["\(id)-app"], resellers: resellers)
    }
}

extension Product {
    static let enterprise = Product(
        id: "enterprise-pki", name: "Enterprise PKI",
        certificateTypes: ["ov-ssl", "ev-ssl", "huge-ssl", "unpriced-ssl"],
        terms: Set(["P1Y", "P1M", "P365D"].compactMap { Term($0) }))
    /// The product with other certificate types.
    func selling(_ types: Set<String>) -> Product {
        Product(
            id: id, name: name, certificateTypes: Dictionary(uniqueKeysWithValues: types.map { ($0, [.always]) }),
            terms: terms)
    }

    static let basic = Product(
        id: "basic-pki", name: "Basic PKI", certificateTypes: ["dv-ssl"], terms: Set(["P1M"].compactMap { Term($0) }))
}

extension Price {
    static func of(
        _ product: String, _ type: String, _ term: String, _ amount: Int64, from date: String, until: String? = nil,
        partner: String? = nil, currency: String = "USD"
    ) -> Price {
        Price(
            subject: Subject(
                partnerID: partner, product: product, certificateType: type, term: .of(term), currency: currency),
            unitPrice: amount, validity: .of(date, until))
    }
}

extension Validity {
    static func of(_ from: String?, _ until: String?) -> Validity {
        Validity(from: from.map { .on($0) }, until: until.map { .on($0) })
    }
}

extension Address {
    static let sample = Address(
        line1: "1 Main Street", line2: nil, line3: nil, city: "Lehi", postalCode: "84043", stateOrProvince: "UT",
        country: "US")
}

// Literals of the tests' own; what can't be read becomes a value that no expectation matches.

extension Timestamp {
    static func at(_ text: String) -> Timestamp { Timestamp(text) ?? Timestamp(microseconds: .min) }
}

extension CalendarDate {
    static func on(_ text: String) -> CalendarDate { CalendarDate(text) ?? CalendarDate(days: .min) }
}

extension InvoiceSeries {
    static func of(_ partner: String, _ month: String, _ kind: InvoiceKind = .invoice) -> InvoiceSeries {
        InvoiceSeries(partnerID: partner, month: .on(month), kind: kind)
    }
}

extension Term {
    static func of(_ text: String) -> Term {
        guard let term = Term(text) else { preconditionFailure("\(text) is no term") }
        return term
    }
}

extension Identifier {
    static func number(_ number: Int) -> Self { Self(high: 0, low: UInt64(number)) }
    static var first: Self { number(1) }
    static var second: Self { number(2) }
}

extension Command {
    static func create(
        _ id: CustomerID = .first, reseller: String? = nil,
        responsibility: AdministrativeResponsibility = .partnerAdministered, email: String? = nil
    ) -> Command {
        .createCustomer(
            CreateCustomer(
                customerID: id, companyName: "Example", address: .sample, resellerID: reseller,
                administrativeResponsibility: responsibility, customerAdminEmail: email))
    }

    static func order(
        _ subscription: Int = 1, product: String = "enterprise-pki", term: String = "P1Y", start: String? = nil,
        autoRenewal: Bool = false, of inventory: [String: Int64] = ["ov-ssl": 1], quoteOnly: Bool = false,
        customer: CustomerID = .first
    ) -> Command {
        .orderAll(
            [.item(subscription, product: product, term: term, start: start, autoRenewal: autoRenewal, of: inventory)],
            quoteOnly: quoteOnly, customer: customer)
    }

    static func orderAll(
        _ items: [OrderSubscriptions.Item], quoteOnly: Bool = false, customer: CustomerID = .first
    ) -> Command {
        .orderSubscriptions(
            OrderSubscriptions(customerID: customer, subscriptions: items, quoteOnly: quoteOnly))
    }

    static func add(
        _ inventory: [CertificateQuantity], to subscription: Int = 1, quoteOnly: Bool = false,
        customer: CustomerID = .first
    ) -> Command {
        .addInventory(
            AddInventory(
                customerID: customer, subscriptionID: .number(subscription), inventory: inventory,
                quoteOnly: quoteOnly))
    }

    static func add(_ quantity: Int64, _ type: String = "ov-ssl", to subscription: Int = 1) -> Command {
        add([CertificateQuantity(certificateType: type, quantity: quantity)], to: subscription)
    }

    static func renewWith(_ inventory: [CertificateQuantity], _ subscription: Int = 1) -> Command {
        .setRenewalInventory(
            SetRenewalInventory(
                customerID: .first, subscriptionID: .number(subscription), renewalInventory: inventory))
    }

    static func renewWith(_ quantity: Int64, _ type: String = "ov-ssl", _ subscription: Int = 1) -> Command {
        renewWith([CertificateQuantity(certificateType: type, quantity: quantity)], subscription)
    }

    static func autoRenewal(_ isOn: Bool, _ subscription: Int = 1) -> Command {
        .setAutoRenewal(
            SetAutoRenewal(customerID: .first, subscriptionID: .number(subscription), autoRenewal: isOn))
    }

    static func suspend(_ subscription: Int = 1, reason: String? = nil) -> Command {
        .suspendSubscription(
            SuspendSubscription(customerID: .first, subscriptionID: .number(subscription), reason: reason))
    }

    static func enable(_ subscription: Int = 1, reason: String? = nil, quoteOnly: Bool = false) -> Command {
        .enableSubscription(
            EnableSubscription(
                customerID: .first, subscriptionID: .number(subscription), reason: reason, quoteOnly: quoteOnly))
    }

    static func refund(
        _ items: KeyValuePairs<TransactionID, Int64>, reason: String? = nil, quoteOnly: Bool = false,
        customer: CustomerID = .first
    ) -> Command {
        .processRefund(
            ProcessRefund(
                customerID: customer,
                refunds: items.map { ProcessRefund.Item(transactionID: $0.key, quantity: $0.value) }, reason: reason,
                quoteOnly: quoteOnly))
    }
}

extension OrderSubscriptions.Item {
    static func item(
        _ subscription: Int = 1, product: String = "enterprise-pki", term: String = "P1Y", start: String? = nil,
        autoRenewal: Bool = false, of inventory: [String: Int64] = ["ov-ssl": 1]
    ) -> Self {
        Self(
            subscriptionID: .number(subscription), product: product, term: .of(term), startDate: start.map { .on($0) },
            autoRenewal: autoRenewal,
            inventory: inventory.sorted { $0.key < $1.key }.map {
                CertificateQuantity(certificateType: $0.key, quantity: $0.value)
            })
    }
}

extension Event {
    /// What a rejection lists, as `code pointer`; empty for any other event.
    var violations: [String] {
        guard case .rejected(let rejection, _, _) = data else { return [] }
        return rejection.violations.map { "\($0.code.rawValue) \($0.pointer)" }
    }

    /// The transactions that the event tells of.
    var transactions: [Transaction] {
        switch data {
        case .subscriptions(_, let transactions, _, _), .refund(let transactions, _, _), .quote(let transactions, _):
            transactions
        default: []
        }
    }

    /// The amounts of those transactions, in minor units.
    var amounts: [Int64] { transactions.map(\.amount.amount) }
}
