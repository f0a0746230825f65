// The statements that one session's server process has prepared, found by their text and parameter types.

struct PreparedStatements {
    /// The same text with other parameter types is another statement: the server would misread the binary values.
    struct Key: Hashable {
        let sql: String
        let types: [UInt32]

        init(_ statement: Statement) {
            sql = statement.sql
            types = statement.parameters.map(\.type.rawValue)
        }
    }

    /// More texts than a program has are a sign of texts made up at run time, which would fill the server's memory.
    private static let limit = 256
    private var names: [Key: String] = [:]
    private var lastNumber = 0

    subscript(key: Key) -> String? { names[key] }

    /// A name for a new statement; nil when it should be sent without being kept. `pending` are under way already.
    mutating func newName(pending: Int) -> String? {
        guard names.count + pending < Self.limit else { return nil }
        lastNumber += 1
        return "s\(lastNumber)"
    }

    mutating func add(_ key: Key, name: String) { names[key] = name }

    /// Forgets all, so that each is prepared again under a new name.
    mutating func forgetAll() { names.removeAll() }
}
