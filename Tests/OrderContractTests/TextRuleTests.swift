// Each rule for a text, at its edges.

import Orders
import Testing

@testable import OrderContract

@Suite struct TextRuleTests {
    private func accepts(_ rule: TextRule, _ text: String) -> Bool { rule.accepts(Array(text.utf8)[...]) }

    private static let long = String(repeating: "a", count: 64)

    private static let valid: [(TextRule, String)] = [
        (.uuid, "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"), (.uuid, "00000000-0000-0000-0000-000000000000"),
        (.date, "1900-01-01"), (.date, "2024-02-29"), (.date, "2000-02-29"), (.date, "9999-12-31"),
        (.time, "2026-11-22T21:35:06Z"), (.time, "2026-11-22T23:59:59.123456Z"), (.time, "2024-02-29T00:00:00.1Z"),
        (.term, "P1Y"), (.term, "P10Y"), (.term, "P120M"), (.term, "P365D"), (.term, "P3650D"),
        (.email, "a@b.co"), (.email, "first.last+tag@mail.example.com"), (.email, "!#$%&'*+/=?^_`{|}~-@x-1.example"),
        (.email, "\(long)@example.com"), (.email, "a@xn--e1afmkfd.xn--p1ai"), (.country, "DE"), (.country, "US"),
        (.catalogID, "a"), (.catalogID, "0"), (.catalogID, "ov-ssl_2.0"), (.catalogID, long), (.currency, "USD"),
        (.code, "customer_unknown"), (.line(maximum: 3), "a"), (.line(maximum: 3), "äöü"), (.line(maximum: 1), "😀"),
        (.line(maximum: 3), " "), (.line(maximum: 2), "e\u{301}"), (.line(maximum: 1), "\u{A0}"), (.any, ""),
        (.any, "\n"),
    ]

    @Test("A text that keeps to its rule is accepted", arguments: valid)
    func accepted(_ rule: TextRule, _ text: String) {
        #expect(accepts(rule, text))
    }

    private static let invalid: [(TextRule, String)] = [
        (.uuid, ""), (.uuid, "018F4C2E-6A1C-7C3E-9D55-0A4F7F2F9B10"), (.uuid, "018f4c2e6a1c7c3e9d550a4f7f2f9b10"),
        (.uuid, "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b1"), (.uuid, "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10\n"),
        (.uuid, "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b1g"), (.date, "1899-12-31"), (.date, "2026-02-29"),
        (.date, "1900-02-29"),
        (.date, "2100-02-29"), (.date, "2026-04-31"), (.date, "2026-13-01"), (.date, "2026-00-10"),
        (.date, "2026-01-00"),
        (.date, "2026-1-1"), (.date, "26-01-01"), (.date, "2026-01-01\n"), (.date, "2026-01-01T00:00:00Z"),
        (.date, "10000-01-01"), (.date, "２０２６-01-01"), (.time, "2026-11-22T24:00:00Z"), (.time, "2026-11-22T23:59:60Z"),
        (.time, "2026-11-22T21:35:06+00:00"), (.time, "2026-11-22T21:35:06.Z"), (.time, "2026-11-22T21:35:06.1234567Z"),
        (.time, "2026-02-30T21:35:06Z"), (.time, "2026-11-22t21:35:06z"), (.time, "2026-11-22T21:35Z"), (.term, "P0Y"),
        (.term, "P11Y"), (.term, "P121M"), (.term, "P3651D"), (.term, "P01Y"), (.term, "1Y"), (.term, "P1Y1M"),
        (.term, "P1W"), (.term, "P1Y\n"), (.term, "p1y"), (.term, "PT1M"), (.term, "P１Y"), (.email, ""), (.email, "a"),
        (.email, "a@b"), (.email, "@b.co"), (.email, "a@"), (.email, "a b@c.co"), (.email, ".a@b.co"),
        (.email, "a.@b.co"),
        (.email, "a..b@c.co"), (.email, "a@b..co"), (.email, "a@-b.co"), (.email, "a@b-.co"), (.email, "a@b.c"),
        (.email, "a@b.1o"), (.email, "a@b.co\n"), (.email, "ä@b.co"), (.email, "a@b@c.co"), (.email, "\(long)a@b.co"),
        (.email, "a@" + String(repeating: "\(long.dropFirst()).", count: 4) + "co"), (.email, "a@\(long).co"),
        (.country, "de"), (.country, "XX"), (.country, "UK"), (.country, "DEU"), (.country, ""),
        (.country, "\u{212A}E"),
        (.catalogID, ""), (.catalogID, "-a"), (.catalogID, "A"), (.catalogID, "a b"), (.catalogID, "\(long)a"),
        (.catalogID, "a\n"), (.catalogID, "ä"), (.currency, "usd"), (.currency, "US"), (.currency, "USDX"),
        (.code, "1a"),
        (.line(maximum: 3), ""), (.line(maximum: 3), "abcd"), (.line(maximum: 9), "a\nb"), (.line(maximum: 9), "a\n"),
        (.line(maximum: 9), "\u{7F}"), (.line(maximum: 9), "\u{80}"), (.line(maximum: 9), "\u{9F}"),
    ]

    @Test("A text that breaks its rule is refused", arguments: invalid)
    func refused(_ rule: TextRule, _ text: String) {
        #expect(!accepts(rule, text))
    }

    @Test("The pattern of a date matches exactly the days that there are")
    func datePattern() throws {
        let pattern = try Regex("^\(TextPattern.date)$")
        var days = 0
        for year in [0, 1600, 1899, 1900, 1904, 1999, 2000, 2023, 2024, 2096, 2100, 2400, 3200, 3300, 9996, 9999] {
            for month in 0...13 {
                for day in 0...32 {
                    let text = [(year, 4), (month, 2), (day, 2)].map { number, width in
                        String(repeating: "0", count: width - String(number).count) + String(number)
                    }.joined(separator: "-")
                    let isDay = CalendarDate(year: year, month: month, day: day) != nil
                    #expect(accepts(.date, text) == isDay)
                    #expect((try pattern.wholeMatch(in: text) != nil) == isDay, "\(text)")
                    days += isDay ? 1 : 0
                }
            }
        }
        #expect(days == 13 * 365 + 7)
    }

    @Test("The countries are the 249 of ISO 3166-1, and Kosovo")
    func countries() {
        #expect(Countries.codes.count == 250 && Countries.codes.contains("XK"))
        #expect(Countries.codes.allSatisfy { $0.utf8.count == 2 && $0.utf8.allSatisfy(TextPattern.isUpper) })
    }
}
