// The values of AMQP field tables: message headers and the arguments of declarations.

/// A value in a message header or in the arguments of a declaration.
public enum FieldValue: Sendable, Hashable, Codable {
    case bool(Bool)
    /// Any whole number. An unsigned one above `Int64.max` is read as `.string` of its digits.
    case integer(Int64)
    case double(Double)
    case string(String)
    /// Bytes, or a string that isn't valid UTF-8.
    case bytes([UInt8])
    /// Seconds since 1970-01-01T00:00:00Z.
    case timestamp(UInt64)
    /// `value` × 10⁻`scale`.
    case decimal(scale: UInt8, value: UInt32)
    case array([FieldValue])
    case table([String: FieldValue])
    /// Nothing; or, in a received message, what is nested deeper than ``maximumDepth``.
    case void

    /// How many arrays and tables a received value may have around it.
    public static let maximumDepth = 32
}

extension FieldValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension FieldValue {
    /// The string, where it is one.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The whole number, where it is one.
    public var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// How many bytes the value takes on the wire, its kind included.
    var encodedSize: Int {
        switch self {
        case .void: 1
        case .bool: 2
        case .decimal: 6
        case .integer, .double, .timestamp: 9
        case .string(let value): 5 + value.utf8.count
        case .bytes(let value): 5 + value.count
        case .array(let values): values.reduce(5) { $0 + $1.encodedSize }
        case .table(let table): 1 + Self.encodedSize(of: table)
        }
    }

    /// How many bytes a table takes on the wire.
    static func encodedSize(of table: [String: FieldValue]) -> Int {
        table.reduce(4) { $0 + 1 + $1.key.utf8.count + $1.value.encodedSize }
    }

    /// The first key in the table, at any depth, that is longer than the protocol's 255 bytes.
    static func overlongKey(in table: [String: FieldValue]) -> String? {
        for (key, value) in table {
            if key.utf8.count > 255 { return key }
            if let found = value.overlongKey { return found }
        }
        return nil
    }

    private var overlongKey: String? {
        switch self {
        case .table(let table):
            return Self.overlongKey(in: table)
        case .array(let values):
            for value in values {
                if let found = value.overlongKey { return found }
            }
            return nil
        default:
            return nil
        }
    }
}
