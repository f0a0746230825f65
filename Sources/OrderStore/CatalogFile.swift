// The declarative file in which the operator keeps partners, resellers, products and prices.

public import FoundationEssentials
internal import OrderContract
internal import Orders

/// The catalog as the operator writes it, in JSON. Names of members are those of the file.
public struct CatalogFile: Codable, Sendable, Equatable {
    public struct Partner: Codable, Sendable, Equatable {
        public var id: String
        public var name: String
        /// ISO 4217.
        public var currency: String
        /// IANA name.
        public var billingZone: String
        /// Days; 30 where absent.
        public var refundWindowDays: Int?
        /// AMQP user names that may publish for the partner.
        public var publishers: [String]?
        public var resellers: [Reseller]?
    }

    public struct Reseller: Codable, Sendable, Equatable {
        public var id: String
        public var name: String
    }

    public struct Product: Codable, Sendable, Equatable {
        public var id: String
        public var name: String
        public var certificateTypes: [String]
        /// ISO 8601 durations.
        public var terms: [String]
    }

    public struct Price: Codable, Sendable, Equatable {
        /// The partner whose own price it is; absent for the list price.
        public var partner: String?
        public var product: String
        public var certificateType: String
        public var term: String
        public var currency: String
        /// Of one certificate for the whole term, in minor units.
        public var unitPrice: Int64
        public var effectiveFrom: String
    }

    public var partners: [Partner]
    public var products: [Product]
    public var prices: [Price]

    /// Reads a file. Unknown members are refused: a misspelt one must not be ignored.
    public init(json: Data) throws(StoreError) {
        do {
            self = try JSONDecoder().decode(CatalogFile.self, from: json)
        } catch let error as DecodingError {
            throw .catalog("it can't be read: \(Self.explain(error))")
        } catch {
            throw .catalog("it can't be read: \(error)")
        }
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(Array(json), maximumSize: .max)
        } catch {
            throw .catalog("it can't be read: \(error)")
        }
        if let member = Self.unknownMember(in: document.root) {
            throw .catalog("it has the member '\(member)', which no catalog has")
        }
        try check()
    }

    private static func explain(_ error: DecodingError) -> String {
        let (path, what): ([any CodingKey], String) =
            switch error {
            case .keyNotFound(let key, let context): (context.codingPath, "'\(key.stringValue)' is missing")
            case .valueNotFound(_, let context): (context.codingPath, "a value is missing")
            case .typeMismatch(let type, let context): (context.codingPath, "a \(type) was expected")
            case .dataCorrupted(let context): (context.codingPath, "\(context.debugDescription)")
            @unknown default: ([], "\(error)")
            }
        let place = path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: "/")
        return place.isEmpty ? what : "at \(place): \(what)"
    }

    private static let knownMembers: [String: Set<String>] = [
        "": ["partners", "products", "prices"],
        "partners": ["id", "name", "currency", "billingZone", "refundWindowDays", "publishers", "resellers"],
        "resellers": ["id", "name"],
        "products": ["id", "name", "certificateTypes", "terms"],
        "prices": ["partner", "product", "certificateType", "term", "currency", "unitPrice", "effectiveFrom"],
    ]

    /// The first member, at any depth, that isn't of a catalog. `place` is the member that `value` belongs to.
    private static func unknownMember(in value: JSONValue, _ place: String = "") -> String? {
        for element in value.elements {
            if let found = unknownMember(in: element, place) { return found }
        }
        guard let names = knownMembers[place] else { return nil }
        for member in value.members {
            if !names.contains(member.name) { return place.isEmpty ? member.name : "\(place)/\(member.name)" }
            if let found = unknownMember(in: member.value, member.name) { return found }
        }
        return nil
    }

    private func check() throws(StoreError) {
        try Self.requireUnique(partners.map(\.id), "partner")
        try Self.requireUnique(products.map(\.id), "product")
        try Self.requireUnique(partners.flatMap { $0.publishers ?? [] }, "publisher")
        for partner in partners {
            let name = "partner '\(partner.id)'"
            try Self.requireID(partner.id, "partner")
            guard Currency(partner.currency) != nil else {
                throw .catalog("\(name): '\(partner.currency)' is no ISO 4217 currency")
            }
            guard BillingZone(partner.billingZone) != nil else {
                throw .catalog("\(name): '\(partner.billingZone)' is no time zone in /usr/share/zoneinfo (tzdata)")
            }
            guard (0...3650).contains(partner.refundWindowDays ?? 30) else {
                throw .catalog("\(name): the refund window must be 0 to 3650 days")
            }
            try Self.requireUnique((partner.resellers ?? []).map(\.id), "\(name): reseller")
            for reseller in partner.resellers ?? [] { try Self.requireID(reseller.id, "\(name): reseller") }
        }
        for product in products {
            try Self.requireID(product.id, "product")
            try Self.requireUnique(product.certificateTypes, "product '\(product.id)': certificate type")
            try Self.requireUnique(product.terms, "product '\(product.id)': term")
            for type in product.certificateTypes {
                try Self.requireID(type, "product '\(product.id)': certificate type")
            }
            for term in product.terms where Term(term) == nil {
                throw .catalog("product '\(product.id)': '\(term)' is no term such as P1Y, P1M or P365D")
            }
        }
        try checkPrices()
    }

    private func checkPrices() throws(StoreError) {
        let products = Dictionary(self.products.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let partners = Dictionary(self.partners.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for price in prices {
            let name = "the price of \(price.subject)"
            guard let product = products[price.product] else { throw .catalog("\(name): there is no such product") }
            guard product.certificateTypes.contains(price.certificateType) else {
                throw .catalog("\(name): the product has no such certificate type")
            }
            guard product.terms.contains(price.term) else { throw .catalog("\(name): the product has no such term") }
            guard Currency(price.currency) != nil else {
                throw .catalog("\(name): '\(price.currency)' is no ISO 4217 currency")
            }
            guard CalendarDate(price.effectiveFrom) != nil else {
                throw .catalog("\(name): '\(price.effectiveFrom)' is no date such as 2026-01-31")
            }
            guard (0...1_000_000_000_000).contains(price.unitPrice) else {
                throw .catalog("\(name): the unit price must be 0 to 1000000000000 minor units")
            }
            if let partner = price.partner, partners[partner] == nil {
                throw .catalog("\(name): there is no partner '\(partner)'")
            }
        }
        try Self.requireUnique(prices.map(\.subject), "price")
    }

    private static func requireUnique(_ names: [String], _ what: String) throws(StoreError) {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw .catalog("the \(what) '\(name)' is there twice")
        }
    }

    private static func requireID(_ id: String, _ what: String) throws(StoreError) {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let allowed = id.utf8.enumerated().allSatisfy { index, byte in
            letters.contains(byte) || digits.contains(byte) || (index > 0 && "._-".utf8.contains(byte))
        }
        guard allowed, (1...64).contains(id.utf8.count) else {
            throw .catalog(
                "the \(what) id '\(id)' must be 1 to 64 of a–z, 0–9, '.', '_' and '-', the first a letter or a digit")
        }
    }
}

extension CatalogFile.Price {
    /// What the price is for and since when, for people and as a key.
    var subject: String {
        "\(product) \(certificateType) \(term) in \(currency) for \(partner ?? "everyone") from \(effectiveFrom)"
    }
}

extension StoreError {
    static func catalog(_ detail: String) -> StoreError {
        StoreError(
            .invalidCatalog, during: "reading the catalog", detail: detail,
            advice: "Correct the file and apply it again.")
    }
}
