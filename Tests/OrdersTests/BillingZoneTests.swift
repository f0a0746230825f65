// Billing zones: on which local date an instant falls, and when a local date starts.

import Foundation
import Orders
import Testing

@testable import OrdersSimulation

@Suite struct BillingZoneTests {
    @Test(
        "A day starts at the first instant of its date",
        arguments: [
            ("UTC", "2026-11-22", "2026-11-22T00:00:00Z"),
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z"),
            ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z"),
            ("America/New_York", "2026-11-22", "2026-11-22T05:00:00Z"),
            ("Asia/Tokyo", "2026-11-22", "2026-11-21T15:00:00Z"),
            ("Asia/Kathmandu", "2026-11-22", "2026-11-21T18:15:00Z"),
            ("Pacific/Kiritimati", "2026-11-22", "2026-11-21T10:00:00Z"),
            ("Etc/GMT+12", "2026-11-22", "2026-11-22T12:00:00Z"),
            // Clocks went from 24:00 to 01:00, so the day began at 01:00.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            // Clocks went from 24:00 back to 23:00, so the day before had 25 hours.
            ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"),
            // Clocks went from 00:01 back to 23:01, so the date began twice: the first time counts.
            ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),
            // Samoa had no 30 December 2011.
            ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ])
    func startOfDay(_ zone: String, _ date: String, _ start: String) throws {
        let zone = try #require(BillingZone(zone))
        let date = try #require(CalendarDate(date))
        #expect(zone.startOfDay(date).description == start)
    }

    @Test(
        "The instant before a day's start lies on an earlier date",
        arguments: [
            "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "America/St_Johns",
            "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "Asia/Kolkata",
            "Africa/Cairo", "Asia/Beirut", "Asia/Tehran", "Antarctica/Troll", "America/Havana",
        ])
    func boundaries(_ name: String) throws {
        let zone = try #require(BillingZone(name))
        for days in Int32(3650)..<47_000 {
            let date = CalendarDate(days: days)
            let start = zone.startOfDay(date)
            #expect(zone.date(of: start.adding(.microseconds(-1))) < date)
            #expect(zone.date(of: start) >= date)
            #expect(start <= zone.startOfDay(date.adding(days: 1)))
        }
    }

    @Test(
        "The local date is the one that the C library gives",
        arguments: ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"])
    func agreesWithTheCLibrary(_ name: String) throws {
        let zone = try #require(BillingZone(name))
        var random = SeededGenerator(seed: 5)
        let times = (0..<20_000).map { _ in Int64.random(in: 0..<4_102_444_800, using: &random) }
        for (seconds, offset) in zip(times, try SystemZones.offsetsOfTheCLibrary(in: name, at: times)) {
            let expected = CalendarDate(days: Int32((seconds + offset) / 86400))
            #expect(zone.date(of: Timestamp(microseconds: seconds * 1_000_000)) == expected)
        }
    }

    @Test(
        "A name outside the IANA database is no zone",
        arguments: ["", "Berlin", "europe/berlin", "Europe/Nowhere", "PST", "GMT+3", "+01:00", "../etc/passwd", "/"])
    func refused(_ name: String) {
        #expect(BillingZone(name) == nil)
    }

    @Test("Any instant has a date and any date a start", arguments: ["UTC", "Asia/Tokyo", "America/New_York"])
    func neverTraps(_ name: String) throws {
        let zone = try #require(BillingZone(name))
        #expect(zone.date(of: Timestamp(microseconds: .min)) < zone.date(of: Timestamp(microseconds: .max)))
        #expect(zone.startOfDay(CalendarDate(days: .min)) < zone.startOfDay(CalendarDate(days: .max)))
        #expect(zone.name == name && zone == BillingZone(name))
    }
}
