// A time zone's offsets from UTC, stretch by stretch.

/// The stretches of constant offset of a time zone from 1970 to 2200. The first also covers all time before, the last
/// all time after.
struct ZoneOffsets: Equatable, Sendable {
    /// Where each stretch starts, in microseconds since 1970-01-01T00:00:00Z, ascending; the first is `Int64.min`.
    private(set) var starts: [Int64]
    /// The offset of each stretch, in microseconds, positive to the east; neighbours differ.
    private(set) var offsets: [Int64]

    /// The years whose changes of offset count.
    static let years = 1970..<2200
    /// 2200-01-01T00:00:00Z, in seconds since 1970.
    private static let end: Int64 = 7_258_118_400

    /// One offset for all time, in seconds.
    init(always offset: Int) {
        starts = [.min]
        offsets = [Int64(offset) * Timestamp.microsecondsPerSecond]
    }

    /// Continues with an offset, in seconds, from an instant on, in seconds since 1970, that lies after all earlier ones.
    mutating func change(to offset: Int, at seconds: Int64) {
        guard seconds < Self.end else { return }
        let offset = Int64(offset) * Timestamp.microsecondsPerSecond
        if seconds <= 0 {
            offsets[0] = offset
        } else if offset != offsets.last {
            starts.append(seconds * Timestamp.microsecondsPerSecond)
            offsets.append(offset)
        }
    }

    /// The index of the stretch that an instant lies in.
    func stretch(at microseconds: Int64) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= microseconds { low = middle } else { high = middle }
        }
        return low
    }
}
