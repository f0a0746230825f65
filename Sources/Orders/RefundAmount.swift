// How much money goes back when some of a charge's certificates are refunded.

/// The rule of the refunded amount: `round(A(r+k)/n) − round(Ar/n)`.
///
/// Each step is the difference of two rounded totals, so that refunding all units, in whatever steps, returns exactly
/// the charge.
public enum RefundAmount {
    /// The amount to give back, not negative.
    ///
    /// - Parameters:
    ///   - charge: what was charged for all the units, not negative.
    ///   - quantity: how many units were bought, at least 1.
    ///   - alreadyRefunded: how many of them were refunded before, 0…`quantity`.
    ///   - refunding: how many are refunded now, not negative, at most what is left.
    /// - Returns: `nil` if an argument is out of range.
    public static func amount(of charge: Money, quantity: Int64, alreadyRefunded: Int64, refunding: Int64) -> Money? {
        guard charge.amount >= 0, quantity > 0, alreadyRefunded >= 0, alreadyRefunded <= quantity, refunding >= 0,
            refunding <= quantity - alreadyRefunded,
            let before = refunded(charge, quantity: quantity, units: alreadyRefunded),
            let after = refunded(charge, quantity: quantity, units: alreadyRefunded + refunding)
        else { return nil }
        return Money(amount: after - before, currency: charge.currency)
    }

    /// What `units` of the charge come to, rounded half up.
    private static func refunded(_ charge: Money, quantity: Int64, units: Int64) -> Int64? {
        (Int128(charge.amount) * Int128(units)).dividedRoundingHalfUp(by: Int128(quantity))
    }
}
