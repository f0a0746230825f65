// A compiled time zone as the system keeps it on disk: TZif, versions 1 to 4 (RFC 9636).

/// What a TZif file says about a zone's offsets from UTC.
struct TimeZoneFile: Sendable {
    /// The offset before the first transition, in seconds, positive to the east.
    private let initialOffset: Int
    /// The recorded changes of offset, ascending; times in seconds since 1970-01-01T00:00:00Z.
    private let transitions: [(time: Int64, offset: Int)]
    /// The footer: how the offset changes after the last recorded transition.
    private let rule: TimeZoneRule?

    /// Offsets that the format permits, in seconds: more than -25 hours and less than 26 (RFC 9636, 3.2).
    private static let permittedOffsets = -89_999...93_599

    /// Reads a whole file; `nil` if it breaks the format, or counts leap seconds, which no instant here does.
    init?(_ bytes: [UInt8]) {
        guard var block = Block(bytes, at: 0, timeSize: 4) else { return nil }
        let version = block.version
        if version > 1 {
            // The first block holds times of 32 bits, for readers that know nothing else; the second repeats them in 64.
            guard let wide = Block(bytes, at: block.end, timeSize: 8), wide.version == version else { return nil }
            block = wide
        }
        guard block.leapSecondCount == 0, let types = Self.offsets(in: block), let first = types.first,
            let transitions = Self.transitions(in: block, types: types)
        else { return nil }
        initialOffset = first
        self.transitions = transitions

        guard version > 1 else {
            rule = nil
            return
        }
        // Newer versions of the format may append more after the footer.
        let lines = bytes[block.end...].split(
            separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
        guard lines.count == 3, lines[0].isEmpty else { return nil }
        if lines[1].isEmpty {
            rule = nil
        } else if let rule = TimeZoneRule(lines[1]) {
            self.rule = rule
        } else {
            return nil
        }
    }

    /// The zone's offsets from 1970 to 2200.
    var offsets: ZoneOffsets {
        var offsets = ZoneOffsets(always: initialOffset)
        for (time, offset) in transitions { offsets.change(to: offset, at: time) }
        guard let rule else { return offsets }

        let last = transitions.last?.time ?? .min
        if transitions.isEmpty { offsets.change(to: rule.standardOffset, at: .min) }
        // Daylight saving time of the year before may reach into the first.
        for (time, offset) in rule.changes(from: ZoneOffsets.years.lowerBound - 1, to: ZoneOffsets.years.upperBound)
        where time > last {
            offsets.change(to: offset, at: time)
        }
        return offsets
    }

    /// The offset of each type of local time, at least one.
    private static func offsets(in block: Block) -> [Int]? {
        var offsets: [Int] = []
        for index in 0..<block.typeCount {
            let offset = Int(block.integer(at: block.types + 6 * index, size: 4))
            guard permittedOffsets.contains(offset) else { return nil }
            offsets.append(offset)
        }
        return offsets
    }

    private static func transitions(in block: Block, types: [Int]) -> [(time: Int64, offset: Int)]? {
        var transitions: [(time: Int64, offset: Int)] = []
        for index in 0..<block.transitionCount {
            let time = block.integer(at: block.times + block.timeSize * index, size: block.timeSize)
            let type = Int(block.bytes[block.typeIndices + index])
            guard type < types.count, transitions.last.map({ $0.time < time }) ?? true else { return nil }
            transitions.append((time, types[type]))
        }
        return transitions
    }
}

/// One of a file's data blocks with the header before it. All of it lies within the file.
private struct Block {
    let bytes: [UInt8]
    /// 1 to 4.
    let version: Int
    /// How many bytes a time has.
    let timeSize: Int
    let leapSecondCount: Int
    let transitionCount: Int
    let typeCount: Int

    /// Where the times of the transitions start.
    let times: Int
    /// Where the type that each transition leads to starts.
    let typeIndices: Int
    /// Where the types of local time start: of 6 bytes each, of which 4 are the offset.
    let types: Int
    /// Where the block ends.
    let end: Int

    private static let headerSize = 44

    init?(_ bytes: [UInt8], at start: Int, timeSize: Int) {
        guard start <= bytes.count - Self.headerSize,
            bytes[start..<start + 4].elementsEqual("TZif".utf8)
        else { return nil }
        switch bytes[start + 4] {
        case 0: version = 1
        case UInt8(ascii: "2")...UInt8(ascii: "4"): version = Int(bytes[start + 4] - UInt8(ascii: "0"))
        default: return nil
        }
        // After the magic, the version and 15 reserved bytes come six counts: of the marks of universal time and of
        // standard time, leap seconds, transitions, types, and characters of abbreviations.
        let counts = stride(from: start + 20, to: start + Self.headerSize, by: 4).map { index in
            bytes[index..<index + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        self.bytes = bytes
        self.timeSize = timeSize
        leapSecondCount = counts[2]
        transitionCount = counts[3]
        typeCount = counts[4]
        times = start + Self.headerSize
        typeIndices = times + transitionCount * timeSize
        types = typeIndices + transitionCount
        end = types + typeCount * 6 + counts[5] + leapSecondCount * (timeSize + 4) + counts[1] + counts[0]
        guard end <= bytes.count else { return nil }
    }

    /// The signed integer of 4 or 8 bytes, most significant first, at an index.
    func integer(at index: Int, size: Int) -> Int64 {
        let bits = bytes[index..<index + size].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return size == 4 ? Int64(Int32(truncatingIfNeeded: bits)) : Int64(bitPattern: bits)
    }
}
