// A report as a table: which columns fit, how wide each is, and what its sums are.

internal import Orders

/// Lays a table out for a width and adds its sums up as the rows pass.
struct ReportTable: Sendable {
    private struct Placed: Sendable {
        let index: Int
        let column: ReportColumn
        let width: Int
    }

    private let placed: [Placed]
    /// The titles of the columns that there is no room for.
    private let leftOut: [String]
    private var rows = 0
    /// The sums of each summed column, by currency. nil where one was too large.
    private var sums: [Int: [Currency: Money?]] = [:]
    private let columns: [ReportColumn]

    private static let gap = 2

    /// - Parameter width: how many characters a line may have; nil for as many as it takes.
    init(_ columns: [ReportColumn], width: Int?) {
        self.columns = columns
        let shown = columns.indices.filter { columns[$0].width > 0 }
        var chosen = Set(shown)
        if let width {
            chosen = []
            var left = width + Self.gap
            // By importance; one that doesn't fit makes no room for what matters less.
            for index in shown.sorted(by: { columns[$0].rank < columns[$1].rank }) {
                left -= columns[index].least + Self.gap
                if left < 0, !chosen.isEmpty { break }
                chosen.insert(index)
            }
        }
        let kept = shown.filter(chosen.contains)
        var spare = width.map { $0 + Self.gap - kept.reduce(0) { $0 + columns[$1].least + Self.gap } } ?? .max
        var placed: [Placed] = []
        for index in kept {
            let more = min(max(0, spare), columns[index].width - columns[index].least)
            spare -= more
            placed.append(Placed(index: index, column: columns[index], width: columns[index].least + more))
        }
        self.placed = placed
        leftOut = shown.filter { !chosen.contains($0) }.map { columns[$0].title }
    }

    var heading: String {
        Self.line(placed.map { Self.padded(ReportText.cut($0.column.title, to: $0.width), to: $0.width) })
    }

    mutating func row(_ values: [ReportValue]) -> String {
        rows += 1
        for (index, value) in values.enumerated() where columns[index].isSummed {
            guard case .money(let money) = value else { continue }
            if let sum = sums[index, default: [:]][money.currency] {
                sums[index]?[money.currency] = sum.flatMap { Money.sum(of: [$0, money], in: money.currency) }
            } else {
                sums[index, default: [:]][money.currency] = money
            }
        }
        return Self.line(placed.map { Self.cell(values[$0.index], width: $0.width) })
    }

    /// The sums, and what was left out.
    var footing: [String] {
        var lines: [String] = []
        if rows > 0 {
            let totals = sums.sorted { $0.key < $1.key }.map { index, sums in
                let texts = sums.sorted { $0.key.code < $1.key.code }.map { currency, sum in
                    sum?.formatted ?? "too much in \(currency.code)"
                }
                return "total \(columns[index].title): \(texts.joined(separator: ", "))"
            }
            lines.append(([rows == 1 ? "1 row" : "\(rows) rows"] + totals).joined(separator: "; "))
        }
        if !leftOut.isEmpty {
            lines.append(
                "Left out, for the width of the terminal: \(leftOut.joined(separator: ", ")). CSV and JSON have all.")
        }
        return lines
    }

    private static func line(_ cells: [String]) -> String {
        var text = cells.joined(separator: String(repeating: " ", count: gap))
        while text.last == " " { text.removeLast() }
        return text
    }

    /// A value in its width; numbers to the right, and never cut.
    private static func cell(_ value: ReportValue, width: Int) -> String {
        switch value {
        case .absent: String(repeating: " ", count: width)
        case .bool(let bool): padded(bool ? "yes" : "no", to: width)
        case .integer(let number): padded(String(number), to: width, right: true)
        case .money(let money): padded(money.formatted, to: width, right: true)
        case .text(let text): padded(ReportText.cut(ReportText.visible(text), to: width), to: width)
        }
    }

    private static func padded(_ text: String, to width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - ReportText.width(text)))
        return right ? space + text : text + space
    }
}
