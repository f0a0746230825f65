// An amount of money: whole minor units of a currency.

/// An amount in the minor units of a currency, such as 1999 cents; credits are negative.
///
/// Arithmetic gives `nil` where the result wouldn't fit, or the currencies differ; it never traps and never wraps.
public struct Money: Hashable, Sendable {
    /// The amount in minor units.
    public let amount: Int64
    /// The currency whose minor units ``amount`` counts.
    public let currency: Currency

    /// Creates an amount of minor units.
    public init(amount: Int64, currency: Currency) {
        self.amount = amount
        self.currency = currency
    }

    /// Nothing, in a currency.
    public static func zero(_ currency: Currency) -> Money {
        Money(amount: 0, currency: currency)
    }

    /// Whether the amount is zero.
    public var isZero: Bool { amount == 0 }

    /// The sum; `nil` if it overflows or the currencies differ.
    public func adding(_ other: Money) -> Money? {
        guard currency == other.currency else { return nil }
        let (sum, overflow) = amount.addingReportingOverflow(other.amount)
        return overflow ? nil : Money(amount: sum, currency: currency)
    }

    /// The difference; `nil` if it overflows or the currencies differ.
    public func subtracting(_ other: Money) -> Money? {
        guard currency == other.currency else { return nil }
        let (difference, overflow) = amount.subtractingReportingOverflow(other.amount)
        return overflow ? nil : Money(amount: difference, currency: currency)
    }

    /// The amount with the other sign; `nil` for the one amount that has no counterpart.
    public var negated: Money? {
        Money.zero(currency).subtracting(self)
    }

    /// So many times the amount; `nil` if it overflows.
    public func multiplied(by factor: Int64) -> Money? {
        let (product, overflow) = amount.multipliedReportingOverflow(by: factor)
        return overflow ? nil : Money(amount: product, currency: currency)
    }

    /// The sum of `amounts`; zero in `currency` for none, `nil` if it overflows or one is in another currency.
    public static func sum(of amounts: some Sequence<Money>, in currency: Currency) -> Money? {
        var total = Money.zero(currency)
        for amount in amounts {
            guard let next = total.adding(amount) else { return nil }
            total = next
        }
        return total
    }

    /// The amount for people to read, with all of the currency's decimals: `1,234.50 USD`, `-1,234 JPY`.
    public var formatted: String {
        var digits = Array(String(amount.magnitude))
        let decimals = currency.minorUnitDigits
        if digits.count <= decimals {
            digits.insert(contentsOf: repeatElement("0", count: decimals + 1 - digits.count), at: 0)
        }
        let whole = digits.count - decimals
        var text = amount < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index == whole {
                text += "."
            } else if index > 0, index < whole, (whole - index).isMultiple(of: 3) {
                text += ","
            }
            text.append(digit)
        }
        return text + " " + currency.code
    }
}

extension Money: CustomStringConvertible {
    /// The same as ``formatted``.
    public var description: String { formatted }
}
