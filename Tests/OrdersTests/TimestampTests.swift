// Instants: RFC 3339 in and out.

import Orders
import Testing

@testable import OrdersSimulation

@Suite struct TimestampTests {
    @Test(
        "An RFC 3339 date-time is read in whichever way it is written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.000001Z", 1), ("1969-12-31T23:59:59.999999Z", -1),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520_000), ("1996-12-19T16:39:57-08:00", 851_042_397_000_000),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130_000), ("2026-11-22t21:35:06z", 1_795_383_306_000_000),
            ("2026-11-22T21:35:06-00:00", 1_795_383_306_000_000), ("1970-01-01T00:00:00.123456789Z", 123_456),
            ("1970-01-01T00:00:00.9999999Z", 999_999), ("1990-12-31T23:59:60Z", 662_687_999_999_999),
            ("1990-12-31T15:59:60.5-08:00", 662_687_999_999_999), ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999), ("1600-02-29T00:00:00Z", -11_670_998_400_000_000),
            ("1899-12-31T00:00:00Z", -2_209_075_200_000_000),
        ] as [(String, Int64)])
    func parse(_ text: String, _ microseconds: Int64) {
        #expect(Timestamp(text)?.microseconds == microseconds)
    }

    @Test(
        "What RFC 3339 doesn't allow is refused",
        arguments: [
            "", "2026-11-22", "2026-11-22T21:35:06", "2026-11-22 21:35:06Z", "2026-11-22T21:35Z",
            "2026-11-22T24:00:00Z", "2026-11-22T23:60:00Z", "2026-11-22T23:59:61Z", "2026-11-22T12:00:60Z",
            "2026-11-22T23:59:60+01:00", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "1800-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z", "2026-11-22T21:35:06.Z", "2026-11-22T21:35:06.1234567890Z",
            "2026-11-22T21:35:06,5Z", "2026-11-22T21:35:06+24:00", "2026-11-22T21:35:06+01:60",
            "2026-11-22T21:35:06+0100", "2026-11-22T21:35:06+01", "2026-11-22T21:35:06Z ", "2026-11-22T21:35:06ZZ",
            "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "20261122T213506Z", "-026-11-22T21:35:06Z",
            "2026-11-22T21:35:06.5", "２026-11-22T21:35:06Z",
        ])
    func refused(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test(
        "An instant is written in UTC, without a zero at the end of its fraction",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (500_000, "1970-01-01T00:00:00.5Z"),
            (-1, "1969-12-31T23:59:59.999999Z"), (1_795_383_306_120_000, "2026-11-22T21:35:06.12Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func print(_ microseconds: Int64, _ text: String) {
        #expect(Timestamp(microseconds: microseconds).description == text)
        #expect(Timestamp(text) == Timestamp(microseconds: microseconds))
    }

    @Test("Random instants come back from their text")
    func roundTrip() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            let time = Timestamp(
                microseconds: .random(in: -62_167_219_200_000_000...253_402_300_799_999_999, using: &random))
            #expect(Timestamp(time.description) == time)
        }
    }

    @Test("Adding saturates at the ends of the range")
    func adding() {
        let zero = Timestamp(microseconds: 0)
        #expect(zero.adding(.seconds(-86400)).microseconds == -86_400_000_000)
        #expect(zero.adding(.microseconds(7)).microseconds == 7)
        #expect(Timestamp(microseconds: .max).adding(.microseconds(1)).microseconds == .max)
        #expect(Timestamp(microseconds: .min).adding(.microseconds(-1)).microseconds == .min)
        #expect(zero.adding(.seconds(Int64.max)).microseconds == .max)
        #expect(zero.adding(.seconds(Int64.min)).microseconds == .min)
        #expect(
            !Timestamp(microseconds: .max).description.isEmpty && !Timestamp(microseconds: .min).description.isEmpty)
    }
}
