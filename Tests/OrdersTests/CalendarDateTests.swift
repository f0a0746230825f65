// Dates: parsing, parts, and the arithmetic that periods rest on.

import Foundation
import Orders
import Testing

@Suite struct CalendarDateTests {
    @Test(
        "A date is so many days from 1970-01-01",
        arguments: [
            ("1970-01-01", 0), ("1969-12-31", -1), ("2000-02-29", 11016), ("2000-03-01", 11017), ("2026-11-22", 20779),
            ("1900-01-01", -25567), ("9999-12-31", 2_932_896),
        ] as [(String, Int32)])
    func days(_ text: String, _ days: Int32) {
        #expect(CalendarDate(text)?.days == days)
        #expect(CalendarDate(days: days).description == text)
    }

    @Test(
        "What is no date, or not written as ISO 8601 writes one, is refused",
        arguments: [
            "", "2026-02-29", "2100-02-29", "2024-02-30", "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-32",
            "2026-04-31", "1899-12-31", "10000-01-01", "2026-1-1", "20260101", "2026-01-01T", " 2026-01-01",
            "2026/01/01", "+026-01-01", "２026-01-01", "2026-W01-1",
        ])
    func refused(_ text: String) {
        #expect(CalendarDate(text) == nil)
    }

    @Test("Every day of 1900 to 2400 has the parts that Foundation's calendar gives it")
    func agreesWithFoundation() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var previous = try #require(CalendarDate("1900-01-01")).adding(days: -1)
        for days in stride(from: Int32(-25567), to: 157_000, by: 1) {
            let date = CalendarDate(days: days)
            #expect(date - previous == 1)
            if days.isMultiple(of: 13) || date.day > 27 && date.month == 2 {
                let parts = calendar.dateComponents(
                    [.year, .month, .day], from: Date(timeIntervalSince1970: Double(days) * 86400))
                #expect(parts.year == date.year && parts.month == date.month && parts.day == date.day)
            }
            #expect(CalendarDate(year: date.year, month: date.month, day: date.day) == date)
            previous = date
        }
    }

    @Test(
        "Adding months keeps the day, or takes the month's last",
        arguments: [
            ("2026-01-31", 1, "2026-02-28"), ("2024-01-31", 1, "2024-02-29"), ("2024-02-29", 12, "2025-02-28"),
            ("2024-02-29", 48, "2028-02-29"), ("2026-11-22", 2, "2027-01-22"), ("2026-11-22", -11, "2025-12-22"),
            ("2026-03-31", -1, "2026-02-28"), ("2026-12-31", 0, "2026-12-31"), ("2026-10-31", 4, "2027-02-28"),
        ])
    func addingMonths(_ text: String, _ months: Int, _ expected: String) throws {
        #expect(try #require(CalendarDate(text)).adding(months: months).description == expected)
    }

    @Test("The first of a month is its day 1")
    func firstOfMonth() throws {
        #expect(try #require(CalendarDate("2024-02-29")).firstOfMonth.description == "2024-02-01")
        #expect(try #require(CalendarDate("2026-12-01")).firstOfMonth.description == "2026-12-01")
    }

    @Test("Arithmetic beyond the range saturates", arguments: [Int.min, Int.max])
    func saturates(_ amount: Int) {
        let end = CalendarDate(days: amount < 0 ? .min : .max)
        #expect(CalendarDate(days: 0).adding(days: amount) == end)
        #expect(CalendarDate(days: 0).adding(months: amount) == end)
        #expect(end.adding(days: amount) == end)
        #expect(end.firstOfMonth <= end)
        #expect(CalendarDate(days: .max) - CalendarDate(days: .min) == Int(UInt32.max))
        #expect(!end.description.isEmpty)
    }
}
