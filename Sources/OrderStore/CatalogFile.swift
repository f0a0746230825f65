// The declarative file in which the operator keeps partners, resellers, products and prices.

public import FoundationEssentials
internal import OrderContract
internal import Orders

/// The catalog as the operator writes it, in JSON. Names of members are those of the file.
///
/// What is sold and what it costs are dated, half-open: `from` a day, `until` the first day on which it no longer holds, in
/// the zone of each partner. Where `from` is absent it holds since ever, where `until` is absent for good; what was stored
/// of days that have passed stays as it is (``CatalogPlan``).
public struct CatalogFile: Decodable, Sendable, Equatable {
    public struct Partner: Decodable, Sendable, Equatable {
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

    public struct Reseller: Decodable, Sendable, Equatable {
        public var id: String
        public var name: String
    }

    public struct Product: Decodable, Sendable, Equatable {
        public var id: String
        public var name: String
        public var certificateTypes: [Offer]
        /// ISO 8601 durations.
        public var terms: [Offer]
    }

    /// A certificate type or a term for as long as it is sold: `"smime"`, or
    /// `{"certificateType": "smime", "from": "2026-01-01", "until": "2027-01-01"}`, for a term with the member `term`. The
    /// same may be there several times, with dates that don't overlap.
    public struct Offer: Sendable, Equatable {
        public var name: String
        public var from: String?
        public var until: String?
    }

    public struct Price: Decodable, Sendable, Equatable {
        /// The partner whose own price it is; absent for the list price.
        public var partner: String?
        public var product: String
        public var certificateType: String
        public var term: String
        public var currency: String
        /// Of one certificate for the whole term, in minor units.
        public var unitPrice: Int64
        /// The first day, in the file `from` or `effectiveFrom`.
        public var from: String
        /// The first day on which it is no longer in force; absent: until a price of the same that begins later.
        public var until: String?
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

    /// The partners of the file whose time zone this machine doesn't know, and why.
    public var unusablePartners: [String] {
        partners.compactMap { partner in
            Self.problem(currency: partner.currency, zone: partner.billingZone).map { "partner '\(partner.id)': \($0)" }
        }
    }

    /// Why a partner with these can't be served on this machine; nil where it can.
    static func problem(currency: String, zone: String) -> String? {
        if Currency(currency) == nil { return "'\(currency)' is no ISO 4217 currency that this program knows" }
        if BillingZone(zone) != nil { return nil }
        let present = BillingZone.presentName(of: zone)
        let advice =
            present == zone
            ? "install tzdata, and tzdata-legacy where the distribution has it, or correct the name"
            : "it is now called '\(present)': change it in the catalog, or install tzdata-legacy"
        return "'\(zone)' is no time zone in /usr/share/zoneinfo; \(advice)"
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
        "certificateTypes": ["certificateType", "from", "until"],
        "terms": ["term", "from", "until"],
        "prices": [
            "partner", "product", "certificateType", "term", "currency", "unitPrice", "effectiveFrom", "from", "until",
        ],
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
            guard (0...3650).contains(partner.refundWindowDays ?? 30) else {
                throw .catalog("\(name): the refund window must be 0 to 3650 days")
            }
            try Self.requireUnique((partner.resellers ?? []).map(\.id), "\(name): reseller")
            for reseller in partner.resellers ?? [] { try Self.requireID(reseller.id, "\(name): reseller") }
        }
        for product in products {
            try Self.requireID(product.id, "product")
            try Self.requireApart(product.certificateTypes, "product '\(product.id)': certificate type")
            // A subscription's events tell all that it holds, and none may be larger than 256 KiB.
            guard Set(product.certificateTypes.map(\.name)).count <= Orders.Product.maximumCertificateTypes else {
                throw .catalog(
                    "product '\(product.id)': it has more than \(Orders.Product.maximumCertificateTypes) certificate types"
                )
            }
            try Self.requireApart(product.terms, "product '\(product.id)': term")
            for type in product.certificateTypes {
                try Self.requireID(type.name, "product '\(product.id)': certificate type")
            }
            for term in product.terms where Term(term.name) == nil {
                throw .catalog("product '\(product.id)': '\(term.name)' is no term such as P1Y, P1M or P365D")
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
            guard product.certificateTypes.contains(where: { $0.name == price.certificateType }) else {
                throw .catalog("\(name): the product has no such certificate type")
            }
            guard product.terms.contains(where: { $0.name == price.term }) else {
                throw .catalog("\(name): the product has no such term")
            }
            guard Currency(price.currency) != nil else {
                throw .catalog("\(name): '\(price.currency)' is no ISO 4217 currency")
            }
            _ = try Self.validity(price.from, price.until, of: name)
            guard (0...1_000_000_000_000).contains(price.unitPrice) else {
                throw .catalog("\(name): the unit price must be 0 to 1000000000000 minor units")
            }
            if let partner = price.partner, partners[partner] == nil {
                throw .catalog("\(name): there is no partner '\(partner)'")
            }
        }
        try Self.requireUnique(prices.map(\.subject), "price")
    }

