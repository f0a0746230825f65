// What certificates cost for what is left of a period.

/// The rule of the pro-rated charge: `unitPrice × quantity × remainingDays / termDays`.
public enum Proration {
    /// The charge for `quantity` certificates of one type: multiplied first in 128 bits, then divided and rounded
    /// once, halves up, to the currency's minor unit. For the whole term it is the full price exactly.
    ///
    /// - Parameters:
    ///   - unitPrice: the price of one certificate for the whole term, not negative.
    ///   - quantity: how many certificates, not negative.
    ///   - remainingDays: the days that are charged, 0…`termDays`.
    ///   - termDays: the days of the whole period, at least 1.
    /// - Returns: the charge, between zero and the full price; `nil` if an argument is out of range or the charge
    ///   doesn't fit 64 bits.
    public static func charge(unitPrice: Money, quantity: Int64, remainingDays: Int, termDays: Int) -> Money? {
        guard unitPrice.amount >= 0, quantity >= 0, remainingDays >= 0, remainingDays <= termDays, termDays > 0 else {
            return nil
        }
        let fullPrice = Int128(unitPrice.amount) * Int128(quantity)
        // A product beyond 128 bits means a charge beyond 64: the product is the charge times at most 2^63 days.
        let (product, overflow) = fullPrice.multipliedReportingOverflow(by: Int128(remainingDays))
        guard !overflow, let charge = product.dividedRoundingHalfUp(by: Int128(termDays)) else { return nil }
        return Money(amount: charge, currency: unitPrice.currency)
    }
}
