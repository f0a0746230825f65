// Money and currencies: minor units, checked arithmetic, and amounts for people to read.

import Orders
import Testing

@Suite struct MoneyTests {
    @Test(
        "A currency knows its minor unit",
        arguments: [
            ("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("ISK", 0), ("BHD", 3), ("KWD", 3), ("TND", 3),
            ("CLF", 4), ("UYW", 4), ("MGA", 2), ("HUF", 2), ("XOF", 0), ("XCG", 2), ("ZWG", 2), ("SLE", 2),
        ])
    func minorUnit(_ code: String, _ digits: Int) {
        #expect(Currency(code)?.minorUnitDigits == digits)
    }

    @Test(
        "What isn't on the active list, or has no minor unit, is no currency to bill in",
        arguments: [
            "", "usd", "US", "USDX", "XAU", "XXX", "XTS", "DEM", "HRK", "ZWL", "SLL", "ANG", "BGN", "CUC", "ABC",
        ])
    func refused(_ code: String) {
        #expect(Currency(code) == nil)
    }

    @Test("The list holds no code twice and each is three capital letters")
    func list() {
        let codes = Currency.all.map(\.code)
        #expect(codes == codes.sorted() && Set(codes).count == codes.count && codes.count > 150)
        #expect(codes.allSatisfy { $0.utf8.count == 3 && $0.utf8.allSatisfy { (65...90).contains($0) } })
    }

    @Test(
        "An amount is written with the currency's decimals and with its thousands apart",
        arguments: [
            (123_450, "USD", "1,234.50 USD"), (0, "USD", "0.00 USD"), (5, "EUR", "0.05 EUR"), (-5, "EUR", "-0.05 EUR"),
            (-123_456_789, "USD", "-1,234,567.89 USD"), (1234, "JPY", "1,234 JPY"), (0, "JPY", "0 JPY"),
            (999, "JPY", "999 JPY"), (1_234_567, "KWD", "1,234.567 KWD"), (7, "CLF", "0.0007 CLF"),
            (99_999, "USD", "999.99 USD"), (100_000, "USD", "1,000.00 USD"),
            (.max, "USD", "92,233,720,368,547,758.07 USD"), (.min, "USD", "-92,233,720,368,547,758.08 USD"),
        ] as [(Int64, String, String)])
    func formatted(_ amount: Int64, _ code: String, _ text: String) throws {
        #expect(Money(amount: amount, currency: try #require(Currency(code))).formatted == text)
    }

    @Test("Arithmetic that wouldn't fit gives nil")
    func overflow() throws {
        let usd = try #require(Currency("USD"))
        let money = { Money(amount: $0, currency: usd) }
        #expect(money(2).adding(money(3)) == money(5))
        #expect(money(2).subtracting(money(3)) == money(-1))
        #expect(money(.max).adding(money(1)) == nil)
        #expect(money(.min).subtracting(money(1)) == nil)
        #expect(money(.min).negated == nil)
        #expect(money(7).negated == money(-7))
        #expect(money(.max).multiplied(by: 2) == nil)
        #expect(money(-4).multiplied(by: 3) == money(-12))
        #expect(Money.sum(of: [money(1), money(2)], in: usd) == money(3))
        #expect(Money.sum(of: [money(.max), money(1)], in: usd) == nil)
        #expect(Money.sum(of: [], in: usd) == .zero(usd))
    }

    @Test("Money of two currencies doesn't add up")
    func mixed() throws {
        let dollars = Money(amount: 1, currency: try #require(Currency("USD")))
        let euros = Money(amount: 1, currency: try #require(Currency("EUR")))
        #expect(dollars != euros)
        #expect(dollars.adding(euros) == nil && dollars.subtracting(euros) == nil)
    }
}
