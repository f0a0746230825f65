// How reports look: fitted to a terminal, harmless in a spreadsheet and on a screen.

import OrderStore
import Orders
import Testing

@Suite struct ReportTextTests {
    /// A row in which every text is long and every number large.
    private func row(_ kind: ReportKind) throws -> [ReportValue] {
        let money = Money(amount: 12_345_678, currency: try #require(Currency("USD")))
        return kind.columns.map { column in
            switch column.name {
            case "cost", "total", "unitPrice": .money(money)
            case "quantity", "items", "lines", "number": .integer(100_000)
            case "autoRenewal": .bool(true)
            default: .text(String(repeating: column.name + " ", count: 20))
            }
        }
    }

    @Test(
        "A table is never wider than the terminal, and names what it leaves out",
        arguments: ReportKind.allCases, [40, 80, 100, 132, 200, 1000])
    func fitted(kind: ReportKind, width: Int) throws {
        var writer = ReportWriter(.table, columns: kind.columns, width: width)
        let text = String(
            decoding: writer.beginning() + writer.row(try row(kind)) + writer.row(try row(kind)) + writer.end(),
            as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        for line in lines.prefix(3) { #expect(line.count <= width) }
        let leftOut = lines.first { $0.hasPrefix("Left out") } ?? ""
        for column in kind.columns where column.width > 0 {
            let isShown = lines[0].contains(column.title) || lines[0].contains("…")
            #expect(isShown || leftOut.contains(column.title), "\(column.title)")
        }
        #expect(width < 1000 || leftOut.isEmpty)
        #expect(width > 132 || !leftOut.isEmpty)
        #expect(leftOut.isEmpty || leftOut.contains("CSV and JSON have all"))
    }

    @Test("At eighty characters the date, the customer, what was done and what it cost are there")
    func eighty() throws {
        let writer = ReportWriter(.table, columns: ReportKind.transactions.columns, width: 80)
        let heading = String(decoding: writer.beginning(), as: UTF8.self)
        for title in ["date", "customer", "product", "action", "quantity", "cost"] { #expect(heading.contains(title)) }
    }

    @Test("A table ends with its sums, by currency")
    func sums() throws {
        let (usd, jpy) = (try #require(Currency("USD")), try #require(Currency("JPY")))
        let columns = ReportKind.transactions.columns.filter { ["date", "cost"].contains($0.name) }
        var writer = ReportWriter(.table, columns: columns)
        for (amount, currency) in [(123_450, usd), (5, jpy), (-450, usd)] {
            _ = writer.row([.text("2060-01-01"), .money(Money(amount: Int64(amount), currency: currency))])
        }
        #expect(String(decoding: writer.end(), as: UTF8.self) == "3 rows; total cost: 5 JPY, 1,230.00 USD\n")
        var large = ReportWriter(.table, columns: columns)
        for _ in 0..<2 { _ = large.row([.absent, .money(Money(amount: .max, currency: usd))]) }
        #expect(String(decoding: large.end(), as: UTF8.self) == "2 rows; total cost: too much in USD\n")
    }

    @Test("Text of double width keeps the columns in line")
    func wide() {
        let columns = ReportKind.transactions.columns.filter { ["customerName", "who"].contains($0.name) }
        var writer = ReportWriter(.table, columns: columns)
        let lines = ["東京株式会社東京株式会社東京株式会社", "e\u{301}te\u{301}", "x"].map { name in
            String(decoding: writer.row([.text(name), .text("|")]), as: UTF8.self)
        }
        #expect(lines[0] == "東京株式会社東京株式会…" + "   |\n")
        #expect(lines[1] == "e\u{301}te\u{301}" + String(repeating: " ", count: 23) + "|\n")
        #expect(lines[2] == "x" + String(repeating: " ", count: 25) + "|\n")
    }

    private static let formulas = [
        "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "－1",
        "=HYPERLINK(\"http://x\",1)",
    ]

    @Test("A text that a spreadsheet would run as a formula has an apostrophe before it in CSV", arguments: formulas)
    func formula(text: String) {
        let columns = Array(ReportKind.subscriptions.columns.prefix(1))
        var writer = ReportWriter(.csv, columns: columns)
        let line = String(decoding: writer.row([.text(text)]), as: UTF8.self)
        #expect(line.drop { $0 == "\"" }.hasPrefix("'"))
        // Numbers stay numbers, and JSON the text as it is.
        #expect(String(decoding: writer.row([.integer(-5)]), as: UTF8.self) == "-5\n")
        var json = ReportWriter(.json, columns: columns)
        #expect(!String(decoding: json.row([.text(text)]), as: UTF8.self).contains("\"'"))
    }

    @Test(
        "Controls, also those that turn the direction of writing, pass raw in no form",
        arguments: [
            "\u{202E}", "\u{2066}", "\u{200F}", "\u{1B}", "\u{9B}", "\u{7F}", "\u{FEFF}", "\u{2028}", "\u{E0041}",
        ])
    func controls(control: String) throws {
        let columns = Array(ReportKind.subscriptions.columns.prefix(1))
        let harmful = try #require(control.unicodeScalars.first)
        for format in ReportFormat.allCases {
            var writer = ReportWriter(format, columns: columns)
            let text = String(decoding: writer.row([.text("a\(control)b")]), as: UTF8.self)
            #expect(!text.unicodeScalars.contains(harmful))
            #expect(text.contains("a") && text.contains("b"))
        }
    }
}
