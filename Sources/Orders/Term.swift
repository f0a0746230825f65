// How long a subscription runs: a number of calendar years or months, or of days.

/// The length of a subscription's period, an ISO 8601 duration with a single designator.
///
/// `P1Y` and `P6M` are calendar terms, `P365D` a fixed-day one. A term is what it was written as: `P12M` ends on the
/// same day as `P1Y`, but it is another term with prices of its own.
public struct Term: Hashable, Sendable {
    /// What a term's number counts.
    public enum Unit: Hashable, Sendable {
        case years
        case months
        case days
    }

    /// How a term moves a date.
    public enum Length: Hashable, Sendable {
        /// So many months, to the same day of the month or the month's last.
        case calendar(months: Int)
        /// So many days.
        case days(Int)
    }

    /// How many of ``unit``, at least 1 and at most what makes ten years.
    public let count: Int
    /// What ``count`` counts.
    public let unit: Unit

    /// The regular expression (ECMA 262) that is true of exactly the texts that ``init(_:)`` accepts: up to ten years,
    /// 120 months or 3650 days, without leading zeros.
    public static let pattern =
        "^P(([1-9]|10)Y|([1-9][0-9]?|1[01][0-9]|120)M|([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650)D)$"

    /// Creates a term; `nil` if it isn't between one unit and ten years.
    public init?(_ count: Int, _ unit: Unit) {
        guard count >= 1, count <= Self.maximum(of: unit) else { return nil }
        self.count = count
        self.unit = unit
    }

    /// Reads an ISO 8601 duration such as `P1Y`, `P6M` or `P365D`; `nil` for anything that ``pattern`` doesn't match.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (3...6).contains(bytes.count), bytes[0] == UInt8(ascii: "P"), bytes[1] != UInt8(ascii: "0"),
            let count = bytes.withUnsafeBufferPointer({
                DecimalDigits.number(in: $0, from: 1, count: bytes.count - 2)
            })
        else { return nil }
        switch bytes[bytes.count - 1] {
        case UInt8(ascii: "Y"): self.init(count, .years)
        case UInt8(ascii: "M"): self.init(count, .months)
        case UInt8(ascii: "D"): self.init(count, .days)
        default: return nil
        }
    }

    /// How this term moves a date.
    public var length: Length {
        switch unit {
        case .years: .calendar(months: count * 12)
        case .months: .calendar(months: count)
        case .days: .days(count)
        }
    }

    /// The day after a period's last: periods are half-open, so it is also the next period's first.
    ///
    /// - Parameters:
    ///   - period: 0 for the subscription's first period, as in ``Period/index``.
    ///   - start: the first day of the first period. Every end is computed from it, never from the previous end, so
    ///     that a yearly term from 29 February ends on 28 February in common years and on 29 February in leap years.
    public func end(ofPeriod period: Int, from start: CalendarDate) -> CalendarDate {
        // So many periods end after the last representable day, whatever the term.
        let terms = min(max(period, 0), Int(Int32.max)) + 1
        switch length {
        case .calendar(let months): return start.adding(months: months * terms)
        case .days(let days): return start.adding(days: days * terms)
        }
    }

    private static func maximum(of unit: Unit) -> Int {
        switch unit {
        case .years: 10
        case .months: 120
        case .days: 3650
        }
    }
}

extension Term: CustomStringConvertible {
    /// The text form, for example `P1Y`.
    public var description: String {
        switch unit {
        case .years: "P\(count)Y"
        case .months: "P\(count)M"
        case .days: "P\(count)D"
        }
    }
}
