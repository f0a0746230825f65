// The rules of waiting before another try.

import AMQP
import Testing

/// Always gives the largest number, so that each delay is its ceiling.
private struct Largest: RandomNumberGenerator {
    mutating func next() -> UInt64 { .max }
}

/// Repeats the same numbers for the same seed.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

struct BackoffTests {
    @Test("The ceiling doubles from the minimum to the maximum and stays there")
    func ceilingDoubles() {
        var backoff = Backoff(minimum: .milliseconds(100), maximum: .milliseconds(500))
        var generator = Largest()
        let delays = (0..<5).map { _ in backoff.next(using: &generator) }
        let ceilings: [Int64] = [100, 200, 400, 500, 500]
        for (delay, ceiling) in zip(delays, ceilings) {
            #expect(abs(delay / .milliseconds(1) - Double(ceiling)) < 0.001)
        }
    }

    @Test("A reset starts over at the minimum")
    func resetStartsOver() {
        var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(10))
        var generator = Largest()
        for _ in 0..<4 { _ = backoff.next(using: &generator) }
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(101))
    }

    @Test("Delays are spread over all of zero to the ceiling", arguments: [1, 2, 3] as [UInt64])
    func delaysAreSpread(seed: UInt64) {
        var generator = Seeded(state: seed)
        var backoff = Backoff(minimum: .seconds(1), maximum: .seconds(1))
        let delays = (0..<200).map { _ in backoff.next(using: &generator) }
        #expect(delays.allSatisfy { $0 >= .zero && $0 <= .seconds(1) }, "seed \(seed)")
        #expect(delays.contains { $0 < .milliseconds(100) }, "seed \(seed)")
        #expect(delays.contains { $0 > .milliseconds(900) }, "seed \(seed)")
    }
}
