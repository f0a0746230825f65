// The refunded amount: each step exact to the minor unit, all steps together the charge.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct RefundAmountTests {
    @Test(
        "The steps of a refund are the differences of rounded totals",
        arguments: [
            (2_150_000, 3, [1, 1, 1], [716_667, 716_666, 716_667]),
            (100, 3, [1, 1, 1], [33, 34, 33]), (100, 3, [2, 1], [67, 33]), (100, 3, [3], [100]),
            (1, 2, [1, 1], [1, 0]), (3, 2, [1, 1], [2, 1]), (0, 5, [2, 3], [0, 0]),
            (5, 7, [1, 2, 3, 1], [1, 1, 2, 1]),
            (39_000, 2, [1, 1], [19_500, 19_500]), (.max, 1, [1], [.max]),
            (.max, 2, [1, 1], [4_611_686_018_427_387_904, 4_611_686_018_427_387_903]), (.max, .max, [.max], [.max]),
        ] as [(Int64, Int64, [Int64], [Int64])])
    func steps(_ charge: Int64, _ quantity: Int64, _ steps: [Int64], _ amounts: [Int64]) throws {
        let usd = try #require(Currency("USD"))
        var refunded: Int64 = 0
        for (step, amount) in zip(steps, amounts) {
            let refund = RefundAmount.amount(
                of: Money(amount: charge, currency: usd), quantity: quantity, alreadyRefunded: refunded,
                refunding: step)
            #expect(refund == Money(amount: amount, currency: usd))
            refunded += step
        }
        #expect(amounts.reduce(0, +) == charge)
    }

    @Test("Refunding all units in any steps returns exactly the charge, each step at least nothing")
    func exact() throws {
        let usd = try #require(Currency("USD"))
        var random = SeededGenerator(seed: 17)
        for _ in 0..<3000 {
            let charge = Money(amount: .random(in: 0...1_000_000_000_000_000_000, using: &random), currency: usd)
            let quantity = Int64.random(in: 1...1_000_000, using: &random)
            var refunded: Int64 = 0
            var total: Int64 = 0
            while refunded < quantity {
                let step = Int64.random(in: 1...quantity - refunded, using: &random)
                let amount = try #require(
                    RefundAmount.amount(of: charge, quantity: quantity, alreadyRefunded: refunded, refunding: step))
                #expect(amount.amount >= 0)
                total += amount.amount
                refunded += step
            }
            #expect(total == charge.amount)
        }
    }

    @Test(
        "What can't be refunded has no amount",
        arguments: [
            (100, 3, 0, 4), (100, 3, 2, 2), (100, 3, 4, 0), (100, 3, -1, 1), (100, 3, 0, -1), (100, 0, 0, 0),
            (100, -3, 0, 1), (-100, 3, 0, 1), (.min, .min, .min, .min), (.max, .max, .max, .max),
        ] as [(Int64, Int64, Int64, Int64)])
    func refused(_ charge: Int64, _ quantity: Int64, _ refunded: Int64, _ step: Int64) throws {
        let charge = Money(amount: charge, currency: try #require(Currency("USD")))
        #expect(
            RefundAmount.amount(of: charge, quantity: quantity, alreadyRefunded: refunded, refunding: step) == nil)
    }
}
