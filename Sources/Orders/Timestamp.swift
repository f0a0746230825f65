// An instant in UTC, to the microsecond, as RFC 3339 writes it.

/// An instant, in microseconds since 1970-01-01T00:00:00Z, not counting leap seconds: the precision of PostgreSQL.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z, negative before.
    public let microseconds: Int64

    /// Creates the instant so many microseconds after 1970-01-01T00:00:00Z.
    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Reads an RFC 3339 date-time such as `2026-11-22T21:35:06.5Z` or `2026-11-22t22:35:06+01:00`.
    ///
    /// A fraction may have one to nine digits; those beyond the microsecond are cut off. A leap second, which is only
    /// accepted at 23:59:60 UTC, counts as the last microsecond before it. Years are 0000…9999, as written and in UTC.
    /// Anything else gives `nil`.
    public init?(_ text: String) {
        var text = text
        let value = text.withUTF8 { Self.microseconds(rfc3339: $0) }
        guard let value else { return nil }
        self.init(microseconds: value)
    }

    /// The instant so much later, or earlier if negative, to the microsecond; saturates at the ends of the range.
    public func adding(_ duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (part, partOverflow) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        let (sum, sumOverflow) = microseconds.addingReportingOverflow(part)
        if overflow || partOverflow || sumOverflow {
            return Timestamp(microseconds: duration < .zero ? .min : .max)
        }
        return Timestamp(microseconds: sum)
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    static let microsecondsPerSecond: Int64 = 1_000_000
    static let microsecondsPerDay: Int64 = 86_400_000_000

    private static func microseconds(rfc3339 bytes: UnsafeBufferPointer<UInt8>) -> Int64? {
        func number(_ start: Int, _ count: Int) -> Int? { DecimalDigits.number(in: bytes, from: start, count: count) }
        func byte(_ index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }

        guard bytes.count >= 20, bytes.count <= 35,
            let year = number(0, 4), byte(4) == UInt8(ascii: "-"),
            let month = number(5, 2), byte(7) == UInt8(ascii: "-"),
            let day = number(8, 2), byte(10).map({ $0 | 0x20 }) == UInt8(ascii: "t"),
            let hour = number(11, 2), hour <= 23, byte(13) == UInt8(ascii: ":"),
            let minute = number(14, 2), minute <= 59, byte(16) == UInt8(ascii: ":"),
            let second = number(17, 2), second <= 60,
            // Adding 400 years keeps the calendar and moves years 0…1899 into the range that a date accepts.
            let date = CalendarDate(year: year < 1900 ? year + 2000 : year, month: month, day: day)
        else { return nil }
        let days = Int64(date.days) - (year < 1900 ? 5 * 146_097 : 0)

        var index = 19
        var fraction: Int64 = 0
        if byte(index) == UInt8(ascii: ".") {
            index += 1
            let start = index
            var unit: Int64 = 100_000
            while let digit = number(index, 1) {
                fraction += Int64(digit) * unit
                unit /= 10
                index += 1
            }
            guard (1...9).contains(index - start) else { return nil }
        }

        var offset = 0
        switch byte(index) {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"):
            index += 1
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard let hours = number(index + 1, 2), hours <= 23, byte(index + 3) == UInt8(ascii: ":"),
                let minutes = number(index + 4, 2), minutes <= 59
            else { return nil }
            offset = (hours * 60 + minutes) * (byte(index) == UInt8(ascii: "-") ? -1 : 1)
            index += 6
        default:
            return nil
        }
        guard index == bytes.count else { return nil }

        let minutes = days * 1440 + Int64(hour * 60 + minute - offset)
        guard minutes >= earliestMinute, minutes <= latestMinute else { return nil }
        if second == 60 {
            guard minutes - minutes.floorDivided(by: 1440) * 1440 == 1439 else { return nil }
            return minutes * 60_000_000 + 59_999_999
        }
        return minutes * 60_000_000 + Int64(second) * microsecondsPerSecond + fraction
    }

    /// 0000-01-01T00:00Z, in minutes since 1970.
    private static let earliestMinute: Int64 = -719_528 * 1440
    /// 9999-12-31T23:59Z, in minutes since 1970.
    private static let latestMinute: Int64 = 2_932_897 * 1440 - 1
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC, ending in `Z`, with a fraction of a second only where there is one and no zero at its end.
    public var description: String {
        let days = microseconds.floorDivided(by: Self.microsecondsPerDay)
        // Wraps only where the product lies just outside the range, and the difference is right all the same.
        let rest = Int(microseconds &- days &* Self.microsecondsPerDay)
        let seconds = rest / 1_000_000
        let date = CalendarDate(days: Int32(clamping: days))
        var text = "\(date)T"
        text += DecimalDigits.padded(seconds / 3600, to: 2)
        text += ":" + DecimalDigits.padded(seconds / 60 % 60, to: 2)
        text += ":" + DecimalDigits.padded(seconds % 60, to: 2)
        var fraction = rest % 1_000_000
        if fraction > 0 {
            var width = 6
            while fraction.isMultiple(of: 10) {
                fraction /= 10
                width -= 1
            }
            text += "." + DecimalDigits.padded(fraction, to: width)
        }
        return text + "Z"
    }
}
