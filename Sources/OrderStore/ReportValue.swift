// The cells and columns of reports.

public import Orders

/// What one cell of a report holds.
public enum ReportValue: Sendable, Hashable {
    case absent
    case text(String)
    case integer(Int64)
    case bool(Bool)
    /// Shown to people with the currency's decimals, to programs in minor units.
    case money(Money)

    init(_ text: String?) { self = text.map { .text($0) } ?? .absent }
    init(_ integer: Int64?) { self = integer.map { .integer($0) } ?? .absent }
}

/// A report's column.
public struct ReportColumn: Sendable, Hashable {
    /// For programs: the member's name in JSON, the column's in CSV.
    public let name: String
    /// For people.
    public let title: String
    /// Characters in a table; 0 leaves the column out of it.
    public let width: Int

    init(_ name: String, _ title: String = "", width: Int = 0) {
        self.name = name
        self.title = title
        self.width = width
    }
}

/// Which rows a report is to have; nil doesn't restrict.
public struct ReportFilter: Sendable, Hashable {
    public var customer: CustomerID?
    public var reseller: String?
    public var partner: String?
    /// The first day, and the last one: both count.
    public var from: CalendarDate?
    public var to: CalendarDate?

    public init(
        customer: CustomerID? = nil, reseller: String? = nil, partner: String? = nil, from: CalendarDate? = nil,
        to: CalendarDate? = nil
    ) {
        self.customer = customer
        self.reseller = reseller
        self.partner = partner
        self.from = from
        self.to = to
    }
}
