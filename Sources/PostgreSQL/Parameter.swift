// Values on their way to the server, encoded in PostgreSQL's binary format as soon as they are made.

/// A statement's parameter.
///
/// Each value carries its type, so that the statement needs no cast; in `.null` alone the server infers it. An array is
/// encoded into one buffer, whatever its length: `unnest($1, $2)` over arrays is how to pass many rows at once.
public struct Parameter: Sendable {
    /// The two halves of a UUID, the first hexadecimal digits in `high`.
    public typealias UUIDHalves = (high: UInt64, low: UInt64)

    let type: TypeID
    /// Nil is SQL's null.
    let bytes: [UInt8]?

    /// A null whose type the server infers from the statement.
    public static let null = Parameter(type: .unspecified, bytes: nil)

    public static func bool(_ value: Bool?) -> Parameter { fixed(.bool, value, Wire.put) }
    public static func int2(_ value: Int16?) -> Parameter { fixed(.int2, value, Wire.put) }
    public static func int4(_ value: Int32?) -> Parameter { fixed(.int4, value, Wire.put) }
    public static func int8(_ value: Int64?) -> Parameter { fixed(.int8, value, Wire.put) }
    public static func double(_ value: Double?) -> Parameter { fixed(.float8, value, Wire.put) }
    public static func text(_ value: String?) -> Parameter {
        Parameter(type: .text, bytes: value.map { Array($0.utf8) })
    }
    public static func bytea(_ value: [UInt8]?) -> Parameter { Parameter(type: .bytea, bytes: value) }
    public static func uuid(high: UInt64, low: UInt64) -> Parameter { uuid((high, low)) }
    public static func uuid(_ value: UUIDHalves?) -> Parameter { fixed(.uuid, value, Wire.put) }
    /// A date as days since 1970-01-01; `Int32.max` and `Int32.min` are PostgreSQL's infinities.
    public static func date(_ days: Int32?) -> Parameter { fixed(.date, days, Wire.putDate) }
    /// A time as microseconds since 1970-01-01 00:00 UTC; `Int64.max` and `Int64.min` are PostgreSQL's infinities.
    public static func timestamptz(_ microseconds: Int64?) -> Parameter {
        fixed(.timestamptz, microseconds, Wire.putTimestamptz)
    }
    /// A JSON document as text; the server checks it.
    public static func json(_ text: String?) -> Parameter {
        Parameter(type: .json, bytes: text.map { Array($0.utf8) })
    }
    /// A JSON document as text; the server checks it.
    public static func jsonb(_ text: String?) -> Parameter {
        Parameter(type: .jsonb, bytes: text.map { [Wire.jsonbVersion] + Array($0.utf8) })
    }

