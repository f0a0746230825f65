// A statement's result: a collection of rows over the memory that libpq received them in.

/// The rows of one result, and how many rows the statement affected.
public struct Rows: Sendable, RandomAccessCollection {
    let result: ServerResult

    /// Rows returned by a query, or inserted, updated, deleted by a command; 0 for any other command.
    public var affectedRows: Int { result.affectedRows }

    /// What the server says that it did, such as `INSERT 0 5`.
    public var commandTag: String { result.commandTag }

    public var columnNames: [String] { (0..<result.columnCount).map(result.name(ofColumn:)) }

    /// The column of that name (exactly as the server spells it), for use with many rows.
    public func column(_ name: String) throws(PostgreSQLError) -> Column {
        .index(try resolve(.name(name)))
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { result.rowCount }

    public subscript(position: Int) -> Row {
        precondition(position >= 0 && position < result.rowCount, "row \(position) of \(result.rowCount)")
        return Row(rows: self, index: position)
    }

    func resolve(_ column: Column) throws(PostgreSQLError) -> Int {
        switch column {
        case .index(let index):
            if index >= 0 && index < result.columnCount { return index }
            throw decodingError(
                column, "there is no column \(index), only \(result.columnCount).", advice: "Correct the program.")
        case .name(let name):
            if let index = result.column(named: name) { return index }
            throw decodingError(
                column, "there is no column \"\(name)\" among \(columnNames.joined(separator: ", ")).",
                advice: "Correct the name, or give the column that alias in the statement.")
        }
    }

    func decodingError(_ column: Column, _ message: String, advice: String) -> PostgreSQLError {
        let title =
            switch column {
            case .index(let index): index >= 0 && index < result.columnCount ? result.name(ofColumn: index) : "\(index)"
            case .name(let name): name
            }
        var error = PostgreSQLError(
            .decoding, during: "reading column \(title)", "Can't read the column: \(message)", advice: advice)
        error.column = title
        return error
    }
}

/// A column, by its place (from 0) or its name. A literal of either kind will do: `row.int64(0)`, `row.int64("id")`.
public enum Column: Sendable, Hashable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    case index(Int)
    case name(String)

    public init(integerLiteral value: Int) { self = .index(value) }
    public init(stringLiteral value: String) { self = .name(value) }
}
