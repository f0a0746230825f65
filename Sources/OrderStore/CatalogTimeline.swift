// How what is sold changes: what has passed stays as it is stored, and from today on it is what the file says.

internal import Orders

/// The dates at which one certificate type or one term is sold.
enum CatalogTimeline {
    /// A date that lies in the past and isn't stored.
    struct Past: Error, Equatable {
        let date: CalendarDate
    }

    /// The dates that are to be stored.
    ///
    /// - Parameters:
    ///   - wanted: what the file says; nil where the file doesn't name it any more, which ends it with today.
    ///   - stored: what is stored; nil for what was never named before.
    ///   - today: the present day, the latest of the partners concerned.
    ///   - refusesPast: whether there are such partners; else nobody has relied on what has passed.
    static func merge(
        _ wanted: [Validity]?, into stored: [Validity]?, today: CalendarDate, refusesPast: Bool
    ) throws(Past) -> [Validity] {
        guard let wanted else {
            return normalized((stored ?? []).compactMap { $0.clipped(from: nil, until: today.adding(days: 1)) })
        }
        for range in refusesPast ? wanted : [] {
            if let from = range.from, from < today, !(stored ?? []).contains(where: { $0.from == from }) {
                throw Past(date: from)
            }
            if let until = range.until, until < today, !(stored ?? []).contains(where: { $0.until == until }) {
                throw Past(date: until)
            }
        }
        // What was never named before has never had a price, so that it changes nothing of the past.
        guard let stored else { return normalized(wanted) }
        return normalized(
            stored.compactMap { $0.clipped(from: nil, until: today) }
                + wanted.compactMap { $0.clipped(from: today, until: nil) })
    }

    /// In the order of the dates, what touches made one.
    static func normalized(_ ranges: [Validity]) -> [Validity] {
        let ordered = ranges.sorted { left, right in
            guard let from = left.from else { return right.from != nil }
            return right.from.map { from < $0 } ?? false
        }
        var merged: [Validity] = []
        for range in ordered {
            if let last = merged.last, let end = last.until, let from = range.from, end >= from {
                merged[merged.count - 1] = Validity(from: last.from, until: range.until)
            } else if let last = merged.last, last.until == nil {
                continue
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}

extension Validity {
    /// The part of the range that lies in another; nil where there is none.
    func clipped(from: CalendarDate?, until: CalendarDate?) -> Validity? {
        let clipped = Validity(
            from: [self.from, from].compactMap(\.self).max(), until: [self.until, until].compactMap(\.self).min())
        return clipped.isEmpty ? nil : clipped
    }
}

extension Validity {
    /// For people: "since ever", "from 2026-01-01 until 2027-01-01".
    var words: String {
        switch (from, until) {
        case (nil, nil): "since ever"
        case (let from?, nil): "from \(from)"
        case (nil, let until?): "until \(until)"
        case (let from?, let until?): "from \(from) until \(until)"
        }
    }
}
