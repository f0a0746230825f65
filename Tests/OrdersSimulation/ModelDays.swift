// The model's calendar: days in UTC, Foundation's zones, and where a sale's periods begin and end.

import Foundation
import Orders

extension Model {
    static let calendar: Calendar = zoned("UTC")

    static func zoned(_ name: String) -> Calendar {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: name) ?? .gmt
        return calendar
    }

    static func day(_ time: Timestamp, in zone: String) -> Day {
        let seconds = (Double(time.microseconds) / 1_000_000).rounded(.down)
        let parts = zoned(zone).dateComponents([.year, .month, .day], from: Date(timeIntervalSince1970: seconds))
        return calendar.date(from: parts) ?? .distantPast
    }

    static func day(_ date: CalendarDate) -> Day { Date(timeIntervalSince1970: Double(date.days) * 86400) }
    static func days(_ from: Day, _ to: Day) -> Int { Int((to.timeIntervalSince(from) / 86400).rounded()) }
    static func month(_ day: Day) -> Day {
        calendar.date(from: calendar.dateComponents([.year, .month], from: day)) ?? .distantPast
    }
    static func later(_ day: Day, months: Int) -> Day {
        calendar.date(byAdding: .month, value: months, to: day) ?? .distantFuture
    }

    static func end(_ start: Day, _ term: Term, _ period: Int) -> Day {
        let text = term.description.dropFirst()
        let count = (Int(text.dropLast()) ?? 0) * (period + 1)
        switch text.last {
        case "Y": return later(start, months: 12 * count)
        case "M": return later(start, months: count)
        default: return start.addingTimeInterval(Double(count) * 86400)
        }
    }

    /// The end of a sale's present period.
    static func end(_ sale: Sale) -> Day {
        let restart = sale.restart ?? (0, sale.start)
        return end(restart.start, sale.term, sale.period - restart.period)
    }

    static func start(_ sale: Sale) -> Day {
        let restart = sale.restart ?? (0, sale.start)
        return sale.period == restart.period
            ? restart.start : end(restart.start, sale.term, sale.period - restart.period - 1)
    }

    /// Whether a sale falls due at the end of its period: it doesn't while it waits to be enabled.
    static func falls(_ sale: Sale) -> Bool {
        sale.state == .active || (sale.state == .suspended && !sale.autoRenewal)
    }

    /// Half up; for the amounts of random histories, which are small.
    static func round(_ dividend: Int64, _ divisor: Int64) -> Int64 { (2 * dividend + divisor) / (2 * divisor) }
}
