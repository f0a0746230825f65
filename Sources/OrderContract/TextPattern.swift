// The regular expressions of the contract, each with the function that means the same.

import Orders

/// Regular expressions in the subset that JSON Schema recommends (ECMA 262), and their hand-written twins.
enum TextPattern {
    static let uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

    static let uuidInEitherCase = uuid.replacing("a-f", with: "a-fA-F")

    /// Exactly the days of the Gregorian calendar from 1900-01-01 to 9999-12-31, 29 February only in leap years.
    static let date =
        "((19|[2-9][0-9])[0-9]{2}-"
        + "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
        + "|((19|[2-9][0-9])(0[48]|[2468][048]|[13579][26])|([2468][048]|[3579][26])00)-02-29)"

    static let timeOfDay = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"

    /// The control characters C0, DEL and C1.
    static let controlCharacter = "[\\x00-\\x1f\\x7f-\\x9f]"

    /// A dot-atom, at most 64 long by another keyword, and a domain of at least two labels, the last not a number.
    static let email =
        "^\(atom)+(\\.\(atom)+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+"
        + "[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$"

    private static let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"

    // MARK: The same as functions

    /// The form `date` T `timeOfDay` Z.
    static func isTime(_ utf8: ArraySlice<UInt8>) -> Bool {
        guard utf8.count >= 20, utf8.count <= 27, utf8.last == UInt8(ascii: "Z") else { return false }
        let separator = utf8.startIndex + 10
        let fraction = utf8.startIndex + 19
        guard utf8[separator] == UInt8(ascii: "T"),
            CalendarDate(String(decoding: utf8[..<separator], as: UTF8.self)) != nil,
            utf8.count == 20 || (utf8.count >= 22 && utf8[fraction] == UInt8(ascii: ".")),
            utf8[fraction..<(utf8.endIndex - 1)].dropFirst().allSatisfy(isDigit)
        else { return false }
        let time = String(decoding: utf8[separator..<fraction], as: UTF8.self)
        return !time.hasSuffix("60") && Timestamp("2000-01-01\(time)Z") != nil
    }

    static func isCatalogID(_ utf8: ArraySlice<UInt8>) -> Bool {
        guard let first = utf8.first, utf8.count <= 64 else { return false }
        return (isLower(first) || isDigit(first)) && utf8.allSatisfy(isCodeCharacter)
    }

    static func isCode(_ utf8: ArraySlice<UInt8>) -> Bool {
        guard let first = utf8.first, utf8.count <= 64 else { return false }
        return isLower(first) && utf8.allSatisfy(isCodeCharacter)
    }

    /// Whether valid UTF-8 holds no control character.
    static func isLine(_ utf8: ArraySlice<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for byte in utf8 {
            // U+0080 to U+009F are C2 80 to C2 9F.
            if byte < 0x20 || byte == 0x7F || (previous == 0xC2 && byte < 0xA0) { return false }
            previous = byte
        }
        return true
    }

    static func isEmail(_ utf8: ArraySlice<UInt8>) -> Bool {
        guard utf8.count <= 254, let at = utf8.firstIndex(of: UInt8(ascii: "@")) else { return false }
        let local = utf8[..<at]
        let domain = utf8[(at + 1)...]
        guard local.count <= 64,
            local.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
                .allSatisfy({ !$0.isEmpty && $0.allSatisfy(isAtom) })
        else { return false }
        let labels = domain.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.count >= 2, labels.allSatisfy(isLabel), let last = labels.last, let first = last.first else {
            return false
        }
        return last.count >= 2 && isLetter(first)
    }

    /// A label of a domain: 1 to 63 letters, digits and hyphens, no hyphen at either end.
    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        let hyphen = UInt8(ascii: "-")
        guard (1...63).contains(label.count), label.first != hyphen, label.last != hyphen else { return false }
        return label.allSatisfy { isLetter($0) || isDigit($0) || $0 == hyphen }
    }

    private static let atomSymbols = Set("!#$%&'*+/=?^_`{|}~-".utf8)

    private static func isAtom(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || atomSymbols.contains(byte)
    }

    static func isUpper(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") }
    private static func isLower(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    private static func isLetter(_ byte: UInt8) -> Bool { isUpper(byte) || isLower(byte) }

    private static func isCodeCharacter(_ byte: UInt8) -> Bool {
        isLower(byte) || isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-")
    }
}
