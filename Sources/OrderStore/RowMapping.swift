// How the domain's values travel to and from PostgreSQL.

internal import Orders
internal import PostgreSQL

extension Identifier {
    var halves: (high: UInt64, low: UInt64) { (high, low) }
}

extension Parameter {
    static func identifiers<Entity>(_ identifiers: [Identifier<Entity>]) -> Parameter {
        .uuidArray(identifiers.map(\.halves))
    }

    static func identifiers<Entity>(_ identifiers: [Identifier<Entity>?]) -> Parameter {
        .uuidArray(identifiers.map { $0?.halves })
    }

    static func timestamps(_ timestamps: [Timestamp]) -> Parameter {
        .timestamptzArray(timestamps.map(\.microseconds))
    }

    static func timestamps(_ timestamps: [Timestamp?]) -> Parameter {
        .timestamptzArray(timestamps.map { $0?.microseconds })
    }

    static func dates(_ dates: [CalendarDate]) -> Parameter {
        .dateArray(dates.map(\.days))
    }

    static func dates(_ dates: [CalendarDate?]) -> Parameter {
        .dateArray(dates.map { $0?.days })
    }
}

/// Reads a row's columns one after the other.
struct ColumnReader {
    private let row: Row
    private var column = 0

    init(_ row: Row) { self.row = row }

    private mutating func next() -> Int {
        defer { column += 1 }
        return column
    }

    mutating func text() throws(PostgreSQLError) -> String { try row.text(.index(next())) }
    mutating func optionalText() throws(PostgreSQLError) -> String? { try row.optionalText(.index(next())) }
    mutating func bytes() throws(PostgreSQLError) -> [UInt8] { try row.bytes(.index(next())) }
    mutating func optionalBytes() throws(PostgreSQLError) -> [UInt8]? { try row.optionalBytes(.index(next())) }
    mutating func int64() throws(PostgreSQLError) -> Int64 { try row.int64(.index(next())) }
    mutating func optionalInt64() throws(PostgreSQLError) -> Int64? { try row.optionalInt64(.index(next())) }
    mutating func int() throws(PostgreSQLError) -> Int { Int(try row.int32(.index(next()))) }
    mutating func optionalInt() throws(PostgreSQLError) -> Int? { try row.optionalInt32(.index(next())).map(Int.init) }
    mutating func bool() throws(PostgreSQLError) -> Bool { try row.bool(.index(next())) }
    mutating func textArray() throws(PostgreSQLError) -> [String] { try row.textArray(.index(next())) }
    mutating func int64Array() throws(PostgreSQLError) -> [Int64] { try row.int64Array(.index(next())) }

    mutating func identifier<Entity>() throws(PostgreSQLError) -> Identifier<Entity> {
        let (high, low) = try row.uuid(.index(next()))
        return Identifier(high: high, low: low)
    }

    mutating func optionalIdentifier<Entity>() throws(PostgreSQLError) -> Identifier<Entity>? {
        try row.optionalUUID(.index(next())).map { Identifier(high: $0.high, low: $0.low) }
    }

    mutating func timestamp() throws(PostgreSQLError) -> Timestamp {
        Timestamp(microseconds: try row.timestamptz(.index(next())))
    }

    mutating func optionalTimestamp() throws(PostgreSQLError) -> Timestamp? {
        try row.optionalTimestamptz(.index(next())).map(Timestamp.init(microseconds:))
    }

    mutating func date() throws(PostgreSQLError) -> CalendarDate {
        CalendarDate(days: try row.date(.index(next())))
    }

    mutating func optionalDate() throws(PostgreSQLError) -> CalendarDate? {
        try row.optionalDate(.index(next())).map(CalendarDate.init(days:))
    }

    /// A text that must be one of a type's values.
    mutating func value<Value>(_ make: (String) -> Value?) throws(StoreError) -> Value {
        let text: String
        do { text = try self.text() } catch { throw StoreError(error, during: "reading a row") }
        guard let value = make(text) else {
            throw StoreError(
                .unreadableRow, during: "reading a row", detail: "'\(text)' is no \(Value.self)",
                advice: "A newer worker may have written it: run the same version everywhere.")
        }
        return value
    }
}
