// What the bytes of a JSON string or number mean.

enum JSONText {
    /// The characters that a string node stands for, in UTF-8.
    static func unescaped(_ node: JSONNode, in bytes: [UInt8]) -> ArraySlice<UInt8> {
        let raw = bytes[Int(node.start)..<Int(node.end)]
        guard node.kind == .escapedString else { return raw }
        var text: [UInt8] = []
        text.reserveCapacity(raw.count)
        var index = raw.startIndex
        while index < raw.endIndex {
            guard raw[index] == UInt8(ascii: "\\") else {
                text.append(raw[index])
                index += 1
                continue
            }
            switch raw[index + 1] {
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = hexadecimal(raw[(index + 2)..<(index + 6)])
                index += 4
                if (0xD800..<0xDC00).contains(scalar) {
                    // The parser has seen to it that the other half follows.
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + hexadecimal(raw[(index + 4)..<(index + 8)]) - 0xDC00
                    index += 6
                }
                if let scalar = Unicode.Scalar(scalar) { text.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
            case let other: text.append(other)
            }
            index += 2
        }
        return text[...]
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt32 {
        digits.reduce(0) { $0 << 4 | UInt32($1.hexadecimalValue ?? 0) }
    }

    /// How many Unicode code points valid UTF-8 holds.
    static func codePoints(in utf8: ArraySlice<UInt8>) -> Int {
        utf8.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
    }

    /// What a number is, decided on its decimal digits, so that `25.0` and `2.5e1` are 25, `-0` is 0, and
    /// `1e-400` or `25.00000000000000000001` are no whole numbers.
    static func number(_ text: ArraySlice<UInt8>) -> JSONNumber {
        let isNegative = text.first == UInt8(ascii: "-")
        // The digits with the point taken out, without zeros at either end, times ten to the `exponent`.
        var first = text.startIndex
        var last = text.startIndex
        var significant = 0
        var zerosAtEnd = 0
        var exponent = 0
        var isFraction = false
        var index = text.startIndex
        digits: while index < text.endIndex {
            switch text[index] {
            case UInt8(ascii: "0"):
                if significant > 0 {
                    significant += 1
                    zerosAtEnd += 1
                }
                if isFraction { exponent -= 1 }
            case UInt8(ascii: "1")...UInt8(ascii: "9"):
                if significant == 0 { first = index }
                last = index
                significant += 1
                zerosAtEnd = 0
                if isFraction { exponent -= 1 }
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                exponent += self.exponent(text[(index + 1)...])
                break digits
            default: break
            }
            index += 1
        }
        guard significant > 0 else { return .integer(0) }
        exponent += zerosAtEnd
        significant -= zerosAtEnd
        guard exponent >= 0 else { return .fraction }
        guard significant + exponent <= 19 else { return .integerOutOfRange }

        var magnitude: UInt64 = 0  // 19 digits always fit
        for digit in text[first...last] where digit != UInt8(ascii: ".") {
            magnitude = magnitude * 10 + UInt64(digit - UInt8(ascii: "0"))
        }
        for _ in 0..<exponent { magnitude *= 10 }
        if isNegative, magnitude == UInt64(1) << 63 { return .integer(.min) }
        guard let value = Int64(exactly: magnitude) else { return .integerOutOfRange }
        return .integer(isNegative ? -value : value)
    }

    /// The exponent after the `e`, cut off where it can no longer matter: the text is shorter than that.
    private static func exponent(_ text: ArraySlice<UInt8>) -> Int {
        let limit = 1 << 40
        var value = 0
        for byte in text where byte != UInt8(ascii: "+") && byte != UInt8(ascii: "-") {
            value = min(limit, value * 10 + Int(byte - UInt8(ascii: "0")))
        }
        return text.first == UInt8(ascii: "-") ? -value : value
    }
}

/// What a JSON number is, as far as this contract knows numbers: it has no fractions.
public enum JSONNumber: Sendable, Hashable {
    case integer(Int64)
    /// A whole number below -2⁶³ or above 2⁶³ - 1.
    case integerOutOfRange
    case fraction
}
