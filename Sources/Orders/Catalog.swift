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

/// What subscriptions are for.
public struct Product: Hashable, Sendable {
    public let id: String
    public let name: String
    public let certificateTypes: Set<String>
    public let terms: Set<Term>

    public init(id: String, name: String, certificateTypes: Set<String>, terms: Set<Term>) {
        self.id = id
        self.name = name
        self.certificateTypes = certificateTypes
        self.terms = terms
    }
}

/// A price that is in force from a date on, until a later one replaces it. Never edited in place.
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
    public let effectiveFrom: CalendarDate

    public init(subject: Subject, unitPrice: Int64, effectiveFrom: CalendarDate) {
        self.subject = subject
        self.unitPrice = unitPrice
        self.effectiveFrom = effectiveFrom
    }
}

/// One version of the whole catalog.
public struct Catalog: Sendable {
    /// Goes up with every change of the catalog.
    public let version: Int64
    public let partners: [String: Partner]
    public let products: [String: Product]
    private let partnerByPublisher: [String: String]
    /// By subject, latest first.
    private let prices: [Price.Subject: [Price]]

    public init(version: Int64, partners: [Partner], products: [Product], prices: [Price]) {
        self.version = version
        self.partners = Dictionary(partners.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.products = Dictionary(products.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.partnerByPublisher = Dictionary(
            partners.flatMap { partner in partner.publishers.map { ($0, partner.id) } },
            uniquingKeysWith: { first, _ in first })
        self.prices = Dictionary(grouping: prices, by: \.subject).mapValues { prices in
            prices.sorted { $0.effectiveFrom > $1.effectiveFrom }
        }
    }

    /// The partner for which `publisher` may act; nil when there is none.
    public func partner(for publisher: Publisher) -> Partner? {
        switch publisher {
        case .user(let name): partnerByPublisher[name].flatMap { partners[$0] }
        case .trusted(let partner?): partners[partner]
        case .trusted(nil): partners.count == 1 ? partners.values.first : nil
        case .anonymous, .worker: nil
        }
    }

    /// The price of one certificate in minor units for `partner` on `date`: the partner's own price where it has one in
    /// force, else the list price in its currency; nil when there is neither.
    public func unitPrice(
        partner: Partner, product: String, certificateType: String, term: Term, on date: CalendarDate
    ) -> Int64? {
        for owner in [partner.id, nil] {
            let subject = Price.Subject(
                partnerID: owner, product: product, certificateType: certificateType, term: term,
                currency: partner.currency.code)
            if let price = prices[subject]?.first(where: { $0.effectiveFrom <= date }) {
                return price.unitPrice
            }
        }
        return nil
    }
}
