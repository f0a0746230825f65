// A day of the calendar, without a time or a zone.

/// A day in the proleptic Gregorian calendar.
///
/// Arithmetic saturates at the ends of the range of ``days`` instead of trapping; those lie millions of years
/// away from any date that ``init(_:)`` reads.
public struct CalendarDate: Hashable, Comparable, Sendable {
    /// Days since 1970-01-01, negative before.
    public let days: Int32

    /// Creates the day that lies so many days after 1970-01-01.
    public init(days: Int32) {
        self.days = days
    }

    /// Creates a day from its parts; `nil` if there is no such day, or its year lies outside 1900…9999.
    public init?(year: Int, month: Int, day: Int) {
        guard (1900...9999).contains(year), (1...12).contains(month),
            day >= 1, day <= Self.days(inMonth: month, of: year)
        else { return nil }
        self.init(uncheckedYear: year, month: month, day: day)
    }

    /// Reads an ISO 8601 date, exactly `YYYY-MM-DD`, of a year in 1900…9999; anything else gives `nil`.
    public init?(_ text: String) {
        var text = text
        let parts: (Int, Int, Int)? = text.withUTF8 { bytes in
            guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
                let year = DecimalDigits.number(in: bytes, from: 0, count: 4),
                let month = DecimalDigits.number(in: bytes, from: 5, count: 2),
                let day = DecimalDigits.number(in: bytes, from: 8, count: 2)
            else { return nil }
            return (year, month, day)
        }
        guard let parts else { return nil }
        self.init(year: parts.0, month: parts.1, day: parts.2)
    }

    /// The year, for example 2026.
    public var year: Int { civil.year }
    /// The month, 1…12.
    public var month: Int { civil.month }
    /// The day of the month, 1…31.
    public var day: Int { civil.day }

    /// The first day of this day's month.
    public var firstOfMonth: CalendarDate { adding(days: 1 - day) }

    /// The day so many days later, or earlier if negative.
    public func adding(days: Int) -> CalendarDate {
        let (sum, overflow) = Int(self.days).addingReportingOverflow(days)
        return CalendarDate(days: overflow ? (days < 0 ? .min : .max) : Int32(clamping: sum))
    }

    /// The same day of the month so many months later, or earlier if negative; the month's last day where it is
    /// shorter. 31 January plus one month is 28 or 29 February.
    public func adding(months: Int) -> CalendarDate {
        let (year, month, day) = civil
        // More months than the whole range of days holds can only saturate.
        let months = min(max(months, -200_000_000), 200_000_000)
        let index = year * 12 + (month - 1) + months
        let newYear = index.floorDivided(by: 12)
        let newMonth = index - newYear * 12 + 1
        let newDay = min(day, Self.days(inMonth: newMonth, of: newYear))
        return CalendarDate(uncheckedYear: newYear, month: newMonth, day: newDay)
    }

    /// The days from `right` to `left`, negative if `left` is the earlier one.
    public static func - (left: CalendarDate, right: CalendarDate) -> Int {
        Int(left.days) - Int(right.days)
    }

    public static func < (left: CalendarDate, right: CalendarDate) -> Bool {
        left.days < right.days
    }

    /// How many days a month has.
    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Both conversions count years from 1 March, which puts the leap day last, within eras of 400 years = 146,097 days.

    private init(uncheckedYear year: Int, month: Int, day: Int) {
        let shifted = month > 2 ? year : year - 1
        let era = shifted.floorDivided(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        self.init(days: Int32(clamping: era * 146_097 + dayOfEra - 719_468))
    }

    private var civil: (year: Int, month: Int, day: Int) {
        let days = Int(self.days) + 719_468
        let era = days.floorDivided(by: 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

extension CalendarDate: CustomStringConvertible {
    /// ISO 8601, for example `2026-11-22`.
    public var description: String {
        let (year, month, day) = civil
        return
            "\(DecimalDigits.padded(year, to: 4))-\(DecimalDigits.padded(month, to: 2))-\(DecimalDigits.padded(day, to: 2))"
    }
}
