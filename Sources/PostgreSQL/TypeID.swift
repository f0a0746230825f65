// PostgreSQL's built-in types that this module speaks, by the object ids that never change (pg_type.dat).

/// A type's object id.
struct TypeID: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt32

    static let unspecified = TypeID(rawValue: 0)
    static let bool = TypeID(rawValue: 16)
    static let bytea = TypeID(rawValue: 17)
    static let name = TypeID(rawValue: 19)
    static let int8 = TypeID(rawValue: 20)
    static let int2 = TypeID(rawValue: 21)
    static let int4 = TypeID(rawValue: 23)
    static let text = TypeID(rawValue: 25)
    static let json = TypeID(rawValue: 114)
    static let float4 = TypeID(rawValue: 700)
    static let float8 = TypeID(rawValue: 701)
    static let bpchar = TypeID(rawValue: 1042)
    static let varchar = TypeID(rawValue: 1043)
    static let date = TypeID(rawValue: 1082)
    static let timestamptz = TypeID(rawValue: 1184)
    static let uuid = TypeID(rawValue: 2950)
    static let jsonb = TypeID(rawValue: 3802)

    /// The type of an array of these; `unspecified` for types that are only ever read.
    var array: TypeID {
        switch self {
        case .bool: TypeID(rawValue: 1000)
        case .bytea: TypeID(rawValue: 1001)
        case .int2: TypeID(rawValue: 1005)
        case .int4: TypeID(rawValue: 1007)
        case .text: TypeID(rawValue: 1009)
        case .int8: TypeID(rawValue: 1016)
        case .float8: TypeID(rawValue: 1022)
        case .date: TypeID(rawValue: 1182)
        case .timestamptz: TypeID(rawValue: 1185)
        case .json: TypeID(rawValue: 199)
        case .uuid: TypeID(rawValue: 2951)
        case .jsonb: TypeID(rawValue: 3807)
        default: .unspecified
        }
    }

    /// The bytes that a value takes; 0 where that depends on the value.
    var width: Int {
        switch self {
        case .bool: 1
        case .int2: 2
        case .int4, .float4, .date: 4
        case .int8, .float8, .timestamptz: 8
        case .uuid: 16
        default: 0
        }
    }

    /// The type's name where this module knows it, for error messages.
    var title: String {
        switch self {
        case .bool: "bool"
        case .bytea: "bytea"
        case .name: "name"
        case .int8: "int8"
        case .int2: "int2"
        case .int4: "int4"
        case .text: "text"
        case .json: "json"
        case .float4: "float4"
        case .float8: "float8"
        case .bpchar: "char"
        case .varchar: "varchar"
        case .date: "date"
        case .timestamptz: "timestamptz"
        case .uuid: "uuid"
        case .jsonb: "jsonb"
        case TypeID(rawValue: 1700): "numeric"
        case TypeID(rawValue: 1114): "timestamp"
        default: "the type with OID \(rawValue)"
        }
    }
}
