// One row, whose columns are decoded from the binary format when they are asked for.

/// A row of a result. Reading a column never traps: another type, a null where none is expected, or a column that
/// isn't there is a ``PostgreSQLError`` with the code ``PostgreSQLError/Code/decoding``.
public struct Row: Sendable {
    let rows: Rows
    let index: Int

    public func isNull(_ column: Column) throws(PostgreSQLError) -> Bool {
        rows.result.value(row: index, column: try rows.resolve(column)) == nil
    }

    // MARK: Scalars

    public func bool(_ column: Column) throws(PostgreSQLError) -> Bool { try required(column, optionalBool) }
    public func optionalBool(_ column: Column) throws(PostgreSQLError) -> Bool? {
        try decode(column, "bool") { type, bytes in
            type == .bool && bytes.count == 1 ? bytes[0] != 0 : nil
        }
    }

    /// An int2 or int4.
    public func int32(_ column: Column) throws(PostgreSQLError) -> Int32 { try required(column, optionalInt32) }
    /// An int2 or int4.
    public func optionalInt32(_ column: Column) throws(PostgreSQLError) -> Int32? {
        try decode(column, "int4") { type, bytes in
            type == .int8 ? nil : Scalar.integer(type, bytes).map { Int32(truncatingIfNeeded: $0) }
        }
    }

    /// An int2, int4 or int8.
    public func int64(_ column: Column) throws(PostgreSQLError) -> Int64 { try required(column, optionalInt64) }
    /// An int2, int4 or int8.
    public func optionalInt64(_ column: Column) throws(PostgreSQLError) -> Int64? {
        try decode(column, "int8", Scalar.integer)
    }

    /// A float4 or float8.
    public func double(_ column: Column) throws(PostgreSQLError) -> Double { try required(column, optionalDouble) }
    /// A float4 or float8.
    public func optionalDouble(_ column: Column) throws(PostgreSQLError) -> Double? {
        try decode(column, "float8") { type, bytes in
            switch (type, bytes.count) {
            case (.float8, 8): Double(bitPattern: Scalar.load(bytes))
            case (.float4, 4): Double(Float(bitPattern: Scalar.load(bytes)))
            default: nil
            }
        }
    }

    /// A text, varchar, char, name, json or jsonb.
    public func text(_ column: Column) throws(PostgreSQLError) -> String { try required(column, optionalText) }
    /// A text, varchar, char, name, json or jsonb.
    public func optionalText(_ column: Column) throws(PostgreSQLError) -> String? {
        try decode(column, "text", Scalar.text)
    }

    /// A bytea.
    public func bytes(_ column: Column) throws(PostgreSQLError) -> [UInt8] { try required(column, optionalBytes) }
    /// A bytea.
    public func optionalBytes(_ column: Column) throws(PostgreSQLError) -> [UInt8]? {
        try decode(column, "bytea") { type, bytes in type == .bytea ? Array(bytes) : nil }
    }

    public func uuid(_ column: Column) throws(PostgreSQLError) -> Parameter.UUIDHalves {
        try required(column, optionalUUID)
    }
    public func optionalUUID(_ column: Column) throws(PostgreSQLError) -> Parameter.UUIDHalves? {
        try decode(column, "uuid", Scalar.uuid)
    }

    /// A date, as days since 1970-01-01; `Int32.max` and `Int32.min` are PostgreSQL's infinities.
    public func date(_ column: Column) throws(PostgreSQLError) -> Int32 { try required(column, optionalDate) }
    /// A date, as days since 1970-01-01; `Int32.max` and `Int32.min` are PostgreSQL's infinities.
    public func optionalDate(_ column: Column) throws(PostgreSQLError) -> Int32? {
        try decode(column, "date") { type, bytes in
            type == .date && bytes.count == 4
                ? Wire.daysSince1970(Int32(bitPattern: Scalar.load(bytes))) : nil
        }
    }

