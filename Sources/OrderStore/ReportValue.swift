// The cells of reports, and which rows are asked for.

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

/// Which rows a report is to have; nil doesn't restrict.
public struct ReportFilter: Sendable, Hashable {
    public var customer: CustomerID?
    public var reseller: String?
    public var partner: String?
    /// The first day, and the last one: both count.
    public var from: CalendarDate?
    public var to: CalendarDate?
    /// Whether the days of transactions are those on which they were booked, rather than those that they are for.
    public var isByBooking: Bool

    public init(
        customer: CustomerID? = nil, reseller: String? = nil, partner: String? = nil, from: CalendarDate? = nil,
        to: CalendarDate? = nil, isByBooking: Bool = false
    ) {
        self.customer = customer
        self.reseller = reseller
        self.partner = partner
        self.from = from
        self.to = to
        self.isByBooking = isByBooking
    }
}
