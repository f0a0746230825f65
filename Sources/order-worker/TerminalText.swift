// Text of others, made safe to look at.

extension String {
    /// The text with everything that could move a terminal's cursor, change its colours, or hide or reorder other text,
    /// written as `\u{…}`.
    var visible: String {
        if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    /// The text, cut to this many characters.
    func cut(to width: Int) -> String { count > width ? prefix(width - 1) + "…" : self }
}
