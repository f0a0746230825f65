// Writes a report's rows as a table, CSV or JSON, without keeping any of them.

internal import OrderContract
internal import Orders

/// How a report is written.
public enum ReportFormat: String, CaseIterable, Sendable {
    /// For people: columns of fixed width, longer texts cut, sums at the end.
    case table
    /// RFC 4180 with lines that end in a line feed; amounts in minor units; what is absent is empty. A text that a
    /// spreadsheet would run as a formula has an apostrophe before it.
    case csv
    /// An array of objects, a line for each; amounts in minor units; what is absent is left out.
    case json
}

/// Turns a report's rows into text.
public struct ReportWriter: Sendable {
    private let format: ReportFormat
    private let columns: [ReportColumn]
    private var table: ReportTable
    private var hasRows = false

    /// - Parameter width: how wide a table may be, in characters: columns that matter less are left out, and named at its
    ///   end. nil for as wide as it takes.
    public init(_ format: ReportFormat, columns: [ReportColumn], width: Int? = nil) {
        self.format = format
        self.columns = columns
        table = ReportTable(columns, width: width)
    }

    /// What comes before the rows.
    public func beginning() -> [UInt8] {
        switch format {
        case .table: Array((table.heading + "\n").utf8)
        case .csv: Array((columns.map(\.name).joined(separator: ",") + "\n").utf8)
        case .json: [UInt8(ascii: "[")]
        }
    }

    /// One row, with a value for each column.
    public mutating func row(_ values: [ReportValue]) -> [UInt8] {
        defer { hasRows = true }
        switch format {
        case .table: return Array((table.row(values) + "\n").utf8)
        case .csv: return Array((values.map(Self.field).joined(separator: ",") + "\n").utf8)
        case .json: return Array((hasRows ? ",\n" : "\n").utf8) + ReportText.escapedJSON(object(values))
        }
    }

    /// What comes after the rows.
    public func end() -> [UInt8] {
        switch format {
        case .table: Array(table.footing.map { $0 + "\n" }.joined().utf8)
        case .csv: []
        case .json: Array("\n]\n".utf8)
        }
    }

    // MARK: For programs

    private static func field(_ value: ReportValue) -> String {
        switch value {
        case .absent: return ""
        case .bool(let bool): return bool ? "true" : "false"
        case .integer(let number): return String(number)
        case .money(let money): return String(money.amount)
        case .text(let text):
            let text = harmless(ReportText.visible(text, keepingLineBreaks: true))
            let special: Set<UInt8> = [UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13]
            if !text.utf8.contains(where: special.contains) { return text }
            return "\"" + text.replacing("\"", with: "\"\"") + "\""
        }
    }

    /// The text with an apostrophe before it if a spreadsheet would take it for a formula (OWASP, "CSV Injection").
    private static func harmless(_ text: String) -> String {
        let signs: Set<Unicode.Scalar> = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
        let first = text.unicodeScalars.first { $0 != " " }
        return first.map(signs.contains) ?? false ? "'" + text : text
    }

    private func object(_ values: [ReportValue]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            for (column, value) in zip(columns, values) {
                switch value {
                case .absent: break
                case .text(let text): writer.member(column.name, text)
                case .integer(let number): writer.member(column.name, number)
                case .bool(let bool): writer.member(column.name, bool)
                case .money(let money): writer.member(column.name, money.amount)
                }
            }
        }
        return writer.bytes
    }
}
