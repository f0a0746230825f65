// Rounding to whole minor units: half up, once.

extension Int128 {
    /// The nearest whole quotient, halves rounded up; `nil` if it doesn't fit or an operand is out of range.
    ///
    /// The dividend must not be negative, and the divisor must be positive.
    func dividedRoundingHalfUp(by divisor: Int128) -> Int64? {
        guard self >= 0, divisor > 0 else { return nil }
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        // Compares the doubled remainder with the divisor, without the doubling, which could overflow.
        return Int64(exactly: remainder >= divisor - remainder ? quotient + 1 : quotient)
    }
}
