// Identifiers: their one text form, their order, and how new ones are made.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct IdentifierTests {
    @Test(
        "An id is written as it was read",
        arguments: [
            "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10", "12345678-9abc-def0-1234-56789abcdef0",
        ])
    func roundTrip(_ text: String) {
        #expect(CustomerID(text)?.description == text)
    }

    @Test(
        "An id is read in either case and written in lower case",
        arguments: ["018F4C2E-6A1C-7C3E-9D55-0A4F7F2F9B10", "018f4C2e-6A1c-7c3e-9D55-0a4F7F2f9B10"])
    func eitherCase(_ text: String) {
        #expect(CustomerID(text) == CustomerID("018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"))
        #expect(CustomerID(text)?.description == text.lowercased())
    }

    @Test(
        "Anything but the form of 36 characters is no id",
        arguments: [
            "", "018f4c2e6a1c7c3e9d550a4f7f2f9b10",
            "{018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10}", "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b1",
            "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b100", "018f4c2e-6a1c-7c3e-9d550-a4f7f2f9b10",
            "g18f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10", " 18f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10",
            "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9bé",
        ])
    func refused(_ text: String) {
        #expect(CustomerID(text) == nil)
    }

    @Test("Ids order as their text does")
    func order() {
        var random = SeededGenerator(seed: 7)
        let ids = (0..<500).map { _ in CustomerID(high: random.next(), low: random.next()) }
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
    }

    @Test("A new id carries version 7, the variant of RFC 9562 and its time")
    func version7() throws {
        var random = SeededGenerator(seed: 1)
        let time = try #require(Timestamp("2022-02-22T19:22:22.0005Z"))
        let id = TransactionID.version7(at: time, random: &random)
        // The RFC's own example of a time, and half a millisecond as 12 bits.
        #expect(id.description.hasPrefix("017f22e2-79b0-7800-"))
        #expect(id.low >> 62 == 0b10)
        #expect(id != .version7(at: time, random: &random))
    }

    @Test("Ids of later times sort later, down to the microsecond")
    func sortsByTime() {
        var random = SeededGenerator(seed: 2)
        let ids = (0..<5000).map {
            EventID.version7(at: Timestamp(microseconds: 1_700_000_000_000_000 + $0), random: &random)
        }
        #expect(ids == ids.sorted())
    }

    @Test("An id for any time at all can be made", arguments: [Int64.min, -1, 0, .max])
    func anyTime(_ microseconds: Int64) {
        var random = SeededGenerator(seed: 3)
        let id = EventID.version7(at: Timestamp(microseconds: microseconds), random: &random)
        #expect((id.high >> 12) & 0xF == 7)
    }
}
