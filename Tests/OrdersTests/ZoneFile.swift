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

    /// The offsets from UTC, in seconds, that the C library gives a zone: by the same files, so that no release of the IANA
    /// database can differ from another.
    ///
    /// The program `date` is asked, because a process has one time zone for all its threads.
    static func offsetsOfTheCLibrary(in name: String, at times: [Int64]) throws -> [Int64] {
        let file = FileManager.default.temporaryDirectory.appending(path: "times-\(UUID().uuidString)")
        try times.map { "@\($0)\n" }.joined().write(to: file, atomically: false, encoding: .utf8)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: file) } }
        let date = Process()
        date.executableURL = URL(filePath: "/bin/date")
        date.arguments = ["--file=\(file.path())", "+%::z"]
        date.environment = ["TZ": ":\(directory)\(name)", "LC_ALL": "C"]
        let output = Pipe()
        date.standardOutput = output
        try date.run()
        let lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        date.waitUntilExit()
        try #require(date.terminationStatus == 0)
        return try lines.split(separator: "\n").map { line in
            let parts = line.dropFirst().split(separator: ":").compactMap { Int64($0) }
            try #require(parts.count == 3, "\(line)")
            return (line.first == "-" ? -1 : 1) * (parts[0] * 3600 + parts[1] * 60 + parts[2])
        }
    }
}
