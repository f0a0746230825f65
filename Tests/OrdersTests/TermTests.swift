// Terms: the durations a subscription can run, and the ends of its periods.

import Orders
import Testing

@Suite struct TermTests {
    @Test(
        "A term keeps the form it was written in",
        arguments: ["P1Y", "P2Y", "P10Y", "P1M", "P12M", "P120M", "P365D", "P3650D"])
    func roundTrip(_ text: String) {
        #expect(Term(text)?.description == text)
    }

    @Test(
        "Anything else is no term",
        arguments: [
            "", "P", "PY", "P0Y", "P01Y", "P11Y", "P121M", "P3651D", "P1W", "P1Y6M", "P1y", "p1Y", "PT1M", "P-1Y",
            "P1.5Y", "P1Y ", "1Y", "P99999D", "P9999999999999999999Y",
        ])
    func refused(_ text: String) {
        #expect(Term(text) == nil)
    }

    @Test("The published pattern is true of exactly the texts that are terms", arguments: ["Y", "M", "D", "W"])
    func pattern(_ designator: String) throws {
        let pattern = try Regex(Term.pattern)
        for count in 0...4000 {
            for digits in ["\(count)", "0\(count)"] {
                let text = "P\(digits)\(designator)"
                #expect((Term(text) != nil) == (text.wholeMatch(of: pattern) != nil), "\(text)")
            }
        }
    }

    @Test("Twelve months and a year are different terms of the same length")
    func textIsIdentity() {
        #expect(Term("P12M") != Term("P1Y"))
        #expect(Term("P12M")?.length == Term("P1Y")?.length)
        #expect(Term(1, .years) == Term("P1Y"))
        #expect(Term(0, .years) == nil)
        #expect(Term(.max, .days) == nil)
    }

    @Test(
        "Each period's end is computed from the original start",
        arguments: [
            ("P1Y", "2024-02-29", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
            ("P1M", "2026-01-31", ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
            ("P1M", "2023-12-30", ["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30"]),
            ("P365D", "2024-01-01", ["2024-12-31", "2025-12-31", "2026-12-31", "2027-12-31"]),
            ("P2Y", "2024-02-29", ["2026-02-28", "2028-02-29"]),
            ("P1D", "2024-02-28", ["2024-02-29", "2024-03-01"]),
        ])
    func ends(_ term: String, _ start: String, _ ends: [String]) throws {
        let term = try #require(Term(term))
        let start = try #require(CalendarDate(start))
        #expect((0..<ends.count).map { term.end(ofPeriod: $0, from: start).description } == ends)
    }

    @Test("Any period's end can be asked for", arguments: ["P10Y", "P120M", "P3650D"])
    func neverTraps(_ term: String) throws {
        let term = try #require(Term(term))
        #expect(term.end(ofPeriod: .max, from: CalendarDate(days: .max)) == CalendarDate(days: .max))
        #expect(
            term.end(ofPeriod: .min, from: CalendarDate(days: 0)) == term.end(ofPeriod: 0, from: CalendarDate(days: 0)))
    }
}
