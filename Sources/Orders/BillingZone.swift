// A partner's billing time zone: which local date an instant falls on, and at which instant a local date starts.

internal import Foundation

/// A time zone of the IANA database, by which a partner's days, months and deadlines are counted.
///
/// Its changes of offset from 1970 to 2200 are read once, so that a conversion is a search in a small sorted array.
/// Outside those years the nearest known offset holds.
public struct BillingZone: Sendable {
    /// The IANA name, for example `Europe/Berlin`.
    public let name: String

    /// Where each stretch of constant offset starts, ascending; the first covers all time before.
    private let starts: [Int64]
    /// The offset from UTC of each stretch, in microseconds, positive to the east.
    private let offsets: [Int64]

    /// Looks a zone up; `nil` if the name isn't `UTC`, `GMT` or a name of the IANA database of the form `Area/Place`.
    public init?(_ name: String) {
        guard name == "UTC" || name == "GMT" || name.contains("/"), let zone = TimeZone(identifier: name) else {
            return nil
        }
        var time = Date(timeIntervalSince1970: 0)
        let end = Date(timeIntervalSince1970: 7_258_118_400)  // 2200-01-01
        var starts = [Int64.min]
        var offsets = [Int64(zone.secondsFromGMT(for: time)) * Timestamp.microsecondsPerSecond]
        while let next = zone.nextDaylightSavingTimeTransition(after: time), next > time, next < end {
            time = next
            let offset = Int64(zone.secondsFromGMT(for: next)) * Timestamp.microsecondsPerSecond
            if offset != offsets.last {
                starts.append(Int64(next.timeIntervalSince1970.rounded()) * Timestamp.microsecondsPerSecond)
                offsets.append(offset)
            }
        }
        self.name = name
        self.starts = starts
        self.offsets = offsets
    }

    /// The local date at an instant.
    public func date(of time: Timestamp) -> CalendarDate {
        let local = Self.saturatingSum(time.microseconds, offsets[stretch(at: time.microseconds)])
        return CalendarDate(days: Int32(clamping: local.floorDivided(by: Timestamp.microsecondsPerDay)))
    }

    /// The first instant whose local date is `date`, also where clocks skip midnight or show it twice. Where a zone
    /// skipped the whole day, the first instant after it.
    public func startOfDay(_ date: CalendarDate) -> Timestamp {
        let (midnight, overflow) = Int64(date.days)
            .multipliedReportingOverflow(by: Timestamp.microsecondsPerDay)
        if overflow { return Timestamp(microseconds: date.days < 0 ? .min : .max) }
        // No offset is as wide as two days, so the day starts after this.
        let before = Self.saturatingSum(midnight, -2 * Timestamp.microsecondsPerDay)
        for index in stretch(at: before)..<starts.count {
            let candidate = max(starts[index], Self.saturatingSum(midnight, -offsets[index]))
            if index + 1 == starts.count || candidate < starts[index + 1] {
                return Timestamp(microseconds: candidate)
            }
        }
        return Timestamp(microseconds: midnight)
    }

    /// The index of the stretch that an instant lies in.
    private func stretch(at microseconds: Int64) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= microseconds { low = middle } else { high = middle }
        }
        return low
    }

    private static func saturatingSum(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? (right < 0 ? .min : .max) : sum
    }
}

extension BillingZone: Hashable {
    public static func == (left: BillingZone, right: BillingZone) -> Bool {
        left.name == right.name
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
    }
}

extension BillingZone: CustomStringConvertible {
    /// The IANA name.
    public var description: String { name }
}
