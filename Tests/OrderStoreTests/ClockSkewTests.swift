// This machine's clock against the database's.

import OrderStore
import Testing

@Suite("Clock skew")
struct ClockSkewTests {
    @Test(
        "It is taken at the middle of the question's way, and counts beyond what the way leaves open",
        arguments: [
            // Seconds: asked, answered, the database's time; is it notable, is it excessive.
            (100.0, 100.0, 100.0, false, false), (100, 102, 101, false, false), (103, 103, 100, true, false),
            (97, 97, 100, true, false), (111, 111, 100, true, true), (89, 89, 100, true, true),
            (100, 130, 100, false, false), (100, 108, 100, false, false), (3_456_100, 3_456_100, 100, true, true),
        ])
    func limits(asked: Double, answered: Double, answer: Double, isNotable: Bool, isExcessive: Bool) {
        func microseconds(_ seconds: Double) -> Int64 { Int64(seconds * 1_000_000) }
        let skew = ClockSkew(
            asked: microseconds(asked), answered: microseconds(answered), answer: microseconds(answer))
        #expect(skew.isNotable == isNotable)
        #expect(skew.isExcessive == isExcessive)
    }

    @Test("It is told in words")
    func text() {
        #expect(ClockSkew(asked: 12_340_000, answered: 12_340_000, answer: 0).text == "12.3 s ahead of the database's")
        #expect(ClockSkew(asked: 0, answered: 0, answer: 500_000).text == "0.5 s behind the database's")
    }

    @Test("On one machine there is none")
    func measured() async throws {
        try await TestDatabase.withDatabase { database in
            try await database.withConnection { connection in
                let skew = try await ClockSkew.measure(on: connection)
                #expect(!skew.isNotable)
            }
        }
    }
}
