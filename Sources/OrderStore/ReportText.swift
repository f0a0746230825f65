// Text of others in reports: how wide it is on a terminal, and how it is made harmless.

enum ReportText {
    /// The text with nothing in it that moves a cursor, and nothing that hides or reorders other text: each such character
    /// is written as `\u{…}`.
    static func visible(_ text: String, keepingLineBreaks: Bool = false) -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if isHarmful(scalar), !(keepingLineBreaks && [0x09, 0x0A, 0x0D].contains(scalar.value)) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Control characters, line separators, what directs the writing of others, and what can't be seen.
    static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: true
        // Names in Persian and in Indian scripts are written with these two.
        case .format: scalar.value != 0x200C && scalar.value != 0x200D
        default: false
        }
    }

    /// JSON with each harmful character that JSON would let pass written as `\uXXXX`, which means the same.
    static func escapedJSON(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.allSatisfy({ $0 < 0x80 && $0 != 0x7F }) { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            guard scalar.value >= 0x7F, isHarmful(scalar) else {
                result += Array(String(scalar).utf8)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += Array("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
            }
        }
        return result
    }

    // MARK: Width

    /// How many cells of a terminal the text takes.
    static func width(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + width($1) }
    }

    /// The text cut to so many cells, with an ellipsis where something is missing.
    static func cut(_ text: String, to width: Int) -> String {
        if Self.width(text) <= width { return text }
        var left = width - 1
        let kept = text.prefix { character in
            left -= Self.width(character)
            return left >= 0
        }
        return kept + "…"
    }

    private static func width(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return isWide(first.value) ? 2 : 1
        }
    }

    /// Unicode Standard Annex #11: the blocks of what is wide or full-width, emoji included.
    private static func isWide(_ value: UInt32) -> Bool {
        if value < 0x1100 { return false }
        let blocks: [ClosedRange<UInt32>] = [
            0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
        ]
        return blocks.contains { $0.contains(value) }
    }
}
