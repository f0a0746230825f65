// What time it is by the database's clock, without asking it each time.

internal import FoundationEssentials
internal import Orders
internal import Synchronization

/// The database's clock, carried on from when it was last read by a clock of this machine that nobody sets.
///
/// All times that decide are the database's, so that it doesn't matter what a worker's machine believes.
final class DatabaseClock: Sendable {
    private struct Reading {
        var time: Timestamp
        var at: ContinuousClock.Instant
    }

    private let reading: Mutex<Reading>

    /// - Parameters:
    ///   - time: what the database said.
    ///   - asked: when it was asked; it answered now.
    init(time: Timestamp, asked: ContinuousClock.Instant) {
        reading = Mutex(Self.reading(time, asked))
    }

    private static func reading(_ time: Timestamp, _ asked: ContinuousClock.Instant) -> Reading {
        // Half of the way there and back.
        Reading(time: time, at: asked + asked.duration(to: .now) / 2)
    }

    var now: Timestamp {
        reading.withLock { $0.time.adding($0.at.duration(to: .now)) }
    }

    /// Notes what the database says.
    func note(time: Timestamp, asked: ContinuousClock.Instant) {
        let new = Self.reading(time, asked)
        reading.withLock { $0 = new }
    }
}
