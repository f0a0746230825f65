// Fixed-width decimal numbers in text, and division that rounds down.

enum DecimalDigits {
    /// The number that exactly `count` ASCII digits from `start` form; `nil` if one is missing or is no digit.
    static func number(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, count: Int) -> Int? {
        guard start + count <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[start..<start + count] {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// `value` with zeros in front up to `width` digits; a sign doesn't count.
    static func padded(_ value: Int, to width: Int) -> String {
        let digits = String(value.magnitude)
        let zeros = String(repeating: "0", count: max(0, width - digits.utf8.count))
        return (value < 0 ? "-" : "") + zeros + digits
    }
}

extension FixedWidthInteger where Self: SignedInteger {
    /// The quotient rounded towards negative infinity. `divisor` must be positive.
    func floorDivided(by divisor: Self) -> Self {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
