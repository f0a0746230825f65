// A value within a parsed JSON text.

/// A value within a ``JSONDocument``. What it is gets looked up in the text when it is asked for.
public struct JSONValue: Sendable {
    let document: JSONDocument
    let index: Int

    var node: JSONNode { document.nodes[index] }

    /// Whether the value is `null`.
    public var isNull: Bool { node.kind == .null }

    /// Whether the value is an object.
    public var isObject: Bool { node.kind == .object }

    /// Whether the value is a string.
    var isString: Bool { node.kind == .string || node.kind == .escapedString }

    /// The truth value, where it is one.
    public var bool: Bool? {
        switch node.kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    /// The number, where it is one.
    public var number: JSONNumber? {
        guard node.kind == .number else { return nil }
        return JSONText.number(document.bytes[Int(node.start)..<Int(node.end)])
    }

    /// The whole number, where it is one that 64 bits can hold.
    public var integer: Int64? {
        if case .integer(let value) = number { value } else { nil }
    }

    /// The string, where it is one.
    public var string: String? {
        utf8.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The string's UTF-8, where it is one.
    var utf8: ArraySlice<UInt8>? {
        isString ? JSONText.unescaped(node, in: document.bytes) : nil
    }

    /// The value's own bytes as they stand in the text.
    public var source: ArraySlice<UInt8> {
        let quotes = isString ? 1 : 0
        return document.bytes[(Int(node.start) - quotes)..<(Int(node.end) + quotes)]
    }

    /// An array's elements; empty for anything else.
    public var elements: Elements {
        Elements(document: document, index: index + 1, end: node.kind == .array ? Int(node.next) : index + 1)
    }

    /// An object's members in their order; empty for anything else.
    public var members: Members {
        Members(document: document, index: index + 1, end: node.kind == .object ? Int(node.next) : index + 1)
    }

    /// The object's member of this name.
    public subscript(_ name: String) -> JSONValue? {
        members.first { $0.isNamed(name) }?.value
    }

    /// The elements of an array.
    public struct Elements: Sequence, IteratorProtocol {
        let document: JSONDocument
        var index: Int
        let end: Int

        public mutating func next() -> JSONValue? {
            guard index < end else { return nil }
            defer { index = Int(document.nodes[index].next) }
            return JSONValue(document: document, index: index)
        }
    }

    /// The members of an object.
    public struct Members: Sequence, IteratorProtocol {
        let document: JSONDocument
        var index: Int
        let end: Int

        public mutating func next() -> Member? {
            guard index < end else { return nil }
            defer { index = Int(document.nodes[index + 1].next) }
            return Member(
                nameValue: JSONValue(document: document, index: index),
                value: JSONValue(document: document, index: index + 1))
        }
    }

    /// A member of an object.
    public struct Member {
        let nameValue: JSONValue
        public let value: JSONValue

        public var name: String { nameValue.string ?? "" }

        /// Whether the name is this one, code point by code point.
        func isNamed(_ name: String) -> Bool {
            let node = nameValue.node
            if node.kind == .string, Int(node.end - node.start) != name.utf8.count { return false }
            guard let utf8 = nameValue.utf8 else { return false }
            return utf8.elementsEqual(name.utf8)
        }
    }
}
