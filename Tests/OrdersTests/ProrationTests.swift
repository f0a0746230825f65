// The pro-rated charge, on published figures and at its edges.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct ProrationTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let unitPrice: Int64
        let quantity: Int64
        let remaining: Int
        let term: Int
        let charge: Int64?
        var testDescription: String {
            "\(unitPrice) × \(quantity) × \(remaining)/\(term) = \(charge as Int64?, default: "nil")"
        }

        init(_ unitPrice: Int64, _ quantity: Int64, _ remaining: Int, _ term: Int, _ charge: Int64?) {
            self.unitPrice = unitPrice
            self.quantity = quantity
            self.remaining = remaining
            self.term = term
            self.charge = charge
        }
    }

    @Test(
        "The charge is unit price × quantity × remaining days / term days, rounded once, halves up",
        arguments: [
            // Published figures.
            Vector(3100, 1, 16, 31, 1600),
            Vector(1000, 10, 184, 366, 5027),
            Vector(21120, 2, 337, 365, 39000),
            Vector(5193, 500, 27, 31, 2_261_468),
            // The whole term and none of it.
            Vector(21120, 2, 365, 365, 42240), Vector(21120, 2, 0, 365, 0), Vector(0, 5, 3, 30, 0),
            Vector(5, 0, 3, 30, 0),
            // The last day, and the day after the first, of common and leap years.
            Vector(36500, 1, 1, 365, 100), Vector(36600, 1, 1, 366, 100), Vector(10000, 1, 1, 365, 27),
            Vector(10000, 1, 1, 366, 27), Vector(10000, 1, 365, 366, 9973), Vector(10000, 1, 364, 365, 9973),
            Vector(2900, 3, 1, 29, 300), Vector(2900, 3, 28, 29, 8400),
            // Ties round up; what lies just beside them doesn't.
            Vector(1, 1, 1, 2, 1), Vector(1, 1, 15, 30, 1), Vector(1, 1, 14, 30, 0), Vector(1, 1, 182, 365, 0),
            Vector(1, 1, 183, 365, 1), Vector(3, 1, 1, 2, 2), Vector(5, 3, 1, 30, 1), Vector(5, 3, 1, 31, 0),
            // Rounded once, not per certificate: 3 × 0.4 is 1.2.
            Vector(4, 3, 1, 10, 1), Vector(4, 300, 1, 10, 120),
            // The largest that the contract allows, and the largest that there is.
            Vector(1_000_000_000_000, 1_000_000, 3652, 3653, 999_726_252_395_291_541),
            Vector(.max, 1, 30, 31, 8_925_843_906_633_654_007), Vector(.max, 1, 31, 31, .max),
            Vector(.max, 2, 1, 2, .max), Vector(1, .max, 1, 1, .max),
            // What doesn't fit is refused.
            Vector(.max, 2, 1, 1, nil), Vector(.max, .max, 1, 1, nil), Vector(.max, .max, .max, .max, nil),
            Vector(.max, 3, 1, 2, nil), Vector(.max, .max, 1, .max, .max),
            // So is what makes no sense.
            Vector(-1, 1, 1, 1, nil), Vector(1, -1, 1, 1, nil), Vector(1, 1, -1, 1, nil), Vector(1, 1, 2, 1, nil),
            Vector(1, 1, 0, 0, nil), Vector(.min, .min, .min, .min, nil),
        ])
    func charge(_ vector: Vector) throws {
        let usd = try #require(Currency("USD"))
        let charge = Proration.charge(
            unitPrice: Money(amount: vector.unitPrice, currency: usd), quantity: vector.quantity,
            remainingDays: vector.remaining, termDays: vector.term)
        #expect(charge?.amount == vector.charge)
    }

    @Test(
        "Minor units are whole whatever the currency's decimals",
        arguments: [
            ("JPY", 10_000, 1, 184, 365, "5,041 JPY"), ("KWD", 10_000, 1, 184, 365, "5.041 KWD"),
            ("CLF", 10_000, 1, 184, 365, "0.5041 CLF"), ("USD", 10_000, 1, 184, 365, "50.41 USD"),
        ] as [(String, Int64, Int64, Int, Int, String)])
    func currencies(
        _ code: String, _ price: Int64, _ quantity: Int64, _ remaining: Int, _ term: Int, _ text: String
    ) throws {
        let price = Money(amount: price, currency: try #require(Currency(code)))
        let charge = Proration.charge(
            unitPrice: price, quantity: quantity, remainingDays: remaining, termDays: term)
        #expect(charge?.formatted == text)
    }

    @Test("A charge lies between nothing and the full price, and grows with the days")
    func bounds() throws {
        let usd = try #require(Currency("USD"))
        var random = SeededGenerator(seed: 13)
        for _ in 0..<5000 {
            let price = Int64.random(in: 0...1_000_000_000_000, using: &random)
            let quantity = Int64.random(in: 1...1_000_000, using: &random)
            let term = Int.random(in: 1...3653, using: &random)
            let remaining = Int.random(in: 0..<term, using: &random)
            let charge = { (days: Int) in
                Proration.charge(
                    unitPrice: Money(amount: price, currency: usd), quantity: quantity, remainingDays: days,
                    termDays: term)?.amount ?? -1
            }
            #expect(charge(remaining) >= 0)
            #expect(charge(remaining) <= charge(remaining + 1))
            #expect(charge(term) == price * quantity)
        }
    }
}
