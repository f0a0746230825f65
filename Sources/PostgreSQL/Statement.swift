// One SQL statement with its parameters and the name that errors and metrics give it.

/// A statement. It is prepared on first use by each connection, and found again there by its SQL text.
public struct Statement: Sendable {
    /// What errors and metrics call it. Without a name of its own, the beginning of its SQL text.
    public let name: String
    /// One statement, with parameters `$1`, `$2`, ….
    public let sql: String
    let parameters: [Parameter]
    private(set) var isPrepared = true

    public init(_ sql: String, _ parameters: Parameter...) {
        self.init(name: Self.title(of: sql), sql, parameters)
    }

    public init(name: String, _ sql: String, _ parameters: [Parameter] = []) {
        self.name = name
        self.sql = sql
        self.parameters = parameters
    }

    private static func title(of sql: String) -> String {
        let words = sql.prefix(200).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.count > 40 ? words.prefix(40) + "…" : words
    }

    /// The same, for text that is made for one use.
    var unprepared: Statement {
        var statement = self
        statement.isPrepared = false
        return statement
    }

    /// Whether `ROLLBACK` is what the statement asks the server to do.
    var asksForRollback: Bool {
        let word = Self.withoutLeadingComments(sql[...]).prefix(while: \.isLetter).uppercased()
        return word == "ROLLBACK" || word == "ABORT"
    }

    private static func withoutLeadingComments(_ sql: Substring) -> Substring {
        let text = sql.drop(while: \.isWhitespace)
        if text.hasPrefix("--") {
            return withoutLeadingComments(text.drop(while: { !$0.isNewline }))
        }
        if text.hasPrefix("/*"), let end = text.firstRange(of: "*/") {
            return withoutLeadingComments(text[end.upperBound...])
        }
        return text
    }
}
