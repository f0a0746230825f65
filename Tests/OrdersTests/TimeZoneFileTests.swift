// Time zone files: which offsets they give, and what becomes of damaged ones.

import Foundation
import Glibc
import Testing

@testable import Orders
@testable import OrdersSimulation

@Suite struct TimeZoneFileTests {
    @Test("Every zone of the system has the offsets that the C library gives it, around each change and in between")
    func agreesWithTheCLibrary() throws {
        let end: Int64 = 7_258_118_400  // 2200-01-01
        var random = SeededGenerator(seed: 7)
        var compared: Set<[UInt8]> = []
        for name in try SystemZones.names() {
            let bytes = try SystemZones.bytes(of: name)
            // Many names are links to the same zone.
            guard compared.insert(bytes).inserted else { continue }
            let zone = try #require(TimeZoneFile(bytes), "\(name)").offsets
            var times = Set((0..<200).map { _ in Int64.random(in: 0..<end, using: &random) })
            times.formUnion(stride(from: 0, to: end, by: 45 * 86_400))
            for change in zone.changes {
                times.formUnion([change.time - 1, change.time, change.time + 1].filter { (0..<end).contains($0) })
            }
            let sorted = times.sorted()
            let offsets = try SystemZones.offsetsOfTheCLibrary(in: name, at: sorted)
            try #require(offsets.count == sorted.count)
            let difference = zip(sorted, offsets).first { zone.offset(at: $0) != $1 }
            #expect(difference == nil, "\(name)")
        }
        #expect(compared.count > 200)
    }