    /// The same may be offered several times, but not twice on the same day.
    private static func requireApart(_ offers: [Offer], _ what: String) throws(StoreError) {
        var ranges: [String: [Validity]] = [:]
        for offer in offers {
            let range = try validity(offer.from, offer.until, of: "\(what) '\(offer.name)'")
            guard ranges[offer.name, default: []].allSatisfy({ !$0.overlaps(range) }) else {
                throw .catalog("the \(what) '\(offer.name)' is there twice for the same day")
            }
            ranges[offer.name, default: []].append(range)
        }
    }

    /// The range of two dates as they are written.
    private static func validity(
        _ from: String?, _ until: String?, of what: String
    ) throws(StoreError) -> Validity {
        for text in [from, until].compactMap(\.self) where CalendarDate(text) == nil {
            throw .catalog("\(what): '\(text)' is no date such as 2026-01-31")
        }
        let validity = Validity(from, until)
        guard !validity.isEmpty else {
            throw .catalog("\(what): it ends on \(until ?? ""), before it begins; 'until' is the first day after it")
        }
        return validity
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

extension CatalogFile.Offer: Decodable {
    private enum CodingKeys: String, CodingKey {
        case certificateType, term, from, until
    }

    public init(from decoder: any Decoder) throws {
        if let name = try? decoder.singleValueContainer().decode(String.self) {
            self.init(name: name)
            return
        }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        // Which of the two belongs here, `unknownMember` sees to.
        let name = try values.decodeIfPresent(String.self, forKey: .term)
        self.init(
            name: try name ?? values.decode(String.self, forKey: .certificateType),
            from: try values.decodeIfPresent(String.self, forKey: .from),
            until: try values.decodeIfPresent(String.self, forKey: .until))
    }
}

extension CatalogFile.Price {
    private enum CodingKeys: String, CodingKey {
        case partner, product, certificateType, term, currency, unitPrice, effectiveFrom, from, until
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let dates = try (
            values.decodeIfPresent(String.self, forKey: .from),
            values.decodeIfPresent(String.self, forKey: .effectiveFrom)
        )
        if dates.0 != nil && dates.1 != nil {
            throw DecodingError.dataCorruptedError(
                forKey: .from, in: values, debugDescription: "from and effectiveFrom are the same: write one of them")
        }
        self.init(
            partner: try values.decodeIfPresent(String.self, forKey: .partner),
            product: try values.decode(String.self, forKey: .product),
            certificateType: try values.decode(String.self, forKey: .certificateType),
            term: try values.decode(String.self, forKey: .term),
            currency: try values.decode(String.self, forKey: .currency),
            unitPrice: try values.decode(Int64.self, forKey: .unitPrice),
            from: try dates.0 ?? dates.1 ?? values.decode(String.self, forKey: .effectiveFrom),
            until: try values.decodeIfPresent(String.self, forKey: .until))
    }

    /// What the price is for and since when, for people and as a key.
    var subject: String {
        "\(product) \(certificateType) \(term) in \(currency) for \(partner ?? "everyone") from \(from)"
    }
}

extension Validity {
    /// A range of dates that were checked.
    init(_ from: String?, _ until: String?) {
        self.init(from: from.flatMap { CalendarDate($0) }, until: until.flatMap { CalendarDate($0) })
    }
}

extension StoreError {
    static func catalog(_ detail: String) -> StoreError {
        StoreError(
            .invalidCatalog, during: "reading the catalog", detail: detail,
            advice: "Correct the file and apply it again.")
    }
}
