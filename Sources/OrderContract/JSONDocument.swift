// A parsed JSON text: the bytes and a flat list of where each value lies in them.

/// Why a text was not accepted as JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where reading stopped, in bytes from the start.
    public let offset: Int
    /// What is wrong there, in words that continue "at byte 17: ".
    public let reason: String

    init(_ reason: String, at offset: Int) {
        self.offset = offset
        self.reason = reason
    }

    public var description: String { "at byte \(offset): \(reason)" }
}

/// A JSON text (RFC 8259) that was read strictly: valid UTF-8, no member named twice, no lone surrogate, no U+0000, and
/// within limits.
///
/// Reading takes time and memory in proportion to the text, whatever it holds. Strings and numbers stay in the text
/// until they are asked for.
public final class JSONDocument: Sendable {
    let bytes: [UInt8]
    let nodes: [JSONNode]

    /// Reads a JSON text.
    ///
    /// - Parameters:
    ///   - maximumSize: in bytes, at most `Int32.max`.
    ///   - maximumDepth: how deeply arrays and objects may be nested; a scalar has depth 0.
    public init(_ bytes: [UInt8], maximumSize: Int = 1 << 20, maximumDepth: Int = 32) throws(JSONError) {
        guard bytes.count <= min(maximumSize, Int(Int32.max)) else {
            throw JSONError("the text is longer than \(maximumSize) bytes", at: 0)
        }
        var parser = JSONParser(bytes, maximumDepth: maximumDepth)
        self.nodes = try parser.parse()
        self.bytes = bytes
    }

    /// The outermost value.
    public var root: JSONValue { JSONValue(document: self, index: 0) }
}

/// Where a value lies in the text.
struct JSONNode {
    enum Kind: UInt8 {
        case null
        case `true`
        case `false`
        case number
        case string
        /// A string with at least one backslash in it.
        case escapedString
        case array
        case object
    }

    let kind: Kind
    /// The offset of the value's first byte; of a string, of the byte after the quotation mark.
    let start: Int32
    /// The offset of the byte after its last; of a string, of the closing quotation mark.
    var end: Int32
    /// The index of the node after this value and all that is in it.
    var next: Int32
}
