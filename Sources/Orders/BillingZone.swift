// A partner's billing time zone: which local date an instant falls on, and at which instant a local date starts.

/// A time zone of the IANA database, by which a partner's days, months and deadlines are counted.
///
/// Its changes of offset from 1970 to 2200 are read once from the system's time zone files, so that a conversion is a
/// search in a small sorted array. Outside those years the nearest known offset holds.
public struct BillingZone: Sendable {
    /// The IANA name, for example `Europe/Berlin`.
    public let name: String

    private let zone: ZoneOffsets

    /// Looks a zone up; `nil` if the name isn't `UTC`, `GMT` or a name of the IANA database of the form `Area/Place`.
    ///
    /// All but `UTC` and `GMT` need the system's time zone files in `/usr/share/zoneinfo`.
    public init?(_ name: String) {
        self.name = name
        if name == "UTC" || name == "GMT" {
            zone = ZoneOffsets(always: 0)
        } else if let file = TimeZoneDatabase.file(ofZone: name).flatMap(TimeZoneFile.init) {
            zone = file.offsets
        } else {
            return nil
        }
    }

    /// The zone of this name as a file of the IANA database has it; `nil` if that is none.
    init?(_ name: String, file: [UInt8]) {
        guard let file = TimeZoneFile(file) else { return nil }
        self.name = name
        zone = file.offsets
    }

    /// Whether a zone can be renamed without moving anything: the two names have the same changes of offset, or stand for
    /// the same zone in the time zone database, which is what counts where the files of earlier names are missing.
    ///
    /// - Parameter present: has to be known here.
    public static func canRename(_ former: String, to present: String) -> Bool {
        guard let zone = BillingZone(present) else { return false }
        if let other = BillingZone(former) { return other.zone == zone.zone }
        return presentName(of: former) == presentName(of: present)
    }

    /// What a zone's name stands for now: `Europe/Kyiv` for `Europe/Kiev`; the name itself where it is no earlier one.
    public static func presentName(of name: String) -> String { TimeZoneDatabase.presentName(of: name) }

    /// The local date at an instant.
    public func date(of time: Timestamp) -> CalendarDate {
        let local = Self.saturatingSum(time.microseconds, zone.offsets[zone.stretch(at: time.microseconds)])
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
        for index in zone.stretch(at: before)..<zone.starts.count {
            let candidate = max(zone.starts[index], Self.saturatingSum(midnight, -zone.offsets[index]))
            if index + 1 == zone.starts.count || candidate < zone.starts[index + 1] {
                return Timestamp(microseconds: candidate)
            }
        }
        return Timestamp(microseconds: midnight)
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
