// Which numbers are whole ones, decided on their digits.

import Testing

@testable import OrderContract

@Suite struct JSONNumberTests {
    @Test(
        "A whole number is one however it is written",
        arguments: [
            ("0", 0), ("-0", 0), ("-0.0e9", 0), ("0e999999999999", 0), ("0.000e-5", 0), ("25", 25), ("25.0", 25),
            ("2.5e1", 25), ("2.5E+1", 25), ("250e-1", 25), ("0.25e2", 25), ("0.0025e4", 25), ("-25.000", -25),
            ("1e3", 1000), ("1000000.0", 1_000_000), ("100e-2", 1), ("9223372036854775807", Int64.max),
            ("9223372036854775807.0", Int64.max), ("-9223372036854775808", Int64.min),
            ("9.223372036854775807e18", .max),
            ("1000000000000000000", 1_000_000_000_000_000_000), ("120e-1", 12), ("10203.0e0", 10203),
            ("1.0203e4", 10203),
        ] as [(String, Int64)])
    func whole(_ text: String, _ value: Int64) throws {
        #expect(try JSONDocument(Array(text.utf8)).root.number == .integer(value))
    }

    @Test(
        "A number with a fraction is none, however small the fraction",
        arguments: [
            "0.5", "25.5", "1e-1", "25.00000000000000000000000000000001", "1e-400", "-1e-99999999999999999999", "12e-1",
            "100e-3", "0.1e0",
        ])
    func fraction(_ text: String) throws {
        #expect(try JSONDocument(Array(text.utf8)).root.number == .fraction)
    }

    @Test(
        "A whole number that 64 bits can't hold is out of range",
        arguments: [
            "9223372036854775808", "-9223372036854775809", "9223372036854775808.0", "18446744073709551616", "1e19",
            "1e400",
            "-1e400", "1e99999999999999999999999", "99999999999999999999e0", "1e18446744073709551616",
        ])
    func outOfRange(_ text: String) throws {
        #expect(try JSONDocument(Array(text.utf8)).root.number == .integerOutOfRange)
        #expect(try JSONDocument(Array(text.utf8)).root.integer == nil)
    }
}
