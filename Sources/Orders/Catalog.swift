// Partners, resellers, products and prices, as the operator provisions them.

/// Sells subscriptions to customers.
public struct Partner: Hashable, Sendable {
    public let id: String
    public let name: String
    public let currency: Currency
    public let zone: BillingZone
    /// A charge can be refunded until this many days after its date.
    public let refundWindowDays: Int
    /// AMQP user names that may publish for it.
    public let publishers: [String]
    /// Names of its resellers, by id.
    public let resellers: [String: String]

    public init(
        id: String, name: String, currency: Currency, zone: BillingZone, refundWindowDays: Int, publishers: [String],
        resellers: [String: String]
    ) {
        self.id = id
        self.name = name
        self.currency = currency
        self.zone = zone
        self.refundWindowDays = refundWindowDays
        self.publishers = publishers
        self.resellers = resellers
    }
}

/// A partner that can't be served on this machine: its customers' days can't be told. It stops nobody else.
public struct UnusablePartner: Hashable, Sendable {
    public let id: String
    /// AMQP user names that may publish for it.
    public let publishers: [String]
    /// What is wrong and what to do about it, for people.
    public let reason: String

    public init(id: String, publishers: [String], reason: String) {
        self.id = id
        self.publishers = publishers
        self.reason = reason
    }
}

/// What subscriptions are for.
public struct Product: Hashable, Sendable {
    /// How many certificate types a product may have, so that what a subscription holds can be told in one event.
    public static let maximumCertificateTypes = 500

    public let id: String
    public let name: String
    /// When each certificate type is sold; ranges that don't overlap.
    public let certificateTypes: [String: [Validity]]
    /// When the product is sold for each term, likewise.
    public let terms: [Term: [Validity]]

    public init(id: String, name: String, certificateTypes: [String: [Validity]], terms: [Term: [Validity]]) {
        self.id = id
        self.name = name
        self.certificateTypes = certificateTypes
        self.terms = terms
    }

    /// A product whose types and terms are sold since ever and for good.
    public init(id: String, name: String, certificateTypes: Set<String>, terms: Set<Term>) {
        self.init(
            id: id, name: name,
            certificateTypes: Dictionary(uniqueKeysWithValues: certificateTypes.map { ($0, [.always]) }),
            terms: Dictionary(uniqueKeysWithValues: terms.map { ($0, [.always]) }))
    }

    /// Whether certificates of the type are sold on `date`.
    public func sells(_ certificateType: String, on date: CalendarDate) -> Bool {
        certificateTypes[certificateType]?.contains { $0.contains(date) } ?? false
    }

    /// Whether the product is sold for the term on `date`.
    public func sells(for term: Term, on date: CalendarDate) -> Bool {
        terms[term]?.contains { $0.contains(date) } ?? false
    }

    /// Whether anything of the product is sold on `date`: a certificate type for a term.
    public func isSold(on date: CalendarDate) -> Bool {
        certificateTypes.values.contains { $0.contains { $0.contains(date) } }
            && terms.values.contains { $0.contains { $0.contains(date) } }
    }
}

/// A price that is in force from a date on, for good or until a date. Of two of the same subject that are in force on the
/// same day the one that began later counts.
public struct Price: Hashable, Sendable {
    /// What a price is for.
    public struct Subject: Hashable, Sendable {
        /// nil for the list price.
        public let partnerID: String?
        public let product: String
        public let certificateType: String
        public let term: Term
        public let currency: String

        public init(partnerID: String?, product: String, certificateType: String, term: Term, currency: String) {
            self.partnerID = partnerID
            self.product = product
            self.certificateType = certificateType
            self.term = term
            self.currency = currency
        }
    }

    public let subject: Subject
    /// Of one certificate for the whole term, in minor units; 0 or more.
    public let unitPrice: Int64
    public let validity: Validity

    public init(subject: Subject, unitPrice: Int64, validity: Validity) {
        self.subject = subject
        self.unitPrice = unitPrice
        self.validity = validity
    }
}

