// From when until when something of the catalog holds.

/// A range of dates, half-open: `[from, until)`. A date is a day in the zone of the partner that it is asked for.
public struct Validity: Hashable, Sendable {
    /// The first day; nil for since ever.
    public let from: CalendarDate?
    /// The first day on which it no longer holds; nil for for good.
    public let until: CalendarDate?

    /// Since ever and for good.
    public static let always = Validity(from: nil, until: nil)

    public init(from: CalendarDate?, until: CalendarDate?) {
        self.from = from
        self.until = until
    }

    /// Whether no day is in it.
    public var isEmpty: Bool {
        if let from, let until { until <= from } else { false }
    }

    public func contains(_ date: CalendarDate) -> Bool {
        if let from, date < from { return false }
        if let until, until <= date { return false }
        return true
    }

    /// Whether the two have a day in common.
    public func overlaps(_ other: Validity) -> Bool {
        if let until, let from = other.from, until <= from { return false }
        if let until = other.until, let from, until <= from { return false }
        return !isEmpty && !other.isEmpty
    }
}