    /// A timestamptz, as microseconds since 1970-01-01 00:00 UTC; `Int64.max` and `Int64.min` are the infinities.
    public func timestamptz(_ column: Column) throws(PostgreSQLError) -> Int64 {
        try required(column, optionalTimestamptz)
    }
    /// A timestamptz, as microseconds since 1970-01-01 00:00 UTC; `Int64.max` and `Int64.min` are the infinities.
    public func optionalTimestamptz(_ column: Column) throws(PostgreSQLError) -> Int64? {
        try decode(column, "timestamptz") { type, bytes in
            type == .timestamptz && bytes.count == 8
                ? Wire.microsecondsSince1970(Int64(bitPattern: Scalar.load(bytes))) : nil
        }
    }

    // MARK: Arrays

    /// An array of int2, int4 or int8 without nulls.
    public func int64Array(_ column: Column) throws(PostgreSQLError) -> [Int64] {
        try elements(column, "int8[]", Scalar.integer)
    }
    /// An array of int2, int4 or int8.
    public func optionalInt64Array(_ column: Column) throws(PostgreSQLError) -> [Int64?]? {
        try optionalElements(column, "int8[]", Scalar.integer)
    }
    /// An array of text, varchar, char, json or jsonb without nulls.
    public func textArray(_ column: Column) throws(PostgreSQLError) -> [String] {
        try elements(column, "text[]", Scalar.text)
    }
    /// An array of text, varchar, char, json or jsonb.
    public func optionalTextArray(_ column: Column) throws(PostgreSQLError) -> [String?]? {
        try optionalElements(column, "text[]", Scalar.text)
    }
    /// An array of uuid without nulls.
    public func uuidArray(_ column: Column) throws(PostgreSQLError) -> [Parameter.UUIDHalves] {
        try elements(column, "uuid[]", Scalar.uuid)
    }
    /// An array of uuid.
    public func optionalUUIDArray(_ column: Column) throws(PostgreSQLError) -> [Parameter.UUIDHalves?]? {
        try optionalElements(column, "uuid[]", Scalar.uuid)
    }

    // MARK: Decoding

    /// Nil is null; a decoder that returns nil doesn't read the column's type.
    @inline(__always)
    private func decode<Value>(
        _ column: Column, _ wanted: StaticString, _ read: (TypeID, UnsafeRawBufferPointer) -> Value?
    ) throws(PostgreSQLError) -> Value? {
        let place = try rows.resolve(column)
        guard let bytes = rows.result.value(row: index, column: place) else { return nil }
        guard let value = read(rows.result.type(ofColumn: place), bytes) else {
            throw rows.decodingError(
                column,
                "it is \(rows.result.type(ofColumn: place).title) in row \(index), not a readable \(wanted).",
                advice: "Cast it in the statement (::\(wanted)) or read it as what it is.")
        }
        return value
    }

    @inline(__always)
    private func required<Value>(
        _ column: Column, _ read: (Column) throws(PostgreSQLError) -> Value?
    ) throws(PostgreSQLError) -> Value {
        guard let value = try read(column) else {
            throw rows.decodingError(
                column, "it is null in row \(index).", advice: "Read it as optional, or exclude nulls in the statement."
            )
        }
        return value
    }

    private func optionalElements<Value>(
        _ column: Column, _ wanted: StaticString, _ read: (TypeID, UnsafeRawBufferPointer) -> Value?
    ) throws(PostgreSQLError) -> [Value?]? {
        try decode(column, wanted) { _, bytes in ArrayReader.elements(bytes, read) }
    }

    private func elements<Value>(
        _ column: Column, _ wanted: StaticString, _ read: (TypeID, UnsafeRawBufferPointer) -> Value?
    ) throws(PostgreSQLError) -> [Value] {
        guard let values = try optionalElements(column, wanted, read) else {
            throw rows.decodingError(column, "it is null in row \(index).", advice: "Read it as optional.")
        }
        let elements = values.compactMap(\.self)
        if elements.count < values.count {
            throw rows.decodingError(column, "the array in row \(index) holds a null.", advice: "Read it as optional.")
        }
        return elements
    }
}
