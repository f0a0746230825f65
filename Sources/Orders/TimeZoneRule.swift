// The rule by which a time zone goes on after the last change that its file records: a TZ string of POSIX.

/// A time zone's standard time and the part of each year in which another holds, such as `CET-1CEST,M3.5.0,M10.5.0/3`,
/// with the hours from -167 to 167 that RFC 9636 adds.
struct TimeZoneRule: Sendable {
    /// Seconds, positive to the east.
    let standardOffset: Int
    /// `nil` if standard time always holds.
    private let daylight: Daylight?

    /// Daylight saving time. In Ireland it is winter time, an hour behind the standard.
    private struct Daylight {
        /// Seconds, positive to the east.
        let offset: Int
        /// When it starts, in standard time.
        let start: Moment
        /// When it ends, in daylight saving time.
        let end: Moment
    }

    /// Reads a TZ string; `nil` if it is none, or names daylight saving time without saying when.
    init?(_ text: some Sequence<UInt8>) {
        var reader = RuleReader(rest: Array(text)[...])
        guard reader.skipName(), let west = reader.time(hours: 0...24) else { return nil }
        standardOffset = -west
        if reader.rest.isEmpty {
            daylight = nil
            return
        }
        guard reader.skipName() else { return nil }
        var offset = standardOffset + 3600
        if reader.rest.first != UInt8(ascii: ",") {
            guard let west = reader.time(hours: 0...24) else { return nil }
            offset = -west
        }
        guard let start = reader.moment(), let end = reader.moment(), reader.rest.isEmpty else { return nil }
        daylight = Daylight(offset: offset, start: start, end: end)
    }

    /// The changes of offset, ascending, of the daylight saving times that start in these years: when, in seconds since
    /// 1970-01-01T00:00:00Z, and to which offset, in seconds.
    func changes(from firstYear: Int, to lastYear: Int) -> [(time: Int64, offset: Int)] {
        guard let daylight else { return [] }
        var changes: [(time: Int64, offset: Int)] = []
        for year in firstYear...lastYear {
            let start = daylight.start.seconds(in: year) - Int64(standardOffset)
            var end = daylight.end.seconds(in: year) - Int64(daylight.offset)
            // South of the equator summer ends in the next year.
            if end <= start { end = daylight.end.seconds(in: year + 1) - Int64(daylight.offset) }
            if let last = changes.last, last.time >= start {
                // Daylight saving time that lasts all year goes on.
                changes.removeLast()
            } else {
                changes.append((start, daylight.offset))
            }
            changes.append((end, standardOffset))
        }
        return changes
    }
}

/// A moment of every year, in local time.
private struct Moment {
    let day: Day
    /// Since the day's midnight; may lie outside the day.
    let seconds: Int

    enum Day {
        /// 1…365, where 29 February is never counted.
        case leaplessDay(Int)
        /// 0…365, where 29 February is counted.
        case day(Int)
        /// 0…6 from Sunday, in the week 1…5 of a month 1…12, where week 5 is the last.
        case weekday(Int, week: Int, month: Int)
    }

    /// Seconds since 1970-01-01T00:00:00 in local time.
    func seconds(in year: Int) -> Int64 {
        Int64(date(in: year).days) * 86_400 + Int64(seconds)
    }

    private func date(in year: Int) -> CalendarDate {
        let newYear = CalendarDate(days: 0).adding(months: (year - 1970) * 12)
        switch day {
        case .leaplessDay(let day):
            let isLeapYear = newYear.adding(months: 12) - newYear == 366
            return newYear.adding(days: isLeapYear && day >= 60 ? day : day - 1)
        case .day(let day):
            return newYear.adding(days: day)
        case .weekday(let weekday, let week, let month):
            let first = newYear.adding(months: month - 1)
            // 1970-01-01 was a Thursday.
            let firstWeekday = (Int(first.days) + 4) - (Int(first.days) + 4).floorDivided(by: 7) * 7
            let date = first.adding(days: (weekday - firstWeekday + 7) % 7 + (week - 1) * 7)
            return date < first.adding(months: 1) ? date : date.adding(days: -7)
        }
    }
}

/// Reads a TZ string from left to right.
private struct RuleReader {
    /// What hasn't been read.
    var rest: ArraySlice<UInt8>

    /// Passes over an abbreviation of at least three characters: letters, or `<` letters, digits and signs `>`.
    mutating func skipName() -> Bool {
        let isQuoted = skip("<")
        let name = rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"): isQuoted
            default: false
            }
        }
        rest = rest[name.endIndex...]
        return name.count >= 3 && (!isQuoted || skip(">"))
    }

    /// A signed `h[:mm[:ss]]`, in seconds.
    mutating func time(hours: ClosedRange<Int>) -> Int? {
        let isNegative = skip("-")
        if !isNegative { _ = skip("+") }
        guard let hour = number(hours) else { return nil }
        var seconds = hour * 3600
        for unit in [60, 1] where skip(":") {
            guard let count = number(0...59) else { return nil }
            seconds += count * unit
        }
        return isNegative ? -seconds : seconds
    }

    /// `,` and a day, followed by `/` and a time unless that is two o'clock.
    mutating func moment() -> Moment? {
        guard skip(","), let day = day() else { return nil }
        guard skip("/") else { return Moment(day: day, seconds: 2 * 3600) }
        return time(hours: 0...167).map { Moment(day: day, seconds: $0) }
    }

    private mutating func day() -> Moment.Day? {
        if skip("J") { return number(1...365).map { .leaplessDay($0) } }
        guard skip("M") else { return number(0...365).map { .day($0) } }
        guard let month = number(1...12), skip("."), let week = number(1...5), skip("."), let weekday = number(0...6)
        else { return nil }
        return .weekday(weekday, week: week, month: month)
    }

    /// A number of at most three digits.
    private mutating func number(_ range: ClosedRange<Int>) -> Int? {
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard (1...3).contains(digits.count) else { return nil }
        rest = rest[digits.endIndex...]
        let number = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        return range.contains(number) ? number : nil
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }
}
