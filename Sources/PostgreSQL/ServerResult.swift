// Owns one libpq result and frees it.

internal import CLibPQ

/// A `PGresult`.
///
/// `@unchecked Sendable`: libpq never changes a result once it has handed it out, no other object holds the pointer, and
/// the functions called on it only read ("PGresult objects are read-only after creation, and so can be passed around
/// freely between threads"; PostgreSQL documentation, libpq, "Behavior in Threaded Programs").
final class ServerResult: @unchecked Sendable {
    private let pointer: OpaquePointer
    let rowCount: Int
    let columnCount: Int

    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
        self.rowCount = Int(PQntuples(pointer))
        self.columnCount = Int(PQnfields(pointer))
    }

    deinit {
        PQclear(pointer)
    }

    var status: ExecStatusType { PQresultStatus(pointer) }

    /// The command tag's name and count, such as `INSERT 0 5`.
    var commandTag: String { String(cString: PQcmdStatus(pointer)) }

    var affectedRows: Int {
        var number = 0
        var digit = PQcmdTuples(pointer)
        while let current = digit, current.pointee != 0 {
            number = number &* 10 &+ Int(current.pointee) &- 48
            digit = current + 1
        }
        return number
    }

    /// Whether the command's tag is the word `ROLLBACK`.
    var isRollback: Bool { PQcmdStatus(pointer).pointee == UInt8(ascii: "R") && commandTag == "ROLLBACK" }

    // Row and column must be in range: libpq answers anything else with a notice to the connection that made the result,
    // which may be gone.

    func type(ofColumn column: Int) -> TypeID { TypeID(rawValue: PQftype(pointer, Int32(truncatingIfNeeded: column))) }

    func name(ofColumn column: Int) -> String { String(cString: PQfname(pointer, Int32(truncatingIfNeeded: column))) }

    func column(named name: String) -> Int? {
        name.withCString { name in
            (0..<columnCount).first { Self.equal(PQfname(pointer, Int32(truncatingIfNeeded: $0)), name) }
        }
    }

    /// The value's bytes, which live as long as this object; nil for a null.
    func value(row: Int, column: Int) -> UnsafeRawBufferPointer? {
        let row = Int32(truncatingIfNeeded: row)
        let column = Int32(truncatingIfNeeded: column)
        let length = PQgetlength(pointer, row, column)
        if length == 0 && PQgetisnull(pointer, row, column) == 1 { return nil }
        return UnsafeRawBufferPointer(start: PQgetvalue(pointer, row, column), count: Int(length))
    }

    private static func equal(_ left: UnsafePointer<CChar>?, _ right: UnsafePointer<CChar>) -> Bool {
        guard var left else { return false }
        var right = right
        while left.pointee == right.pointee {
            if left.pointee == 0 { return true }
            left += 1
            right += 1
        }
        return false
    }

    // MARK: Errors

    enum Field: UInt8 {
        case severity = 0x56  // 'V', not translated
        case sqlState = 0x43  // 'C'
        case message = 0x4D  // 'M'
        case detail = 0x44  // 'D'
        case hint = 0x48  // 'H'
        case position = 0x50  // 'P'
        case schema = 0x73  // 's'
        case table = 0x74  // 't'
        case column = 0x63  // 'c'
        case constraint = 0x6E  // 'n'
        case routine = 0x52  // 'R'
    }

    func field(_ field: Field) -> String? {
        PQresultErrorField(pointer, Int32(field.rawValue)).map { String(cString: $0) }
    }

    /// The whole error text, for errors that libpq itself made.
    var errorText: String { ConnectionHandle.sentence(PQresultErrorMessage(pointer)) }

    /// Whether the server ends the connection with this error.
    var isFatal: Bool {
        let severity = field(.severity)
        return severity == "FATAL" || severity == "PANIC"
    }

    /// The server forgot a prepared statement, or can't use it any more since the schema changed.
    var refusesPreparedStatement: Bool {
        field(.sqlState) == SQLState.unknownPreparedStatement || field(.routine) == "RevalidateCachedQuery"
    }

    func error(during statement: String, index: Int?) -> PostgreSQLError {
        guard let state = field(.sqlState) else {
            return .lost(during: statement, errorText)
        }
        var error = PostgreSQLError(
            isFatal ? .connectionLost : state == SQLState.queryCanceled ? .timedOut : .server,
            during: statement, field(.message) ?? errorText, advice: SQLState.advice(state), sqlState: state,
            isConnectionUsable: !isFatal)
        if refusesPreparedStatement {
            error.isStalePreparation = true
            error.advice = "The schema changed under the session: try again."
        }
        error.statementIndex = index
        error.detail = field(.detail)
        error.hint = field(.hint)
        error.schema = field(.schema)
        error.table = field(.table)
        error.column = field(.column)
        error.constraint = field(.constraint)
        return error
    }
}