    @Test("Every name with an area that the system has is a billing zone")
    func billingZones() throws {
        let names = try SystemZones.names().filter { $0.contains("/") }
        #expect(names.count > 400)
        for name in names { #expect(BillingZone(name)?.name == name) }
    }

    @Test(
        "No other file can be reached by a name",
        arguments: [
            "", "/", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "Europe/Berlin/",
            "Europe/../Europe/Berlin",
            "Europe/./Berlin", "../zoneinfo/Europe/Berlin", "Europe/Berlin\0", "Europe/Berlin ", "Europe/Bérlin",
            "Europe/.hidden", "America/Argentina", "America/Argentina/Buenos_Aires/Centro", "posix/Europe/Berlin",
            "right/Europe/Berlin", "Europe/berlin", "Etc/-1", "EST5EDT", "CET", "localtime", "tzdata.zi",
        ])
    func refusedNames(_ name: String) {
        #expect(TimeZoneDatabase.file(ofZone: name) == nil)
        #expect(BillingZone(name) == nil)
    }

    @Test("Only a regular file of at most 1 MiB is read, also by a link; nothing is waited for")
    func kindsOfFile() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "zones-\(UUID().uuidString)")
        let area = folder.appending(path: "Area")
        try FileManager.default.createDirectory(at: area.appending(path: "Folder"), withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        try Data(count: 1 << 20).write(to: area.appending(path: "Largest"))
        try Data(count: 1 << 20 + 1).write(to: area.appending(path: "Larger"))
        try FileManager.default.createSymbolicLink(
            at: area.appending(path: "Link"), withDestinationURL: area.appending(path: "Largest"))
        #expect(mkfifo(area.appending(path: "Pipe").path(), 0o600) == 0)

        let size: (String) -> Int? = { TimeZoneDatabase.file(ofZone: $0, in: folder.path())?.count }
        #expect(size("Area/Largest") == 1 << 20 && size("Area/Link") == 1 << 20)
        for name in ["Area/Larger", "Area/Folder", "Area/Pipe", "Area/None"] { #expect(size(name) == nil, "\(name)") }
    }

    @Test("UTC and GMT need no file", arguments: ["UTC", "GMT"])
    func withoutFile(_ name: String) {
        #expect(TimeZoneDatabase.file(ofZone: name) == nil)
        #expect(BillingZone(name)?.startOfDay(CalendarDate(days: 1)) == Timestamp(microseconds: 86_400_000_000))
    }

    @Test("Versions 2 to 4 of the format are read alike; version 1 ends with its last transition", arguments: 1...4)
    func versions(_ version: Int) throws {
        // 2026-03-29 and the rule that follows.
        let file = ZoneFile(
            version: version, offsets: [3600, 7200], transitions: [(1_774_746_000, 1)],
            footer: "CET-1CEST,M3.5.0,M10.5.0/3")
        let zone = try #require(TimeZoneFile(file.bytes)).offsets
        #expect(zone.offset(at: 0) == 3600)
        let changes = [
            OffsetChange(1_774_746_000, 7200), OffsetChange(1_792_890_000, 3600), OffsetChange(1_806_195_600, 7200),
        ]
        #expect(zone.changes.count == (version == 1 ? 1 : 2 * 174))
        #expect(Array(zone.changes.prefix(3)) == Array(changes.prefix(version == 1 ? 1 : 3)))
    }

    @Test("Only a change of the offset starts a stretch, and only from 1970 to 2200")
    func stretches() throws {
        let file = ZoneFile(
            offsets: [0, 3600, 3600, 7200],
            transitions: [
                (-1 << 40, 3), (-5, 0), (0, 1), (10, 2), (20, 3), (30, 3), (7_258_118_399, 0), (7_258_118_400, 1),
            ])
        let zone = try #require(TimeZoneFile(file.bytes)).offsets
        #expect(zone.starts == [.min, 20_000_000, 7_258_118_399_000_000])
        #expect(zone.offsets == [3_600_000_000, 7_200_000_000, 0])
    }

    @Test("Where no transition is recorded, the footer holds for all time, or without one the first offset")
    func noTransitions() throws {
        let offsets: (String) -> ZoneOffsets? = { footer in
            TimeZoneFile(ZoneFile(offsets: [-1800, 0], footer: footer).bytes)?.offsets
        }
        #expect(offsets("") == ZoneOffsets(always: -1800))
        #expect(offsets("<+0530>-5:30") == ZoneOffsets(always: 19_800))
        // It was summer in Sydney when 1970 began.
        #expect(offsets("AEST-10AEDT,M10.1.0,M4.1.0/3")?.offset(at: 0) == 39_600)
        #expect(offsets("CET-1CEST,M3.5.0,M10.5.0/3")?.offset(at: 0) == 3600)
    }

    @Test("Each part of a file has to be as the format demands")
    func malformed() throws {
        let file = ZoneFile(offsets: [0, 3600], transitions: [(10, 1), (20, 0)], footer: "UTC0")
        let bytes = file.bytes
        #expect(TimeZoneFile(bytes) != nil)
        #expect(TimeZoneFile(bytes + Array("what a newer version appends".utf8)) != nil)
        func refused(_ change: (inout ZoneFile) -> Void) -> Bool {
            var changed = file
            change(&changed)
            return TimeZoneFile(changed.bytes) == nil
        }
        #expect(refused { $0.version = 5 })
        #expect(refused { $0.offsets = [] })
        #expect(refused { $0.transitions[1].type = 2 })
        #expect(refused { $0.transitions[1].time = 10 })
        #expect(refused { $0.transitions[1].time = -10 })
        #expect(refused { $0.offsets[1] = 93_600 } && !refused { $0.offsets[1] = 93_599 })
        #expect(refused { $0.offsets[1] = -90_000 } && !refused { $0.offsets[1] = -89_999 })
        #expect(refused { $0.offsets[1] = .min })
        #expect(refused { $0.leapSeconds = [(78_796_800, 1)] })
        #expect(refused { $0.footer = "nonsense" })
        #expect(refused { $0.footer = "UTC0\0" })
        // The second block is of another version; the footer doesn't start a line.
        var mixed = bytes
        mixed[44 + 10 + 12 + 4 + 4] = UInt8(ascii: "3")
        #expect(TimeZoneFile(mixed) == nil)
        #expect(TimeZoneFile(bytes.dropLast(6) + Array("X\nUTC0\n".utf8)) == nil)
        // The counts of the first block and of the second, each as large as can be.
        for start in [20, 20 + 44 + 10 + 12 + 4] {
            for index in stride(from: start, to: start + 24, by: 4) {
                var bytes = bytes
                bytes.replaceSubrange(index..<index + 4, with: [255, 255, 255, 255])
                #expect(TimeZoneFile(bytes) == nil)
            }
        }
    }

    @Test("A file that was cut off is none", arguments: ["Asia/Tokyo", "America/Nuuk", "Africa/Casablanca"])
    func prefixes(_ name: String) throws {
        let bytes = try SystemZones.bytes(of: name)
        #expect(TimeZoneFile(bytes) != nil)
        for count in bytes.indices { #expect(TimeZoneFile(Array(bytes.prefix(count))) == nil) }
    }

    @Test(
        "A damaged file gives stretches in order or nothing", arguments: ["Asia/Tokyo", "Europe/Dublin", "Asia/Gaza"])
    func mutations(_ name: String) throws {
        let seed = 11 as UInt64
        var random = SeededGenerator(seed: seed)
        let original = try SystemZones.bytes(of: name)
        var survivors = 0
        for round in 0..<2000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                // Half of them where the counts and the footer are.
                let index =
                    Bool.random(using: &random)
                    ? bytes.indices.randomElement(using: &random)
                    : (Array(0..<44) + Array(bytes.indices.suffix(40))).randomElement(using: &random)
                bytes[try #require(index)] = .random(in: 0...255, using: &random)
            }
            guard let zone = TimeZoneFile(bytes)?.offsets else { continue }
            survivors += 1
            let isOrdered = zip(zone.starts, zone.starts.dropFirst()).allSatisfy { $0 < $1 }
            let isMerged = zip(zone.offsets, zone.offsets.dropFirst()).allSatisfy { $0 != $1 }
            let isNarrow = zone.offsets.allSatisfy { abs($0) < 2 * 86_400_000_000 }
            #expect(isOrdered && isMerged && isNarrow, "seed \(seed), round \(round)")
        }
        #expect((1..<2000).contains(survivors))
    }
}
