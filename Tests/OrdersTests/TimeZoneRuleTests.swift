// The rules by which time zones go on: TZ strings of POSIX.

import Testing

@testable import Orders

@Suite struct TimeZoneRuleTests {
    /// The expected changes of these years were computed with Python's `zoneinfo` and, for days without `J`, glibc.
    @Test(
        "A rule gives the changes of each year",
        arguments: [
            (  // Europe/Berlin
                "CET-1CEST,M3.5.0,M10.5.0/3", 2026,
                ["2026-03-29T01:00:00Z +7200", "2026-10-25T01:00:00Z +3600"]
            ),
            (  // America/New_York
                "EST5EDT,M3.2.0,M11.1.0", 2028,
                ["2028-03-12T07:00:00Z -14400", "2028-11-05T06:00:00Z -18000"]
            ),
            (  // Australia/Sydney
                "AEST-10AEDT,M10.1.0,M4.1.0/3", 2027,
                ["2027-04-03T16:00:00Z +36000", "2027-10-02T16:00:00Z +39600"]
            ),
            (  // Australia/Lord_Howe: half an hour
                "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026,
                ["2026-04-04T15:00:00Z +37800", "2026-10-03T15:30:00Z +39600"]
            ),
            (  // Asia/Gaza: the Saturday after a Thursday
                "EET-2EEST,M3.4.4/50,M10.4.4/50", 2026,
                ["2026-03-28T00:00:00Z +10800", "2026-10-23T23:00:00Z +7200"]
            ),
            (  // Asia/Jerusalem
                "IST-2IDT,M3.4.4/26,M10.5.0", 2028,
                ["2028-03-24T00:00:00Z +10800", "2028-10-28T23:00:00Z +7200"]
            ),
            (  // Europe/Dublin: the winter is the exception
                "IST-1GMT0,M10.5.0,M3.5.0/1", 2027,
                ["2027-03-28T01:00:00Z +3600", "2027-10-31T01:00:00Z +0"]
            ),
            (  // Antarctica/Troll: two hours
                "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", 2026,
                ["2026-03-29T01:00:00Z +7200", "2026-10-25T01:00:00Z +0"]
            ),
            (  // America/Nuuk: the evening before
                "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2028,
                ["2028-03-26T01:00:00Z -3600", "2028-10-29T01:00:00Z -7200"]
            ),
            (  // As far from the day as can be
                "<+01>-1<+00>0,M2.5.0/-167,M4.1.6/167", 2028,
                ["2028-02-20T00:00:00Z +0", "2028-04-07T23:00:00Z +3600"]
            ),
            // Day 60 is 1 March in every year.
            ("XXX-2YYY,J60,J300/24", 2026, ["2026-03-01T00:00:00Z +10800", "2026-10-27T21:00:00Z +7200"]),
            ("XXX-2YYY,J60,J300/24", 2028, ["2028-03-01T00:00:00Z +10800", "2028-10-27T21:00:00Z +7200"]),
            // 59 days after New Year is 1 March or 29 February.
            ("XXX-2YYY,59,299/24", 2026, ["2026-03-01T00:00:00Z +10800", "2026-10-27T21:00:00Z +7200"]),
            ("XXX-2YYY,59,299/24", 2028, ["2028-02-29T00:00:00Z +10800", "2028-10-26T21:00:00Z +7200"]),
            // America/Sao_Paulo, Asia/Tehran, Africa/Casablanca, Africa/Monrovia before 1972: no daylight saving time
            ("<-03>3", 2026, []),
            ("<+0330>-3:30", 2026, []),
            ("<+01>-1", 2026, []),
            ("LMT0:44:30", 2026, []),
        ])
    func changes(_ rule: String, _ year: Int, _ expected: [String]) throws {
        let zone = try #require(TimeZoneFile(ZoneFile(footer: rule).bytes)).offsets
        let changes = zone.changes.map { change in
            "\(Timestamp(microseconds: change.time * 1_000_000)) \(change.offset < 0 ? "" : "+")\(change.offset)"
        }
        #expect(changes.filter { $0.hasPrefix("\(year)") } == expected)
        #expect(changes.count == (expected.isEmpty ? 0 : 2 * 230))
    }

    @Test(
        "Daylight saving time may last all year",
        arguments: [
            "EST5EDT,0/0,J365/25", "EST5EDT,J1/0,J365/25", "EST5EDT,0/0,J365/30", "XXX3EDT4,J1/0,J365/23",
            "EST5EDT,J100/2,J100/3",
        ])
    func allYear(_ rule: String) throws {
        let zone = try #require(TimeZoneFile(ZoneFile(footer: rule).bytes)).offsets
        #expect(zone == ZoneOffsets(always: -14_400))
    }

    @Test(
        "An offset may have minutes, seconds and a sign, and summer is an hour ahead unless said otherwise",
        arguments: [
            ("UTC0", 0), ("ABC+5", -18_000), ("ABC-5:30", 19_800), ("ABC-05:07:09", 18_429), ("<A+1>24:59:59", -89_999),
        ])
    func standardOffset(_ rule: String, _ offset: Int) {
        #expect(TimeZoneRule(rule.utf8)?.standardOffset == offset)
    }

    @Test(
        "Anything else is no rule",
        arguments: [
            "", "CET", "-1", "CE-1", "<CE-1", "<CE>-1", "C3T-1", "<C.T>-1", "CET-", "CET--1", "CET-25", "CET-1:60",
            "CET-1:", "CET-1:00:60", "CET-1:0:0:0", "CET-0001", "CET-1 ", "CET-1CEST", "CET-1CEST-2",
            "CET-1,M3.5.0,M10.5.0",
            "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,", "CET-1CEST,M3.5.0,M10.5.0,", "CET-1CEST,M3.5.0,M10.5.0/",
            "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5,M10.5.0", "CET-1CEST,J0,J300",
            "CET-1CEST,J1,J366", "CET-1CEST,0,366", "CET-1CEST,J,J300", "CET-1CEST,M3.5.0/168,M10.5.0",
            "CET-1CEST,M3.5.0/-168,M10.5.0", "CET-1CEST,M3.5.0/2:60,M10.5.0", ":Europe/Berlin",
            "CET-9999999999999999999",
        ])
    func refused(_ rule: String) {
        #expect(TimeZoneRule(rule.utf8) == nil)
    }
}
