// JSON that is put together in memory and printed for people: schemas and the AsyncAPI document.

/// A JSON value with its members in the order in which they are to be printed.
indirect enum JSONTree: Sendable {
    case object([(String, JSONTree)])
    case array([JSONTree])
    case string(String)
    case integer(Int64)
    case bool(Bool)
    case null

    static func integer(_ value: Int) -> JSONTree { .integer(Int64(value)) }

    /// The tree of a parsed value; a number that isn't a whole one of 64 bits becomes null.
    init(_ value: JSONValue) {
        if value.isObject {
            self = .object(value.members.map { ($0.name, JSONTree($0.value)) })
        } else if let text = value.string {
            self = .string(text)
        } else if let number = value.integer {
            self = .integer(number)
        } else if let bool = value.bool {
            self = .bool(bool)
        } else if value.node.kind == .array {
            self = .array(value.elements.map { JSONTree($0) })
        } else {
            self = .null
        }
    }

    /// The text, indented by two spaces, without a line feed at the end.
    var text: String {
        var text = ""
        print(into: &text, indentation: "")
        return text
    }

    private func print(into text: inout String, indentation: String) {
        let inner = indentation + "  "
        switch self {
        case .object(let members) where !members.isEmpty:
            text += "{"
            for (number, member) in members.enumerated() {
                text += (number == 0 ? "\n" : ",\n") + inner + Self.quoted(member.0) + ": "
                member.1.print(into: &text, indentation: inner)
            }
            text += "\n\(indentation)}"
        case .array(let elements) where elements.contains(where: \.isContainer):
            text += "["
            for (number, element) in elements.enumerated() {
                text += (number == 0 ? "\n" : ",\n") + inner
                element.print(into: &text, indentation: inner)
            }
            text += "\n\(indentation)]"
        case .array(let elements):
            text += "["
            for (number, element) in elements.enumerated() {
                if number > 0 { text += ", " }
                element.print(into: &text, indentation: inner)
            }
            text += "]"
        case .object: text += "{}"
        case .string(let value): text += Self.quoted(value)
        case .integer(let value): text += String(value)
        case .bool(let value): text += value ? "true" : "false"
        case .null: text += "null"
        }
    }

    private var isContainer: Bool {
        switch self {
        case .object, .array: true
        default: false
        }
    }

    private static func quoted(_ text: String) -> String {
        var writer = JSONWriter(capacity: text.utf8.count + 2)
        writer.string(text)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
}
