// Which columns each report has, and which of them a narrow table leaves out first.

/// A report's column.
public struct ReportColumn: Sendable, Hashable {
    /// For programs: the member's name in JSON, the column's in CSV.
    public let name: String
    /// For people.
    public let title: String
    /// Characters in a table where there is room; 0 leaves the column out of it.
    public let width: Int
    /// The fewest characters in which it still says something.
    public let least: Int
    /// A table that isn't wide enough for all leaves out the columns of the highest rank.
    public let rank: Int
    /// Whether its sum makes sense and is shown under a table.
    public let isSummed: Bool

    init(
        _ name: String, _ title: String = "", width: Int = 0, least: Int? = nil, rank: Int = 100, isSummed: Bool = false
    ) {
        self.name = name
        self.title = title
        self.width = width
        self.least = least ?? width
        self.rank = rank
        self.isSummed = isSummed
    }
}

extension ReportKind {
    /// For programs all of them; for people those with a width.
    public var columns: [ReportColumn] {
        switch self {
        case .transactions: Self.transactionColumns
        case .invoices: Self.invoiceColumns
        case .subscriptions: Self.subscriptionColumns
        case .upcoming: Self.upcomingColumns
        }
    }

    private static let partner = ReportColumn("partnerId", "partner", width: 12, least: 6, rank: 30)
    private static let customer = [
        ReportColumn("customerId", "customer id", width: 36, rank: 40),
        ReportColumn("customerName", "customer", width: 24, least: 10, rank: 3),
        ReportColumn("resellerId"),
        ReportColumn("resellerName", "reseller", width: 16, least: 8, rank: 15),
    ]
    private static let subscription = ReportColumn("subscriptionId", "subscription", width: 36, rank: 45)
    private static let product = [
        ReportColumn("product"), ReportColumn("productName", "product", width: 20, least: 8, rank: 6),
    ]
    private static let certificate = ReportColumn("certificateType", "certificate", width: 12, least: 8, rank: 8)
    private static let action = ReportColumn("action", "action", width: 22, least: 11, rank: 4)
    private static let quantity = ReportColumn("quantity", "quantity", width: 9, rank: 7, isSummed: false)
    private static let unitPrice = ReportColumn("unitPrice", "unit price", width: 14, rank: 20)
    private static let cost = ReportColumn("cost", "cost", width: 16, rank: 2, isSummed: true)
    private static let currency = ReportColumn("currency")

    static let transactionColumns =
        [
            ReportColumn("date", "date", width: 10, rank: 1),
            ReportColumn("bookedOn", "booked on", width: 10, rank: 32),
            ReportColumn("time", "time", width: 27, rank: 50), partner,
        ] + customer + product + [
            subscription, ReportColumn("transactionId", "transaction", width: 36, rank: 42), action, certificate,
            quantity,
            unitPrice, ReportColumn("total", "total", width: 16, rank: 10), cost, currency,
            ReportColumn("daysCharged"), ReportColumn("daysOfTerm"),
            ReportColumn("refundableUntil", "refundable", width: 10, rank: 34),
            ReportColumn("who", "user", width: 16, least: 8, rank: 12), ReportColumn("commandSource"),
            ReportColumn("commandId", "command", width: 36, rank: 55),
            ReportColumn("reverses", "reverses", width: 36, rank: 60), ReportColumn("invoiceId"),
        ]

    static let invoiceColumns =
        [
            ReportColumn("periodStart", "from", width: 10, rank: 1),
            ReportColumn("periodEnd"),
            ReportColumn("closingDate", "closes", width: 10, rank: 6),
            ReportColumn("kind", "kind", width: 10, rank: 7),
            ReportColumn("series"),
            ReportColumn("number", "number", width: 8, rank: 5), ReportColumn("state", "state", width: 6, rank: 4),
            partner,
        ] + customer + [
            ReportColumn("lines", "lines", width: 6, rank: 12),
            ReportColumn("amount", "of its lines", width: 18, rank: 18, isSummed: true),
            ReportColumn("total", "total", width: 18, rank: 2, isSummed: true), currency, ReportColumn("version"),
            ReportColumn("invoiceId", "invoice", width: 36, rank: 42),
        ]

    static let subscriptionColumns =
        [partner] + customer + [subscription] + product + [
            ReportColumn("term", "term", width: 5, rank: 14), ReportColumn("state", "state", width: 9, rank: 5),
            ReportColumn("orderDate", "ordered", width: 10, rank: 9),
            ReportColumn("originalStart", "since", width: 10, rank: 36),
            ReportColumn("periodStart", "from", width: 10, rank: 33),
            ReportColumn("periodEnd", "end", width: 10, rank: 1),
            ReportColumn("autoRenewal", "renews", width: 6, rank: 13),
            ReportColumn("items", "items", width: 8, rank: 7),
            ReportColumn("inventory", "holds", width: 30, least: 16, rank: 16),
            ReportColumn("renewalInventory", "at renewal", width: 24, least: 12, rank: 38), cost, currency,
            ReportColumn("lastModifiedAt", "modified", width: 27, rank: 18),
            ReportColumn("lastModifiedBy", "by", width: 16, least: 8, rank: 17),
            ReportColumn("lastAction", "last action", width: 22, least: 11, rank: 35),
        ]

    static let upcomingColumns =
        [
            ReportColumn("date", "date", width: 10, rank: 1),
            ReportColumn("invoiceMonth", "invoice", width: 7, rank: 11),
            ReportColumn("state", "state", width: 8, rank: 5), partner,
        ] + customer + [subscription] + product + [
            certificate, action, quantity, unitPrice, cost, currency,
            ReportColumn("transactionId", "transaction", width: 36, rank: 42),
            ReportColumn("reason", "why", width: 44, least: 16, rank: 9),
        ]
}
