// Time zone files for tests: written ones, and those of this system.

import Foundation
import Testing

@testable import Orders

/// A TZif file to be written.
struct ZoneFile {
    var version = 2
    /// The offsets of the types of local time, in seconds.
    var offsets: [Int32] = [0]
    /// Seconds since 1970 and the type that holds from then on.
    var transitions: [(time: Int64, type: UInt8)] = []
    var footer = ""
    /// When and how many leap seconds are counted.
    var leapSeconds: [(time: Int64, count: Int32)] = []

    var bytes: [UInt8] {
        let first = block { Int32(truncatingIfNeeded: $0).bigEndianBytes }
        return version == 1 ? first : first + block { $0.bigEndianBytes } + "\n\(footer)\n".utf8
    }

    private func block(time: (Int64) -> [UInt8]) -> [UInt8] {
        let counts = [0, 0, leapSeconds.count, transitions.count, offsets.count, 4]
        let mark = version == 1 ? 0 : UInt8(ascii: "0") + UInt8(version)
        var bytes = Array("TZif".utf8) + [mark] + [UInt8](repeating: 0, count: 15)
        bytes += counts.flatMap { Int32($0).bigEndianBytes }
        bytes += transitions.flatMap { time($0.time) } + transitions.map(\.type)
        bytes += offsets.flatMap { $0.bigEndianBytes + [0, 0] } + Array("ABC\0".utf8)
        bytes += leapSeconds.flatMap { time($0.time) + $0.count.bigEndianBytes }
        return bytes
    }
}

extension FixedWidthInteger {
    fileprivate var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian, Array.init) }
}

/// A change of a zone's offset: seconds since 1970, and the new offset in seconds.
struct OffsetChange: Hashable {
    let time: Int64
    let offset: Int64

    init(_ time: Int64, _ offset: Int64) {
        self.time = time
        self.offset = offset
    }
}

extension ZoneOffsets {
    /// All changes of the offset.
    var changes: [OffsetChange] {
        zip(starts, offsets).dropFirst().map { OffsetChange($0 / 1_000_000, $1 / 1_000_000) }
    }

    /// The offset, in seconds, at an instant, in seconds since 1970.
    func offset(at seconds: Int64) -> Int64 {
        offsets[stretch(at: seconds * 1_000_000)] / 1_000_000
    }
}

extension TimeZone {
    /// The offset, in seconds, at an instant, in seconds since 1970.
    func offset(at seconds: Int64) -> Int64 {
        Int64(secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
    }

    /// Every transition from 1970 to 2200, in seconds since 1970.
    var transitions: [Int64] {
        var times: [Int64] = []
        var date = Date(timeIntervalSince1970: 0)
        while let next = nextDaylightSavingTimeTransition(after: date), next > date,
            next.timeIntervalSince1970 < 7_258_118_400
        {
            times.append(Int64(next.timeIntervalSince1970.rounded()))
            date = next
        }
        return times
    }
}

/// The time zones of this system.
enum SystemZones {
    private static let directory = "/usr/share/zoneinfo/"

    /// All names, also those that are no billing zones.
    static func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory).sorted().filter { name in
            // Copies with and without leap seconds, and this machine's own zone.
            !name.hasPrefix("posix") && !name.hasPrefix("right") && name != "localtime"
                && FileManager.default.contents(atPath: directory + name)?.starts(with: "TZif".utf8) == true
        }
    }

    static func bytes(of name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(filePath: directory + name)))
    }

    /// Until when ICU and the system have to agree, in seconds since 1970: always if their data are of the same release
    /// of the IANA database, otherwise until the year of the earlier one, which couldn't know what was decided later.
    static func endOfAgreement() throws -> Int64 {
        let line = try String(contentsOfFile: directory + "tzdata.zi", encoding: .utf8).prefix { $0 != "\n" }
        let release = try #require(line.split(separator: " ").last.map(String.init))
        let other = TimeZone.timeZoneDataVersion
        if release == other { return 7_258_118_400 }
        let year = try #require(Int(min(release, other).prefix(4)))
        return Int64(try #require(CalendarDate(year: year, month: 1, day: 1)).days) * 86_400
    }
}
