// Writes a report's rows as a table, CSV or JSON, without keeping any of them.

internal import OrderContract
internal import Orders

/// How a report is written.
public enum ReportFormat: String, CaseIterable, Sendable {
    /// For people: columns of fixed width, longer values cut.
    case table
    /// RFC 4180 with lines that end in a line feed; amounts in minor units; what is absent is empty.
    case csv
    /// An array of objects, a line for each; amounts in minor units; what is absent is left out.
    case json
}

/// Turns a report's rows into text.
public struct ReportWriter: Sendable {
    private let format: ReportFormat
    private let columns: [ReportColumn]
    private var hasRows = false

    public init(_ format: ReportFormat, columns: [ReportColumn]) {
        self.format = format
        self.columns = columns
    }

    /// What comes before the rows.
    public func beginning() -> [UInt8] {
        switch format {
        case .table: Self.line(columns.filter { $0.width > 0 }.map { Self.padded($0.title, to: $0.width) })
        case .csv: Array((columns.map(\.name).joined(separator: ",") + "\n").utf8)
        case .json: [UInt8(ascii: "[")]
        }
    }

    /// One row, with a value for each column.
    public mutating func row(_ values: [ReportValue]) -> [UInt8] {
        defer { hasRows = true }
        switch format {
        case .table:
            let cells = zip(columns, values).filter { $0.0.width > 0 }
            return Self.line(cells.map { Self.cell($0.1, width: $0.0.width) })
        case .csv:
            return Array((values.map(Self.field).joined(separator: ",") + "\n").utf8)
        case .json:
            return Array((hasRows ? ",\n" : "\n").utf8) + object(values)
        }
    }

    /// What comes after the rows.
    public func end() -> [UInt8] {
        format == .json ? Array("\n]\n".utf8) : []
    }

    // MARK: For people

    private static func line(_ cells: [String]) -> [UInt8] {
        var text = cells.joined(separator: "  ")
        while text.last == " " { text.removeLast() }
        return Array((text + "\n").utf8)
    }

    /// A value in its width; numbers to the right. A name that brings control characters can't move the cursor.
    private static func cell(_ value: ReportValue, width: Int) -> String {
        switch value {
        case .absent: return String(repeating: " ", count: width)
        case .bool(let bool): return padded(bool ? "yes" : "no", to: width)
        case .integer(let number): return padded(String(number), to: width, right: true)
        case .money(let money): return padded(money.formatted, to: width, right: true)
        case .text(let text):
            let shown = String(
                text.map { $0.unicodeScalars.contains { $0.value < 32 || (127...159).contains($0.value) } ? " " : $0 })
            return padded(shown.count > width ? shown.prefix(width - 1) + "…" : shown, to: width)
        }
    }

    private static func padded(_ text: String, to width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return right ? space + text : text + space
    }

    // MARK: For programs

    private static func field(_ value: ReportValue) -> String {
        switch value {
        case .absent: return ""
        case .bool(let bool): return bool ? "true" : "false"
        case .integer(let number): return String(number)
        case .money(let money): return String(money.amount)
        case .text(let text):
            let special: Set<UInt8> = [UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13]
            if !text.utf8.contains(where: special.contains) { return text }
            return "\"" + text.replacing("\"", with: "\"\"") + "\""
        }
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