/// One version of the whole catalog.
public struct Catalog: Sendable {
    /// Goes up with every change of the catalog.
    public let version: Int64
    public let partners: [String: Partner]
    /// The partners that can't be served here, by id; none of ``partners``.
    public let unusablePartners: [String: UnusablePartner]
    public let products: [String: Product]
    private let partnerByPublisher: [String: String]
    /// By subject, latest first.
    private let prices: [Price.Subject: [Price]]

    public init(
        version: Int64, partners: [Partner], unusablePartners: [UnusablePartner] = [], products: [Product],
        prices: [Price]
    ) {
        self.version = version
        self.partners = Dictionary(partners.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.products = Dictionary(products.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.unusablePartners = Dictionary(
            unusablePartners.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let users = partners.map { ($0.id, $0.publishers) } + unusablePartners.map { ($0.id, $0.publishers) }
        self.partnerByPublisher = Dictionary(
            users.flatMap { id, users in users.map { ($0, id) } }, uniquingKeysWith: { first, _ in first })
        self.prices = Dictionary(grouping: prices, by: \.subject).mapValues { prices in
            prices.sorted { left, right in
                guard let since = left.validity.from else { return false }
                return right.validity.from.map { $0 < since } ?? true
            }
        }
    }

    /// The id of the partner for which `publisher` may act, whether it can be served or not; nil when there is none.
    public func partnerID(for publisher: Publisher) -> String? {
        switch publisher {
        case .user(let name): partnerByPublisher[name]
        case .trusted(let id?): partners[id] != nil || unusablePartners[id] != nil ? id : nil
        case .trusted(nil):
            partners.count + unusablePartners.count == 1 ? partners.keys.first ?? unusablePartners.keys.first : nil
        case .anonymous, .worker: nil
        }
    }

    /// The partner for which `publisher` may act; nil when there is none that can be served.
    public func partner(for publisher: Publisher) -> Partner? { partnerID(for: publisher).flatMap { partners[$0] } }

    /// Why a partner can't be served here; nil where it can, or where there is none of this id.
    public func unusable(_ partnerID: String) -> String? { unusablePartners[partnerID]?.reason }

    /// The price of one certificate in minor units for `partner` on `date`: the partner's own price where it has one in
    /// force, else the list price in its currency; nil when there is neither.
    public func unitPrice(
        partner: Partner, product: String, certificateType: String, term: Term, on date: CalendarDate
    ) -> Int64? {
        for owner in [partner.id, nil] {
            let subject = Price.Subject(
                partnerID: owner, product: product, certificateType: certificateType, term: term,
                currency: partner.currency.code)
            if let price = prices[subject]?.first(where: { $0.validity.contains(date) }) {
                return price.unitPrice
            }
        }
        return nil
    }

    /// The product as it is sold on `date`; nil where nothing of it is.
    public func product(_ id: String, on date: CalendarDate) -> Product? {
        products[id].flatMap { $0.isSold(on: date) ? $0 : nil }
    }

    /// Why certificates can't be sold.
    public enum Obstacle: Hashable, Sendable {
        /// Nothing of the product is sold.
        case productNotSold
        /// The product isn't sold for the term.
        case termNotSold
        case certificateTypeNotSold
        /// No price in the partner's currency is in force.
        case noPrice
    }

    /// Why certificates of a type can't be sold to `partner`'s customers on `date`; nil where they can.
    public func obstacle(
        toSelling certificateType: String, of product: String, for term: Term, to partner: Partner,
        on date: CalendarDate
    ) -> Obstacle? {
        guard let sold = self.product(product, on: date) else { return .productNotSold }
        guard sold.sells(for: term, on: date) else { return .termNotSold }
        guard sold.sells(certificateType, on: date) else { return .certificateTypeNotSold }
        let price = unitPrice(
            partner: partner, product: product, certificateType: certificateType, term: term, on: date)
        return price == nil ? .noPrice : nil
    }
}
