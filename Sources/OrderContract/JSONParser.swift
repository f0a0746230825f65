// Reads a JSON text into nodes, strictly and within limits.

/// A recursive-descent parser; its recursion is bounded by the depth limit.
///
/// The nodes of an object follow it as name, value, name, value …, those of an array as its elements.
struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var index = 0
    private var nodes: [JSONNode] = []

    /// Objects with more members than this look for repeated names by hashing, so that no text takes quadratic time.
    private static let membersComparedPairwise = 12

    init(_ bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    mutating func parse() throws(JSONError) -> [JSONNode] {
        nodes.reserveCapacity(bytes.count / 12 + 8)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw JSONError("the text begins with a byte order mark, which JSON must not have", at: 0)
        }
        if bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) {
            throw JSONError("the text begins with a byte order mark of UTF-16: JSON is UTF-8", at: 0)
        }
        skipSpace()
        try value(depth: 0)
        skipSpace()
        if index < bytes.count { throw JSONError("there is more after the value", at: index) }
        return nodes
    }

    /// The next byte, or 0 at the end: no JSON token contains a 0.
    private var peek: UInt8 { index < bytes.count ? bytes[index] : 0 }

    private func unexpected(_ expected: String) -> JSONError {
        JSONError(index < bytes.count ? "expected \(expected)" : "the text ends early", at: index)
    }

    private mutating func skipSpace() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws(JSONError) {
        switch peek {
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "{"): try object(depth: depth)
        case UInt8(ascii: "["): try array(depth: depth)
        case UInt8(ascii: "t"): try literal("true", .true)
        case UInt8(ascii: "f"): try literal("false", .false)
        case UInt8(ascii: "n"): try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        default: throw unexpected("a value")
        }
    }

    private mutating func append(_ kind: JSONNode.Kind, from start: Int, to end: Int) {
        nodes.append(JSONNode(kind: kind, start: Int32(start), end: Int32(end), next: Int32(nodes.count + 1)))
    }

    private mutating func literal(_ text: StaticString, _ kind: JSONNode.Kind) throws(JSONError) {
        let start = index
        for offset in 0..<text.utf8CodeUnitCount {
            guard peek == text.utf8Start[offset] else { throw unexpected("a value") }
            index += 1
        }
        append(kind, from: start, to: index)
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) {
        let start = index
        if peek == UInt8(ascii: "-") { index += 1 }
        if peek == UInt8(ascii: "0") { index += 1 } else { try digits() }
        if peek == UInt8(ascii: ".") {
            index += 1
            try digits()
        }
        if peek | 0x20 == UInt8(ascii: "e") {
            index += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { index += 1 }
            try digits()
        }
        append(.number, from: start, to: index)
    }

    private mutating func digits() throws(JSONError) {
        let start = index
        while peek >= UInt8(ascii: "0"), peek <= UInt8(ascii: "9") { index += 1 }
        if index == start { throw unexpected("a digit") }
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) {
        index += 1
        let start = index
        var kind = JSONNode.Kind.string
        while true {
            guard index < bytes.count else { throw unexpected("a quotation mark") }
            switch bytes[index] {
            case UInt8(ascii: "\""):
                append(kind, from: start, to: index)
                index += 1
                return
            case UInt8(ascii: "\\"):
                kind = .escapedString
                try escape()
            case 0..<0x20:
                throw JSONError("a control character in a string must be escaped", at: index)
            case 0x20..<0x80:
                index += 1
            default:
                try multibyteCharacter()
            }
        }
    }

    private mutating func escape() throws(JSONError) {
        let start = index
        index += 1
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 1
        case UInt8(ascii: "u"):
            index += 1
            switch try hexadecimal() {
            case 0:
                throw JSONError("U+0000 is not accepted", at: start)
            case 0xD800..<0xDC00:
                guard peek == UInt8(ascii: "\\") else { throw JSONError("a surrogate stands alone", at: start) }
                index += 1
                guard peek == UInt8(ascii: "u") else { throw JSONError("a surrogate stands alone", at: start) }
                index += 1
                guard case 0xDC00..<0xE000 = try hexadecimal() else {
                    throw JSONError("a surrogate stands alone", at: start)
                }
            case 0xDC00..<0xE000:
                throw JSONError("a surrogate stands alone", at: start)
            default:
                break
            }
        default:
            throw unexpected("an escape that JSON knows")
        }
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = peek.hexadecimalValue else { throw unexpected("a hexadecimal digit") }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    /// One character of two to four bytes, as table 3-7 of the Unicode standard allows them.
    private mutating func multibyteCharacter() throws(JSONError) {
        let start = index
        let lead = bytes[index]
        let second: ClosedRange<UInt8>
        let length: Int
        switch lead {
        case 0xC2...0xDF: (second, length) = (0x80...0xBF, 2)
        case 0xE0: (second, length) = (0xA0...0xBF, 3)
        case 0xED: (second, length) = (0x80...0x9F, 3)
        case 0xE1...0xEF: (second, length) = (0x80...0xBF, 3)
        case 0xF0: (second, length) = (0x90...0xBF, 4)
        case 0xF1...0xF3: (second, length) = (0x80...0xBF, 4)
        case 0xF4: (second, length) = (0x80...0x8F, 4)
        default: throw JSONError("the text is not valid UTF-8", at: start)
        }
        guard start + length <= bytes.count, second.contains(bytes[start + 1]) else {
            throw JSONError("the text is not valid UTF-8", at: start)
        }
        for offset in 2..<max(2, length) where bytes[start + offset] & 0xC0 != 0x80 {
            throw JSONError("the text is not valid UTF-8", at: start)
        }
        index += length
    }

    // MARK: Arrays and objects

    private mutating func array(depth: Int) throws(JSONError) {
        let array = try open(.array, depth: depth)
        if peek == UInt8(ascii: "]") { return close(array) }
        while true {
            try value(depth: depth + 1)
            skipSpace()
            switch peek {
            case UInt8(ascii: ","):
                index += 1
                skipSpace()
            case UInt8(ascii: "]"): return close(array)
            default: throw unexpected("a comma or a closing bracket")
            }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) {
        let object = try open(.object, depth: depth)
        if peek == UInt8(ascii: "}") { return close(object) }
        var count = 0
        var names: Set<[UInt8]> = []
        while true {
            guard peek == UInt8(ascii: "\"") else { throw unexpected("a member's name") }
            let name = nodes.count
            try string()
            count += 1
            try refuseRepetition(of: name, in: object, count: count, &names)
            skipSpace()
            guard peek == UInt8(ascii: ":") else { throw unexpected("a colon") }
            index += 1
            skipSpace()
            try value(depth: depth + 1)
            skipSpace()
            switch peek {
            case UInt8(ascii: ","):
                index += 1
                skipSpace()
            case UInt8(ascii: "}"): return close(object)
            default: throw unexpected("a comma or a closing brace")
            }
        }
    }

    private mutating func open(_ kind: JSONNode.Kind, depth: Int) throws(JSONError) -> Int {
        guard depth < maximumDepth else {
            throw JSONError("values are nested more than \(maximumDepth) deep", at: index)
        }
        append(kind, from: index, to: index)
        index += 1
        skipSpace()
        return nodes.count - 1
    }

    private mutating func close(_ container: Int) {
        index += 1
        nodes[container].end = Int32(index)
        nodes[container].next = Int32(nodes.count)
    }

    /// Refuses a member whose name an earlier member of the object has, whichever way the two are escaped.
    private func refuseRepetition(
        of name: Int, in object: Int, count: Int, _ names: inout Set<[UInt8]>
    ) throws(JSONError) {
        let node = nodes[name]
        var isNew = true
        if count <= Self.membersComparedPairwise {
            forEachEarlierName(in: object, before: name) { if isSameText(nodes[$0], node) { isNew = false } }
        } else {
            if names.isEmpty {
                forEachEarlierName(in: object, before: name) {
                    names.insert(Array(JSONText.unescaped(nodes[$0], in: bytes)))
                }
            }
            isNew = names.insert(Array(JSONText.unescaped(node, in: bytes))).inserted
        }
        if !isNew { throw JSONError("a member's name appears twice in one object", at: Int(node.start) - 1) }
    }

    private func forEachEarlierName(in object: Int, before name: Int, _ body: (Int) -> Void) {
        var earlier = object + 1
        while earlier < name {
            body(earlier)
            earlier = Int(nodes[earlier + 1].next)
        }
    }

    private func isSameText(_ left: JSONNode, _ right: JSONNode) -> Bool {
        if left.kind == .string, right.kind == .string {
            guard left.end - left.start == right.end - right.start else { return false }
            return bytes[Int(left.start)..<Int(left.end)] == bytes[Int(right.start)..<Int(right.end)]
        }
        return JSONText.unescaped(left, in: bytes) == JSONText.unescaped(right, in: bytes)
    }
}

extension UInt8 {
    /// The value of an ASCII hexadecimal digit of either case.
    var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
