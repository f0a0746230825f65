// What a string may be: one description from which both the schema's keywords and the check are made.

import Orders

/// A rule for the text of a string.
///
/// Each case states its rule twice, as keywords of JSON Schema and as a check; tests hold the two against each other
/// and against an independent validator.
///
/// The keywords keep to what every regular expression engine understands in the same way. `$` isn't relied on alone:
/// some engines let it match before a line feed at the end, so that a text of varying length also names the characters
/// that may not occur in it (`not`), and one of fixed length is held to its length.
enum TextRule: Sendable, Hashable {
    /// A UUID in lower case, as events carry it.
    case uuid
    /// A UUID in either case, as commands may name it.
    case identifier
    /// A day of the Gregorian calendar in the years 1900 to 9999.
    case date
    /// An instant in UTC, as events carry it.
    case time
    /// An ISO 8601 duration with one designator, up to ten years.
    case term
    /// An e-mail address in ASCII.
    case email
    /// ISO 3166-1 alpha-2, or `XK`.
    case country
    /// An id from the catalog.
    case catalogID
    /// ISO 4217.
    case currency
    /// Words joined by `_`, `-` or `.`: a code, or a type of command or event.
    case code
    /// Any text of one line, of 1 to so many code points.
    case line(maximum: Int)
    /// Any text of one line, of at most so many code points.
    case optionalLine(maximum: Int)
    /// Any text.
    case any

    /// Whether a text in valid UTF-8 satisfies the rule.
    func accepts(_ utf8: ArraySlice<UInt8>) -> Bool {
        switch self {
        case .uuid: CustomerID(text(utf8)) != nil && !utf8.contains(where: TextPattern.isUpper)
        case .identifier: CustomerID(text(utf8)) != nil
        case .date: CalendarDate(text(utf8)) != nil
        case .time: TextPattern.isTime(utf8)
        case .term: Term(text(utf8)) != nil
        case .email: TextPattern.isEmail(utf8)
        // The length keeps out what only looks the same to a String: the Kelvin sign equals K.
        case .country: utf8.count == 2 && Countries.codes.contains(text(utf8))
        case .catalogID: TextPattern.isCatalogID(utf8)
        case .currency: utf8.count == 3 && utf8.allSatisfy(TextPattern.isUpper)
        case .code: TextPattern.isCode(utf8)
        case .line(let maximum): TextPattern.isLine(utf8) && (1...maximum).contains(JSONText.codePoints(in: utf8))
        case .optionalLine(let maximum): TextPattern.isLine(utf8) && JSONText.codePoints(in: utf8) <= maximum
        case .any: true
        }
    }

    private func text(_ utf8: ArraySlice<UInt8>) -> String { String(decoding: utf8, as: UTF8.self) }

    /// What the rule asks of a text that it doesn't accept, in words that continue "must be ".
    func expectation(for utf8: ArraySlice<UInt8>) -> String {
        guard case .email = self, let at = utf8.lastIndex(of: UInt8(ascii: "@")) else { return expectation }
        func isASCII(_ part: ArraySlice<UInt8>) -> Bool { part.allSatisfy { $0 < 0x80 } }
        if !isASCII(utf8[at...]) {
            return
                "an e-mail address whose domain is written in its ASCII form (\"xn--…\" for letters of other scripts)"
        }
        return isASCII(utf8) ? expectation : "an e-mail address with nothing but ASCII characters before the @"
    }

    /// What the rule asks for, in words that continue "must be ".
    var expectation: String {
        switch self {
        case .uuid: "a UUID in lower case, such as 018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"
        case .identifier: "a UUID such as 018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"
        case .date: "a date such as 2026-11-22"
        case .time: "a time in UTC such as 2026-11-22T21:35:06Z"
        case .term: "an ISO 8601 duration such as P1Y, P6M or P365D, at most ten years"
        case .email: "an e-mail address"
        case .country: "an ISO 3166-1 alpha-2 country code such as DE"
        case .catalogID: "an id of 1 to 64 characters from a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
        case .currency: "an ISO 4217 currency code such as USD"
        case .code: "a code such as customer_unknown"
        case .line(let maximum): "a text of 1 to \(maximum) characters without control characters"
        case .optionalLine(let maximum): "a text of at most \(maximum) characters without control characters"
        case .any: "a text"
        }
    }

    /// The rule as keywords of JSON Schema.
    var keywords: [(String, JSONTree)] {
        switch self {
        case .uuid:
            Self.uuid(TextPattern.uuid)
        case .identifier:
            // The first release's rule stands by itself, so that a program can see that it still holds.
            [
                (
                    "anyOf",
                    .array(
                        [TextPattern.uuid, TextPattern.uuidInEitherCase].map {
                            .object([("type", "string")] + Self.uuid($0))
                        })
                )
            ]
        case .date:
            [("format", "date"), ("pattern", .string("^\(TextPattern.date)$")), ("maxLength", 10)]
        case .time:
            [
                ("format", "date-time"), ("pattern", .string("^\(TextPattern.date)T\(TextPattern.timeOfDay)Z$")),
                Self.not("[^0-9TZ:.-]"),
            ]
        case .term:
            [("pattern", .string(Term.pattern)), Self.not("[^0-9PYMD]")]
        case .email:
            [("pattern", .string(TextPattern.email)), Self.not("[^!-~]|^[^@]{65}"), ("maxLength", 254)]
        case .country:
            [("enum", .array(Countries.codes.sorted().map { .string($0) }))]
        case .catalogID:
            [("pattern", .string("^[a-z0-9]")), Self.not("[^a-z0-9._-]"), ("maxLength", 64)]
        case .currency:
            [("pattern", .string("^[A-Z]{3}$")), ("maxLength", 3)]
        case .code:
            [("pattern", .string("^[a-z]")), Self.not("[^a-z0-9._-]"), ("maxLength", 64)]
        case .line(let maximum):
            [("minLength", 1), ("maxLength", .integer(maximum)), Self.not(TextPattern.controlCharacter)]
        case .optionalLine(let maximum):
            [("maxLength", .integer(maximum)), Self.not(TextPattern.controlCharacter)]
        case .any:
            []
        }
    }

    private static func uuid(_ pattern: String) -> [(String, JSONTree)] {
        [("format", "uuid"), ("pattern", .string(pattern)), ("maxLength", 36)]
    }

    private static func not(_ pattern: String) -> (String, JSONTree) {
        ("not", .object([("pattern", .string(pattern))]))
    }
}