    public static func boolArray(_ values: [Bool]) -> Parameter { array(.bool, values, Wire.put) }
    public static func boolArray(_ values: [Bool?]) -> Parameter { array(.bool, values, Wire.put) }
    public static func int2Array(_ values: [Int16]) -> Parameter { array(.int2, values, Wire.put) }
    public static func int2Array(_ values: [Int16?]) -> Parameter { array(.int2, values, Wire.put) }
    public static func int4Array(_ values: [Int32]) -> Parameter { array(.int4, values, Wire.put) }
    public static func int4Array(_ values: [Int32?]) -> Parameter { array(.int4, values, Wire.put) }
    public static func int8Array(_ values: [Int64]) -> Parameter { array(.int8, values, Wire.put) }
    public static func int8Array(_ values: [Int64?]) -> Parameter { array(.int8, values, Wire.put) }
    public static func doubleArray(_ values: [Double]) -> Parameter { array(.float8, values, Wire.put) }
    public static func doubleArray(_ values: [Double?]) -> Parameter { array(.float8, values, Wire.put) }
    public static func uuidArray(_ values: [UUIDHalves]) -> Parameter { array(.uuid, values, Wire.put) }
    public static func uuidArray(_ values: [UUIDHalves?]) -> Parameter { array(.uuid, values, Wire.put) }
    /// Dates as days since 1970-01-01.
    public static func dateArray(_ days: [Int32]) -> Parameter { array(.date, days, Wire.putDate) }
    /// Dates as days since 1970-01-01.
    public static func dateArray(_ days: [Int32?]) -> Parameter { array(.date, days, Wire.putDate) }
    /// Times as microseconds since 1970-01-01 00:00 UTC.
    public static func timestamptzArray(_ microseconds: [Int64]) -> Parameter {
        array(.timestamptz, microseconds, Wire.putTimestamptz)
    }
    /// Times as microseconds since 1970-01-01 00:00 UTC.
    public static func timestamptzArray(_ microseconds: [Int64?]) -> Parameter {
        array(.timestamptz, microseconds, Wire.putTimestamptz)
    }
    public static func textArray(_ values: [String]) -> Parameter { textArray(.text, values) }
    public static func textArray(_ values: [String?]) -> Parameter { textArray(.text, values) }
    public static func jsonArray(_ texts: [String]) -> Parameter { textArray(.json, texts) }
    public static func jsonArray(_ texts: [String?]) -> Parameter { textArray(.json, texts) }
    public static func jsonbArray(_ texts: [String]) -> Parameter {
        textArray(.jsonb, texts, prefix: Wire.jsonbVersion)
    }
    public static func jsonbArray(_ texts: [String?]) -> Parameter {
        textArray(.jsonb, texts, prefix: Wire.jsonbVersion)
    }
    public static func byteaArray(_ values: [[UInt8]]) -> Parameter { byteaArray(values.map(Optional.some)) }
    public static func byteaArray(_ values: [[UInt8]?]) -> Parameter {
        Parameter(
            type: TypeID.bytea.array,
            bytes: Wire.array(
                of: .bytea, values, length: { $0?.count },
                put: { value, target in value?.withUnsafeBytes { Wire.put($0, target) } }))
    }

    // MARK: Encoding

    // Inlined with the function that writes a value, so that an array's loop calls nothing.

    @inline(__always)
    private static func fixed<Value>(
        _ type: TypeID, _ value: Value?, _ put: (Value, UnsafeMutableRawPointer) -> Void
    ) -> Parameter {
        guard let value else { return Parameter(type: type, bytes: nil) }
        let bytes = [UInt8](unsafeUninitializedCapacity: type.width) { buffer, count in
            guard let target = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            put(value, target)
            count = type.width
        }
        return Parameter(type: type, bytes: bytes)
    }

    @inline(__always)
    private static func array<Value>(
        _ type: TypeID, _ values: [Value], _ put: (Value, UnsafeMutableRawPointer) -> Void
    ) -> Parameter {
        let width = type.width
        return Parameter(type: type.array, bytes: Wire.array(of: type, values, length: { _ in width }, put: put))
    }

    @inline(__always)
    private static func array<Value>(
        _ type: TypeID, _ values: [Value?], _ put: (Value, UnsafeMutableRawPointer) -> Void
    ) -> Parameter {
        let width = type.width
        return Parameter(
            type: type.array,
            bytes: Wire.array(
                of: type, values, length: { $0 == nil ? nil : width },
                put: { value, target in if let value { put(value, target) } }))
    }

    @inline(__always)
    private static func textArray(_ type: TypeID, _ values: [String], prefix: UInt8? = nil) -> Parameter {
        let extra = prefix == nil ? 0 : 1
        return Parameter(
            type: type.array,
            bytes: Wire.array(
                of: type, values, length: { $0.utf8.count + extra }, put: { Wire.put($0, prefix: prefix, $1) }))
    }

    @inline(__always)
    private static func textArray(_ type: TypeID, _ values: [String?], prefix: UInt8? = nil) -> Parameter {
        let extra = prefix == nil ? 0 : 1
        return Parameter(
            type: type.array,
            bytes: Wire.array(
                of: type, values, length: { $0.map { $0.utf8.count + extra } },
                put: { value, target in if let value { Wire.put(value, prefix: prefix, target) } }))
    }
}
